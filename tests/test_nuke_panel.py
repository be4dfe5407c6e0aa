"""The Progress tab's drawing, in a real Qt where there is one: `pip install PySide6-Essentials`.

It is no dependency of the tests: it is large, and comes with Nuke.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from nuke_fake import shot

from infusion_panel import Monitor, points
from infusion_watch import curve


def version_at_work(folder: Path) -> Path:
    """A version in the middle of its second training, with a contact sheet; its job's folder."""
    from PIL import Image

    main = folder / "infusion" / "Infusion1" / "v001" / "main"
    (main / "report").mkdir(parents=True)
    facts = {"views": ["main"], "runner": "this machine"}
    (main.parent / "nuke.json").write_text(json.dumps(facts))
    (main.parent / "plan.json").write_text("{}")
    (main / "status.json").write_text(json.dumps({"state": "running", "percent": 37.5}))
    (main / "job.json").write_text(json.dumps({"stages": {"train-00": 9, "train-01": 9, "s": 1}}))
    for i, count in enumerate((10, 5)):
        kept = {"steps": 9, "points": [[step, 1 / (1 + step + 9 * i)] for step in range(count)]}
        (main / "report" / f"loss-train-{i:02d}.json").write_text(json.dumps(kept))
    Image.new("RGB", (300, 80), (200, 60, 40)).save(main / "report" / "contact_sheet.png")
    return main


def test_the_loss_of_all_trainings_is_one_curve(tmp_path: Path) -> None:
    found = curve(version_at_work(tmp_path))
    assert len(found) == 15
    assert found[0] == (0.0, 1.0) and found[9][0] == 50.0
    assert found[-1][0] == pytest.approx(72.2, abs=0.1)
    assert curve(tmp_path) == []


def test_a_curve_falls_from_the_left_top() -> None:
    assert points([(0, 2.0), (50, 1.0), (100, 0.0)], 101, 11) == [(0, 0), (50, 5), (100, 10)]
    assert points([], 100, 100) == [] and points([(0, 0.0)], 100, 100) == []


def test_without_qt_there_is_no_drawing_and_no_error(tmp_path: Path) -> None:
    _, node = shot.begin(tmp_path, "python")
    Monitor(shot.as_nukes(node)).updateValue()


def test_the_drawing_shows_percent_loss_and_sheet(tmp_path: Path) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    qt = pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError, reason="there is no Qt")
    app = qt.QApplication.instance() or qt.QApplication([])
    _, node = shot.begin(tmp_path, "python")
    version_at_work(tmp_path)
    node["job_dir"]._raw = "Infusion1/v001"
    monitor = Monitor(shot.as_nukes(node))
    widget = monitor.makeUI()
    assert isinstance(widget, qt.QWidget)
    (bar,) = widget.findChildren(qt.QProgressBar)
    assert bar.value() == 38
    pictures = [label.pixmap() for label in widget.findChildren(qt.QLabel)]
    assert [picture.width() for picture in pictures] == [420, 420]
    picture = widget.grab()
    assert picture.height() > 200
    assert picture.save(str(tmp_path / "panel.png"))
    app.processEvents()

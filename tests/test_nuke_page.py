"""docs/nuke.md: every knob as it is now, pictures of the panels as they are now, and what is not
claimed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from infusion_cli.gizmo_knobs import KNOBS, TAB, tabs
from infusion_cli.gizmo_page import picture_name, with_tables
from infusion_cli.gizmo_panel import draw_panel, fingerprint

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "nuke.md").read_text(encoding="utf-8")
TITLES = [tab.label for tab, _ in tabs()]


def test_the_tables_are_the_knobs() -> None:
    assert with_tables(PAGE) == PAGE, "run: make docs"
    for knob in KNOBS:
        assert knob.hidden or knob.kind == TAB or knob.tooltip in PAGE


def test_a_page_without_a_place_for_them_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_tables("# Something else\n")


@pytest.mark.parametrize("title", TITLES)
def test_the_pictures_show_the_knobs_as_they_are(title: str, tmp_path: Path) -> None:
    with Image.open(DOCS / picture_name(title)) as kept:
        assert kept.info["knobs"] == fingerprint(title), "run: make docs"
        size = kept.size
    draw_panel(tmp_path / "again.png", title)
    with Image.open(tmp_path / "again.png") as drawn:
        assert drawn.size == size and len(drawn.getcolors(65536) or []) > 4


def test_it_says_what_was_not_tried() -> None:
    assert "Never started inside Nuke by us yet." in PAGE

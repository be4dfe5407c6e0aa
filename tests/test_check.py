"""What a job would do, told before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from infusion_ofx.check import _timed, check
from infusion_ofx.engine.compute import Compute
from infusion_ofx.errors import JobError
from infusion_ofx.job import Job
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

if TYPE_CHECKING:
    from conftest import Shot


def job_of(shot: Shot, **settings: Any) -> Job:
    paths = {"plate": shot.plate, "matte": shot.matte, "output": f"{shot.folder}/out/"}
    tiny = {"recipe": "draft", "steps": 2, "sampling_steps": 3, "device": "cpu", "threads": 1}
    return Job(**{**paths, **tiny, **settings})


def clear(shot: Shot, frame: int) -> None:
    """Takes the hole out of a frame."""
    path, everywhere = shot.folder / f"matte.{frame}.exr", np.ones((24, 32), bool)
    still = Sequence.open(str(path)).choose("A")
    still.write(frame, path, Box(0, 0, 24, 32), np.zeros((24, 32, 1)), everywhere, in_place=True)


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_check_tells_what_is_there_and_writes_nothing(shot: Shot) -> None:
    clear(shot, 1001)
    clear(shot, 1002)
    before = tree(shot.folder)
    report = check(job_of(shot))
    assert tree(shot.folder) == before
    assert (report.frames, report.count, report.size) == ("1001-1008", 8, "32 x 24")
    assert report.hole_pixels == [0, 0, *[49] * 6] and report.empty_frames == "1001-1002"
    assert report.output == f"{shot.folder}/out/plate.1001.exr"
    assert (report.training_steps, report.sampling_steps) == (2, 3)
    assert 0 < report.memory_needed < report.memory_allowed and report.seconds > 0
    assert report.disk_free > report.disk_needed > 0


def test_the_networks_of_standard_are_timed_as_they_train_and_as_they_sample(shot: Shot) -> None:
    assert check(job_of(shot, recipe="standard")).seconds > 0  # an uneven batch would end it


def test_a_report_is_json_and_a_line_for_each_fact(shot: Shot) -> None:
    report = check(job_of(shot))
    assert json.loads(json.dumps(report.to_dict()))["channels"] == report.channels
    text = "\n".join(report.lines())
    for fact in (shot.plate, "1001-1008", "49 to 49 pixels in 8 frames", "draft", "GiB"):
        assert fact in text


def test_an_empty_matte_is_told_as_no_hole_and_no_work(shot: Shot) -> None:
    for frame in shot.frames:
        clear(shot, frame)
    report = check(job_of(shot))
    assert (report.windows, report.training_steps, report.seconds) == (0, 0, 0)
    assert report.empty_frames == "1001-1008" and "hole none" in "\n".join(report.lines())


def test_a_check_names_every_fault_of_the_files_at_once(shot: Shot) -> None:
    (shot.folder / "matte.1003.exr").unlink()
    with pytest.raises(JobError) as caught:
        check(job_of(shot, channels="Q", output=shot.plate))
    for fault in ("lacks frames 1003", "no channel 'Q'", "is the plate itself"):
        assert fault in str(caught.value)
    assert not (shot.folder / "out").exists()


def test_a_step_that_other_work_held_up_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    took = iter([9.0, 0.1, 0.1, 0.8, 0.1])  # the first sets things up
    now = 0.0

    def action() -> None:
        nonlocal now
        now += next(took)

    monkeypatch.setattr("infusion_ofx.check.time.monotonic", lambda: now)
    assert _timed(action, Compute.choose("cpu", "float32", 1)) == pytest.approx(0.1)


def test_more_intervals_are_told_as_more_training(shot: Shot) -> None:
    one = check(job_of(shot, intervals=1, sampling_steps=6))
    three = check(job_of(shot, intervals=3, sampling_steps=6))
    assert (three.intervals, three.training_steps) == (3, 3 * one.training_steps)
    assert three.sampling_steps == one.sampling_steps

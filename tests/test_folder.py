"""Laws of the job folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.folder import JobFolder
from infusion_ofx.job import Job
from infusion_ofx.progress import Progress

ROOT = Path(__file__).parents[1]
JOB = Job(plate="plate.####.exr", matte="matte.####.exr", output="out.####.exr")
CHANGES: list[dict[str, Any]] = [
    {"seed": 1},
    {"frames": "1001-1002"},
    {"recipe": "draft"},
    {"steps": 7},
    {"grow": 2},
    {"feather": 2},
    {"device": "cpu"},
    {"precision": "float32"},
    {"threads": 3},
    {"memory": 4.0},
    {"channels": "R"},
    {"plate": "other.####.exr"},
]


def _adopt(root: Path, job: Job = JOB, version: str = "0.1.0", inputs: str = "abc") -> JobFolder:
    return JobFolder.adopt(job, root, version=version, inputs=inputs)


def test_the_same_job_finds_its_folder_again(tmp_path: Path) -> None:
    first = _adopt(tmp_path / "shot")
    assert first.path == tmp_path / "shot" / "v001"
    assert first.work.is_dir()
    assert _adopt(tmp_path / "shot") == first


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_job_that_would_give_other_pixels_gets_the_next_version(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    first, other = _adopt(tmp_path), _adopt(tmp_path, replace(JOB, **change))
    assert (first.path.name, other.path.name) == ("v001", "v002")
    assert _adopt(tmp_path) == first, "and both are found again"
    assert _adopt(tmp_path, replace(JOB, **change)) == other


@pytest.mark.parametrize(
    "change", [{"checkpoint_minutes": 1.0}, {"data_dir": "elsewhere"}, {"in_place": True}]
)
def test_settings_that_change_no_pixel_go_on_where_the_job_was(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    first = _adopt(tmp_path)
    assert _adopt(tmp_path, replace(JOB, **change)) == first
    kept = json.loads((first.path / "job.json").read_text())
    assert kept["job"] == replace(JOB, **change).to_dict(), "job.json says what was asked last"


def test_another_version_of_the_program_or_other_input_starts_anew(tmp_path: Path) -> None:
    folders = [_adopt(tmp_path), _adopt(tmp_path, version="0.2.0"), _adopt(tmp_path, inputs="abd")]
    assert [folder.path.name for folder in folders] == ["v001", "v002", "v003"]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"null", b'"v"', b"\xff\xfe", b'{"version": 3}', b"7"]
)
def test_a_damaged_record_is_passed_over_and_never_overwritten(
    tmp_path: Path, damage: bytes
) -> None:
    first = _adopt(tmp_path)
    (first.path / "job.json").write_bytes(damage)
    assert _adopt(tmp_path).path.name == "v002"
    assert (first.path / "job.json").read_bytes() == damage


def test_gaps_and_strangers_among_the_versions_are_no_trouble(tmp_path: Path) -> None:
    for name in ("v007", "v1", "vx", "notes", "v0123x"):
        (tmp_path / name).mkdir()
    (tmp_path / "v009").write_text("a file")
    assert _adopt(tmp_path).path.name == "v010"
    (tmp_path / "v1000").mkdir()
    assert _adopt(tmp_path, inputs="other").path.name == "v1001"


def test_what_an_earlier_run_left_behind_is_cleared(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    assert not folder.cancelled()
    (folder.path / "cancel").touch()
    folder.error(InfusionError("no"))
    assert folder.cancelled()
    again = _adopt(tmp_path)
    assert not again.cancelled()
    assert not (again.path / "error.json").exists()


def test_status_is_json_that_says_how_the_job_stands(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    folder.status("running")
    bare = _read(folder, "status.json")
    assert bare["state"] == "running"
    assert {"heartbeat", "host", "pid"} <= bare.keys()
    folder.status("running", Progress("train", 3, 10, 0.25, 12.5, 0.5, 1000), frames=4)
    full = _read(folder, "status.json")
    found = {name: full[name] for name in ("stage", "step", "steps", "percent", "seconds_left")}
    assert found == {"stage": "train", "step": 3, "steps": 10, "percent": 25, "seconds_left": 12.5}
    assert (full["loss"], full["peak_memory"], full["frames"]) == (0.5, 1000, 4)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_status_is_json_even_if_training_went_astray(tmp_path: Path, loss: float) -> None:
    folder = _adopt(tmp_path)
    folder.status("running", Progress("train", 3, 10, 0.25, None, loss))
    _read(folder, "status.json")


def test_an_error_keeps_its_code_message_and_hint(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    folder.error(SequenceError("frame 7 is missing", "render it"))
    assert _read(folder, "error.json") == {
        "code": 2,
        "message": "frame 7 is missing",
        "hint": "render it",
    }


def test_no_temporary_is_left_anywhere(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    folder.status("running")
    folder.error(InfusionError("no"))
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"v001", "work", "job.json", "status.json", "error.json"}


def test_a_place_that_cannot_hold_a_folder_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="cannot write .*Not a directory"):
        _adopt(tmp_path / "file")


def test_a_link_to_a_folder_that_is_gone_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "gone")
    code = "import sys; from pathlib import Path; from infusion_ofx.job import Job; "
    code += "from infusion_ofx.folder import JobFolder; job = Job('p.exr', 'm.exr', 'o/'); "
    code += "JobFolder.adopt(job, Path(sys.argv[1]), version='1', inputs='')"
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    said = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=15
    )
    assert b"InfusionError" in said.stderr or b"JobError" in said.stderr


def test_twins_of_a_job_share_its_folder(tmp_path: Path) -> None:
    first = _adopt(tmp_path)
    assert _together(tmp_path, [JOB] * 4) == [first] * 4


def test_different_jobs_that_start_at_once_never_share_a_folder(tmp_path: Path) -> None:
    for attempt in range(10):
        jobs = [replace(JOB, seed=seed) for seed in range(4)]
        folders = _together(tmp_path / str(attempt), jobs)
        assert len({folder.path for folder in folders}) == 4
        for job, folder in zip(jobs, folders, strict=True):
            assert _read(folder, "job.json")["job"]["seed"] == job.seed


def _read(folder: JobFolder, name: str) -> dict[str, Any]:
    """JSON as every reader takes it: Python's own takes NaN, others do not."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    text = (folder.path / name).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def _together(root: Path, jobs: list[Job]) -> list[JobFolder]:
    """Adopts a folder for each job, all at the same moment."""
    found: dict[int, JobFolder] = {}
    gate = threading.Barrier(len(jobs))

    def adopt(place: int, job: Job) -> None:
        gate.wait()
        found[place] = _adopt(root, job)

    threads = [threading.Thread(target=adopt, args=work) for work in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[place] for place in range(len(jobs))]

"""Laws of the job folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from infusion_ofx.errors import JobError, TryAgainError
from infusion_ofx.folder import JobFolder, Record, write_json
from infusion_ofx.job import Job
from infusion_ofx.paths import PathMap
from infusion_ofx.sequence.atomic import temporary

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
JOB = Job(plate="plate.####.exr", matte="matte.####.exr", output="out.####.exr")
STAGES = {"train-00": 5, "sample-00": 2}
CPU, GPU = {"device": "cpu", "precision": "float32", "threads": 1}, {"device": "cuda"}
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
    return JobFolder.adopt(Record(job, version, inputs, STAGES), root)


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
    folder.cancel()
    (folder.path / "error.json").touch()
    assert folder.cancelled()
    again = _adopt(tmp_path)
    assert not again.cancelled()
    assert not (again.path / "error.json").exists()


def test_a_cancel_can_be_taken_back_and_asked_for_twice(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    for wanted in (True, True, False, False):
        folder.cancel(wanted)
        assert folder.cancelled() == wanted
    with pytest.raises(JobError, match="is no job folder"):
        JobFolder(tmp_path / "none").cancel()
    assert not (tmp_path / "none").exists()


def test_the_first_arithmetic_that_is_told_stays(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    assert folder.settled() is None
    assert folder.settle(CPU) == CPU
    assert folder.settle(GPU) == CPU
    assert folder.settled() == CPU


def test_an_arithmetic_that_is_damaged_is_an_error_and_one_that_cannot_be_read_another_try(
    tmp_path: Path,
) -> None:
    folder = _adopt(tmp_path)
    folder.settle(CPU)
    path = folder.work / "arithmetic" / "arithmetic.json"
    path.write_text("")
    with pytest.raises(JobError, match=r"arithmetic\.json' is damaged"):
        folder.settle(CPU)
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(TryAgainError, match="cannot be read"):
        folder.settle(CPU)


def test_what_a_killed_process_has_left_of_a_folder_is_swept(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = []
    for target in (folder.path.with_name("v002"), folder.work / "arithmetic"):
        name = temporary(target).name.replace(f".{os.getpid()}.", f".{gone.pid}.")
        left.append(target.with_name(name))
        left[-1].mkdir()
        (left[-1] / "job.json").touch()
    mine = temporary(folder.path)
    mine.mkdir()
    folder.sweep()
    assert not any(path.exists() for path in left) and mine.is_dir()


def test_of_processes_that_settle_at_once_all_are_told_the_same(tmp_path: Path) -> None:
    for trial in range(20):
        folder = _adopt(tmp_path / str(trial))
        told = _at_once([partial(folder.settle, {"threads": n}) for n in range(4)])
        assert all(each == told[0] for each in told)
        assert [path.name for path in folder.work.iterdir()] == ["arithmetic"]


def test_a_job_begun_in_another_arithmetic_gets_the_next_version(tmp_path: Path) -> None:
    record = Record(JOB, "0.1.0", "abc", STAGES)
    first = JobFolder.adopt(record, tmp_path, CPU)
    first.settle(CPU)
    other = JobFolder.adopt(record, tmp_path, GPU)
    other.settle(GPU)
    assert (first.path.name, other.path.name) == ("v001", "v002")
    assert JobFolder.adopt(record, tmp_path, CPU) == first
    assert JobFolder.adopt(record, tmp_path) == other, "the newest, for whoever does not say"


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    job = Job(plate="/s/p.####.exr", matte="/s/m.####.exr", output="/s/out/", seed=3)
    record = Record(job, "0.1.0", "abc", STAGES, 5 * 2**30)
    assert JobFolder.adopt(record, tmp_path).read() == record


def test_a_folder_that_was_moved_finds_what_was_moved_with_it(tmp_path: Path) -> None:
    show = tmp_path / "show"
    job = Job(f"{show}/plate.#.exr", "/elsewhere/m.exr", f"{show}/out/")
    folder = _adopt(show / "out" / "infusion", job)
    show.rename(tmp_path / "moved")
    moved = JobFolder(tmp_path / "moved" / folder.path.relative_to(show))
    there = moved.read().job
    assert (there.plate, there.output) == (
        f"{tmp_path}/moved/plate.#.exr",
        f"{tmp_path}/moved/out/",
    )
    assert there.matte == job.matte
    assert moved.read(PathMap.of([f"{show}={tmp_path}/mine"])).job.plate.startswith(
        f"{tmp_path}/mine/"
    )
    again = _adopt(tmp_path / "moved" / "out" / "infusion", there)
    assert again == moved, "and the same job, given by its new paths, is still the same"


def test_a_job_of_another_system_says_that_a_rule_is_wanted(tmp_path: Path) -> None:
    job = Job(r"P:\show\plate.#.exr", r"P:\show\m.exr", "P:\\show\\out\\")
    folder = _adopt(tmp_path, job)
    with pytest.raises(JobError, match=r"no path of this machine.*--path-map"):
        folder.read()
    here = folder.read(PathMap.of([r"p:\SHOW=/mnt/show"])).job
    assert (here.plate, here.output) == ("/mnt/show/plate.#.exr", "/mnt/show/out/")
    assert folder.read(None).job == job


@pytest.mark.parametrize(
    "facts",
    [{}, {"job": 3}, {"job": {}, "stages": []}, {"job": JOB.to_dict(), "stages": {"a": "b"}}],
)
def test_a_folder_without_a_job_says_so(tmp_path: Path, facts: dict[str, Any]) -> None:
    if facts:
        write_json(tmp_path / "job.json", facts)
    with pytest.raises(JobError):
        JobFolder(tmp_path).read()


def test_no_temporary_is_left_anywhere(tmp_path: Path) -> None:
    folder = _adopt(tmp_path)
    folder.settle(CPU)
    names = {path.name for path in tmp_path.rglob("*")}
    folders = {"v001", "work", "tasks", "logs", "report", "accounts", "arithmetic"}
    assert names == folders | {"job.json", "arithmetic.json"}


def test_a_place_that_cannot_hold_a_folder_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="cannot write .*Not a directory"):
        _adopt(tmp_path / "file")


def test_a_link_to_a_folder_that_is_gone_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "gone")
    code = "import sys; from pathlib import Path; from infusion_ofx.job import Job; "
    code += "from infusion_ofx.folder import JobFolder, Record; job = Job('p.exr', 'm.exr', 'o/'); "
    code += "record = Record(job, '1', '', {}); JobFolder.adopt(record, Path(sys.argv[1]))"
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
    return _at_once([partial(_adopt, root, job) for job in jobs])


def _at_once(actions: list[Callable[[], T]]) -> list[T]:
    """What each of some actions gives, all of them begun at the same moment."""
    gate = threading.Barrier(len(actions))

    def act(action: Callable[[], T]) -> T:
        gate.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def test_a_folder_that_was_chosen_beforehand_is_taken_as_it_is(tmp_path: Path) -> None:
    chosen = tmp_path / "v007"
    (chosen / "inputs").mkdir(parents=True)
    record = Record(replace(JOB, job_dir=str(chosen)), "0.1.0", "abc", STAGES)
    folder = JobFolder(chosen).take(record)
    assert folder.path == chosen and folder.work.is_dir() and (chosen / "inputs").is_dir()
    again = JobFolder(chosen).take(record)
    assert again.read(paths=None).job == record.job, "and the same job goes on"
    with pytest.raises(JobError, match="another job"):
        JobFolder(chosen).take(replace(record, job=replace(record.job, seed=1)))


def test_of_jobs_that_want_one_new_folder_at_once_one_has_it(tmp_path: Path) -> None:
    chosen = tmp_path / "new" / "folder"
    jobs = [replace(JOB, job_dir=str(chosen), seed=seed) for seed in range(8)]

    def take(job: Job) -> int | None:
        try:
            JobFolder(chosen).take(Record(job, "0.1.0", "abc", STAGES))
        except JobError:
            return None
        return job.seed

    with ThreadPoolExecutor(len(jobs)) as pool:
        (winner,) = (seed for seed in pool.map(take, jobs) if seed is not None)
    assert JobFolder(chosen).read(paths=None).job.seed == winner

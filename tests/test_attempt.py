"""What a process leaves in the job folder: a status that is true, a log of its own."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from infusion_ofx import __version__
from infusion_ofx.attempt import attempting
from infusion_ofx.errors import InfusionError, JobError, SequenceError, Stopped, TryAgainError
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.job import Job
from infusion_ofx.progress import Progress

JOB = Job(plate="p.####.exr", matte="m.exr", output="out/", seed=7)
REPORT = Progress("train", 3, 10, 0.25, 12.5, 0.5, 1000)


def folder_in(root: Path) -> JobFolder:
    return JobFolder.adopt(Record(JOB, "1", "abc", {}), root)


def read(path: Path) -> dict[str, Any]:
    """JSON as every reader takes it: Python's own takes NaN, others do not."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return found


def test_a_task_is_running_inside_and_done_after(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    with attempting(folder, "train-03", JOB) as attempt:
        running = read(folder.path / "tasks" / "train-03.json")
        attempt(REPORT)
    done = read(folder.path / "tasks" / "train-03.json")
    assert (running["state"], running["pid"], running["attempt"]) == ("running", os.getpid(), 1)
    assert (done["state"], done["percent"], done["step"], done["loss"]) == ("done", 25, 3, 0.5)
    assert done["error"] is None and done["heartbeat"] >= running["heartbeat"]
    assert not (folder.path / "status.json").exists()


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (Stopped("stopped by SIGTERM", "go on", 143), "stopped", 143),
        (KeyboardInterrupt(), "stopped", 130),
        (SequenceError("no such light", "go on"), "failed", 2),
        (TryAgainError("disk full", "go on"), "failed", 75),
        (ZeroDivisionError(), "failed", 1),
    ],
)
@pytest.mark.parametrize("task", ["run", "sample"])
def test_how_a_task_ended_is_in_the_folder(
    tmp_path: Path, error: BaseException, state: str, code: int, task: str
) -> None:
    folder = folder_in(tmp_path)
    with pytest.raises(type(error)), attempting(folder, task, JOB):
        raise error
    status = read(folder.status(task))
    assert (status["state"], status["error"]["code"]) == (state, code)
    assert (folder.path / "error.json").exists() == (task == "run")
    if isinstance(error, InfusionError):
        assert (status["error"]["message"], status["error"]["hint"]) == (error.args[0], "go on")
    log = (folder.path / "logs" / f"{task}.1.log").read_text()
    assert ("Traceback" in log) == (not isinstance(error, InfusionError))


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_status_is_json_even_if_training_went_astray(tmp_path: Path, loss: float) -> None:
    folder = folder_in(tmp_path)
    with attempting(folder, "run", JOB) as attempt:
        attempt(Progress("train", 3, 10, 0.25, loss, loss))
    assert read(folder.status("run"))["loss"] is None


def test_every_attempt_has_its_own_number_and_log(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    numbers: list[int] = []
    gate = threading.Barrier(4)

    def attempt() -> None:
        gate.wait()
        with attempting(folder, "sample", JOB) as attempt:
            numbers.append(attempt.number)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [1, 2, 3, 4]
    names = sorted(path.name for path in (folder.path / "logs").iterdir())
    assert names == [f"sample.{number}.log" for number in sorted(numbers)]


def test_a_log_begins_with_the_machine_and_the_command_and_ends_with_time_and_memory(
    tmp_path: Path,
) -> None:
    folder = folder_in(tmp_path)
    with attempting(folder, "sample", JOB) as attempt:
        attempt(REPORT)
        attempt(Progress("train", 4, 10, 0.3, message="two\nlines"))
    lines = (folder.path / "logs" / "sample.1.log").read_text().splitlines()
    assert f"infusion {__version__}, python 3." in lines[0] and "seed 7" in lines[0]
    assert "command: " in lines[1]
    assert "sample, attempt 1, process" in lines[2]
    assert "25.0%  train 3/10" in lines[3] and "two lines" in lines[4]
    assert "done after 0:00, peak memory" in lines[-1]


def test_a_status_that_cannot_be_written_on_the_way_stops_nothing(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    with attempting(folder, "sample", JOB) as attempt:
        shutil.rmtree(folder.path / "tasks")
        attempt(REPORT)
        attempt.beat()
    assert not (folder.path / "tasks").exists()


def test_a_job_folder_that_is_gone_is_to_be_tried_again(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    with pytest.raises(TryAgainError, match="is gone"), attempting(folder, "sample", JOB):
        shutil.rmtree(folder.path)
        raise JobError("cannot write")
    assert not folder.path.exists()


def test_a_job_folder_that_may_not_be_written_is_told_at_once(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    shutil.rmtree(folder.path / "tasks")
    (folder.path / "tasks").write_text("a file")
    with pytest.raises(JobError, match="cannot write"), attempting(folder, "sample", JOB):
        raise AssertionError("nothing may begin")

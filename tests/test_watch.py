"""What stands round a run: the job folder's status, signals, and which folder a job takes."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infusion_ofx.engine.compute import Compute
from infusion_ofx.errors import JobError, Stopped, TryAgainError
from infusion_ofx.folder import JobFolder
from infusion_ofx.job import Job
from infusion_ofx.progress import Progress
from infusion_ofx.stopping import Signals, stopping
from infusion_ofx.watch import Watch

JOB = Job(plate="p.####.exr", matte="m.exr", output="out/")


def adopt(root: Path, job: Job = JOB, inputs: str = "abc") -> JobFolder:
    return JobFolder.adopt(job, root, version="1", inputs=inputs)


def watch_of(folder: JobFolder, told: list[Progress], signals: Signals | None = None) -> Watch:
    compute = Compute.choose("cpu", "float32", 1)
    return Watch(folder, compute, told.append, signals or Signals(), 60)


def read(folder: JobFolder, name: str) -> dict[str, Any]:
    facts = json.loads((folder.path / name).read_text(encoding="utf-8"))
    assert isinstance(facts, dict)
    return facts


def test_a_run_is_running_inside_and_done_after(tmp_path: Path) -> None:
    told: list[Progress] = []
    folder = adopt(tmp_path)
    with watch_of(folder, told).reporting():
        running = read(folder, "status.json")
    done = read(folder, "status.json")
    assert (running["state"], running["pid"]) == ("running", os.getpid())
    assert (done["state"], done["stage"], done["percent"]) == ("done", "done", 100)
    assert done["heartbeat"] >= running["heartbeat"]
    assert told[-1].fraction == 1 and not (folder.path / "error.json").exists()


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (Stopped("stopped by SIGTERM", "go on", 143), "stopped", 143),
        (Stopped("stopped by SIGINT", "go on"), "stopped", 130),
        (JobError("no such light", "go on"), "failed", 2),
        (TryAgainError("disk full", "go on"), "failed", 75),
    ],
)
def test_how_a_run_ended_is_in_the_folder_and_gone_when_it_goes_on(
    tmp_path: Path, error: Stopped, state: str, code: int
) -> None:
    folder = adopt(tmp_path)
    with pytest.raises(type(error)), watch_of(folder, []).reporting():
        raise error
    assert read(folder, "status.json")["state"] == state
    told = {"code": code, "message": Exception.__str__(error), "hint": "go on"}
    assert read(folder, "error.json") == told
    assert adopt(tmp_path) == folder and not (folder.path / "error.json").exists()


def test_a_fault_of_this_program_leaves_the_folder_failed(tmp_path: Path) -> None:
    folder = adopt(tmp_path)
    with pytest.raises(ZeroDivisionError), watch_of(folder, []).reporting():
        raise ZeroDivisionError
    assert (read(folder, "status.json")["state"], read(folder, "error.json")["code"]) == (
        "failed",
        1,
    )


def test_a_cancel_file_stops_the_job_and_is_gone_when_it_is_run_again(tmp_path: Path) -> None:
    folder = adopt(tmp_path)
    told = watch_of(folder, []).reading(4)
    told(1)
    (folder.path / "cancel").touch()
    with pytest.raises(Stopped, match="cancel file; what is done is kept") as caught:
        told(4)
    assert caught.value.exit_code == 130
    assert not adopt(tmp_path).cancelled()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_noted_and_stops_the_job_at_its_next_report(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    before = signal.getsignal(number)
    with stopping() as signals:
        told = watch_of(adopt(tmp_path), [], signals).writing(4)
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped, match=f"stopped by {number.name}") as caught:
            told(1)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


def test_a_second_int_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stopping():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    handlers = []

    def look() -> None:
        with stopping() as signals:
            handlers.append((signal.getsignal(signal.SIGTERM), signals.received))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [(signal.getsignal(signal.SIGTERM), None)]


def test_progress_of_frames_rises_within_its_share(tmp_path: Path) -> None:
    told: list[Progress] = []
    watch = watch_of(adopt(tmp_path), told)
    for done in range(1, 5):
        watch.reading(4)(done)
    for done in range(1, 5):
        watch.writing(4)(done)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert max(progress.fraction for progress in told if progress.stage == "read") < 0.1
    assert min(progress.fraction for progress in told if progress.stage == "write") > 0.9
    assert fractions[-1] == pytest.approx(1)


def test_the_same_job_takes_the_same_folder_and_another_the_next(tmp_path: Path) -> None:
    first = adopt(tmp_path)
    assert first.path == tmp_path / "v001" and first.work.is_dir()
    assert adopt(tmp_path, replace(JOB, checkpoint_minutes=1.0, data_dir="x")) == first
    assert adopt(tmp_path, replace(JOB, seed=1)).path.name == "v002"
    assert adopt(tmp_path, inputs="other").path.name == "v003"
    assert adopt(tmp_path) == first
    assert JobFolder.adopt(JOB, tmp_path, version="2", inputs="abc").path.name == "v004"


def test_two_jobs_that_begin_at_once_never_share_a_folder(tmp_path: Path) -> None:
    for trial in range(40):
        root, together = tmp_path / str(trial), threading.Barrier(2)
        found: list[Path] = []

        def begin(seed: int, root: Path = root, together: threading.Barrier = together) -> None:
            together.wait()
            found.append(adopt(root, replace(JOB, seed=seed)).path)  # noqa: B023

        threads = [threading.Thread(target=begin, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 2


def test_a_garbled_record_is_no_record(tmp_path: Path) -> None:
    for text in ("", "{", "[]", "null", '{"version": "1"}', "\udcff"):
        folder = adopt(tmp_path)
        (folder.path / "job.json").write_bytes(text.encode(errors="surrogateescape"))
        assert adopt(tmp_path).path != folder.path


def test_what_is_no_version_is_passed_over(tmp_path: Path) -> None:
    for name in ("v1", "v", "latest", "v001.bak", "xv001"):
        (tmp_path / name).mkdir()
    assert adopt(tmp_path).path.name == "v001"


def test_a_job_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((JobError, TryAgainError), match=r"cannot .*file/shot.*; check"):
        adopt(tmp_path / "file" / "shot")

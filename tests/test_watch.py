"""What stands round a process of a job: its progress, checkpoints by time, and stopping."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
import torch

from infusion_ofx.engine.inpaint import Step
from infusion_ofx.engine.stages import Stage
from infusion_ofx.errors import InfusionError, Stopped
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.job import Job
from infusion_ofx.progress import Meter, Progress
from infusion_ofx.stopping import Signals, stopping
from infusion_ofx.watch import Watch

JOB = Job(plate="p.####.exr", matte="m.exr", output="out/")
TRAIN, SAMPLE = Stage("train", 0, 4), Stage("sample", 0, 2)


def folder_in(root: Path) -> JobFolder:
    return JobFolder.adopt(Record(JOB, "1", "abc", {}), root)


def watch_of(
    folder: JobFolder,
    told: list[Progress],
    signals: Signals | None = None,
    task: str = "run",
    seconds: float = 60,
) -> Watch:
    watch = Watch(folder, task, Meter(told.append, lambda: 0), signals or Signals(), seconds)
    watch.expect([(TRAIN, 3.0), (SAMPLE, 1.0)])
    return watch


def step(stage: Stage, done: int, saved: list[int], loss: float = 0.5) -> Step:
    tensor = torch.tensor(loss) if stage.kind == "train" else None
    return Step(stage, done, tensor, lambda: saved.append(done))


def test_a_cancel_file_stops_the_job_and_is_gone_when_it_is_run_again(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    told = watch_of(folder, []).reading(4)
    told(1)
    folder.cancel()
    with pytest.raises(Stopped, match="cancel file; what is done is kept") as caught:
        told(4)
    assert caught.value.exit_code == 130
    assert not folder_in(tmp_path).cancelled()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_noted_and_stops_the_job_at_its_next_report(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    before = signal.getsignal(number)
    with stopping() as signals:
        told = watch_of(folder_in(tmp_path), [], signals).writing(4)
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped, match=f"stopped by {number.name}") as caught:
            told(1)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_step_that_is_asked_to_stop_writes_a_checkpoint_first(
    tmp_path: Path, number: signal.Signals
) -> None:
    saved: list[int] = []
    with stopping() as signals:
        watch = watch_of(folder_in(tmp_path), [], signals)
        watch.step(step(TRAIN, 1, saved))
        assert saved == []
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # farms send it twice
        with pytest.raises(Stopped, match="a checkpoint is written"):
            watch.step(step(TRAIN, 2, saved))
    assert saved == [2]


def test_usr1_writes_a_checkpoint_and_the_job_goes_on(tmp_path: Path) -> None:
    saved: list[int] = []
    with stopping() as signals:
        watch = watch_of(folder_in(tmp_path), [], signals)
        os.kill(os.getpid(), signal.SIGUSR1)
        for done in (1, 2, 3):
            watch.step(step(TRAIN, done, saved))
    assert saved == [1]


@pytest.mark.parametrize(("seconds", "count"), [(0.0, 4), (60.0, 0)])
def test_a_checkpoint_is_written_when_its_time_has_come(
    tmp_path: Path, seconds: float, count: int
) -> None:
    saved: list[int] = []
    watch = watch_of(folder_in(tmp_path), [], seconds=seconds)
    for done in (1, 2, 3, 4):
        watch.step(step(TRAIN, done, saved))
    assert len(saved) == count


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_training_that_goes_astray_is_an_error(tmp_path: Path, loss: float) -> None:
    with pytest.raises(InfusionError, match="went astray at step 1"):
        watch_of(folder_in(tmp_path), []).step(step(TRAIN, 1, [], loss))


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


@pytest.mark.parametrize(
    ("task", "read", "engine", "written"),
    [
        ("run", 0.02, 0.97, 1.0),
        ("prepare", 1.0, None, None),
        ("train-03", None, 1.0, None),
        ("assemble", None, None, 1.0),
    ],
)
def test_progress_rises_within_what_the_task_does(
    tmp_path: Path, task: str, read: float | None, engine: float | None, written: float | None
) -> None:
    told: list[Progress] = []
    watch = watch_of(folder_in(tmp_path), told, task=task)
    for part, stage in enumerate(("read", "read", "prior")):
        if read is not None:
            watch.reading(4, part)(4)
            assert told[-1].fraction == pytest.approx(read * (part + 1) / 3)
            assert told[-1].stage == stage
    if engine is not None:
        watch.step(step(TRAIN, 4, []))
        watch.step(step(SAMPLE, 2, []))
        assert told[-1].fraction == pytest.approx(engine)
    if written is not None:
        watch.writing(4)(4)
        assert told[-1].fraction == pytest.approx(written)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)

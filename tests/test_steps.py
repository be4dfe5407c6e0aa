"""The steps of a job, each in a process of its own: in any order that works, and again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import OpenImageIO as oiio
import pytest
import torch

from infusion_ofx.begin import submit
from infusion_ofx.engine.compute import Compute
from infusion_ofx.errors import (
    InfusionError,
    JobError,
    MissingStepError,
    Stopped,
    TryAgainError,
)
from infusion_ofx.farm.graph import graph
from infusion_ofx.farm.task import perform
from infusion_ofx.folder import JobFolder
from infusion_ofx.progress import Progress
from infusion_ofx.run import run

if TYPE_CHECKING:
    from conftest import FullDisk, Shot

SHARED: dict[str, Any] = {"recipe": "final", "intervals": 2, "steps": 2, "frames": "1001-1003"}
CHAIN: dict[str, Any] = {**SHARED, "recipe": "paper"}
TASKS = ["prepare", "train-shared", "train-00", "train-01", "sample", "assemble"]


@pytest.fixture(scope="module")
def kept() -> dict[str, bytes]:
    """What the first test that wants ``unbroken`` leaves for the others."""
    return {}


@pytest.fixture
def unbroken(shot: Shot, kept: dict[str, bytes]) -> dict[str, bytes]:
    """The pixels of one uninterrupted ``run`` of the job with shared steps."""
    if not kept:
        run(shot.job("unbroken/", **SHARED))
        kept.update(shot.pixels("unbroken"))
    return kept


def folder_of(shot: Shot, **settings: Any) -> JobFolder:
    """The folder of a job with shared steps."""
    return submit(shot.job(**{**SHARED, **settings}))


def perform_all(folder: JobFolder, tasks: Iterable[str] = TASKS) -> None:
    for task in tasks:
        perform(folder.path, task)


@pytest.mark.parametrize("settings", [SHARED, CHAIN], ids=["shared", "chain"])
def test_task_by_task_is_what_run_gives(shot: Shot, settings: dict[str, Any]) -> None:
    run(shot.job("unbroken/", **settings))
    folder = submit(shot.job(**settings))
    perform_all(folder, (task for step in graph(folder.read()) for task in step.tasks))
    assert shot.pixels() == shot.pixels("unbroken")
    assert not shot.hidden()


def test_intervals_are_trained_in_any_order(shot: Shot, unbroken: dict[str, bytes]) -> None:
    folder = folder_of(shot)
    for task in ("prepare", "train-shared", "train-01", "train-00", "sample"):
        perform(folder.path, task)
    perform(folder.path, "assemble")
    assert shot.pixels() == unbroken


def test_run_goes_on_where_the_tasks_are_and_they_where_it_is(
    shot: Shot, unbroken: dict[str, bytes]
) -> None:
    folder = folder_of(shot)
    for task in ("prepare", "train-shared", "train-01"):
        perform(folder.path, task)
    with pytest.raises(Stopped):
        run(shot.job(**SHARED), Signal(signal.SIGTERM, "sample"))
    for task in ("train", "sample", "assemble"):
        perform(folder.path, task)
    assert shot.pixels() == unbroken
    assert Path(run(shot.job(**SHARED)).folder) == folder.path


def test_a_task_whose_forerunner_is_not_done_says_so_and_leaves_nothing(shot: Shot) -> None:
    folder = folder_of(shot)
    for done, task in (
        ("", "train-shared"),
        ("", "sample"),
        ("", "assemble"),
        ("prepare", "train-01"),
        ("prepare", "sample"),
        ("train-shared", "sample"),
    ):
        if done:
            perform(folder.path, done)
        with pytest.raises(MissingStepError) as caught:
            perform(folder.path, task)
        assert caught.value.exit_code == 3
    assert not (folder.work / "fill.safetensors").exists() and not shot.pixels()


@pytest.mark.parametrize("task", ["train-09", "train-", "nap", "", "train-0"])
def test_a_task_that_the_job_does_not_have_is_refused(shot: Shot, task: str) -> None:
    folder = folder_of(shot)
    with pytest.raises(JobError, match="this job has no task"):
        perform(folder.path, task)
    assert not list((folder.path / "logs").iterdir())


def test_what_is_done_is_not_done_again(shot: Shot) -> None:
    folder = folder_of(shot)
    perform_all(folder, TASKS[:4])
    before = {path: path.stat().st_mtime_ns for path in folder.work.iterdir()}
    perform_all(folder, TASKS[:4])
    assert {path: path.stat().st_mtime_ns for path in folder.work.iterdir()} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "again"),
    [
        ("train-01", ["train-01", "sample", "assemble"]),
        ("train-shared", TASKS[1:]),
        ("sample", ["sample", "assemble"]),
        ("prepare", TASKS),
    ],
)
def test_force_does_a_task_again_and_what_builds_upon_it(
    shot: Shot, unbroken: dict[str, bytes], task: str, again: list[str]
) -> None:
    folder = folder_of(shot)
    perform_all(folder)
    made = {path: path.stat().st_mtime_ns for path in folder.work.glob("*-end.safetensors")}
    costs = [path.read_bytes() for path in sorted(folder.accounts.iterdir())]
    assert not (folder.work / "prepared.safetensors").exists()  # made again, if it is wanted again
    perform(folder.path, task, force=True)
    perform_all(folder, again)
    kept = [path for path, when in made.items() if path.stat().st_mtime_ns == when]
    assert {path.name.partition("-0000")[0] for path in kept} == set(TASKS[1:4]) - set(again)
    assert shot.pixels() == unbroken
    voxels = [json.loads(cost)["voxels"] for cost in costs]
    accounts = sorted(folder.accounts.iterdir())
    assert [json.loads(path.read_text())["voxels"] for path in accounts] == voxels


@pytest.mark.parametrize("in_place", [False, True])
def test_force_throws_nothing_away_where_the_plate_is_not_what_it_was(
    shot: Shot, in_place: bool
) -> None:
    output = "plate.####.exr" if in_place else "out/"
    folder = folder_of(shot, in_place=in_place, output=output)
    perform_all(folder)
    os.utime(shot.folder / "plate.1002.exr", (1, 1))
    before = {path: path.stat().st_mtime_ns for path in folder.work.iterdir()}
    for task in ("prepare", "train", "sample"):
        with pytest.raises(JobError, match="has changed"):
            perform(folder.path, task, force=True)
    assert {path: path.stat().st_mtime_ns for path in folder.work.iterdir()} == before


def test_in_place_force_makes_the_same_again_from_what_it_has_changed_itself(shot: Shot) -> None:
    folder = folder_of(shot, in_place=True, output="plate.####.exr")
    perform_all(folder)
    first = shot.pixels(".")
    for task in TASKS:
        perform(folder.path, task, force=True)
    assert shot.pixels(".") == first


@pytest.mark.slow
@pytest.mark.parametrize(("task", "code"), list(zip(TASKS, [130, 143] * 3, strict=True)))
def test_a_task_that_is_stopped_goes_on_to_the_same_pixels(
    shot: Shot, unbroken: dict[str, bytes], task: str, code: int
) -> None:
    folder = folder_of(shot, checkpoint_minutes=0.0)
    number = signal.SIGTERM if code == 143 else signal.SIGINT
    for each in TASKS:
        if each == task:
            with pytest.raises(Stopped) as caught:
                perform(folder.path, each, Signal(number))
            assert caught.value.exit_code == code
            facts = json.loads(folder.status(each).read_text())
            assert (facts["state"], facts["error"]["code"]) == ("stopped", code)
        perform(folder.path, each)
    assert shot.pixels() == unbroken
    assert not shot.hidden()


class Signal:
    """Sends this process a signal at the first step of a stage that is told, or of any."""

    def __init__(self, number: signal.Signals, stage: str = "") -> None:
        self.number: signal.Signals | None = number
        self.stage = stage

    def __call__(self, progress: Progress) -> None:
        if self.number is not None and progress.steps and self.stage in (progress.stage, ""):
            os.kill(os.getpid(), self.number)
            self.number = None


def test_a_cancelled_job_starts_no_task_until_it_is_taken_back(shot: Shot) -> None:
    folder = folder_of(shot)
    folder.cancel()
    for task in ("prepare", "sample"):
        with pytest.raises(Stopped, match="was cancelled.*--undo") as caught:
            perform(folder.path, task)
        assert caught.value.exit_code == 130
    folder.cancel(False)
    perform(folder.path, "prepare")
    folder.cancel()
    assert folder_of(shot) == folder and not folder.cancelled(), "a new submission means it"


def test_two_submissions_of_one_job_share_a_folder_and_another_job_has_its_own(shot: Shot) -> None:
    first = folder_of(shot)
    perform(first.path, "prepare")
    assert folder_of(shot) == first
    assert (first.work / "prepared.safetensors").exists()
    assert folder_of(shot, seed=1).path.name == "v002"


def test_a_plate_that_has_changed_since_is_refused_before_anything_is_read(shot: Shot) -> None:
    folder = folder_of(shot)
    before = shot.folder / "plate.1002.exr"
    moment = before.stat().st_mtime_ns
    os.utime(before, (1, 1))
    with pytest.raises(JobError, match="has changed since the job"):
        perform(folder.path, "prepare")
    os.utime(before, ns=(moment, moment // 1000 * 1000))
    perform(folder.path, "prepare")  # as Windows or a file server tells the time
    os.utime(before, (1, 1))
    with pytest.raises(JobError, match="has changed since the job"):
        perform(folder.path, "prepare")  # and not "it is there"


def test_a_job_of_another_version_of_infusion_is_refused(shot: Shot) -> None:
    folder = folder_of(shot)
    text = (folder.path / "job.json").read_text()
    (folder.path / "job.json").write_text(text.replace('"version": "0', '"version": "9'))
    with pytest.raises(JobError, match=r"made by Infusion 9"):
        perform(folder.path, "prepare")


def test_the_settled_arithmetic_wins_over_what_this_machine_would_take(
    shot: Shot, unbroken: dict[str, bytes]
) -> None:
    folder = folder_of(shot, threads=0)
    os.environ["SLURM_CPUS_PER_TASK"] = "1"
    try:
        perform_all(folder, TASKS[:2])
        precision = Compute.choose("cpu", "auto", 1).precision
        assert folder.settled() == {"device": "cpu", "precision": precision, "threads": 1}
        os.environ["SLURM_CPUS_PER_TASK"] = "2"
        perform(folder.path, "train-00")
        assert torch.get_num_threads() == 1
    finally:
        del os.environ["SLURM_CPUS_PER_TASK"]
        torch.set_num_threads(1)
    perform_all(folder, TASKS[3:])
    assert shot.pixels() == unbroken


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")
def test_a_task_for_a_gpu_that_is_not_here_is_to_be_tried_elsewhere(shot: Shot) -> None:
    folder = folder_of(shot, device="cuda")
    perform(folder.path, "prepare")  # needs none
    with pytest.raises(TryAgainError, match="on a machine that has one"):
        perform(folder.path, "train-shared")


def test_an_empty_matte_leaves_nothing_to_train(shot: Shot) -> None:
    for path in shot.folder.glob("matte.*"):
        assert oiio.ImageBufAlgo.mul(oiio.ImageBuf(str(path)), 0.0).write(str(path))
    folder = folder_of(shot)
    perform_all(folder)
    plates = shot.pixels("")
    assert shot.pixels() == {name: plates[name] for name in list(plates)[8:11]}


def test_a_job_folder_that_vanishes_is_to_be_tried_again(shot: Shot) -> None:
    folder = folder_of(shot, checkpoint_minutes=0.0)
    perform(folder.path, "prepare")

    def vanish(progress: Progress) -> None:
        if progress.stage == "train":
            shutil.rmtree(folder.path)

    with pytest.raises(TryAgainError, match="is gone"):
        perform(folder.path, "train-shared", vanish)
    assert not folder.path.exists()


@pytest.mark.parametrize("task", ["prepare", "train-shared", "sample"])
def test_a_full_disk_is_to_be_tried_again_and_the_task_goes_on(
    shot: Shot, unbroken: dict[str, bytes], task: str, full_disk: type[FullDisk]
) -> None:
    folder = folder_of(shot)
    for each in TASKS:
        if each == task:
            with full_disk(4000), pytest.raises(TryAgainError, match="cannot write"):
                perform(folder.path, each)
        perform(folder.path, each)
    assert shot.pixels() == unbroken
    assert not shot.hidden()


def test_an_output_that_may_not_be_written_is_the_jobs_fault(shot: Shot) -> None:
    folder = folder_of(shot, data_dir=f"{shot.folder}/data")
    perform_all(folder, TASKS[:-1])
    (shot.folder / "out").write_text("a file")
    with pytest.raises(InfusionError) as caught:
        perform(folder.path, "assemble")
    assert caught.value.exit_code == 2
    (shot.folder / "out").unlink()
    perform(folder.path, "assemble")


def test_a_shot_that_was_moved_between_two_tasks_goes_on(
    shot: Shot, unbroken: dict[str, bytes]
) -> None:
    folder = folder_of(shot)
    perform_all(folder, TASKS[:4])
    moved = replace(shot, folder=shot.folder.with_name("moved"))
    shot.folder.rename(moved.folder)
    there = JobFolder(moved.folder / folder.path.relative_to(shot.folder))
    perform_all(there, TASKS[4:])
    assert moved.pixels() == unbroken

"""Takes: the first is what a single result is, and none depends on how many are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infusion_ofx.begin import submit
from infusion_ofx.engine.recipe import Recipe, choose
from infusion_ofx.engine.stages import Stage, before, stages, trained_by
from infusion_ofx.errors import JobError, MissingStepError, Stopped
from infusion_ofx.farm.graph import graph
from infusion_ofx.farm.status import status
from infusion_ofx.farm.task import perform
from infusion_ofx.paths import take_output
from infusion_ofx.progress import Progress
from infusion_ofx.run import run

if TYPE_CHECKING:
    from conftest import Shot

SHORT: dict[str, Any] = {"frames": "1001-1003"}
SHARED: dict[str, Any] = {**SHORT, "recipe": "final", "intervals": 2}


def takes_of(shot: Shot, output: str = "out", takes: int = 3) -> list[dict[str, bytes]]:
    return [shot.pixels(take_output(output, take)) for take in range(1, takes + 1)]


@pytest.mark.parametrize(
    ("output", "second"),
    [
        ("/show/out", "/show/out/take_02/"),
        ("/show/out/", "/show/out/take_02/"),
        ("out/fill.####.exr", "out/take_02/fill.####.exr"),
        ("fill.%04d.exr", "take_02/fill.%04d.exr"),
    ],
)
def test_a_take_lies_in_a_folder_of_the_output(output: str, second: str) -> None:
    assert take_output(output, 1) == output
    assert take_output(output, 2) == second


@pytest.mark.parametrize("train", [False, True])
def test_a_take_is_the_same_however_many_there_are_and_unlike_the_others(
    shot: Shot, train: bool
) -> None:
    run(shot.job("one/", **SHORT))
    result = run(shot.job(takes=3, takes_train=train, **SHORT))
    run(shot.job("two/", takes=2, takes_train=train, **SHORT))
    three = takes_of(shot)
    assert result.takes == 3 and all(len(take) == 3 for take in three)
    assert three[0] == shot.pixels("one")
    assert three[:2] == takes_of(shot, "two", 2)
    assert three[0] != three[1] != three[2] != three[0]
    assert not shot.hidden()


def test_more_takes_are_made_of_the_training_that_is_there(shot: Shot) -> None:
    job = shot.job(**SHORT)
    first = run(job)
    told: list[Progress] = []
    later = run(shot.job(takes=2, **SHORT), told.append)
    assert later.folder == first.folder
    assert "train" not in {progress.stage for progress in told}
    run(shot.job("fresh/", takes=2, **SHORT))
    assert takes_of(shot, takes=2) == takes_of(shot, "fresh", 2)


def test_a_take_that_is_trained_anew_differs_from_one_that_is_only_sampled_anew(
    shot: Shot,
) -> None:
    run(shot.job("sampled/", takes=2, **SHORT))
    run(shot.job("trained/", takes=2, takes_train=True, **SHORT))
    assert takes_of(shot, "sampled", 2)[1] != takes_of(shot, "trained", 2)[1]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "train"), [(SHORT, True), (SHARED, False), (SHARED, True)])
def test_task_by_task_is_what_run_gives(shot: Shot, settings: dict[str, Any], train: bool) -> None:
    settings = {**settings, "takes": 2, "takes_train": train}
    run(shot.job("unbroken/", **settings))
    folder = submit(shot.job(**settings))
    tasks = [task for step in graph(folder.read()) for task in step.tasks]
    with pytest.raises(MissingStepError):
        perform(folder.path, "sample")
    for task in tasks:
        perform(folder.path, task)
    assert takes_of(shot, takes=2) == takes_of(shot, "unbroken", 2)
    assert status(folder.path).state == "done"


def test_a_take_is_a_task_of_its_own_and_is_done_again_by_itself(shot: Shot) -> None:
    run(shot.job("unbroken/", takes=2, **SHORT))
    folder = submit(shot.job(takes=2, **SHORT))
    for task in ("prepare", "train", "sample-take02"):
        perform(folder.path, task)
    found = {each.task: each.state for each in status(folder.path).tasks}
    assert (found["sample-take01"], found["sample-take02"]) == ("waiting", "done")
    perform(folder.path, "sample-take01")
    first = (folder.work / "fill.safetensors").stat().st_ino
    perform(folder.path, "sample-take02", force=True)
    assert (folder.work / "fill.safetensors").stat().st_ino == first
    perform(folder.path, "assemble")
    assert takes_of(shot, takes=2) == takes_of(shot, "unbroken", 2)
    with pytest.raises(JobError, match="its takes are 1 to 2"):
        perform(folder.path, "sample-take03")


@pytest.mark.parametrize(("stage", "report"), [("sample", 2), ("write", 1)])
def test_a_job_that_is_stopped_within_a_take_goes_on_from_there(
    shot: Shot, stage: str, report: int
) -> None:
    seen: list[str] = []

    def stop(progress: Progress) -> None:
        seen.append(progress.stage)
        if seen.count(stage) == report and progress.stage == stage:
            raise Stopped("the test says so")

    run(shot.job("unbroken/", takes=2, **SHORT))
    with pytest.raises(Stopped):
        run(shot.job(takes=2, **SHORT), stop)
    result = run(shot.job(takes=2, **SHORT))
    assert takes_of(shot, takes=2) == takes_of(shot, "unbroken", 2)
    work = {path.name for path in (Path(result.folder) / "work").iterdir()}
    training = "train-00-0000002-end.safetensors"
    assert work == {
            "arithmetic", "preview.safetensors", "fill.safetensors", "fill-take02.safetensors",
            training,
        }  # fmt: skip


def test_a_take_that_would_lie_on_the_plate_is_refused(shot: Shot) -> None:
    taken = shot.folder / "out" / "take_02"
    taken.mkdir(parents=True)
    for path in shot.folder.glob("plate.*"):
        (taken / path.name).write_bytes(path.read_bytes())
    with pytest.raises(JobError, match="is the plate itself"):
        run(replace(shot.job(takes=2, **SHORT), plate=str(taken)))


def test_in_place_the_plate_takes_the_first_and_the_rest_lie_beside(shot: Shot) -> None:
    run(shot.job("apart/", takes=2, **SHORT))
    run(shot.job("plate.####.exr", in_place=True, takes=2, **SHORT))
    one, two = takes_of(shot, "apart", 2)
    assert {name: shot.pixels("")[name] for name in one} == one
    assert shot.pixels("take_02") == two


def _work(takes: int, train: bool, recipe: Recipe) -> list[Stage]:
    return stages(replace(recipe, takes=takes, takes_train=train))


@pytest.mark.parametrize("name", ["final", "paper"])
def test_a_take_is_sampled_through_its_own_training_or_through_the_first_ones(name: str) -> None:
    recipe = choose(name, intervals=3, sampling_steps=2)
    for train in (False, True):
        work = _work(2, train, recipe)
        assert len({stage.name for stage in work}) == len(work)
        for stage in work:
            if stage.kind == "sample":
                assert trained_by(stage, work).take == (stage.take if train else 1)
                assert trained_by(stage, work).interval == stage.interval
            earlier = before(stage, work)
            assert earlier is None or (earlier.kind, earlier.take) == (stage.kind, stage.take)
    assert _work(1, True, recipe) == _work(2, True, recipe)[: len(_work(1, True, recipe))]

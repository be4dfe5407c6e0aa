"""Methods: each is the same job with the same laws, and fills from where it says."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infusion_ofx.accounts import verdicts
from infusion_ofx.begin import submit
from infusion_ofx.check import check
from infusion_ofx.errors import JobError, Stopped
from infusion_ofx.farm.graph import graph
from infusion_ofx.farm.status import status
from infusion_ofx.farm.task import perform
from infusion_ofx.folder import JobFolder
from infusion_ofx.job import Job
from infusion_ofx.paths import take_output
from infusion_ofx.progress import Progress
from infusion_ofx.run import run

if TYPE_CHECKING:
    from conftest import Shot

PATCH: dict[str, Any] = {"method": "patch"}


@pytest.mark.parametrize("settings", [{}, {"takes": 2}], ids=["one", "two takes"])
def test_patches_task_by_task_are_what_run_gives_and_nothing_is_trained(
    shot: Shot, settings: dict[str, Any]
) -> None:
    run(shot.job("unbroken/", **PATCH, **settings))
    folder = submit(shot.job(**PATCH, **settings))
    tasks = [task for step in graph(folder.read()) for task in step.tasks]
    assert tasks[0] == "prepare" and tasks[-1] == "assemble"
    assert all(task.startswith("sample") for task in tasks[1:-1])
    for task in tasks:
        perform(folder.path, task)
    for take in range(1, settings.get("takes", 1) + 1):
        assert shot.pixels(take_output("out", take)) == shot.pixels(take_output("unbroken", take))
    assert status(folder.path).state == "done"
    assert not list(folder.work.glob("train-*"))


def test_patches_that_were_stopped_go_on_with_the_same_pixels(shot: Shot) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == "sample":
            signal.raise_signal(signal.SIGTERM)

    run(shot.job("unbroken/", **PATCH))
    with pytest.raises(Stopped):
        run(shot.job(**PATCH), stop)
    run(shot.job(**PATCH))
    assert shot.pixels() == shot.pixels("unbroken")
    assert not shot.hidden()


def test_methods_differ(shot: Shot) -> None:
    for method in ("patch", "diffusion"):
        run(shot.job(f"{method}/", method=method))
    assert shot.pixels("patch") != shot.pixels("diffusion")


@pytest.mark.parametrize("takes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_auto_task_by_task_is_what_run_gives_and_it_says_its_choice(shot: Shot, takes: int) -> None:
    settings: dict[str, Any] = {"method": "auto", "takes": takes}
    told: list[Progress] = []
    run(shot.job("unbroken/", **settings), told.append)
    folder = submit(shot.job(**settings))
    for task in [task for step in graph(folder.read()) for task in step.tasks]:
        perform(folder.path, task)
    for take in range(1, takes + 1):
        assert shot.pixels(take_output("out", take)) == shot.pixels(take_output("unbroken", take))
        (said,) = verdicts(folder)[take]
        faults = {name: found["fault"] for name, found in said["scores"].items()}
        assert set(faults) == {"diffusion", "patch", "smooth"}
        assert faults[said["name"]] == min(faults.values())
    assert sum("is taken" in progress.message for progress in told) == takes
    assert not shot.hidden()


def test_auto_has_a_verdict_where_some_figures_cannot_be_told(shot: Shot) -> None:
    result = run(shot.job(method="auto", channels="R"))  # FLIP is of three channels
    (said,) = verdicts(JobFolder(Path(result.folder)))[1]
    assert said["scores"]["patch"]["flip"] is None and said["scores"]["patch"]["fault"] >= 0


def test_auto_is_diffusion_where_no_hole_can_be_planted(shot: Shot) -> None:
    told: list[Progress] = []
    result = run(shot.job("auto/", method="auto", grow=6), told.append)
    run(shot.job("diffusion/", method="diffusion", grow=6))
    assert any("no hole could be planted" in progress.message for progress in told)
    assert shot.pixels("auto") == shot.pixels("diffusion")
    assert verdicts(JobFolder(Path(result.folder)))[1][0]["scores"] == {}


def test_auto_that_was_stopped_goes_on_with_the_same_pixels(shot: Shot) -> None:
    run(shot.job("unbroken/", method="auto"))
    stopped = False
    for number in (1, 2, 3):

        def stop(progress: Progress, left: list[int] = [number]) -> None:  # noqa: B006
            left[0] -= progress.stage == "sample"
            if not left[0]:
                signal.raise_signal(signal.SIGTERM)

        try:  # how often it reports, and so where and whether it stops, is the clock's
            run(shot.job(method="auto", checkpoint_minutes=0.0), stop)
        except Stopped:
            stopped = True
    assert stopped
    run(shot.job(method="auto"))
    assert shot.pixels() == shot.pixels("unbroken")


def test_the_method_prior_is_the_prior_alone(shot: Shot) -> None:
    result = run(shot.job("method/", method="prior"))
    run(shot.job("prior/", prior="only"))
    assert shot.pixels("method") == shot.pixels("prior")
    assert not list((Path(result.folder) / "work").glob("train-*"))


def test_no_method_is_left_where_only_the_prior_may_fill_and_it_is_off() -> None:
    with pytest.raises(JobError, match="leaves nothing to fill with"):
        Job("p.#.exr", "m.exr", "out/", method="prior", prior="off").check()


def test_check_says_what_patches_will_need(shot: Shot) -> None:
    report = check(shot.job(**PATCH))
    assert (report.weights, report.training_steps) == (0, 0)
    assert report.seconds > 0 and report.memory_needed < report.memory_allowed


def test_check_times_patches_by_the_pixels_of_the_hole(
    shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infusion_ofx.check._timed", lambda action, compute: 1.0)
    reports = [check(shot.job(grow=grow, **PATCH)) for grow in (0, 2)]
    each = {report.seconds / sum(report.hole_pixels) for report in reports}
    assert len({f"{seconds:.6g}" for seconds in each}) == 1


def test_patches_that_do_not_fit_into_the_memory_are_refused_beforehand(shot: Shot) -> None:
    from infusion_ofx.estimate import memory
    from infusion_ofx.material import recipe_of
    from infusion_ofx.plan import Plan, Window
    from infusion_ofx.sequence.frame import Box

    box = Box(0, 0, 4096, 4096)
    window, boxes = (Window(0, 100, box),), (box,) * 100
    plan = Plan(window, boxes, boxes, boxes, window, boxes)
    small, large = (
        memory(recipe_of(shot.job(memory=m, **PATCH)), plan, prior=0) for m in (1.0, 8.0)
    )
    assert small < large and large > 40 * plan.voxels

"""Laws of scales: a deep hole is filled small first, and the fill at the plate's size goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Shot, write_exr
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from infusion_ofx import plan as planning
from infusion_ofx.begin import begin, submit
from infusion_ofx.check import check
from infusion_ofx.engine import scales
from infusion_ofx.engine.inpaint import Engine, Step, by_scale
from infusion_ofx.engine.recipe import PATCHES, RECIPES
from infusion_ofx.engine.scales import DEEP, enlarge, margin, scale_of, scales_of, shrunk
from infusion_ofx.engine.schedule import calls_by_interval, make
from infusion_ofx.engine.stages import stages
from infusion_ofx.engine.volume import Shot as Worked
from infusion_ofx.engine.volume import Volume
from infusion_ofx.farm.graph import graph
from infusion_ofx.farm.task import perform
from infusion_ofx.folder import JobFolder
from infusion_ofx.losses import read_losses
from infusion_ofx.paths import take_output
from infusion_ofx.plan import Plan
from infusion_ofx.prepare import Prepared
from infusion_ofx.regions import depth
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box
from infusion_ofx.steps import Steps
from infusion_watch import curve

NONE = Box(0, 0, 0, 0)
OURS = sorted({*RECIPES} - {"paper"})
PLATE = Box(-7, 5, 173, 245)

LITTLE = replace(RECIPES["draft"], frames=4, overlap=1, context=6, near=2, tile=64)


@given(st.sampled_from(OURS), st.floats(0, 4000))
def test_a_hole_is_never_filled_at_a_scale_at_which_it_is_deep_nor_smaller_than_that(
    name: str, deep: float
) -> None:
    scale = scale_of(RECIPES[name], deep)
    assert deep / scale <= DEEP
    assert scale == 1 or deep / scale > DEEP / 2


def test_what_has_no_network_of_ours_is_filled_at_once() -> None:
    assert scale_of(RECIPES["paper"], 4000) == scale_of(PATCHES, 4000) == 1
    some_never = replace(RECIPES["final"], sampling_steps=2)
    assert not all(calls_by_interval(some_never)) and scale_of(some_never, 4000) == 1


@given(
    st.lists(st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 120)] * 2), max_size=9),
    st.sampled_from((2, 4, 8)),
    st.integers(0, 10**6),
)
@example([(0, 0, 1, 6)], 8, 0)  # of what is loaded no whole pixel of the smaller scale
def test_the_smaller_plan_lies_in_what_is_loaded_and_covers_what_is_sampled(
    holes: list[tuple[int, int, int, int]], scale: int, voxels: int
) -> None:
    plan, plate = _plan([Box(t, left, t + h, left + w) for t, left, h, w in holes], scale, voxels)
    if not plan.windows:
        return
    *work, (_, same) = scales_of(LITTLE, plan)
    assert (
        same is plan and [recipe.scale for recipe, _ in work] == {2: [2], 4: [4], 8: [8, 2]}[scale]
    )
    for recipe, small in work:
        _is_the_smaller_plan(plan, small, recipe.scale)


def _is_the_smaller_plan(plan: Plan, small: Plan, scale: int) -> None:
    for window in small.windows:
        assert window.voxels > 0
        for i in window.frames:
            assert small.sampled[i].intersect(window.box) == window.box
    for i, region in enumerate(small.region):
        wide = _times(region, scale)
        assert _holds(plan.region[i], wide)
        assert _holds(small.trained[i], small.sampled[i])
        assert _holds(region, small.trained[i])
        assert not small.windows or region.empty or not small.trained[i].empty
        own = plan.sampled[i]
        missing = own.intersect(wide).intersect(_times(small.sampled[i], scale))
        assert own.empty or small.sampled[i].empty or _short(own, missing) < scale


def _holds(outer: Box, inner: Box) -> bool:
    return inner.empty or outer.intersect(inner) == inner


def _short(whole: Box, part: Box) -> int:
    """By how many pixels a side of a box is short of another's."""
    return max(
        part.top - whole.top,
        part.left - whole.left,
        whole.bottom - part.bottom,
        whole.right - part.right,
    )


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("steps", [8, 20, 46, 53])
def test_detail_has_steps_as_close_in_noise_and_every_interval_has_some(
    name: str, steps: int
) -> None:
    recipe = replace(RECIPES[name], sampling_steps=steps, intervals=20 if steps == 46 else 4)
    plan, _ = _plan([Box(10, 10, 100, 100)], 4)
    (first, _), (detail, _) = scales_of(recipe, plan)
    assert all(calls_by_interval(detail))
    assert [s.task for s in stages(detail)] == [s.task for s in stages(first)]
    assert {s.name for s in stages(detail)}.isdisjoint(s.name for s in stages(first))
    assert detail.sampling_steps >= min(8, steps)
    grids = [make(each).sigma(make(each).grid(each.sampling_steps)) for each in (first, detail)]
    assert grids[1][0] == pytest.approx(scales.MEET) and grids[1][-1] == pytest.approx(grids[0][-1])
    if steps == 53:
        apart = [(grid[0] / grid[1]).item() for grid in grids]
        assert apart[1] == pytest.approx(apart[0], rel=0.05)
    (_, most), (low, meet) = (each.noise or (0, 0) for each in (first, detail))
    share = np.log(meet / low) / np.log(most / low)
    for mine, whole in (detail.steps, first.steps), (detail.shared_steps, first.shared_steps):
        assert share * whole <= mine < share * whole + 1


def test_a_smaller_pixel_is_the_mean_of_the_plates_and_known_where_all_of_them_are(
    tmp_path: Path,
) -> None:
    shot, plan = _material(tmp_path, [Box(20, 30, 61, 90)] * 2)
    (recipe, small), _ = scales_of(LITTLE, plan)
    found = shrunk(shot, small, recipe.scale, tmp_path)
    assert found.clean.boxes == small.region and found.numbers == shot.numbers
    for i, box in enumerate(small.region):
        for y in range(box.top, box.bottom):
            for x in range(box.left, box.right):
                own = _times(Box(y, x, y + 1, x + 1), recipe.scale)
                hole = shot.hole.view(i, own).amax()
                pixel = found.clean.view(i, Box(y, x, y + 1, x + 1))
                assert found.hole.view(i, Box(y, x, y + 1, x + 1)) == hole
                mean = shot.clean.view(i, own).mean((1, 2)) * (1 - hole)
                assert torch.allclose(pixel[:, 0, 0], mean, atol=1e-6)


def test_an_enlarged_fill_is_what_was_made_smaller_and_leaves_known_pixels_alone(
    tmp_path: Path,
) -> None:
    hole = Box(20, 30, 61, 90)
    shot, plan = _material(tmp_path, [hole] * 2, period=50.0)
    truth, _ = _material(tmp_path, [NONE] * 2, period=50.0, like=plan)
    (recipe, small), _ = scales_of(LITTLE, plan)
    fill = shrunk(truth, small, recipe.scale, tmp_path).within(small.sampled).clean
    first, into = (Volume.zeros(plan.sampled, 3, torch.device("cpu")) for _ in range(2))
    for i, box in enumerate(plan.sampled):
        first.data[i].copy_(shot.clean.view(i, box))
    enlarge(fill, recipe.scale, first, shot, into)
    for i, box in enumerate(plan.sampled):
        known = shot.hole.view(i, box) == 0
        known = known.expand_as(into.data[i])
        assert torch.equal(into.data[i][known], first.data[i][known])
        off = (into.data[i] - truth.clean.view(i, box)).abs()
        assert off.max() < 0.1, "a wave of 50 pixels is told by pixels of four"
        assert into.data[i].amax() <= 1 and into.data[i].amin() >= -1


@given(st.integers(1, 150), st.integers(1, 150))
def test_the_depth_of_a_rectangle_is_half_its_shorter_side(height: int, width: int) -> None:
    assert abs(depth(np.ones((height, width), bool)) - min(height, width) / 2) <= 8


def test_a_frame_of_two_thin_wires_is_not_deep() -> None:
    wires = np.zeros((400, 400), bool)
    wires[::200] = wires[:, ::200] = True
    assert depth(wires) == 0


class Interrupted(Exception):
    """What a test stops the engine with."""


DEEP_SHOT: dict[str, Any] = {"steps": 2, "sampling_steps": 5, "prior": "off"}
SHARED: dict[str, Any] = {**DEEP_SHOT, "recipe": "final", "intervals": 2}


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shot:
    """Five frames of 72 x 80 with a hole of 40 x 40 that counts as so deep that it is filled four
    times smaller first."""
    monkeypatch.setattr(scales, "DEEP", 8)
    frames = tuple(range(1001, 1006))
    for frame in frames:
        write_exr(tmp_path / f"plate.{frame}.exr", _light(frame), ("R", "G", "B"))
        matte = np.zeros((72, 80, 1), np.float32)
        matte[16:56, 18:58] = 1
        write_exr(tmp_path / f"matte.{frame}.exr", matte, ("A",))
    return Shot(
        tmp_path, str(tmp_path / "plate.####.exr"), str(tmp_path / "matte.####.exr"), frames
    )


def test_the_fill_has_the_shapes_of_the_smaller_one_and_detail_of_its_own(deep: Shot) -> None:
    with begin(deep.job(**DEEP_SHOT)) as steps:
        prepared = steps.prepare()
        assert prepared is not None and prepared.plan.scale == 4
        engines = _engines(steps, prepared)
        for scale in (4, 1):
            for stage in engines[scale].stages:
                engines[scale].run(stage)
        small, fill = (engines[scale].fill() for scale in (4, 1))
    box = Box(16, 20, 56, 56)  # the hole's whole smaller pixels
    for i in range(5):
        shapes = small.view(i, Box(4, 5, 14, 14)).double()
        mine = fill.view(i, box).double()
        pooled = torch.nn.functional.avg_pool2d(mine[None], 4)[0]
        both = torch.stack([shapes.flatten(), pooled.flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.8
        assert (mine - pooled.repeat_interleave(4, 1).repeat_interleave(4, 2)).std() > 0.01


@pytest.mark.parametrize(
    "holes",
    [
        [Box(30, 38, 72, 80)] * 5,
        [Box(10, 6 * i, 50, 40 + 6 * i) for i in range(5)],
        [Box(0, 0, 40, 72), NONE, Box(60, 70, 63, 74), NONE, Box(32, 8, 72, 48)],
    ],
    ids=["corner", "moving", "comes and goes"],
)
def test_deep_holes_anywhere_are_filled_and_nothing_else_changes(
    deep: Shot, holes: list[Box]
) -> None:
    mattes = []
    for frame, hole in zip(deep.frames, holes, strict=True):
        matte = np.zeros((72, 80, 1), np.float32)
        matte[hole.top : hole.bottom, hole.left : hole.right] = 1
        write_exr(deep.folder / f"matte.{frame}.exr", matte, ("A",))
        mattes.append(matte[..., 0] > 0)
    (deep.folder / "shown").mkdir()
    for frame in deep.frames:
        copyfile(deep.folder / f"plate.{frame}.exr", deep.folder / f"shown/{frame}.exr")
    run(deep.job(**DEEP_SHOT))
    plates, fills = (
        [np.frombuffer(raw, np.float16).reshape(72, 80, 3) for raw in found.values()]
        for found in (deep.pixels("shown"), deep.pixels())
    )
    for plate, fill, held in zip(plates, fills, mattes, strict=True):
        assert np.array_equal(plate[~held], fill[~held]) and np.isfinite(fill).all()
        assert not held.any() or (plate[held] != fill[held]).mean() > 0.9


def test_a_deep_hole_that_leaves_a_wide_shot_is_filled_while_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scales, "DEEP", 8)
    frames = tuple(range(1001, 1019))
    for frame in frames:  # what is loaded is far from the plate's corner, and of few frames
        light = np.tile(_light(frame), (1, 5, 1))
        matte = np.zeros((72, 400, 1), np.float32)
        matte[16:56, 300:340] = frame < 1004
        write_exr(tmp_path / f"plate.{frame}.exr", light, ("R", "G", "B"))
        write_exr(tmp_path / f"matte.{frame}.exr", matte, ("A",))
    shot = Shot(
        tmp_path, str(tmp_path / "plate.####.exr"), str(tmp_path / "matte.####.exr"), frames
    )
    said: list[str] = []
    run(shot.job(**DEEP_SHOT), lambda progress: said.append(progress.message))
    for path in tmp_path.glob("matte.*"):
        path.unlink()
    plates, fills = (
        [np.frombuffer(raw, np.float16).reshape(72, 400, 3) for raw in found.values()]
        for found in (shot.pixels(""), shot.pixels())
    )
    held = np.zeros((72, 400), bool)
    held[16:56, 300:340] = True
    for frame, plate, fill in zip(frames, plates, fills, strict=True):
        assert np.array_equal(plate[~held], fill[~held])
        assert (plate[held] != fill[held]).any() == (frame < 1004)
    assert not any("no contact sheet" in text for text in said)


@pytest.mark.parametrize("settings", [DEEP_SHOT, SHARED], ids=["draft", "final"])
def test_a_deep_hole_task_by_task_is_what_run_gives(deep: Shot, settings: dict[str, Any]) -> None:
    run(deep.job("unbroken/", **settings))
    folder = submit(deep.job(**settings))
    for step in graph(folder.read()):
        for task in step.tasks:
            perform(folder.path, task)
    assert deep.pixels() == deep.pixels("unbroken")
    told = [curve["stage"] for curve in read_losses(folder, folder.read().stages)]
    assert told == [f"{name}{x}" for name in _trainings(folder) for x in ("-x4", "")]
    assert len(curve(folder.path)) >= len(told)
    left = {path.name.rpartition("-")[0][:-8] for path in folder.work.glob("*-end.safetensors")}
    trained = {*_trainings(folder)}
    assert left == trained | {f"{name}-x4" for name in trained}


def test_a_deep_hole_goes_on_after_any_step_to_the_same_pixels(deep: Shot) -> None:
    run(deep.job("unbroken/", **DEEP_SHOT))
    with begin(deep.job(**DEEP_SHOT)) as steps:
        prepared = steps.prepare()
    assert prepared is not None
    stops = 0

    def stop(step: Step) -> None:
        nonlocal stops
        stops += 1
        step.save()
        raise Interrupted

    ended = False
    while not ended:
        engines, ended = _engines(steps, prepared), True
        for stage in [*engines[4].stages, *engines[1].stages]:
            try:
                engines[stage.scale].run(stage, stop)
            except Interrupted:
                ended = False
                break
    assert stops == sum(stage.steps for each in engines.values() for stage in each.stages)
    run(deep.job(**DEEP_SHOT))
    assert deep.pixels() == deep.pixels("unbroken")


def test_what_the_prior_shows_of_a_deep_hole_is_taken_and_the_rest_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A still wall, and a deep hole that leaves it and comes back: what is left is less deep."""
    monkeypatch.setattr(scales, "DEEP", 8)
    wall = np.random.default_rng(0).random((18, 50, 3)).repeat(4, 0).repeat(4, 1)
    frames = tuple(range(1001, 1013))
    for i, frame in enumerate(frames):
        moving = wall.copy()
        moving[20:60, 150:190] = np.random.default_rng(frame).random((40, 40, 3))
        write_exr(tmp_path / f"plate.{frame}.exr", np.asarray(moving, np.float32), ("R", "G", "B"))
        matte = np.zeros((72, 200, 1), np.float32)
        matte[16:64, 10 + 6 * i : 58 + 6 * i] = 1
        matte[20:60, 150:190] = i > 8
        write_exr(tmp_path / f"matte.{frame}.exr", matte, ("A",))
    shot = Shot(
        tmp_path, str(tmp_path / "plate.####.exr"), str(tmp_path / "matte.####.exr"), frames
    )
    with begin(shot.job(**{**DEEP_SHOT, "prior": "auto"})) as steps:
        prepared = steps.prepare()
        assert prepared is not None and prepared.plan.scale <= 4
        taken = sum(float(hole.sum()) for hole in prepared.shot.hole.data)
        assert taken < 0.9 * sum((48 * 48 + (i > 8) * 1600) for i in range(12)), "of the hole"
        steps.solve(prepared)
        assert steps.assemble() > 0


def test_a_deep_hole_is_judged_by_one_that_is_apart_from_it_at_its_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scales, "DEEP", 8)
    frames = tuple(range(1001, 1005))
    for frame in frames:
        light = np.tile(_light(frame), (1, 3, 1))
        write_exr(tmp_path / f"plate.{frame}.exr", light, ("R", "G", "B"))
        matte = np.zeros((72, 240, 1), np.float32)
        matte[16:56, 58:98] = 1
        write_exr(tmp_path / f"matte.{frame}.exr", matte, ("A",))
    shot = Shot(
        tmp_path, str(tmp_path / "plate.####.exr"), str(tmp_path / "matte.####.exr"), frames
    )
    with begin(shot.job(**DEEP_SHOT, method="auto")) as steps:
        prepared = steps.prepare()
        assert prepared is not None and prepared.plan.scale == 4
        (planted,) = prepared.planted
        first = planted.box.left + int(np.flatnonzero(planted.mask.any((0, 1)))[0])
        assert first >= 98 + 6 * 4
        steps.solve(prepared)
        assert steps.assemble() == 4 * 1600


def test_takes_of_a_deep_hole_differ_in_their_shapes(deep: Shot) -> None:
    run(deep.job(**DEEP_SHOT, takes=2))
    one, two = (deep.pixels(take_output("out", take)) for take in (1, 2))
    assert len(one) == 5 and all(one[name] != two[name] for name in one)


def test_a_deep_hole_that_is_done_again_is_done_again_at_both_scales(deep: Shot) -> None:
    folder = submit(deep.job(**DEEP_SHOT))
    for task in ("prepare", "train", "sample"):
        perform(folder.path, task)
    before = {p.name: p.stat().st_mtime_ns for p in folder.work.glob("train-*.safetensors")}
    assert len(before) == 2
    perform(folder.path, "prepare", force=True)
    assert not list(folder.work.glob("train-*")) and not list(folder.work.glob("sample-*"))


def test_check_says_that_a_deep_hole_is_filled_smaller_first(deep: Shot) -> None:
    told, flat = (check(deep.job(**DEEP_SHOT, recipe=name)) for name in ("draft", "paper"))
    assert told.scale == 4 and "first 4 times smaller" in "\n".join(told.lines())
    assert told.training_steps == 2 * DEEP_SHOT["steps"] and flat.scale == 1
    assert check(deep.job(steps=100, prior="off")).training_steps == 100 + 56


def test_the_contact_sheet_shows_a_deep_hole_before_its_detail_is_made(deep: Shot) -> None:
    with begin(deep.job(**DEEP_SHOT)) as steps:
        prepared, path = steps.prepare(), steps.folder.report / "contact_sheet.png"
        assert prepared is not None
        with Image.open(path) as sheet:
            before = sheet.height
        steps.solve(prepared, lambda stage: stage.scale == 4)
        with Image.open(path) as sheet:  # it has the rows of the fill now
            assert sheet.height > 1.5 * before


def _trainings(folder: JobFolder) -> list[str]:
    return [name for name in folder.read().stages if name.startswith("train")]


def _engines(steps: Steps, prepared: Prepared) -> dict[int, Engine]:
    return by_scale(
        prepared.shot,
        prepared.plan,
        steps.material.recipe,
        steps.compute,
        seed=steps.job.seed,
        folder=steps.folder.work,
    )


def _times(box: Box, scale: int) -> Box:
    return Box(box.top * scale, box.left * scale, box.bottom * scale, box.right * scale)


def _plan(holes: list[Box], scale: int, voxels: int = 10**9) -> tuple[Plan, Box]:
    """A plan on a plate whose edges are no multiple of the scale."""
    recipe = LITTLE
    made = planning.make(
        [hole.intersect(PLATE) for hole in holes],
        PLATE,
        frames=recipe.frames,
        overlap=recipe.overlap,
        context=recipe.context,
        reach=4,
        near=recipe.near,
        tile=recipe.tile,
        voxels=voxels,
        block=10**9,
        around=margin(recipe, scale),
    )
    return replace(made, scale=scale), PLATE


def _material(
    folder: Path, holes: list[Box], period: float = 9.0, like: Plan | None = None
) -> tuple[Worked, Plan]:
    """Waves of so many pixels round holes, and the plan to fill them four times smaller first."""
    plan = like or _plan(holes, 4)[0]

    def mask(i: int, box: Box) -> torch.Tensor:
        found = torch.zeros(1, box.height, box.width)
        rows, columns = box.slices(holes[i].intersect(box))
        found[:, rows, columns] = 1
        return found

    def waves(i: int, box: Box) -> torch.Tensor:
        y = torch.arange(box.top, box.bottom)[:, None]
        x = torch.arange(box.left, box.right)
        turn = 2 * torch.pi / period
        picture = torch.stack([torch.sin(turn * (0.8 * y + 0.6 * x) + c + i) for c in range(3)])
        return picture * (1 - mask(i, box))

    clean, hole = Volume.make(plan.region, waves), Volume.make(plan.region, mask)
    numbers = tuple(range(1001, 1001 + len(holes)))
    return Worked(numbers, clean, hole, -torch.ones(3), torch.ones(3)), plan


def _light(frame: int) -> NDArray[np.float32]:
    y, x = np.mgrid[:72, :80].astype(np.float32)
    grain = np.random.default_rng(frame).standard_normal((72, 80, 3)).astype(np.float32)
    wide = np.sin(0.15 * x + 0.2 * frame) + np.cos(0.11 * y)
    light = (0.5 + 0.2 * wide)[..., None] * np.array([1.0, 0.8, 0.6]) + 0.03 * grain
    return np.asarray(light, np.float32)

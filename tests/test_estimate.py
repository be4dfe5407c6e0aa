"""Laws of the estimate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.engine import schedule
from infusion_ofx.engine.recipe import PATCHES, RECIPES, Recipe, choose
from infusion_ofx.estimate import (
    FRAME_BYTES,
    block_voxels,
    held,
    largest_tile,
    memory,
    on_device,
    step_passes,
    window_voxels,
    work,
)
from infusion_ofx.plan import Plan, make
from infusion_ofx.sequence.frame import Box

PLATE = Box(0, 0, 1080, 1920)
NAMES = st.sampled_from(sorted(RECIPES))


def _plan(recipe: Recipe, hole: Box, frames: int = 20, plate: Box = PLATE) -> Plan:
    return make(
        [hole] * frames,
        plate,
        frames=recipe.frames,
        overlap=recipe.overlap,
        context=recipe.context,
        reach=recipe.reach,
        near=recipe.near,
        tile=recipe.tile,
        voxels=10**9,
        block=10**9,
    )


@given(NAMES, st.integers(1, 300), st.integers(1, 40))
def test_the_work_is_every_stage_with_what_its_steps_pass_through_the_network(
    name: str, side: int, frames: int
) -> None:
    recipe = RECIPES[name]
    plan = _plan(recipe, Box(400, 400, 400 + side, 400 + side), frames)
    found = work(recipe, plan)
    trained = sum(stage.steps for stage, _ in found if stage.kind == "train")
    sampled = sum(stage.steps for stage, _ in found if stage.kind == "sample")
    assert trained == recipe.shared_steps + recipe.intervals * recipe.steps
    assert sampled == recipe.sampling_steps
    block, windows = 3 * block_voxels(recipe, plan), window_voxels(plan)
    for stage, cost in found:
        assert cost > 0
        if stage.kind == "train":
            assert cost == block
    passes = sum(stage.steps * cost for stage, cost in found if stage.kind == "sample")
    passes /= windows * step_passes(recipe)
    called = int((schedule.make(recipe).grid(recipe.sampling_steps) <= 1).sum())
    assert called <= passes <= recipe.sampling_steps
    assert name != "paper" or passes == recipe.sampling_steps


def test_a_second_fill_and_more_takes_are_more_work_and_no_less_memory() -> None:
    one = RECIPES["draft"]
    plan = _plan(one, Box(400, 400, 500, 500))
    one = replace(one, patches=False)
    both = replace(one, patches=True, takes=3)
    kinds = [stage.kind for stage, _ in work(both, plan)]
    assert (kinds.count("train"), kinds.count("sample"), kinds.count("patch")) == (1, 3, 3)
    assert memory(both, plan, prior=0) >= memory(one, plan, prior=0)
    assert memory(PATCHES, plan, prior=1) > 0 and largest_tile(PATCHES, 2**30) == PATCHES.tile
    assert {stage.kind for stage, _ in work(PATCHES, plan)} == {"patch"}


def test_a_block_is_no_larger_than_the_shot() -> None:
    recipe = RECIPES["draft"]
    tiny = _plan(recipe, Box(0, 0, 5, 7), frames=2, plate=Box(0, 0, 5, 7))
    assert block_voxels(recipe, tiny) == recipe.batch * window_voxels(tiny) == recipe.batch * 70
    three = replace(recipe, ensemble=3)
    assert block_voxels(three, tiny) == 3 * block_voxels(recipe, tiny)
    roomy = _plan(recipe, Box(400, 400, 500, 500), frames=30)
    assert block_voxels(recipe, roomy) == recipe.batch * recipe.frames * recipe.crop**2


def test_each_network_of_an_ensemble_is_as_much_work_and_the_guess_of_sampling_is_shared() -> None:
    one = RECIPES["draft"]
    three, plan = replace(one, ensemble=3), _plan(one, Box(400, 400, 500, 500))
    called = int((schedule.make(one).grid(one.sampling_steps) <= 1).sum())
    assert step_passes(one) == 1 and 2 * step_passes(one) == step_passes(three)
    alone, together = (dict(work(recipe, plan)) for recipe in (one, three))
    for stage, cost in together.items():
        more = 2 * alone[stage]
        if stage.kind == "sample":
            more = window_voxels(plan) * called / stage.steps
        assert cost == pytest.approx(alone[stage] + more)


@given(NAMES, st.integers(1, 200), st.integers(1, 30))
def test_work_and_memory_go_with_the_hole_and_not_with_the_plate(
    name: str, side: int, frames: int
) -> None:
    recipe = replace(RECIPES[name], reach=64)
    hole = Box(400, 400, 400 + side, 400 + side)
    small = _plan(recipe, hole, frames)
    large = _plan(recipe, hole, frames, Box(0, 0, 4320, 7680))
    assert memory(recipe, small, prior=1) == memory(recipe, large, prior=1)
    assert work(recipe, small) == work(recipe, large)


@given(NAMES, st.integers(1, 300), st.integers(1, 300), st.integers(1, 30))
def test_a_larger_hole_never_takes_less_memory(name: str, one: int, two: int, frames: int) -> None:
    recipe, sides = RECIPES[name], sorted((one, two))
    plans = [_plan(recipe, Box(300, 300, 300 + s, 300 + s), frames) for s in sides]
    needs = [memory(recipe, plan, prior=1) for plan in plans]
    assert needs[0] <= needs[1]


@given(NAMES, st.integers(1, 300), st.integers(0, 8))
def test_a_longer_shot_takes_little_more_memory_but_more_of_the_disk(
    name: str, side: int, prior: int
) -> None:
    recipe = replace(RECIPES[name], reach=64, patches=False)
    hole = Box(300, 300, 300 + side, 300 + side)
    short, long = (_plan(recipe, hole, frames) for frames in (400, 2000))
    needs = [memory(recipe, plan, prior=prior) for plan in (short, long)]
    assert needs[1] - needs[0] == 1600 * FRAME_BYTES < 2**29
    assert held(recipe, long) == 5 * held(recipe, short)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_estimate_of_an_ordinary_job_is_an_ordinary_number(name: str) -> None:
    recipe = choose(name)
    plan = _plan(recipe, Box(400, 400, 600, 700), frames=50)
    assert 2**29 < memory(recipe, plan, prior=1) < 64 * 2**30


def test_a_gpu_holds_the_whole_shot_where_the_budget_allows_it() -> None:
    recipe = RECIPES["standard"]
    plan = _plan(recipe, Box(300, 300, 500, 500), 300)
    needed = memory(recipe, plan, prior=0)
    whole = needed + held(recipe, plan)
    assert on_device(recipe, plan, whole) == (whole, True)
    assert on_device(recipe, plan, whole - 1) == (needed, False)


@given(NAMES, st.floats(0.1, 4096))
def test_a_tile_keeps_to_the_recipe_and_leaves_room_inside_its_context(
    name: str, gibibytes: float
) -> None:
    recipe = RECIPES[name]
    tile = largest_tile(recipe, int(gibibytes * 2**30))
    assert 2 * recipe.context < tile <= max(recipe.tile, 2 * recipe.context + 32)
    assert tile <= largest_tile(recipe, int(gibibytes * 2**31))


def test_more_memory_than_needed_gives_the_recipes_own_tile() -> None:
    for recipe in RECIPES.values():
        assert largest_tile(recipe, 2**44) == recipe.tile

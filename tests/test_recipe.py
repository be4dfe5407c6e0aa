"""Laws of the recipes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx import job
from infusion_ofx.engine.recipe import RECIPES, choose
from infusion_ofx.engine.schedule import calls_by_interval, make
from infusion_ofx.engine.stages import Stage, stages

NAMES = st.sampled_from(sorted(RECIPES))
NUMBERS = st.none() | st.integers(1, 200)


def test_a_job_can_name_every_recipe_and_no_other() -> None:
    assert set(job.RECIPES) == set(RECIPES)


def test_the_paper_recipe_has_the_published_values() -> None:
    paper = RECIPES["paper"]
    assert (paper.network, paper.width, paper.levels) == ("paper", 32, 3)
    assert (paper.noise, paper.intervals, paper.sampling_steps) == (None, 20, 1000)
    assert (paper.learning_rate, paper.betas) == (1e-4, (0.9, 0.999))
    assert (paper.steps, paper.shared_steps, paper.frames) == (10_000, 0, 12)
    assert (paper.decay, paper.clip_norm) == (False, None)
    assert (paper.known_weight, paper.low_weight) == (1.0, 0.0)
    assert (paper.decorrelate, paper.extrapolate) == (False, False)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_without_wishes_is_itself(name: str) -> None:
    assert choose(name) == RECIPES[name]


@given(NAMES, NUMBERS, NUMBERS, NUMBERS)
def test_an_artists_numbers_take_the_place_of_the_recipes(
    name: str, intervals: int | None, steps: int | None, sampling_steps: int | None
) -> None:
    chosen = choose(name, intervals=intervals, steps=steps, sampling_steps=sampling_steps)
    own = RECIPES[name]
    assert chosen.intervals == (intervals or own.intervals)
    assert chosen.steps == (steps or own.steps)
    assert chosen.sampling_steps == (sampling_steps or own.sampling_steps)
    assert (chosen.network, chosen.noise) == (own.network, own.noise)
    shared = round(own.shared_steps * chosen.steps / own.steps)
    assert chosen.shared_steps == (shared if chosen.intervals > 1 else 0)


@given(NAMES, NUMBERS, NUMBERS, NUMBERS)
def test_each_interval_is_trained_then_sampled_through_from_noise_to_clean(
    name: str, intervals: int | None, steps: int | None, sampling_steps: int | None
) -> None:
    recipe = choose(name, intervals=intervals, steps=steps, sampling_steps=sampling_steps)
    work = stages(recipe)
    if recipe.patches:
        assert work.pop(0).kind == "patch"
    if recipe.shared_steps:
        assert work.pop(0) == Stage("train", None, recipe.shared_steps)
    calls = calls_by_interval(recipe)
    sampled = [interval for interval, count in enumerate(calls) if count]
    assert [stage.kind for stage in work] == ["train", "sample"] * len(sampled)
    assert [stage.interval for stage in work[::2]] == sampled
    assert [stage.interval for stage in work[1::2]] == sampled
    assert {stage.steps for stage in work[::2]} == {recipe.steps}
    assert sum(stage.steps for stage in work[1::2]) == len(make(recipe).grid(recipe.sampling_steps))

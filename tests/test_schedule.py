"""Laws of the noise levels."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.engine.schedule import (
    LinearBeta,
    LogUniform,
    ancestral,
    calls_by_interval,
    make,
    span,
)

LEVELS = st.floats(1e-3, 1e3)


def _published_alpha_bar() -> list[float]:
    """Ho et al. 2020, section 2 and 4, written out."""
    kept, alpha_bar = 1.0, []
    for t in range(1000):
        kept *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999)
        alpha_bar.append(kept)
    return alpha_bar


def test_the_published_levels_are_those_of_ho_et_al() -> None:
    schedule, expected = LinearBeta(), _published_alpha_bar()
    assert schedule.alpha_bar().tolist() == pytest.approx(expected, rel=1e-12)
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    assert schedule.index(u).tolist() == list(range(1000))
    assert schedule.level(u).tolist() == list(range(1000))
    ratio = [math.sqrt((1 - kept) / kept) for kept in expected]
    assert schedule.sigma(u).tolist() == pytest.approx(ratio, rel=1e-9)
    assert schedule.sigma(u.float()).tolist() == pytest.approx(ratio, rel=1e-6)


def test_the_published_chain_visits_every_level_and_each_interval_fifty() -> None:
    schedule = LinearBeta()
    grid = schedule.grid(1000)
    assert schedule.index(grid).tolist() == list(range(999, -1, -1))
    assert schedule.index(grid.float()).tolist() == list(range(999, -1, -1))
    assert calls_by_interval(RECIPES["paper"]) == [50] * 20


@given(st.integers(0, 19), st.floats(1e-4, 1 - 1e-4))
def test_a_published_interval_trains_its_own_fifty_levels(interval: int, share: float) -> None:
    low, high = span(interval, 20)
    place = torch.tensor([low + share * (high - low)])
    t = int(LinearBeta().index(place))
    assert 950 - 50 * interval <= t <= 999 - 50 * interval


@given(st.integers(2, 1200))
def test_fewer_published_calls_keep_both_ends_and_their_order(calls: int) -> None:
    visited = LinearBeta().index(LinearBeta().grid(calls)).tolist()
    assert len(visited) == min(calls, 1000)
    assert visited == sorted(set(visited), reverse=True)
    assert (visited[0], visited[-1]) == (999, 0)


def test_log_uniform_levels_are_even_in_the_logarithm_and_end_where_they_say() -> None:
    schedule = LogUniform(low=0.02, high=20.0, start=20.0)
    sigma = schedule.sigma(torch.linspace(0, 1, 31, dtype=torch.float64))
    assert sigma[0].item() == pytest.approx(0.02)
    assert sigma[-1].item() == pytest.approx(20.0)
    assert torch.allclose(sigma.log().diff(), sigma.log().diff()[:1], rtol=1e-9)
    level = schedule.level(torch.linspace(0, 1, 31, dtype=torch.float64))
    assert torch.allclose(level, sigma.log() / 4)
    assert -1 <= level.min() and level.max() <= 0.75


@given(st.integers(2, 300))
def test_the_log_uniform_chain_runs_evenly_from_noise_to_nearly_clean(calls: int) -> None:
    schedule = LogUniform(0.06, 12.0, 40.0)
    grid = schedule.grid(calls)
    assert len(grid) == calls
    sigma = schedule.sigma(grid)
    assert (sigma[0].item(), sigma[-1].item()) == pytest.approx((40.0, 0.06))
    assert torch.allclose(grid.diff(), -grid[:1] / (calls - 1))


def test_one_call_is_the_networks_own() -> None:
    assert LogUniform(0.06, 12.0, 40.0).grid(1).tolist() == [1.0]
    assert LinearBeta().index(LinearBeta().grid(1)).tolist() == [999]


def test_a_recipe_names_its_schedule() -> None:
    assert make(RECIPES["paper"]) == LinearBeta()
    assert make(replace(RECIPES["draft"], noise=(0.5, 7.0))) == LogUniform(0.5, 7.0, 40.0)


@given(st.integers(1, 1000), st.integers(1, 60), st.sampled_from(["paper", "draft"]))
def test_each_call_belongs_to_the_interval_that_is_trained_for_it(
    calls: int, intervals: int, name: str
) -> None:
    recipe = replace(RECIPES[name], intervals=intervals, sampling_steps=calls)
    counts = calls_by_interval(recipe)
    assert len(counts) == intervals
    assert sum(counts) == calls
    places = iter(make(recipe).grid(calls).tolist())
    for interval, count in enumerate(counts):
        low, high = span(interval, intervals)
        for _ in range(count):
            place = next(places)
            assert low - 1e-9 <= place <= high + 1e-9 or (interval == 0 and place > 1)


@given(st.integers(1, 200))
def test_intervals_cover_all_levels_without_a_gap(intervals: int) -> None:
    spans = [span(interval, intervals) for interval in range(intervals)]
    assert spans[0][1] == 1.0
    assert spans[-1][0] == pytest.approx(0.0, abs=1e-12)
    for noisier, cleaner in zip(spans, spans[1:], strict=False):
        assert noisier[0] == pytest.approx(cleaner[1], abs=1e-12)
    assert span(None, intervals) == (0.0, 1.0)


@given(LEVELS, st.floats(0, 1, exclude_max=True))
def test_a_step_down_ends_with_exactly_the_noise_of_its_level(now: float, share: float) -> None:
    then = now * share
    keep, spread = ancestral(now, then)
    assert 0 <= keep <= 1
    # x_now = clean + now n, so keep x_now + (1 - keep) clean + spread n' has this much noise:
    assert (keep * now) ** 2 + spread**2 == pytest.approx(then**2, rel=1e-9, abs=1e-300)


@given(LEVELS)
def test_the_last_step_is_the_clean_estimate_itself(now: float) -> None:
    assert ancestral(now, 0.0) == (0.0, 0.0)


def test_a_step_is_equations_6_and_7_of_ho_et_al() -> None:
    alpha_bar = _published_alpha_bar()
    for t in range(1, 1000):
        kept, before = alpha_bar[t], alpha_bar[t - 1]
        beta = 1 - kept / before
        sigma = [math.sqrt((1 - a) / a) for a in (kept, before)]
        keep, spread = ancestral(*sigma)
        # In variance-preserving form x_vp = sqrt(alpha_bar) x.
        clean_part = math.sqrt(before) * (1 - keep)
        noisy_part = math.sqrt(before / kept) * keep
        assert clean_part == pytest.approx(math.sqrt(before) * beta / (1 - kept), rel=1e-9)
        published = math.sqrt(1 - beta) * (1 - before) / (1 - kept)
        assert noisy_part == pytest.approx(published, rel=1e-9)
        variance = (1 - before) / (1 - kept) * beta
        assert before * spread**2 == pytest.approx(variance, rel=1e-9)

"""Laws of sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from infusion_ofx.engine import sample
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import Network, build
from infusion_ofx.engine.noise import key, normal
from infusion_ofx.engine.recipe import RECIPES, Recipe
from infusion_ofx.engine.sample import AT_ONCE, batches, first_fill, sample_step, start, taper
from infusion_ofx.engine.schedule import LinearBeta, ancestral, make
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.plan import Plan, Window
from infusion_ofx.plan import make as make_plan
from infusion_ofx.sequence.frame import Box

CPU = Compute(torch.device("cpu"), "float32")
PLATE = Box(0, 0, 40, 40)
OURS, PAPER = replace(RECIPES["standard"], stir=1.0), RECIPES["paper"]
SMALL = replace(OURS, width=8, levels=1)
PLAIN = replace(OURS, extrapolate=False)


def _layout(holes: Sequence[Box], **changes: Any) -> Plan:
    settings: dict[str, Any] = {"frames": 4, "overlap": 2, "context": 3, "reach": 0, "near": 0}
    return make_plan(
        holes, PLATE, **{**settings, "tile": 384, "voxels": 10**6, "block": 10**6, **changes}
    )


def _shot(plan: Plan, holes: Sequence[Box], limit: float = 1e6) -> Shot:
    """Waves with rectangular holes; the fill may be anything within +-limit."""

    def waves(i: int, box: Box) -> Tensor:
        y = torch.arange(box.top, box.bottom)[:, None]
        x = torch.arange(box.left, box.right)
        return torch.stack([torch.sin(0.3 * y + 0.2 * x * c + i) for c in (1.0, 2.0, 3.0)])

    def hole(i: int, box: Box) -> Tensor:
        mask = torch.zeros(1, box.height, box.width)
        rows, columns = box.slices(holes[i].intersect(box))
        mask[:, rows, columns] = 1
        return mask

    unknown = Volume.make(plan.region, hole)
    clean = Volume.make(plan.region, lambda i, box: waves(i, box) * (1 - unknown.data[i]))
    low, high = torch.full((3,), -limit), torch.full((3,), limit)
    return Shot(tuple(range(1001, 1001 + len(holes))), clean, unknown, low, high)


class Answer(Network):
    """A network that answers with a function of the noisy clip and its noise."""

    def __init__(self, answer: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(
        self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor
    ) -> Tensor:
        """The networks' way to be called."""
        return self.answer(x, sigma)


def constant(value: float) -> Answer:
    return Answer(lambda x, sigma: torch.full_like(x, value))


def _start(shot: Shot, plan: Plan, recipe: Recipe, seed: int = 0) -> Volume:
    x = Volume.zeros(plan.sampled, 3, shot.device)
    start(x, _first(shot, plan, recipe), shot, recipe, seed=seed)
    return x


def _first(shot: Shot, plan: Plan, recipe: Recipe = SMALL) -> Volume:
    first = Volume.zeros(plan.sampled, 3, shot.device)
    first_fill(first, build(replace(recipe, width=8, levels=1), shot), shot, plan)
    return first


def _step(
    network: Network,
    x: Volume,
    before: Volume | None,
    shot: Shot,
    plan: Plan,
    recipe: Recipe,
    places: tuple[float, float | None],
    call: int = 0,
) -> tuple[Volume, Volume]:
    """The clip and its estimate after a step, in volumes of their own; ``sample_step`` changes what
    it is given. before: None looks at no estimate, whatever the call."""
    if before is None:
        before = Volume.zeros(plan.sampled, 3, shot.device)
        recipe = replace(recipe, extrapolate=False)
    x, before = (
        Volume(volume.boxes, [frame.clone() for frame in volume.data]) for volume in (x, before)
    )
    first = Volume.zeros(plan.sampled, 3, shot.device)
    first_fill(first, network, shot, plan)
    sample_step(
        network, x=x, clean=before, first=first, shot=shot, plan=plan, recipe=recipe,
        places=places, call=call, seed=0, compute=CPU,
    )  # fmt: skip
    return x, before


def _chain(
    network: Network, shot: Shot, plan: Plan, recipe: Recipe, x: Volume | None = None
) -> Volume:
    x, before = x or _start(shot, plan, recipe), None
    grid: list[float | None] = [*make(recipe).grid(recipe.sampling_steps).tolist(), None]
    for call, (now, then) in enumerate(zip(grid, grid[1:], strict=False)):
        assert now is not None
        x, before = _step(network, x, before, shot, plan, recipe, (now, then), call)
    return x


def _gaussian(spread: float) -> Answer:
    """The perfect denoiser of pixels that are normal with this spread: their posterior mean."""
    return Answer(lambda x, sigma: x * spread**2 / (spread**2 + sigma**2))


@pytest.mark.parametrize(
    ("recipe", "spread", "least", "most"),
    # By arithmetic a chain of 41 steps leaves 0.93 of the spread, and all of it extrapolated.
    [
        (PAPER, 0.5, 0.98, 1.02),
        (PAPER, 3.0, 0.97, 1.02),
        (OURS, 0.1, 0.97, 1.02),
        (OURS, 0.5, 0.97, 1.02),
        (PLAIN, 0.5, 0.87, 0.96),
    ],
    ids=["published, small", "published, large", "ours, small", "ours", "ours, not extrapolated"],
)
def test_a_perfect_denoiser_gives_back_the_spread_of_the_shot(
    recipe: Recipe, spread: float, least: float, most: float
) -> None:
    holes = [Box(0, 0, 30, 30)] * 6
    plan = _layout(holes, context=0, frames=6)
    fill = torch.cat(_chain(_gaussian(spread), _shot(plan, holes), plan, recipe).data).flatten()
    # The chain ends with the mean of what the least noise leaves open.
    schedule = make(recipe)
    end = 1 / math.hypot(1, schedule.sigma(torch.zeros(1)).item() / spread)
    assert fill.mean().item() == pytest.approx(0, abs=0.04 * spread)
    assert least <= fill.std().item() / (spread * end) <= most
    assert (fill / fill.std()).pow(4).mean().item() == pytest.approx(3, abs=0.3)
    assert fill.abs().max().item() > 2.5 * spread, "and nothing is clipped"


def test_the_second_step_looks_half_a_step_ahead_and_the_last_does_not() -> None:
    holes = [Box(10, 10, 20, 22)]
    plan = _layout(holes)
    shot, box, schedule = _shot(plan, holes), plan.sampled[0], make(OURS)
    hole = shot.hole.view(0, box)
    x = _start(shot, plan, OURS)
    after, first = _step(constant(0.4), x, None, shot, plan, OURS, (0.8, 0.6), 3)
    for then in (0.4, None):
        ours, clean = _step(constant(0.5), after, first, shot, plan, OURS, (0.6, then), 4)
        plain, same = _step(constant(0.5), after, first, shot, plan, PLAIN, (0.6, then), 4)
        assert torch.equal(clean.data[0], same.data[0])
        now, later = (schedule.sigma(torch.tensor(u)).item() if u else 0.0 for u in (0.6, then))
        keep, _ = ancestral(now, later)
        ahead = 0.05 * (1 - keep) * hole if then else 0 * hole
        assert torch.allclose(ours.data[0] - plain.data[0], ahead.expand(3, -1, -1), atol=1e-6)


def test_a_stirred_step_has_more_noise_the_more_there_is_where_the_network_is_asked() -> None:
    holes = [Box(10, 10, 20, 22)]
    plan = _layout(holes)
    shot, schedule = _shot(plan, holes), make(OURS)
    x, stirred = _start(shot, plan, OURS), replace(OURS, stir=1.5)
    noise = normal(key(0, "noise", 4), shot.numbers[0], plan.sampled[0], 3)
    for now, then in ((0.8, 0.6), (1.2, 0.9), (0.3, None)):
        plain, more = (
            _step(constant(0.5), x, None, shot, plan, recipe, (now, then), 3)[0].data[0]
            for recipe in (OURS, stirred)
        )
        level, later = (schedule.sigma(torch.tensor(u)).item() if u else 0.0 for u in (now, then))
        _, spread = ancestral(level, later)
        share = level / (1 + level**2) ** 0.5
        expected = 0.5 * share * spread * noise if now <= 1 else 0 * noise
        assert torch.allclose(more - plain, expected, atol=1e-5)


def test_what_is_extrapolated_stays_within_the_range_of_the_known_pixels() -> None:
    holes = [Box(10, 10, 20, 22)]
    plan = _layout(holes)
    shot = _shot(plan, holes, limit=1.0)
    x = _start(shot, plan, OURS)
    after, first = _step(constant(-1.0), x, None, shot, plan, OURS, (0.8, 0.6), 3)
    ours, _ = _step(constant(1.0), after, first, shot, plan, OURS, (0.6, 0.4), 4)
    plain, _ = _step(constant(1.0), after, None, shot, plan, OURS, (0.6, 0.4), 4)
    assert torch.equal(ours.data[0], plain.data[0])


def test_one_step_is_the_published_one() -> None:
    # Algorithm 1 of arXiv 2311.01090 over equations 6 and 7 of Ho et al., variance-preserving.
    holes = [Box(10, 10, 20, 22)]
    plan = _layout(holes)
    shot, box = _shot(plan, holes, limit=1.0), plan.sampled[0]
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    for t in (999, 500, 50, 1, 0):
        kept, before = alpha_bar[t].item(), alpha_bar[t - 1].item() if t else 1.0
        x_vp = normal(key("any"), t, box, 3)
        estimate = torch.clamp(2 * x_vp + 0.1, -1, 1)
        hole, clean = shot.hole.view(0, box), shot.clean.view(0, box)
        estimate = hole * estimate + (1 - hole) * clean
        alpha = kept / before
        mean = before**0.5 * (1 - alpha) / (1 - kept) * estimate
        mean = mean + alpha**0.5 * (1 - before) / (1 - kept) * x_vp
        noise = normal(key(0, "noise", 8), 1001, box, 3)
        published = mean + ((1 - before) / (1 - kept) * (1 - alpha)) ** 0.5 * noise
        places = ((t + 0.5) / 1000, (t - 0.5) / 1000 if t else None)
        network = Answer(lambda x, sigma: 2 * x / (1 + sigma**2).sqrt() + 0.1)
        x = Volume(plan.sampled, [x_vp / kept**0.5])
        found, guess = _step(network, x, None, shot, plan, PAPER, places, call=7)
        assert torch.allclose(guess.data[0], estimate, atol=1e-5), t
        scale = before**0.5
        assert torch.allclose(found.data[0] * scale, published, atol=2e-5), t


def test_known_pixels_are_put_back_at_every_step_and_exactly_in_the_end() -> None:
    holes = [Box(10, 10 + i, 16, 18 + i) for i in range(3)]
    plan = _layout(holes, context=12)
    shot, schedule, wild = _shot(plan, holes), make(OURS), constant(77.0)
    for now, then in ((0.9, 0.8), (0.4, 0.3), (0.05, None)):
        sigma = [schedule.sigma(torch.tensor(u)).item() if u else 0.0 for u in (now, then)]
        noisy = [
            shot.clean.view(i, box) + sigma[0] * normal(3, i, box, 3)
            for i, box in enumerate(plan.sampled)
        ]
        given = Volume(plan.sampled, noisy)
        x, clean = _step(wild, given, None, shot, plan, OURS, (now, then))
        for i, box in enumerate(plan.sampled):
            known = (shot.hole.view(i, box) == 0).expand(3, -1, -1)
            left = (x.data[i] - shot.clean.view(i, box))[known]
            assert torch.equal(clean.data[i][known], shot.clean.view(i, box)[known])
            if then is None:
                assert (left == 0).all()
                assert (x.data[i][~known] == 77).all()
            else:
                assert left.std().item() == pytest.approx(sigma[1], rel=0.1)
                assert left.mean().item() == pytest.approx(0, abs=0.15 * sigma[1])


@pytest.mark.parametrize("answer", ["itself", "constant"])
def test_overlapping_windows_leave_no_seam(answer: str) -> None:
    holes = [Box(4, 4, 36, 34)] * 10
    tiled = _layout(holes, tile=16, context=3)
    whole = _layout(holes, frames=10, context=3)
    assert len(whole.windows) == 1 and len(tiled.windows) > 20
    assert whole.sampled == tiled.sampled
    network = Answer(lambda x, _: x / 2) if answer == "itself" else constant(0.7)
    shot, recipe = _shot(whole, holes), replace(OURS, sampling_steps=5)
    given = _start(shot, whole, recipe)
    one, many = (_chain(network, shot, plan, recipe, given) for plan in (whole, tiled))
    for x, y in zip(one.data, many.data, strict=True):
        assert torch.allclose(x, y, atol=1e-4)


def test_every_pixel_of_the_hole_is_filled_between_tiles_and_round_empty_frames() -> None:
    none = Box(0, 0, 0, 0)
    holes = [Box(5, 5, 30, 12)] * 4 + [none] * 6 + [Box(10, 20, 11, 40)] * 3
    plan = _layout(holes, tile=10)
    shot = _shot(plan, holes)
    x = _chain(constant(0.7), shot, plan, replace(OURS, sampling_steps=3))
    for i, box in enumerate(plan.sampled):
        hole = shot.hole.view(i, box) > 0 if not box.empty else torch.zeros(1, 0, 0).bool()
        assert torch.allclose(x.data[i][hole.expand(3, -1, -1)], torch.tensor(0.7))
        assert hole.sum() == holes[i].height * holes[i].width


@pytest.mark.parametrize("answer", [1e9, -1e9])
def test_the_fill_stays_within_the_range_of_the_known_pixels(answer: float) -> None:
    holes = [Box(10, 10, 16, 18)]
    plan = _layout(holes)
    shot = _shot(plan, holes, limit=0.9)
    x = _chain(constant(answer), shot, plan, replace(OURS, sampling_steps=3))
    inside = shot.hole.view(0, plan.sampled[0]).expand(3, -1, -1) > 0
    assert torch.allclose(x.data[0][inside], torch.tensor(math.copysign(0.9, answer)))


def test_a_step_changes_its_clips_where_they_lie(tmp_path: Path) -> None:
    holes = [Box(10, 10, 16, 18)] * 9
    plan = _layout(holes)
    shot = _shot(plan, holes)
    x, last = (_start(shot, plan, OURS, seed) for seed in (0, 1))
    places, network = (1.0, 0.5), Answer(lambda x, sigma: x / 2)
    wanted = _step(network, x, last, shot, plan, OURS, places, 3)
    one, other = (Volume.scratch(plan.sampled, 3, tmp_path) for _ in range(2))
    for own, given_ in ((one, x), (other, last)):
        for here, there in zip(own.data, given_.data, strict=True):
            here.copy_(there)
    first = _first(shot, plan)
    sample_step(
        network, x=one, clean=other, first=first, shot=shot, plan=plan, recipe=OURS,
        places=places, call=3, seed=0, compute=CPU,
    )  # fmt: skip
    for own, found in zip((one, other), wanted, strict=True):
        assert all(map(torch.equal, own.data, found.data))


def test_no_more_than_two_windows_of_frames_are_joined_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holes = [Box(10, 10 + i % 3, 16, 18) for i in range(60)]
    plan = _layout(holes, frames=6, overlap=2)
    shot, most, open_ = _shot(plan, holes), 0, 0
    real, held = sample._zeros, sample._held

    def zeros(channels: int, box: Box, device: torch.device) -> Tensor:
        nonlocal most, open_
        open_ += channels == 3
        most = max(most, open_)
        return real(channels, box, device)

    def closed(*given: Any) -> Tensor:
        nonlocal open_
        open_ -= 1
        return held(*given)

    x, clean, first = _start(shot, plan, OURS), _start(shot, plan, OURS), _first(shot, plan)
    monkeypatch.setattr(sample, "AT_ONCE", 1)
    monkeypatch.setattr(sample, "_zeros", zeros)
    monkeypatch.setattr(sample, "_held", closed)
    sample_step(
        constant(0.7), x=x, clean=clean, first=first, shot=shot, plan=plan, recipe=OURS,
        places=(1.0, 0.5), call=0, seed=0, compute=CPU,
    )  # fmt: skip
    assert open_ == 0 and 6 <= most <= 12


def test_the_published_start_is_noise_alone_of_unit_size_to_the_network() -> None:
    holes = [PLATE] * 3
    plan = _layout(holes)
    x = _start(_shot(plan, holes), plan, PAPER)
    schedule = LinearBeta()
    sigma = schedule.sigma(schedule.grid(1000)[:1]).item()
    seen = torch.cat(x.data) / (1 + sigma**2) ** 0.5
    assert seen.std().item() == pytest.approx(1, abs=0.03)


def test_our_start_is_the_first_fill_under_the_greatest_noise() -> None:
    holes = [Box(10, 10 + i, 30, 25 + i) for i in range(3)]
    plan = _layout(holes)
    shot = _shot(plan, holes)
    x, first = _start(shot, plan, OURS), _first(shot, plan)
    for i, (box, noisy) in enumerate(zip(plan.sampled, x.data, strict=True)):
        noise = normal(key(0, "noise", 0), shot.numbers[i], box, 3)
        assert torch.allclose(noisy, first.data[i] + OURS.start * noise, atol=1e-3)


@pytest.mark.parametrize("recipe", [PAPER, OURS], ids=["published", "ours"])
def test_the_first_fill_is_the_networks_in_the_hole_and_the_truth_elsewhere(recipe: Recipe) -> None:
    holes = [Box(10, 10 + i, 30, 25 + i) for i in range(4)]
    plan = _layout(holes)
    assert len(plan.windows) == 1
    shot, window = _shot(plan, holes), plan.windows[0]
    clean, hole = shot.cut([window])
    network = build(replace(recipe, width=8, levels=1), shot)
    found = network.first_fill(clean * (1 - hole), hole)[0]
    assert (recipe == PAPER) == (found[:, hole[0, 0] > 0] == 0).all()
    made = _first(shot, plan, recipe)
    for i, (box, first) in enumerate(zip(made.boxes, made.data, strict=True)):
        assert box == window.box and torch.allclose(first, found[:, i], atol=1e-5)
        known = shot.hole.view(i, box).expand_as(first) == 0
        assert torch.equal(first[known], shot.clean.view(i, box)[known])


def test_above_all_noise_that_is_trained_the_linear_guess_stands_for_the_network() -> None:
    holes = [Box(10, 10 + i, 30, 25 + i) for i in range(3)]
    plan = _layout(holes)
    shot, recipe = _shot(plan, holes), replace(OURS, width=8, levels=1)
    network, called = build(recipe, shot).eval(), []
    network.register_forward_hook(lambda *_: called.append(1))
    x = _start(shot, plan, recipe)
    grid = make(recipe).grid(recipe.sampling_steps).tolist()
    for now, then in zip(grid, grid[1:], strict=False):
        before = len(called)
        _step(network, x, None, shot, plan, recipe, (now, then))
        assert (len(called) > before) == (now <= 1)
    assert grid[0] > 1 > grid[-1]


@pytest.mark.parametrize("recipe", [PAPER, OURS], ids=["published", "ours"])
def test_the_start_depends_on_the_seed_and_on_the_frame(recipe: Recipe) -> None:
    holes = [PLATE] * 3
    plan = _layout(holes)
    shot = _shot(plan, holes)
    x, same, other = (_start(shot, plan, recipe, seed) for seed in (0, 0, 1))
    assert torch.equal(x.data[0], same.data[0])
    assert not torch.equal(x.data[0], other.data[0])
    assert not torch.equal(x.data[0], x.data[1])


@given(st.lists(st.tuples(st.sampled_from([(4, 8), (12, 300), (30, 4096)]), st.integers(1, 9))))
def test_batches_are_neighbours_of_one_size_shared_out_evenly(runs: list[Any]) -> None:
    windows = [
        Window(0, frames, Box(0, left, side, left + side))
        for (frames, side), count in runs
        for left in range(count)
    ]
    found = list(batches(windows))
    assert [window for batch in found for window in batch] == windows
    for batch in found:
        assert len({window.size for window in batch}) == 1
        assert len(batch) == 1 or sum(window.voxels for window in batch) <= AT_ONCE
    for one, other in pairwise(found):
        if one[0].size == other[0].size:  # no two that would fit into one
            assert sum(window.voxels for window in (*one, *other)) > AT_ONCE


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
def test_a_taper_is_above_zero_symmetric_and_highest_in_the_middle(
    frames: int, height: int, width: int
) -> None:
    share = taper(Window(3, 3 + frames, Box(-5, 2, height - 5, width + 2)))
    assert share.shape == (frames, 1, height, width)
    assert (share > 0).all()
    assert share.max() == 1
    assert share[(frames - 1) // 2, 0, (height - 1) // 2, (width - 1) // 2] == 1
    for axis in (0, 2, 3):
        assert torch.equal(share, share.flip(axis))

"""Laws of the fill that goes on what is around it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import even, layers, random, square
from torch import Tensor

from infusion_ofx.engine import krige as module
from infusion_ofx.engine.bands import BANDS, RATES, spectrum, to_waves
from infusion_ofx.engine.krige import LEAST_VARIANCE, TRUST, krige
from infusion_ofx.engine.smooth import push_pull

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40))
EVEN = torch.ones(BANDS + 1, RATES, 1)


@given(SIZES, st.integers(0, 99), st.floats(1e-3, 1e3), st.sampled_from([0.0, 0.2, 0.9, 1.0]))
def test_known_pixels_come_back_bit_for_bit_and_all_is_finite(
    size: tuple[int, int, int], seed: int, scale: float, share: float
) -> None:
    clip = scale * random(seed, 2, 3, *size)
    hole = (torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(seed)) < share).float()
    power = scale**2 * random(seed, BANDS + 1, RATES, 3).square() + 1e-8
    fill = krige(clip * (1 - hole), hole, power)
    assert torch.equal(fill * (1 - hole), clip * (1 - hole))
    assert fill.isfinite().all()


def test_it_is_nearer_the_truth_than_the_smooth_fill_most_of_all_at_the_border() -> None:
    clip, power = even(0, frames=12, side=64)
    hole, rim = square(clip), square(clip)
    rim[..., 17:47, 17:47] = 0
    known = clip * (1 - hole)
    fill = krige(known, hole, power)

    def off(fill: Tensor, where: Tensor) -> float:
        return ((fill - clip) * where).square().sum().item() / where.sum().item()

    assert off(fill, rim) < 0.7 * off(push_pull(known, hole), rim)
    assert off(fill, hole) < off(push_pull(known, hole), hole)


def _still_left(still: Tensor, hole: Tensor) -> float:
    """Squared error in the hole of a clip that hardly changes, over the smooth fill's."""
    power = EVEN * torch.tensor([1.0, 1e-3, 1e-3])[:, None]
    known = still * (1 - hole)
    before, after = (
        ((fill - still) * hole).square().sum().item()
        for fill in (push_pull(known, hole), krige(known, hole, power))
    )
    return after / before


def test_what_stood_still_behind_a_passing_hole_comes_back() -> None:
    still = layers(0, frames=1, side=64).expand(-1, -1, 12, -1, -1)
    hole = torch.zeros(1, 1, *still.shape[2:])
    for i in range(12):
        hole[:, :, i, 20:32, 4 * i : 12 + 4 * i] = 1
    assert _still_left(still, hole) < 0.2


def test_frames_that_are_all_hole_are_foretold_by_those_beside_them() -> None:
    still = layers(0, frames=1, side=48).expand(-1, -1, 12, -1, -1)
    hole = torch.zeros_like(still)
    hole[:, :, 5] = 1
    assert _still_left(still, hole) < 0.2


def test_it_is_on_the_way_to_the_mean_under_the_condition_of_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = 2, 6, 7
    power = torch.rand(BANDS + 1, RATES, 1, generator=torch.Generator().manual_seed(1)) + 0.1
    hole = torch.zeros(1, 1, *size)
    hole[..., 2:5, 2:6] = 1
    known = random(2, 1, 1, *size) * (1 - hole)
    variance = spectrum(power, *size)
    waves = to_waves(torch.eye(84).reshape(84, 1, *size)).flatten(1).double()
    stiff = 1 / variance.clamp_min(LEAST_VARIANCE * variance.max()).flatten().double()
    stiff[0] = 0
    pull = (module._close(hole).flatten() / (TRUST * variance.mean())).double()
    matrix = waves @ torch.diag(stiff) @ waves.T + torch.diag(pull)
    exact = torch.linalg.solve(matrix, pull * known.flatten().double()).reshape(hole.shape).float()
    inside = hole > 0
    off = []
    for steps in (0, 2, 60):
        monkeypatch.setattr(module, "STEPS", steps)
        off.append((krige(known, hole, power) - exact)[inside].abs().max().item())
    assert off[2] < 1e-3 < off[1] < off[0]


@given(st.integers(0, 20), st.floats(0.01, 100), st.floats(-3, 3))
def test_brighter_or_with_more_contrast_it_is_the_same_fill(
    seed: int, contrast: float, brighter: float
) -> None:
    clip = random(seed, 1, 1, 3, 20, 24)
    hole = square(clip)
    plain = krige(clip * (1 - hole), hole, EVEN)
    other = krige((contrast * (clip + brighter)) * (1 - hole), hole, contrast**2 * EVEN)
    assert torch.allclose(other, contrast * (plain + brighter), atol=0.01 * contrast)


def test_each_clip_and_each_channel_is_filled_for_itself() -> None:
    clip = random(0, 2, 2, 3, 20, 24)
    hole = torch.stack([square(clip[0:1])[0], 1 - square(clip[0:1])[0]])
    power = torch.cat([EVEN, 3 * EVEN], 2)
    both = krige(clip * (1 - hole), hole, power)
    for b in range(2):
        for c in range(2):
            one, own = clip[b : b + 1, c : c + 1], hole[b : b + 1]
            alone = krige(one * (1 - own), own, power[..., c : c + 1])
            assert torch.allclose(both[b : b + 1, c : c + 1], alone, atol=1e-4)


def test_it_is_float32_under_bfloat16() -> None:
    clip = layers(0, side=32)
    hole = square(clip)
    plain = krige(clip * (1 - hole), hole, EVEN)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(krige(clip * (1 - hole), hole, EVEN), plain)

"""Laws of the smooth fill."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from infusion_ofx.engine.smooth import push_pull

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 40))


def _random(seed: int, channels: int, size: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, *size, generator=generator)


def _hole(seed: int, share: float, size: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1)
    return (torch.rand(1, 1, *size, generator=generator) < share).float()


@given(SIZES, st.floats(0, 1), st.integers(0, 99))
def test_known_pixels_come_back_bit_for_bit_and_the_rest_is_finite(
    size: tuple[int, int, int], share: float, seed: int
) -> None:
    clean, hole = _random(seed, 2, size), _hole(seed, share, size)
    smooth = push_pull(clean * (1 - hole), hole)
    assert smooth.shape == clean.shape and smooth.dtype == torch.float32
    assert torch.equal(smooth * (1 - hole), clean * (1 - hole))
    assert smooth.isfinite().all()


@given(SIZES, st.floats(0, 0.99), st.integers(0, 99), st.floats(-50, 50))
def test_constant_surroundings_are_gone_on_with(
    size: tuple[int, int, int], share: float, seed: int, value: float
) -> None:
    hole = _hole(seed, share, size)
    hole[:, :, :, 0, 0] = 0  # something is known of each frame
    smooth = push_pull(value * (1 - hole), hole)
    assert torch.allclose(smooth, torch.tensor(value, dtype=torch.float32), rtol=1e-5, atol=1e-5)


@given(SIZES, st.floats(0, 1), st.integers(0, 99))
def test_the_fill_is_no_brighter_and_no_darker_than_its_surroundings(
    size: tuple[int, int, int], share: float, seed: int
) -> None:
    clean, hole = _random(seed, 1, size), _hole(seed, share, size)
    hole[:, :, :, 0, 0] = 0
    smooth, known = push_pull(clean * (1 - hole), hole), clean[hole == 0]
    assert smooth.min() >= known.min() - 1e-5 and smooth.max() <= known.max() + 1e-5


@pytest.mark.parametrize("size", [(1, 48, 48), (4, 40, 56), (12, 64, 64)])
@pytest.mark.parametrize("slope", [(1.0, 0.0), (0.0, 1.0), (1.0, -1.0)])
def test_a_ramp_goes_on_through_the_hole(
    size: tuple[int, int, int], slope: tuple[float, float]
) -> None:
    frames, height, width = size
    y, x = torch.arange(height)[:, None] / height, torch.arange(width) / width
    ramp = (slope[0] * y + slope[1] * x).expand(1, 1, *size).contiguous()
    hole = torch.zeros(1, 1, *size)
    hole[..., height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1
    inside = hole > 0
    off = (push_pull(ramp * (1 - hole), hole) - ramp)[inside]
    flat = (ramp - ramp[~inside].mean())[inside]  # what one value for all of the hole would miss
    assert off.square().mean() < 0.3 * flat.square().mean()
    assert off.mean().abs() < 0.05


@given(SIZES, st.integers(0, 99))
def test_nothing_of_the_holes_own_content_shows(size: tuple[int, int, int], seed: int) -> None:
    clean, hole = _random(seed, 1, size), _hole(seed, 0.6, size)
    hole[:, :, :, 0, 0] = 0
    other = clean + 100 * hole
    assert torch.equal(push_pull(clean, hole), push_pull(other, hole))


def test_a_frame_of_which_nothing_is_known_is_filled_from_its_neighbours() -> None:
    hole = torch.zeros(1, 1, 6, 32, 32)
    hole[:, :, 2:4] = 1
    smooth = push_pull(3 * (1 - hole), hole)
    assert torch.allclose(smooth, torch.tensor(3.0))


def test_a_small_frame_of_which_nothing_is_known_is_filled_from_its_neighbours() -> None:
    hole = torch.zeros(1, 1, 3, 8, 8)
    hole[:, :, 1] = 1
    assert torch.allclose(push_pull(3 * (1 - hole), hole), torch.tensor(3.0))


def test_the_nearer_surroundings_count_for_more() -> None:
    clean = torch.zeros(1, 1, 1, 32, 32)
    clean[..., 16:] = 1
    hole = torch.zeros_like(clean)
    hole[..., 8:24, 8:24] = 1
    row = push_pull(clean * (1 - hole), hole)[0, 0, 0, 16, 8:24]
    assert (row.diff() > -1e-6).all()
    assert row[0] < 0.25 and row[-1] > 0.75


def test_clips_and_channels_do_not_see_each_other() -> None:
    one, other = _random(0, 2, (3, 20, 17)), _random(1, 2, (3, 20, 17))
    holes = _hole(0, 0.4, (3, 20, 17)), _hole(5, 0.8, (3, 20, 17))
    both = push_pull(torch.cat([one, other]), torch.cat(holes))
    for clip, hole, smooth in zip((one, other), holes, both, strict=True):
        for channel in range(2):
            alone = push_pull(clip[:, channel : channel + 1], hole)
            assert torch.allclose(smooth[channel], alone[0, 0], atol=1e-6)


def test_it_is_float32_under_bfloat16() -> None:
    clean, hole = _random(0, 1, (2, 16, 16)), _hole(0, 0.5, (2, 16, 16))
    plain = push_pull(clean, hole)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(push_pull(clean, hole), plain)

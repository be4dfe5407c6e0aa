"""Laws of the bands of detail."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import random

from infusion_ofx.engine.bands import BANDS, NOISE, join, split

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 70), st.integers(1, 70))


@given(SIZES, st.integers(1, 3), st.integers(0, 99))
def test_bands_join_to_the_clip_that_was_split(
    size: tuple[int, int, int], channels: int, seed: int
) -> None:
    clip = random(seed, 1, channels, *size)
    bands = split(clip)
    assert torch.allclose(join(bands), clip, atol=1e-5)
    assert 1 <= len(bands) <= BANDS + 1
    assert len(bands) % 2, "two an octave, and what is left"
    assert {band.shape[2] for band in bands} == {size[0]}, "time is not pooled"
    for fine, alike, coarse in zip(bands[::2], bands[1::2], bands[2::2], strict=False):
        assert fine.shape == alike.shape
        assert list(coarse.shape[3:]) == [-(-side // 2) for side in fine.shape[3:]]


def test_a_flat_clip_is_in_what_is_left_alone() -> None:
    *fine, last = split(torch.full((1, 1, 2, 50, 37), 3.0))
    assert all(torch.allclose(band, torch.zeros(()), atol=1e-6) for band in fine)
    assert torch.allclose(last, torch.tensor(3.0))


def test_white_noise_has_the_power_in_each_band_that_filters_take_for_granted() -> None:
    bands = split(random(0, 1, 1, 16, 512, 512))
    found = [band.square().mean().item() for band in bands]
    assert found[:6] == pytest.approx(list(NOISE[:6]), rel=0.03)
    assert found[6:] == pytest.approx(list(NOISE[6:]), rel=0.15)

"""Laws of the bands of detail."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import random

from infusion_ofx.engine.bands import (
    BANDS,
    RATES,
    at_each,
    by_rate,
    enlarged,
    from_waves,
    join,
    noise,
    spectrum,
    split,
    to_waves,
    white,
)

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


@given(SIZES)
def test_a_clip_at_each_of_its_bands_is_of_their_size_and_as_bright(
    size: tuple[int, int, int],
) -> None:
    bands = split(random(0, 1, 2, *size))
    for flat, band in zip(at_each(torch.ones(1, 1, *size), bands), bands, strict=True):
        assert flat.shape[2:] == band.shape[2:] and (flat == 1).all()


def test_a_flat_clip_is_in_what_is_left_alone() -> None:
    *fine, last = split(torch.full((1, 1, 2, 50, 37), 3.0))
    assert all(torch.allclose(band, torch.zeros(()), atol=1e-6) for band in fine)
    assert torch.allclose(last, torch.tensor(3.0))


@pytest.mark.parametrize("size", [(512, 512), (96, 130), (20, 9), (7, 1)])
def test_white_noise_has_the_power_in_each_band_that_filters_take_for_granted(
    size: tuple[int, int],
) -> None:
    bands = split(random(0, 1, 1, 2**22 // (size[0] * size[1]), *size))
    found = [band.square().mean().item() for band in bands]
    expected = noise(1, *size, torch.device("cpu")).sum(1).tolist()
    assert expected[len(bands) - 1 : -1] == [0] * (BANDS + 1 - len(bands))
    assert sum(expected) < 1, "neighbours share some of it"
    for ours, theirs in zip(found, [*expected[: len(bands) - 1], expected[-1]], strict=True):
        assert ours == pytest.approx(theirs, rel=0.15, abs=1e-9)


def test_a_wave_is_in_two_neighbouring_bands_at_most() -> None:
    for length in (3, 5, 8, 13, 32):
        wave = torch.sin(2 * torch.pi / length * torch.arange(256)).expand(1, 1, 1, 256, 256)
        powers = [band[..., 8:-8, 8:-8].square().mean().item() for band in split(wave)[:8]]
        strongest = max(range(8), key=powers.__getitem__)
        near = sum(powers[max(strongest - 1, 0) : strongest + 2])
        assert near > 0.98 * sum(powers)


@given(SIZES, st.integers(0, 99))
def test_enlarged_keeps_flat_pictures_and_brightness(size: tuple[int, int, int], seed: int) -> None:
    small = random(seed, 1, 1, *size)
    like = torch.zeros(1, 1, size[0], 2 * size[1], 2 * size[2] - 1)
    large = enlarged(small, like)
    assert large.shape == like.shape
    assert torch.allclose(large.mean((3, 4)), small.mean((3, 4)), atol=1e-4)
    assert torch.allclose(enlarged(torch.ones_like(small), like), torch.ones(()), atol=1e-4)


@given(SIZES, st.integers(1, 3), st.integers(0, 99))
def test_rates_of_change_sum_to_the_clip_and_have_nothing_in_common(
    size: tuple[int, int, int], channels: int, seed: int
) -> None:
    clip = random(seed, 2, channels, *size)
    rates = by_rate(clip)
    assert rates.shape == (RATES, *clip.shape)
    assert torch.allclose(rates.sum(0), clip, atol=1e-5)
    squares = rates.square().sum().item()
    assert squares == pytest.approx(clip.square().sum().item(), rel=1e-4)


def test_what_stays_is_slowest_and_what_changes_each_frame_is_fastest() -> None:
    still = torch.ones(1, 1, 12, 2, 2)
    sign = torch.tensor([1.0, -1.0] * 6)[:, None, None]
    for clip, rate in ((still, 0), (still * sign, RATES - 1)):
        rates = by_rate(clip).square().sum((1, 2, 3, 4, 5))
        assert rates[rate] > 0.95 * rates.sum()


def test_white_noise_has_the_share_at_each_rate_that_filters_take_for_granted() -> None:
    found = by_rate(random(0, 1, 1, 12, 256, 256)).square().mean((1, 2, 3, 4, 5))
    assert torch.allclose(found, white(12, found.device), rtol=0.03)
    assert white(1, found.device).tolist() == [1, 0, 0]


@given(SIZES, st.integers(0, 99))
def test_the_spectrum_of_white_noise_is_white(size: tuple[int, int, int], seed: int) -> None:
    power = noise(*size, torch.device("cpu"))
    found = spectrum(torch.stack([power, 2 * power], 2), *size)
    expected = torch.tensor([1.0, 2.0])[:, None, None, None].expand_as(found)
    assert torch.allclose(found, expected, atol=1e-4)


def test_waves_of_a_spectrum_have_the_bands_power() -> None:
    power = torch.rand(BANDS + 1, RATES, 1, generator=torch.Generator().manual_seed(0)) + 0.5
    size = 24, 96, 96
    clip = from_waves(spectrum(power, *size).sqrt() * random(0, 8, 1, *size))
    for i, band in enumerate(split(clip)[:6]):
        found = by_rate(band).square().mean((1, 2, 3, 4, 5))
        beside = power[max(i - 1, 0) : i + 2, :, 0]
        assert (found > 0.8 * beside.amin(0)).all() and (found < 1.2 * beside.amax(0)).all()


@given(SIZES)
def test_waves_are_of_unit_length_and_give_the_clip_again(size: tuple[int, int, int]) -> None:
    clip = random(0, 1, 2, *size)
    waves = to_waves(clip)
    assert torch.allclose(waves.square().sum(), clip.square().sum(), rtol=1e-4)
    assert torch.allclose(from_waves(waves), clip, atol=1e-4)

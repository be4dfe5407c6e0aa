"""Laws of what is measured of a shot for the linear guess."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import layers, random, shot_of
from torch import Tensor

from infusion_ofx.engine.bands import BANDS, RATES, noise, split
from infusion_ofx.engine.depth import DEPTHS
from infusion_ofx.engine.texture import NEAR, SHADES, Texture


def _of_noise(side: int) -> float:
    """What of white noise of variance 1 is in the finest band of a square."""
    return noise(1, side, side, torch.device("cpu"))[0].sum().item()


def _strength(texture: Texture, row: int) -> Tensor:
    """Variance in each shade, all channels together: (SHADES,)."""
    return texture.power[row].sum((0, 2))


def test_the_power_of_gaussian_bands_is_found() -> None:
    clip = layers(3, channels=2, side=128)
    texture = Texture.measure(shot_of(clip))
    assert texture.power.shape == (BANDS + 1, RATES, SHADES, 2)
    for row, band in enumerate(split(clip)[:6]):
        found = _strength(texture, row).mean().item()
        assert found == pytest.approx(2 * band.var().item(), rel=0.35)


def test_colours_that_change_against_each_other_are_known_to() -> None:
    grey = 0.2 * random(0, 1, 1, 2, 128, 128)
    clip = torch.cat([grey, -grey + 0.002 * random(1, *grey.shape)], 1)
    texture = Texture.measure(shot_of(clip))
    together = texture.axes.new_tensor([1.0, 1.0]) / 2**0.5
    along = (texture.axes[0].mT @ together).square() * texture.power[0].sum(0)
    assert along.sum(1).max() < 1e-3 * _strength(texture, 0).min()


def test_grain_in_the_shadows_is_told_from_flat_lights() -> None:
    clip = torch.zeros(1, 1, 2, 128, 128)
    clip[..., 96:] = 1
    clip += 0.05 * random(0, *clip.shape) * (1 - clip)
    texture = Texture.measure(shot_of(clip))
    below = torch.tensor([0.0, 0, 0, 1, 1, 1]).reshape(1, 1, 1, 1, 6)
    shadow, light = _strength(texture, 0)[texture.shades(below).flatten()[[0, -1]]]
    assert 0.5 < shadow.item() / (_of_noise(128) * 0.05**2) < 1.3
    assert light < shadow / 3, "but for the edge between them"


def test_only_what_is_near_the_hole_is_measured() -> None:
    hole = torch.zeros(1, 1, 2, 96, 96)
    hole[..., 16:32, 16:32] = 1
    calm = 0.01 * random(0, 1, 1, 2, 96, 96)
    wild = calm.clone()
    wild[..., 32 + 2 * NEAR :] *= 10
    wild[0, 0, 0, 90, 90] = calm[0, 0, 0, 90, 90] = 5  # so that both have the same shades
    wild[0, 0, 0, 80, 80] = calm[0, 0, 0, 80, 80] = -5
    near = Texture.measure(shot_of(calm, hole)).power[:3]
    assert torch.allclose(near, Texture.measure(shot_of(wild, hole)).power[:3], rtol=0.2)
    assert Texture.measure(shot_of(wild)).power[0].max() > 10 * near[0].max()


def test_what_changes_slowly_is_told_from_what_flickers() -> None:
    still = 0.1 * random(0, 1, 1, 1, 96, 96).expand(-1, -1, 12, -1, -1)
    flicker = 0.1 * random(1, 1, 1, 12, 96, 96)
    slow, fast = (Texture.measure(shot_of(clip)).power[0].sum((1, 2)) for clip in (still, flicker))
    assert slow[0] > 0.99 * slow.sum()
    assert torch.allclose(fast / fast.sum(), torch.tensor([1, 3, 8]) / 12, atol=0.03)


def test_where_no_pixel_is_known_throughout_rates_are_those_of_noise() -> None:
    clip, hole = 0.1 * random(0, 1, 1, 12, 64, 64), torch.zeros(1, 1, 12, 64, 64)
    for i in range(12):
        hole[:, :, i, :, 32 * (i % 2) : 32 * (i % 2) + 32] = 1
    rates = Texture.measure(shot_of(clip, hole)).power[0].sum((1, 2))
    assert torch.allclose(rates / rates.sum(), torch.tensor([1, 3, 8]) / 12, atol=0.1)


def test_what_is_rare_is_not_expected_even_where_it_is() -> None:
    clip = 0.01 * random(0, 1, 2, 2, 64, 64)
    clip[..., :16, :16] = 1 + 0.2 * random(1, 1, 2, 2, 16, 16)
    texture = Texture.measure(shot_of(clip))
    inside = texture.shades(clip)[0, 0, 4:12, 4:12].flatten()
    found = _strength(texture, 0)[inside].max().item()
    everywhere = split(clip)[0].square().mean((0, 2, 3, 4)).sum().item()
    assert found < 1.2 * everywhere < 2 * _of_noise(64) * 0.2**2 / 4


@given(st.integers(0, 50), st.integers(1, 20))
def test_a_shot_of_few_known_pixels_is_measured(seed: int, known: int) -> None:
    clip = random(seed, 1, 3, 2, 24, 20)
    hole = torch.ones(1, 1, 2, 24, 20)
    hole.view(-1)[torch.randperm(960, generator=torch.Generator().manual_seed(seed))[:known]] = 0
    _is_sound(Texture.measure(shot_of(clip, hole)), 3)


def test_where_nothing_near_the_hole_is_known_all_that_is_known_is_measured() -> None:
    clip = 0.1 * random(0, 1, 1, 2, 32, 32)
    hole = torch.zeros(1, 1, 2, 32, 32)
    hole[:, :, 1] = 1
    found = _strength(Texture.measure(shot_of(clip, hole)), 0).mean().item()
    assert 0.3 < found / (_of_noise(32) * 0.1**2) < 1.1


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 3), (1, 1)])
def test_the_smallest_shot_is_measured(size: tuple[int, int]) -> None:
    _is_sound(Texture.measure(shot_of(random(0, 1, 3, 2, *size))), 3)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e4])
def test_a_constant_shot_is_measured(value: float) -> None:
    _is_sound(Texture.measure(shot_of(torch.full((1, 2, 2, 9, 9), value))), 2)


def _is_sound(texture: Texture, channels: int) -> None:
    assert texture.power.shape == (BANDS + 1, RATES, SHADES, channels)
    assert texture.power.isfinite().all() and (texture.power > 0).all()
    unit = torch.eye(channels).expand_as(texture.axes)
    assert torch.allclose(texture.axes.mT @ texture.axes, unit, atol=1e-5)
    kept = texture.kept(0, torch.full((RATES, 1), 0.1))
    assert kept.shape == (RATES, 1, DEPTHS, SHADES, channels, channels) and kept.isfinite().all()

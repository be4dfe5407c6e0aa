"""Laws of what is measured of a shot for the linear guess."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import layers, level, random, shot_of, square
from torch import Tensor

from infusion_ofx.engine.bands import BANDS, NOISE, split
from infusion_ofx.engine.texture import NEAR, SHADES, Texture


def _strength(texture: Texture, row: int) -> Tensor:
    """Variance in each shade, all channels together: (SHADES,)."""
    return texture.power[row].sum(1)


def test_the_power_of_gaussian_bands_is_found() -> None:
    clip = layers(3, channels=2, side=128)
    texture = Texture.measure(shot_of(clip, square(clip)))
    assert texture.power.shape == (BANDS + 1, SHADES, 2)
    for row, band in enumerate(split(clip)[:6]):
        found = _strength(texture, row).mean().item()
        assert found == pytest.approx(2 * band.var().item(), rel=0.35)


def test_colours_that_change_against_each_other_are_known_to() -> None:
    grey = 0.2 * random(0, 1, 1, 2, 128, 128)
    clip = torch.cat([grey, -grey + 0.002 * random(1, *grey.shape)], 1)
    texture = Texture.measure(shot_of(clip))
    together = texture.axes.new_tensor([1.0, 1.0]) / 2**0.5
    along = (texture.axes[0].mT @ together).square() * texture.power[0]
    assert along.sum(1).max() < 1e-3 * _strength(texture, 0).min()


def test_grain_in_the_shadows_is_told_from_flat_lights() -> None:
    clip = torch.zeros(1, 1, 2, 128, 128)
    clip[..., 96:] = 1
    clip += 0.05 * random(0, *clip.shape) * (1 - clip)
    texture = Texture.measure(shot_of(clip))
    below = torch.tensor([0.0, 0, 0, 1, 1, 1]).reshape(1, 1, 1, 1, 6)
    shadow, light = _strength(texture, 0)[texture.shades(below).flatten()[[0, -1]]]
    assert 0.5 < shadow.item() / (NOISE[0] * 0.05**2) < 1.3
    assert light < shadow / 100


def test_only_what_is_near_the_hole_is_measured() -> None:
    hole = torch.zeros(1, 1, 2, 96, 96)
    hole[..., 16:32, 16:32] = 1
    calm = 0.01 * random(0, 1, 1, 2, 96, 96)
    wild = calm.clone()
    wild[..., 32 + 2 * NEAR :] *= 100
    wild[0, 0, 0, 90, 90] = calm[0, 0, 0, 90, 90] = 5  # so that both have the same shades
    wild[0, 0, 0, 80, 80] = calm[0, 0, 0, 80, 80] = -5
    near = Texture.measure(shot_of(calm, hole)).power[:3]
    assert torch.allclose(near, Texture.measure(shot_of(wild, hole)).power[:3], rtol=0.1)
    assert Texture.measure(shot_of(wild)).power[0].max() > 100 * near[0].max()


def test_a_few_edges_do_not_pass_for_texture() -> None:
    clip = torch.zeros(1, 1, 2, 64, 64)
    clip[..., 32:] = 1
    clip = clip + 0.01 * random(0, *clip.shape)
    texture = Texture.measure(shot_of(clip))
    flat = texture.shades(clip)[0, 0, 8:24, 8:24].flatten()
    assert texture.power[0][flat].max().item() < 0.001
    assert texture.power[:2].max().item() < 0.01


def test_what_is_rare_is_not_expected_even_where_it_is() -> None:
    clip = 0.01 * random(0, 1, 2, 2, 64, 64)
    clip[..., :16, :16] = 1 + 0.2 * random(1, 1, 2, 2, 16, 16)
    texture = Texture.measure(shot_of(clip))
    inside = texture.shades(clip)[0, 0, 4:12, 4:12].flatten()
    assert _strength(texture, 0)[inside].max().item() < 2 * NOISE[0] * 0.2**2 / 50


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
    texture = Texture.measure(shot_of(clip, hole))
    assert _strength(texture, 0).mean().item() == pytest.approx(NOISE[0] * 0.1**2, rel=0.3)


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 3), (1, 1)])
def test_the_smallest_shot_is_measured(size: tuple[int, int]) -> None:
    _is_sound(Texture.measure(shot_of(random(0, 1, 3, 2, *size))), 3)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e4])
def test_a_constant_shot_is_measured(value: float) -> None:
    _is_sound(Texture.measure(shot_of(torch.full((1, 2, 2, 9, 9), value))), 2)


def _is_sound(texture: Texture, channels: int) -> None:
    assert texture.power.shape == (BANDS + 1, SHADES, channels)
    assert texture.power.isfinite().all() and (texture.power > 0).all()
    unit = torch.eye(channels).expand_as(texture.axes)
    assert torch.allclose(texture.axes.mT @ texture.axes, unit, atol=1e-5)
    kept = texture.kept(0, level(0.1))
    assert kept.shape == (1, SHADES, channels, channels) and kept.isfinite().all()

"""Laws of the linear guess."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import layers, level, random, shot_of, square
from torch import Tensor

from infusion_ofx.engine.bands import split
from infusion_ofx.engine.krige import krige
from infusion_ofx.engine.schedule import ancestral
from infusion_ofx.engine.texture import Texture
from infusion_ofx.engine.wiener import wiener

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 70), st.integers(1, 70))


@given(SIZES, st.floats(0.001, 100), st.integers(0, 50))
def test_outside_the_hole_it_is_the_first_fill_bit_for_bit(
    size: tuple[int, int, int], sigma: float, seed: int
) -> None:
    x, first = random(seed, 2, 1, 2, *size)
    hole = (random(seed + 1, 1, 1, *size) > 0).float()
    texture = Texture.measure(shot_of(random(seed, 1, 2, 1, 8, 8)))
    guess = wiener(x, first, hole, level(sigma), texture)
    assert torch.equal(guess * (1 - hole), first * (1 - hole))
    assert guess.isfinite().all()


def test_without_noise_it_is_the_clip_and_in_much_noise_the_first_fill() -> None:
    clip = layers(0)
    hole = square(clip)
    texture = Texture.measure(shot_of(clip))
    first = krige(clip * (1 - hole), hole, texture.picture)
    clear = wiener(clip, first, hole, level(1e-6), texture)
    assert torch.allclose(clear * hole, clip * hole, atol=1e-4)
    noisy = clip + 1e4 * random(9, *clip.shape)
    assert torch.allclose(wiener(noisy, first, hole, level(1e4), texture), first, atol=0.01)


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.5, 1.0, 3.0])
def test_it_is_nearer_the_truth_than_the_noisy_clip_and_than_the_first_fill(sigma: float) -> None:
    clip = layers(0)
    hole = square(clip)
    texture = Texture.measure(shot_of(clip, hole))
    first = krige(clip * (1 - hole), hole, texture.picture)
    x = clip + sigma * random(99, *clip.shape)

    def off(guess: Tensor) -> float:
        return (guess - clip)[hole > 0].square().mean().item()

    assert off(wiener(x, first, hole, level(sigma), texture)) < min(off(x), off(first))


def test_a_chain_of_many_steps_keeps_the_strength_of_each_band() -> None:
    clip = layers(0, frames=6)
    texture, hole = Texture.measure(shot_of(clip)), torch.ones_like(clip)
    sigmas = [40 * 0.001 ** (i / 50) for i in range(51)] + [0.0]
    x = sigmas[0] * random(100, *clip.shape)
    before = None
    for i, (now, then) in enumerate(pairwise(sigmas)):
        guess = wiener(x, torch.zeros_like(x), hole, level(now), texture)
        ahead = guess if before is None or not then else guess + (guess - before) / 2
        keep, spread = ancestral(now, then)
        x = keep * x + (1 - keep) * ahead + spread * random(i, *clip.shape)
        before = guess
    for ours, theirs in list(zip(split(x), split(clip), strict=True))[:6]:
        assert 0.75 < ours.var().item() / theirs.var().item() < 1.25


def test_a_texture_that_stands_still_is_found_by_all_its_frames_together() -> None:
    still = layers(0, frames=1).expand(-1, -1, 12, -1, -1)
    x = still + 0.5 * random(7, *still.shape)
    hole = torch.ones_like(still)

    def off(frames: int) -> float:
        clip, noisy = still[:, :, :frames], x[:, :, :frames]
        texture = Texture.measure(shot_of(clip))
        guess = wiener(noisy, torch.zeros_like(clip), hole[:, :, :frames], level(0.5), texture)
        return (guess - clip).square().mean().item()

    assert off(12) < 0.35 * off(1)


def test_each_clip_of_a_batch_has_its_own_noise() -> None:
    clip = layers(0, channels=2, side=32)
    hole = square(clip)
    texture = Texture.measure(shot_of(clip))
    first = krige(clip * (1 - hole), hole, texture.picture)
    sigmas = level(0.1), level(2.0)
    x, fill, holes = (torch.cat([v, v]) for v in (clip, first, hole))
    both = wiener(x, fill, holes, torch.cat(sigmas), texture)
    for i, sigma in enumerate(sigmas):
        assert torch.allclose(both[i : i + 1], wiener(clip, first, hole, sigma, texture))


def _grain_in_shadows(dark: int) -> tuple[Tensor, Tensor]:
    """Grain on the ``dark`` left columns of 128, and a flat light to their right; and the shot
    without the grain."""
    light = torch.zeros(1, 1, 2, 128, 128)
    light[..., dark:] = 1
    return light + 0.05 * random(0, *light.shape) * (1 - light), light


def test_noise_is_kept_off_flat_lights_and_grain_is_kept_in_the_shadows() -> None:
    clip, light = _grain_in_shadows(96)
    x = clip + 0.05 * random(1, *clip.shape)
    hole = torch.ones_like(clip)
    guess = wiener(x, light, hole, level(0.05), Texture.measure(shot_of(clip))) - light
    shadow, flat = guess[..., :88], guess[..., 104:]
    assert flat.std() < 0.6 * shadow.std()
    assert 0.5 < shadow.std().item() / 0.05 < 0.9
    kept = (shadow - (clip - light)[..., :88]).std().item()
    assert kept < 0.8 * 0.05, "nearer to the grain than either noise or nothing"


@given(st.integers(0, 50), st.integers(1, 20))
def test_a_shot_of_few_known_pixels_works(seed: int, known: int) -> None:
    clip = random(seed, 1, 3, 2, 24, 20)
    hole = torch.ones(1, 1, 2, 24, 20)
    hole.view(-1)[torch.randperm(960, generator=torch.Generator().manual_seed(seed))[:known]] = 0
    shot = shot_of(clip, hole)
    texture = Texture.measure(shot)
    assert texture.power.isfinite().all() and (texture.power > 0).all()
    first = krige(clip * (1 - hole), hole, texture.picture)
    assert wiener(clip, first, hole, level(0.5), texture).isfinite().all()


@given(SIZES, st.sampled_from([0.0, -1.0, 1e4]), st.sampled_from([1e-6, 0.06, 3.0, 1e3]))
def test_a_constant_shot_gives_finite_values(
    size: tuple[int, int, int], value: float, sigma: float
) -> None:
    clip = torch.full((1, 2, *size), value)
    hole = torch.ones(1, 1, *size)
    texture = Texture.measure(shot_of(torch.full((1, 2, 2, 9, 9), value)))
    x = clip + sigma * random(0, *clip.shape)
    assert texture.power.isfinite().all() and (texture.power > 0).all()
    assert wiener(x, clip, hole, level(sigma), texture).isfinite().all()


@pytest.mark.parametrize("seed", range(3))
def test_it_is_float32_under_bfloat16(seed: int) -> None:
    clip = layers(seed, side=32)
    hole = square(clip)
    texture = Texture.measure(shot_of(clip))
    first = krige(clip * (1 - hole), hole, texture.picture)
    plain = wiener(clip, first, hole, level(0.3), texture)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(wiener(clip, first, hole, level(0.3), texture), plain)


def test_noise_is_kept_out_of_colours_that_the_shot_does_not_have() -> None:
    grey = 0.2 * random(0, 1, 1, 2, 96, 96)
    clip = torch.cat([grey, -grey], 1)
    noise = 0.2 * random(1, *clip.shape)
    hole = torch.ones_like(grey)
    guess = wiener(
        clip + noise, torch.zeros_like(clip), hole, level(0.2), Texture.measure(shot_of(clip))
    )
    assert guess.sum(1).std() < 0.03 * noise.sum(1).std()
    assert guess[:, 0].std() > 0.5 * grey.std()

"""Laws of the linear guess."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.engine.wiener import OCTAVES, SHADES, Texture, join, split, wiener
from infusion_ofx.sequence.frame import Box

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 70), st.integers(1, 70))
POWERS = (0.02, 0.05, 0.1, 0.15, 0.2)
"""Of the octaves of a test's shot, finest first."""


def _random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _clip(seed: int, channels: int = 1, frames: int = 4, side: int = 96) -> Tensor:
    """Gaussian octaves of known power, over a flat ground: (1, channels, frames, side, side)."""
    clip = torch.zeros(1, channels, frames, side, side)
    for i, power in enumerate(POWERS):
        small = _random(seed + i, 1, channels, frames, side >> i, side >> i)
        fine = split(small)[0] if (side >> i) > 1 else small
        for _ in range(i):
            fine = fine.repeat_interleave(2, 3).repeat_interleave(2, 4)
        clip += fine * (power / fine.var()).sqrt()
    return clip


def _shot(clip: Tensor, hole: Tensor | None = None) -> Shot:
    """(1, C, T, H, W) as a shot."""
    channels, frames, height, width = clip.shape[1:]
    hole = torch.zeros(1, 1, frames, height, width) if hole is None else hole
    boxes = [Box(0, 0, height, width)] * frames
    clean = clip * (1 - hole)
    low, high = clip.amin((0, 2, 3, 4)), clip.amax((0, 2, 3, 4))
    return Shot(
        tuple(range(frames)),
        Volume(boxes, list(clean[0].unbind(1))),
        Volume(boxes, list(hole[0].unbind(1))),
        low,
        high,
    )


def _square(clip: Tensor) -> Tensor:
    hole = torch.zeros_like(clip[:, :1])
    height, width = clip.shape[3:]
    hole[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    return hole


def _level(sigma: float) -> Tensor:
    return torch.full((1, 1, 1, 1, 1), sigma)


@given(SIZES, st.integers(1, 3), st.integers(0, 99))
def test_octaves_join_to_the_clip_that_was_split(
    size: tuple[int, int, int], channels: int, seed: int
) -> None:
    clip = _random(seed, 1, channels, *size)
    octaves = split(clip)
    assert torch.allclose(join(octaves), clip, atol=1e-5)
    assert 1 <= len(octaves) <= OCTAVES + 1
    for fine, coarse in zip(octaves, octaves[1:], strict=False):
        assert coarse.shape[2] == size[0], "time is not pooled"
        assert list(coarse.shape[3:]) == [-(-side // 2) for side in fine.shape[3:]]


def test_a_flat_clip_is_in_the_last_octave_alone() -> None:
    *fine, last = split(torch.full((1, 1, 2, 50, 37), 3.0))
    assert all(torch.allclose(octave, torch.zeros(()), atol=1e-6) for octave in fine)
    assert torch.allclose(last, torch.tensor(3.0))


def test_an_octave_of_white_noise_has_the_power_that_the_filter_takes_for_granted() -> None:
    octaves = split(_random(0, 1, 1, 4, 256, 256))
    for i, octave in enumerate(octaves[:3]):
        assert octave.var().item() == pytest.approx(0.75 / 4**i, rel=0.15)
    assert octaves[-1].var().item() == pytest.approx(1 / 4**OCTAVES, rel=0.3)


@given(SIZES, st.floats(0.001, 100), st.integers(0, 50))
def test_outside_the_hole_it_is_the_smooth_fill_bit_for_bit(
    size: tuple[int, int, int], sigma: float, seed: int
) -> None:
    x, smooth = _random(seed, 2, 1, 2, *size)
    hole = (_random(seed + 1, 1, 1, *size) > 0).float()
    texture = Texture.measure(_shot(_random(seed, 1, 2, 1, 8, 8)))
    guess = wiener(x, smooth, hole, _level(sigma), texture)
    assert torch.equal(guess * (1 - hole), smooth * (1 - hole))
    assert guess.isfinite().all()


def test_without_noise_it_is_the_clip_and_in_much_noise_the_smooth_fill() -> None:
    clip = _clip(0)
    hole = _square(clip)
    smooth, texture = push_pull(clip * (1 - hole), hole), Texture.measure(_shot(clip))
    clear = wiener(clip, smooth, hole, _level(1e-6), texture)
    assert torch.allclose(clear * hole, clip * hole, atol=1e-4)
    noisy = clip + 1e4 * _random(9, *clip.shape)
    assert torch.allclose(wiener(noisy, smooth, hole, _level(1e4), texture), smooth, atol=0.01)


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.5, 1.0, 3.0])
def test_it_is_nearer_the_truth_than_the_noisy_clip_and_than_the_smooth_fill(sigma: float) -> None:
    clip = _clip(0)
    hole = _square(clip)
    smooth, texture = push_pull(clip * (1 - hole), hole), Texture.measure(_shot(clip, hole))
    x = clip + sigma * _random(99, *clip.shape)

    def off(guess: Tensor) -> float:
        return (guess - clip)[hole > 0].square().mean().item()

    assert off(wiener(x, smooth, hole, _level(sigma), texture)) < min(off(x), off(smooth))


def test_each_clip_of_a_batch_has_its_own_noise() -> None:
    clip = _clip(0, channels=2, side=32)
    hole = _square(clip)
    smooth, texture = push_pull(clip * (1 - hole), hole), Texture.measure(_shot(clip))
    sigmas = _level(0.1), _level(2.0)
    x, fill, holes = (torch.cat([v, v]) for v in (clip, smooth, hole))
    both = wiener(x, fill, holes, torch.cat(sigmas), texture)
    for i, sigma in enumerate(sigmas):
        assert torch.allclose(both[i : i + 1], wiener(clip, smooth, hole, sigma, texture))


def test_the_power_of_gaussian_octaves_is_found() -> None:
    clip = _clip(3, channels=2, side=128)
    power = Texture.measure(_shot(clip, _square(clip))).power
    assert power.shape == (OCTAVES + 1, 2, SHADES)
    for i, octave in enumerate(split(clip)[:3]):
        found = power[i].mean().item()
        assert found == pytest.approx(octave.var().item(), rel=0.35)


def _grain_in_shadows(dark: int) -> tuple[Tensor, Tensor]:
    """Grain on the ``dark`` left columns of 128, and a flat light to their right; and the shot
    without the grain."""
    light = torch.zeros(1, 1, 2, 128, 128)
    light[..., dark:] = 1
    return light + 0.05 * _random(0, *light.shape) * (1 - light), light


def test_grain_in_the_shadows_is_told_from_flat_lights() -> None:
    clip, light = _grain_in_shadows(96)
    texture = Texture.measure(_shot(clip))
    black = int(-texture.ends[0] / (texture.ends[1] - texture.ends[0]) * SHADES)
    assert 0.5 < texture.power[0, 0, black].item() / (0.75 * 0.05**2) < 1.3
    assert texture.power[0, 0, -1] < texture.power[0, 0, black] / 100


def test_noise_is_kept_off_flat_lights_and_grain_is_kept_in_the_shadows() -> None:
    clip, light = _grain_in_shadows(96)
    x = clip + 0.05 * _random(1, *clip.shape)
    hole = torch.ones_like(clip)
    guess = wiener(x, light, hole, _level(0.05), Texture.measure(_shot(clip))) - light
    shadow, flat = guess[..., :88], guess[..., 104:]
    assert flat.std() < 0.3 * shadow.std()
    assert 0.5 < shadow.std().item() / 0.05 < 0.9
    kept = (shadow - (clip - light)[..., :88]).std().item()
    assert kept < 0.8 * 0.05, "nearer to the grain than either noise or nothing"


def test_a_few_edges_do_not_pass_for_texture() -> None:
    clip = torch.zeros(1, 1, 2, 64, 64)
    clip[..., 32:] = 1
    clip = clip + 0.01 * _random(0, *clip.shape)
    assert Texture.measure(_shot(clip)).power[:2].max().item() < 0.01


@given(st.integers(0, 50), st.integers(1, 20))
def test_a_shot_of_few_known_pixels_works(seed: int, known: int) -> None:
    clip = _random(seed, 1, 3, 2, 24, 20)
    hole = torch.ones(1, 1, 2, 24, 20)
    hole.view(-1)[torch.randperm(960, generator=torch.Generator().manual_seed(seed))[:known]] = 0
    shot = _shot(clip, hole)
    texture = Texture.measure(shot)
    assert texture.power.isfinite().all() and (texture.power > 0).all()
    smooth = push_pull(clip * (1 - hole), hole)
    assert wiener(clip, smooth, hole, _level(0.5), texture).isfinite().all()


@given(SIZES, st.sampled_from([0.0, -1.0, 1e4]), st.sampled_from([1e-6, 0.06, 3.0, 1e3]))
def test_a_constant_shot_gives_finite_values(
    size: tuple[int, int, int], value: float, sigma: float
) -> None:
    clip = torch.full((1, 2, *size), value)
    hole = torch.ones(1, 1, *size)
    texture = Texture.measure(_shot(torch.full((1, 2, 2, 9, 9), value)))
    x = clip + sigma * _random(0, *clip.shape)
    assert texture.power.isfinite().all() and (texture.power > 0).all()
    assert wiener(x, clip, hole, _level(sigma), texture).isfinite().all()


@pytest.mark.parametrize(
    "size",
    [
        (1, 2),
        (2, 1),
        (3, 3),
        (1, 1),
    ],
)
def test_the_smallest_shot_is_measured(size: tuple[int, int]) -> None:
    texture = Texture.measure(_shot(_random(0, 1, 3, 2, *size)))
    assert texture.power.shape == (OCTAVES + 1, 3, SHADES)
    assert texture.power.isfinite().all() and (texture.power > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_it_is_float32_under_bfloat16(seed: int) -> None:
    clip = _clip(seed, side=32)
    hole = _square(clip)
    smooth, texture = push_pull(clip * (1 - hole), hole), Texture.measure(_shot(clip))
    plain = wiener(clip, smooth, hole, _level(0.3), texture)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(wiener(clip, smooth, hole, _level(0.3), texture), plain)

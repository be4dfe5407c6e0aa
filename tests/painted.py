"""Clips of known statistics, and shots made of them."""

from __future__ import annotations

import torch
from torch import Tensor

from infusion_ofx.engine.bands import BANDS, RATES, from_waves, spectrum
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.sequence.frame import Box

__all__ = ["even", "layers", "level", "random", "shot_of", "square"]

POWERS = (0.02, 0.05, 0.1, 0.15, 0.2)
"""Of the layers, finest first."""


def random(seed: int, *shape: int) -> Tensor:
    """Normal numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layers(seed: int, channels: int = 1, frames: int = 4, side: int = 96) -> Tensor:
    """Noise of blocks of 1, 2, 4, 8 and 16 pixels, the coarser the stronger: (1, channels, frames,
    side, side)."""
    clip = torch.zeros(1, channels, frames, side, side)
    for i, power in enumerate(POWERS):
        block = random(seed + i, 1, channels, frames, side >> i, side >> i)
        for _ in range(i):
            block = block.repeat_interleave(2, 3).repeat_interleave(2, 4)
        clip += block * power**0.5
    return clip


def even(seed: int, frames: int, side: int) -> tuple[Tensor, Tensor]:
    """A Gaussian texture (1, 1, frames, side, side) and the variance of its bands, (BANDS + 1,
    RATES, 1), each as strong as the next."""
    power = torch.ones(BANDS + 1, RATES, 1)
    size = frames, side, side
    return from_waves(spectrum(power, *size).sqrt() * random(seed, 1, 1, *size)), power


def shot_of(clip: Tensor, hole: Tensor | None = None) -> Shot:
    """(1, C, T, H, W) as a shot."""
    frames, height, width = clip.shape[2:]
    hole = torch.zeros(1, 1, frames, height, width) if hole is None else hole
    boxes = [Box(0, 0, height, width)] * frames
    clean = clip * (1 - hole)
    return Shot(
        tuple(range(frames)),
        Volume(boxes, list(clean[0].unbind(1))),
        Volume(boxes, list(hole[0].unbind(1))),
        clip.amin((0, 2, 3, 4)),
        clip.amax((0, 2, 3, 4)),
    )


def square(clip: Tensor) -> Tensor:
    """A hole of half the sides in the middle of each frame."""
    hole = torch.zeros_like(clip[:, :1])
    height, width = clip.shape[3:]
    hole[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    return hole


def level(sigma: float) -> Tensor:
    """A noise level as networks are told it."""
    return torch.full((1, 1, 1, 1, 1), sigma)

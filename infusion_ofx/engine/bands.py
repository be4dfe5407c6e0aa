"""Bands: a clip cut into half octaves of detail and put together again, and into rates of change.

By the cosine transform: no two bands but neighbours have anything in common, so that a filter that
treats each for itself does to every detail what it was meant to. Of the cheaper pyramids of blurred
and halved pictures (Burt and Adelson 1983) a band shows a third of its own detail and two thirds of
its neighbours'; a chain of many steps multiplies what goes astray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "BANDS",
    "RATES",
    "at_each",
    "by_rate",
    "enlarged",
    "from_waves",
    "join",
    "noise",
    "pooled",
    "row",
    "spectrum",
    "split",
    "to_waves",
    "white",
]

BANDS = 10
"""Bands, two an octave, apart from what is left below them."""

FINEST = 0.5**1.5
"""Cycles a pixel: from here on all is in the finest band."""

RATES, SLOW = 3, 8
"""Rates of change: what stays throughout a clip, what comes and goes in ``SLOW`` frames or more,
and what is faster."""


def split(clip: Tensor) -> list[Tensor]:
    """Bands of (B, C, T, H, W) in space, finest first, and last the average that is left.

    After each two the picture is half as large; there are fewer than ``BANDS`` where it is small.
    Two an octave, since the finer half of what a camera records is hardly more than noise.
    """
    height, width = clip.shape[3:]
    waves = _waves(height, clip.device) @ clip @ _waves(width, clip.device).T
    bands = []
    for mask in _masks(height, width, clip.device):
        h, w = mask.shape
        part = waves[..., :h, :w] * (mask * math.sqrt(h * w / (height * width)))
        bands.append(_waves(h, clip.device).T @ part @ _waves(w, clip.device))
    return bands


def join(bands: list[Tensor]) -> Tensor:
    """Undoes ``split``."""
    clip = bands[-1]
    for band in reversed(bands[:-1]):
        clip = enlarged(clip, band) + band
    return clip


def row(i: int, count: int) -> int:
    """Where in a list of ``BANDS`` and of what is left the band i of so many stands."""
    return BANDS if i == count - 1 else i


def pooled(clip: Tensor) -> Tensor:
    """Averages of two by two pixels of (B, C, T, H, W); of what there is at the borders."""
    size = [1, *(min(2, side) for side in clip.shape[3:])]
    return functional.avg_pool3d(clip, size, ceil_mode=True)


def at_each(clip: Tensor, bands: Sequence[Tensor]) -> list[Tensor]:
    """A clip (B, C, T, H, W) pooled to the size of each of its bands."""
    found = []
    for band in bands:
        if band.shape[2:] != clip.shape[2:]:
            clip = pooled(clip)
        found.append(clip)
    return found


def enlarged(small: Tensor, like: Tensor) -> Tensor:
    """A clip at the size of another one."""
    if small.shape[3:] == like.shape[3:]:
        return small
    rows, columns = (
        _enlarging(*sizes, small.device)
        for sizes in zip(small.shape[3:], like.shape[3:], strict=True)
    )
    large: Tensor = rows @ small @ columns.T
    return large


def by_rate(clip: Tensor) -> Tensor:
    """A clip (B, C, T, H, W) as the sum of its rates of change, slowest first: (RATES, B, C, T, H,
    W). Short clips have no fast ones, a single frame nothing but what stays."""
    parts = _rates(clip.shape[2], clip.device)[:, None, None] @ clip.flatten(3)
    return parts.reshape(RATES, *clip.shape)


def white(frames: int, device: torch.device) -> Tensor:
    """The share of white noise that is in each rate: (RATES,)."""
    return _rates(frames, device).diagonal(dim1=1, dim2=2).mean(1)


def to_waves(clip: Tensor) -> Tensor:
    """The cosine transform of (B, C, T, H, W) in space and time."""
    times, rows, columns = (_waves(size, clip.device) for size in clip.shape[2:])
    return (times @ (rows @ clip @ columns.T).flatten(3)).reshape(clip.shape)


def from_waves(waves: Tensor) -> Tensor:
    """Undoes ``to_waves``."""
    times, rows, columns = (_waves(size, waves.device) for size in waves.shape[2:])
    return rows.T @ (times.T @ waves.flatten(3)).reshape(waves.shape) @ columns


def spectrum(power: Tensor, frames: int, height: int, width: int) -> Tensor:
    """The variance of each wave of a texture, (C, T, H, W), whose bands have, at each rate, the
    variance ``power``: (BANDS + 1, RATES, C)."""
    even = noise(frames, height, width, power.device)[..., None]
    by_wave = (power / even.clamp_min(1e-30))[:, _rate(frames, power.device)]
    total = power.new_zeros(power.shape[-1], frames, height, width)
    masks = _masks(height, width, power.device)
    for i, mask in enumerate(masks):
        h, w = mask.shape
        own = by_wave[row(i, len(masks))].T[..., None, None]
        total[..., :h, :w] += own.sqrt() * mask
    return total.square()


# What follows is kept on the device: a CUDA graph may not copy it there.


@lru_cache(maxsize=16)
def noise(frames: int, height: int, width: int, device: torch.device) -> Tensor:
    """The variance of white noise of variance 1 in each band and at each rate of a clip, (BANDS +
    1, RATES): finest first, and last in what is left; 0 of bands that it has not."""
    *bands, last = (mask.square().sum() for mask in _masks(height, width, device))
    none = [torch.zeros_like(last)] * (BANDS - len(bands))
    parts = torch.stack([*bands, *none, last]) / (height * width)
    return parts[:, None] * white(frames, device)


@lru_cache(maxsize=64)
def _waves(size: int, device: torch.device) -> Tensor:
    """The cosine transform, (size, size): a row for each wave, of k/2 cycles in all, unit length
    each."""
    count = torch.arange(size, dtype=torch.float64)
    waves = torch.cos(math.pi / size * count[:, None] * (count + 0.5))
    lengths = waves.square().sum(1, keepdim=True).sqrt()
    return (waves / lengths).float().to(device)


@lru_cache(maxsize=64)
def _enlarging(small: int, large: int, device: torch.device) -> Tensor:
    """What turns a line of one size into one of another, (large, small): the same waves."""
    waves = _waves(large, device)[:small].T @ _waves(small, device)
    return waves * math.sqrt(large / small)


@lru_cache(maxsize=16)
def _masks(height: int, width: int, device: torch.device) -> tuple[Tensor, ...]:
    """How much of each wave is in each band, finest first, and in what is left: of the slowest
    waves, (h, w) as large as the band's picture. They sum to 1."""
    y, x = (torch.arange(size, dtype=torch.float64) / (2 * size) for size in (height, width))
    finer = 2 * torch.log2(torch.hypot(y[:, None], x).clamp_min(1e-9) / FINEST)  # half octaves
    masks: list[Tensor] = []
    while len(masks) < BANDS and max(height, width) > 1:
        for i in (len(masks), len(masks) + 1):
            far = (finer[:height, :width] + i).clamp(-1, 1 if i else 0)
            masks.append(torch.cos(math.pi / 2 * far).square())
        height, width = -(-height // 2), -(-width // 2)
    far = (finer[:height, :width] + len(masks)).clamp(0, 1)
    masks.append(torch.cos(math.pi / 2 * far).square())
    return tuple(mask.float().to(device) for mask in masks)


@lru_cache(maxsize=8)
def _rates(frames: int, device: torch.device) -> Tensor:
    """The projections on the waves that each rate has, (RATES, frames, frames)."""
    waves, rate = _waves(frames, device), _rate(frames, device)
    return torch.stack([waves[rate == r].T @ waves[rate == r] for r in range(RATES)])


@lru_cache(maxsize=8)
def _rate(frames: int, device: torch.device) -> Tensor:
    """The rate of each wave in time, (frames,)."""
    halves = torch.arange(frames, device=device)
    return (halves > 0).long() + (SLOW * halves > 2 * frames)

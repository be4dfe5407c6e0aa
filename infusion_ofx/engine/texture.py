"""Texture: what a shot's bands are like near its hole; all that the linear guess knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from infusion_ofx.engine.bands import (
    BANDS,
    RATES,
    at_each,
    by_rate,
    enlarged,
    join,
    row,
    split,
    white,
)
from infusion_ofx.engine.depth import grown
from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.untold import untold
from infusion_ofx.engine.volume import Shot, cut
from infusion_ofx.plan import Window, tiles
from infusion_ofx.sequence.frame import Box

__all__ = ["SHADES", "Texture"]

SHADES = 16
"""Steps of brightness that are told apart."""

NEAR = 8
"""Pixels round the hole that are measured: further off, what is as bright may be another thing."""

FEW = 50
"""A shade with fewer known values than this in a band is taken for the average one."""

ROUNDS = 20
"""Of the search for how colours go together; each comes several times closer."""

LEAST_POWER = 1e-8
MOST_SAMPLES = 1_000_000
MOST_CLIPS, SIDE = 6, 256
"""Clips that are measured, spread evenly over the shot and its hole, and their longest side."""


@dataclass(frozen=True)
class Texture:
    """How strong each band is, how fast it changes and how its colours go together, where the shot
    is so bright, and how much of it the first fill leaves to be found (untold.py).

    Grain is strong in the shadows of a fire and flames are smooth: one figure for both would keep
    noise in the flames or wipe the grain. And where red is at its brightest, brightness and hue
    change against each other so that red stays: each for itself, they would leave it speckled. And
    water that changes slowly would flicker if each frame were drawn for itself.
    Brightness is channel 0 of what is below the band. No shade is given more than the average one
    has, so that the rare edges of a half-tone, which are not everywhere, are left to the network.
    """

    power: Tensor
    """(BANDS + 1, RATES, SHADES, C): variances along the axes; the last row is of what is left
    below the bands."""
    axes: Tensor
    """(BANDS + 1, SHADES, C, C): unit columns, the directions in which a band's colours vary
    independently."""
    left: Tensor
    """(BANDS + 1, RATES, DEPTHS): the share of it that the first fill leaves to be found."""
    picture: Tensor
    """(BANDS + 1, RATES, C): variances of the channels, all shades together, and of all that there
    is, whether the first fill tells it or not."""
    ends: Tensor
    """(2,): the brightness at which the first shade begins, and at which the last one ends."""

    @classmethod
    def measure(cls, shot: Shot, frames: int | None = None) -> Texture:
        """Measures known pixels near the hole; all of them where nothing near it is known. frames:
        of the clips that the guess will be made of; None or more than there are is the shot."""
        frames = min(frames or shot.length, shot.length)
        clips = _clips(shot, frames)
        rows = _rows(shot, clips, near=True)
        if not any(each.count for each in rows):
            rows = _rows(shot, clips, near=False)
        ends = torch.stack([shot.low[0], shot.high[0]])
        even = white(frames, shot.device)[:, None].expand(-1, len(shot.low))
        average = LEAST_POWER * even, torch.diag(torch.ones_like(shot.low))
        kinds, usual = [], []
        for each in rows:
            shade_of = _shade(each.bright, ends)
            if each.count:
                average = each.kind(even)
            usual.append(average[0] @ average[1].square().T)
            for shade in range(SHADES):
                own = each.where(shade_of == shade)
                few = own.count < FEW
                kinds.append(average if few else _held(own.kind(average[0]), average))
        power, axes = (torch.stack(part) for part in zip(*kinds, strict=True))
        power, axes = (part.reshape(BANDS + 1, SHADES, *part.shape[1:]) for part in (power, axes))
        holes = [cut(shot.hole, [clip], shot.device) for clip in clips]
        shot.rest()
        picture = torch.stack(usual)
        left = untold(holes, picture.sum(2))
        power = power.transpose(1, 2).clamp_min(LEAST_POWER).contiguous()  # as when it was kept
        return cls(power, axes, left, picture, ends)

    def shades(self, below: Tensor) -> Tensor:
        """Which shade each pixel has, (B, T, H, W), by what is below a band, (B, C, T, H, W)."""
        return _shade(below[:, 0], self.ends)

    def kept(self, band: int, noise: Tensor) -> Tensor:
        """What of a band is likely to be picture, at each rate, depth and shade: matrices, (RATES,
        B, DEPTHS, SHADES, C, C). band: finest first. noise: the noise's variance in it, (RATES,
        B)."""
        power = self.left[band][..., None, None] * self.power[band][:, None]
        power = power.clamp_min(LEAST_POWER)[:, None]
        share, axes = power / (power + noise[..., None, None, None]), self.axes[band]
        return (axes * share[..., None, :]) @ axes.mT


@dataclass(frozen=True)
class _Row:
    """Known values of one band."""

    band: int
    """Which: the finest is 0."""
    bright: Tensor
    """(N,): the brightness below them."""
    values: Tensor
    """(C, N)"""
    rates: Tensor
    """(RATES * C, N): their parts by rate."""
    whole: Tensor
    """(N,): whether they are known throughout their clip, so that their parts are."""

    @classmethod
    def of(cls, band: int, values: Tensor, whole: Tensor) -> _Row:
        """Brightness, values and their parts, one under the other: (1 + (1 + RATES) C, N)."""
        channels = len(values) // (1 + RATES)
        return cls(band, values[0], values[1 : 1 + channels], values[1 + channels :], whole)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.bright)

    def where(self, chosen: Tensor | slice) -> _Row:
        """Some of them."""
        parts = (self.bright, self.values, self.rates, self.whole)
        return _Row(self.band, *(part[..., chosen] for part in parts))

    @classmethod
    def joined(cls, rows: list[_Row]) -> _Row:
        """All of several of the same band."""
        parts = ((each.bright, each.values, each.rates, each.whole) for each in rows)
        return cls(rows[0].band, *(torch.cat(each, -1) for each in zip(*parts, strict=True)))

    def kind(self, usual: Tensor) -> tuple[Tensor, Tensor]:
        """Variances (RATES, C) along the axes (C, C) in which colours are independent. usual: those
        of something whose rates go together alike, for where too few are known throughout."""
        axes = torch.linalg.eigh(_shape(self.values).cpu()).eigenvectors.to(self.values)
        parts = self.rates[:, self.whole].reshape(RATES, len(self.values), -1)
        if parts.shape[2] < FEW:
            shares = usual
        else:
            shares = torch.stack([_variance(axes.T @ part) for part in parts])
        return _variance(axes.T @ self.values) * shares / shares.sum(0), axes


def _clips(shot: Shot, frames: int) -> list[Window]:
    """Clips of so many frames, of which something is loaded, that hold some of the hole; all where
    it is nowhere."""
    found: dict[bool, list[Window]] = {True: [], False: []}
    for first in range(0, len(shot.hole.boxes), shot.length):
        starts = {*range(first, first + shot.length - frames + 1, frames)}
        for start in sorted(starts | {first + shot.length - frames}):
            boxes = shot.hole.boxes[start : start + frames]
            room = reduce(Box.intersect, boxes)
            for box in () if room.empty else tiles(room, SIDE, 0):
                held = any(shot.hole.view(i, box).any() for i in range(start, start + frames))
                found[bool(held)].append(Window(start, start + frames, box))
            shot.rest()
    clips = found[True] or found[False]
    return clips[:: -(-len(clips) // MOST_CLIPS) or 1]


def _rows(shot: Shot, clips: list[Window], *, near: bool) -> list[_Row]:
    """Known values of each band and of what is left below them. near: only those close to the
    hole."""
    nothing = shot.low.new_zeros(1 + (1 + RATES) * len(shot.low), 0)
    rows = [[_Row.of(band, nothing, nothing[0] > 0)] for band in range(BANDS + 1)]
    for clip in clips:
        for found in _samples(*shot.cut([clip]), near):
            every = 1 + found.count * len(clips) // MOST_SAMPLES
            rows[found.band].append(found.where(slice(None, None, every)))
    return [_Row.joined(parts) for parts in rows]


def _samples(clean: Tensor, hole: Tensor, close: bool) -> Iterator[_Row]:
    """Known values of each band of a clip. close: only near the hole."""
    bands = split(push_pull(clean, hole))
    shares = at_each(1 - hole, bands)  # of each pooled pixel that is known
    nears = at_each(grown(hole, NEAR) if close else torch.ones_like(hole), bands)
    for i, (band, share, near) in enumerate(zip(bands, shares, nears, strict=True)):
        last = i == len(bands) - 1
        below = band if last else enlarged(join(bands[i + 1 :]), band)
        known = (share > 0.5)[0, 0]
        chosen = known & (near[0, 0] > 0)
        values = torch.cat([below[0, :1], band[0], *by_rate(band)[:, 0]])
        whole = known.all(0).expand_as(known)
        yield _Row.of(row(i, len(bands)), values[:, chosen], whole[chosen])


def _shade(bright: Tensor, ends: Tensor) -> Tensor:
    """Which shade a brightness falls into: 0 .. SHADES - 1, of the same shape."""
    share = (bright - ends[0]) / (ends[1] - ends[0]).clamp_min(1e-12)
    return (share * SHADES).long().clamp(0, SHADES - 1)


def _held(own: tuple[Tensor, Tensor], average: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A shade's variances (RATES, C) and axes (C, C), at no rate more than the average shade has
    that way."""
    (power, axes), (most, across) = own, average
    return torch.minimum(power, most @ (axes.T @ across).square().T), axes


def _shape(samples: Tensor) -> Tensor:
    """How the rows (C, N) vary together, but for a factor: (C, C), float64.

    Tyler's estimate (Annals of Statistics 15, 1987), which asks in which directions the samples
    lie and not how far out, so that a few edges do not speak for the rest.
    """
    samples = samples.double()
    shape = unit = torch.eye(len(samples), dtype=samples.dtype, device=samples.device)
    for _ in range(ROUNDS):
        far = (samples * (torch.linalg.inv(shape + 1e-6 * unit) @ samples)).sum(0)
        shape = (samples / far.clamp_min(1e-30)) @ samples.T
        shape = shape / shape.diagonal().mean().clamp_min(1e-30)
    return shape


def _variance(samples: Tensor) -> Tensor:
    """Variance of each row of (C, N)."""
    return samples.square().mean(1).clamp_min(LEAST_POWER)

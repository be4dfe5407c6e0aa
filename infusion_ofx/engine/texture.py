"""Texture: what a shot's bands are like near its hole; all that the linear guess knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.bands import BANDS, NOISE, enlarged, join, pooled, split
from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.volume import Shot

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
MOST_FRAMES = 64


@dataclass(frozen=True)
class Texture:
    """How strong each band is and how its colours go together, where the shot is so bright.

    Grain is strong in the shadows of a fire and flames are smooth: one figure for both would keep
    noise in the flames or wipe the grain. And where red is at its brightest, brightness and hue
    change against each other so that red stays: each for itself, they would leave it speckled.
    Brightness is channel 0 of what is below the band. No shade is given more than the average one
    has, so that the rare edges of a half-tone, which are not everywhere, are left to the network.
    """

    power: Tensor
    """(BANDS + 1, SHADES, C): variances along the axes; the last row is of what is left below the
    bands."""
    axes: Tensor
    """(BANDS + 1, SHADES, C, C): unit columns, the directions in which a band's colours vary
    independently."""
    ends: Tensor
    """(2,): the brightness at which the first shade begins, and at which the last one ends."""

    @classmethod
    def measure(cls, shot: Shot) -> Texture:
        """Measures known pixels near the hole; all of them where nothing near it is known."""
        rows = _rows(shot, near=True)
        if not any(samples.shape[1] for samples in rows):
            rows = _rows(shot, near=False)
        ends = torch.stack([shot.low[0], shot.high[0]])
        average = torch.full_like(shot.low, LEAST_POWER), torch.diag(torch.ones_like(shot.low))
        shades: list[tuple[Tensor, Tensor]] = []
        for samples in rows:
            shade_of, values = _shade(samples[0], ends), samples[1:]
            if values.shape[1]:
                average = _along_axes(values)
            for shade in range(SHADES):
                own = values[:, shade_of == shade]
                few = own.shape[1] < FEW
                shades.append(average if few else _held(_along_axes(own), average))
        power, axes = (torch.stack(part) for part in zip(*shades, strict=True))
        size = BANDS + 1, SHADES
        return cls(
            power.reshape(*size, *power.shape[1:]), axes.reshape(*size, *axes.shape[1:]), ends
        )

    def shades(self, below: Tensor) -> Tensor:
        """Which shade each pixel has, (B, T, H, W), by what is below a band, (B, C, T, H, W)."""
        return _shade(below[:, 0], self.ends)

    def kept(self, row: int, sigma: Tensor) -> Tensor:
        """What of a band is likely to be picture in noise of sigma (B, 1, 1, 1, 1), in each shade:
        matrices, (B, SHADES, C, C). row: the band's, finest first."""
        noise = sigma.flatten()[:, None, None].square() * NOISE[row]
        share = self.power[row] / (self.power[row] + noise)
        return (self.axes[row] * share[:, :, None]) @ self.axes[row].mT


def _rows(shot: Shot, *, near: bool) -> list[Tensor]:
    """Of each band and of what is left below them, the known values under their brightness, (1 + C,
    N). near: only those close to the hole."""
    frames = []
    for i, hole in enumerate(shot.hole.data):
        if hole.any() if near else hole.numel():
            frames.append(i)
        shot.rest()
    frames = frames[:: max(1, -(-len(frames) // MOST_FRAMES))]
    rows = [[shot.low.new_zeros(1 + len(shot.low), 0)] for _ in range(BANDS + 1)]
    for i in frames:
        clean, hole = (
            volume.data[i][None, :, None].to(shot.device) for volume in (shot.clean, shot.hole)
        )
        for row, sample in _samples(clean, hole, near):
            every = 1 + sample.shape[1] * len(frames) // MOST_SAMPLES
            rows[row].append(sample[:, ::every].clone())
        shot.rest()
    return [torch.cat(parts, 1) for parts in rows]


def _samples(clean: Tensor, hole: Tensor, close: bool) -> Iterator[tuple[int, Tensor]]:
    """For each band of one frame, its row and its known values under their brightness: (1 + C, N).
    close: only near the hole."""
    bands = split(push_pull(clean, hole))
    share = 1 - hole  # of each pooled pixel that is known
    near = torch.ones_like(hole)
    if close:
        near = functional.max_pool3d(hole, (1, 2 * NEAR + 1, 2 * NEAR + 1), 1, (0, NEAR, NEAR))
    for i, band in enumerate(bands):
        last = i == len(bands) - 1
        below = band if last else enlarged(join(bands[i + 1 :]), band)
        if band.shape[2:] != share.shape[2:]:
            share, near = pooled(share), pooled(near)
        known = (share[0, 0] > 0.5) & (near[0, 0] > 0)
        yield BANDS if last else i, torch.cat([below[0, :1], band[0]])[:, known]


def _shade(bright: Tensor, ends: Tensor) -> Tensor:
    """Which shade a brightness falls into: 0 .. SHADES - 1, of the same shape."""
    share = (bright - ends[0]) / (ends[1] - ends[0]).clamp_min(1e-12)
    return (share * SHADES).long().clamp(0, SHADES - 1)


def _held(own: tuple[Tensor, Tensor], average: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A shade's variances and axes, no variance more than the average shade has that way."""
    (power, axes), (most, across) = own, average
    return torch.minimum(power, (axes.T @ across).square() @ most), axes


def _along_axes(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (C,) of the rows (C, N) along the axes (C, C) in which they are independent."""
    axes = torch.linalg.eigh(_shape(samples).cpu()).eigenvectors.to(samples)
    return _middle(axes.T @ samples), axes


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


def _middle(samples: Tensor) -> Tensor:
    """Variance of each row (C, N): the geometric mean of what the median and the mean say.

    A few edges hold most of the mean, and a filter that expected them everywhere would let noise
    through in the flat. Sorted, since torch's median is not repeatable on a GPU.
    """
    median = (samples.abs().quantile(0.5, dim=1) / 0.6745).square()
    return (median * samples.square().mean(1)).sqrt().clamp_min(LEAST_POWER)

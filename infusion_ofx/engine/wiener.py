"""The best linear guess at a noisy clip: what our network starts from and mends.

A network that has to bring the picture through from its noisy input spends its first hundreds of
steps on learning to. A Wiener filter does it at once: cut the difference from the smooth fill into
octaves, and keep of each the share that is likely to be picture, given the noise level and the
shot's own power in that octave (Wiener 1949; by octaves: Donoho and Johnstone 1994). The network
adds what a linear filter cannot know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.smooth import push_pull, wide
from infusion_ofx.engine.volume import Shot

__all__ = ["OCTAVES", "SHADES", "Texture", "join", "split", "wiener"]

OCTAVES = 5
"""Octaves apart from what is left below them."""

SHADES = 8
"""Steps of brightness that are told apart."""

FINE = 3
"""Octaves that hold grain and edges; the coarser ones hold shapes: all of their power counts."""

FEW = 50
"""A shade with fewer known values than this in an octave is taken for the average one."""

LEAST_POWER = 1e-8
MOST_SAMPLES = 1_000_000
MOST_FRAMES = 64


def split(clip: Tensor) -> list[Tensor]:
    """Octaves of (B, C, T, H, W) in space, finest first, and last the average that is left.

    Each is half as large as the one before; fewer than ``OCTAVES`` where the picture is small.
    """
    levels = [clip]
    while len(levels) <= OCTAVES and max(levels[-1].shape[3:]) > 1:
        levels.append(_pooled(levels[-1]))
    fine = [a - _wide(b, a) for a, b in zip(levels, levels[1:], strict=False)]
    return [*fine, levels[-1]]


def join(octaves: list[Tensor]) -> Tensor:
    """Undoes ``split``."""
    clip = octaves[-1]
    for octave in reversed(octaves[:-1]):
        clip = _wide(clip, octave) + octave
    return clip


@dataclass(frozen=True)
class Texture:
    """How strong each octave of a shot is, where the shot is so bright.

    Grain is strong in the shadows of a fire and flames are smooth: one figure for both would keep
    noise in the flames or wipe the grain. No brightness is given more than the octave has in its
    middle, so that the rare edges of a half-tone are left to the network. Brightness is channel 0
    of the octaves below.
    """

    power: Tensor
    """(OCTAVES + 1, C, SHADES): variances; the last row is of what is left below the octaves."""
    ends: Tensor
    """(2,): the brightness at which the first shade begins, and at which the last one ends."""

    @classmethod
    def measure(cls, shot: Shot) -> Texture:
        """Measures the known pixels of a shot."""
        octaves: list[list[Tensor]] = [[] for _ in range(OCTAVES + 1)]
        pairs = zip(shot.clean.data, shot.hole.data, strict=True)
        frames = [(clean, hole) for clean, hole in pairs if hole.numel()]
        frames = frames[:: -(-len(frames) // MOST_FRAMES)]
        thin = 1 + sum(clean[0].numel() for clean, _ in frames) // MOST_SAMPLES
        for frame in frames:
            clean, hole = (part[None, :, None].to(shot.device) for part in frame)
            for place, sample in _samples(clean, hole):
                octaves[place].append(sample[:, ::thin])
            shot.rest()
        ends = torch.stack([shot.low[0], shot.high[0]])
        found: list[Tensor] = []
        for place, parts in enumerate(octaves):
            samples = torch.cat(parts, 1) if parts else shot.low.new_zeros(len(shot.low) + 1, 0)
            whole = found[-1][:, 0] if found else torch.full_like(shot.low, LEAST_POWER)
            if samples.shape[1]:
                whole = (_middle if place < FINE else _mean)(samples[1:])
            shades = whole[:, None].repeat(1, SHADES)
            shade_of = _shade(samples[0], ends)
            for shade in range(SHADES):
                chosen = samples[1:, shade_of == shade]
                if chosen.shape[1] >= FEW and place < FINE:
                    shades[:, shade] = torch.minimum(whole, _quiet(chosen))
            found.append(shades)
        return cls(torch.stack(found), ends)


def _samples(clean: Tensor, hole: Tensor) -> Iterator[tuple[int, Tensor]]:
    """For each octave of one frame, its row and its known values under their brightness: (1 + C,
    N)."""
    octaves = split(push_pull(clean, hole))
    share = 1 - hole  # of each pooled pixel that is known
    for i, octave in enumerate(octaves):
        last = i == len(octaves) - 1
        below = octave if last else _wide(join(octaves[i + 1 :]), octave)
        known = share[0, 0] > 0.5
        yield OCTAVES if last else i, torch.cat([below[0, :1][:, known], octave[0][:, known]])
        if not last:
            share = _pooled(share)


def _mean(samples: Tensor) -> Tensor:
    """Variance of each row (C, N)."""
    return samples.square().mean(1).clamp_min(LEAST_POWER)


def _middle(samples: Tensor) -> Tensor:
    """Variance of each row (C, N): the geometric mean of what the median and the mean say.

    A few edges hold most of the mean, and a filter that expected them everywhere would let noise
    through in the flat.
    """
    median = (_quantile(samples, 0.5) / 0.6745).square()
    return (median * samples.square().mean(1)).sqrt().clamp_min(LEAST_POWER)


def _quiet(samples: Tensor) -> Tensor:
    """Variance of each row (C, N) as its quietest half tells it: grain, and no edges."""
    return (_quantile(samples, 0.25) / 0.3186).square().clamp_min(LEAST_POWER)


def _quantile(samples: Tensor, share: float) -> Tensor:
    """Of the size of each row's values; sorted, since torch's median is not repeatable on a GPU."""
    return samples.abs().quantile(share, dim=1)


def _shade(bright: Tensor, ends: Tensor) -> Tensor:
    """Which shade a brightness falls into: 0 .. SHADES - 1, of the same shape."""
    share = (bright - ends[0]) / (ends[1] - ends[0]).clamp_min(1e-12)
    return (share * SHADES).long().clamp(0, SHADES - 1)


@torch.no_grad()  # and pooling and interpolation have no repeatable backward pass on a GPU
def wiener(x: Tensor, smooth: Tensor, hole: Tensor, sigma: Tensor, texture: Texture) -> Tensor:
    """The linear estimate of the clean clip in the hole; outside it ``smooth`` as it is.

    x: (B, C, T, H, W), clean + sigma n. smooth: the same shape, equal to the clean clip outside the
    hole. hole: (B, 1, T, H, W). sigma: (B, 1, 1, 1, 1). From the coarsest octave to the finest,
    since the coarser ones say how bright it is.
    """
    with torch.autocast(x.device.type, enabled=False):
        octaves, below = split((x - smooth) * hole), split(smooth)
        estimate, shown = torch.zeros_like(octaves[-1]), torch.zeros_like(below[-1])
        for i in reversed(range(len(octaves))):
            last = i == len(octaves) - 1
            if not last:
                estimate, shown = _wide(estimate, octaves[i]), _wide(shown, octaves[i])
            bright = below[-1][:, 0] if last else (estimate + shown)[:, 0]
            row = texture.power[OCTAVES if last else i]
            signal = row[:, _shade(bright, texture.ends)].transpose(0, 1)
            noise = sigma.square() / 4**i * (1 if last else 0.75)  # pooling four halves the noise
            estimate = estimate + octaves[i] * signal / (signal + noise)
            shown = shown + below[i]
        return smooth + estimate * hole


def _pooled(clip: Tensor) -> Tensor:
    """Averages of two by two pixels; of what there is at the borders."""
    size = [1, *(min(2, side) for side in clip.shape[3:])]
    return functional.avg_pool3d(clip, size, ceil_mode=True)


def _wide(small: Tensor, like: Tensor) -> Tensor:
    return wide(small, like.shape[2:])

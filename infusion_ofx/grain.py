"""Grain: noise that is new in each frame, measured in the plate and laid on a fill that lacks it.

Neither the look of grain nor its strength is guessed. Pictures are taken apart into octaves, and
the difference of two consecutive frames leaves of each what is new: grain, and what moves. The sum
of the two frames holds as much grain, and where there is nothing else it is independent of the
difference: so blocks that are flat in the sum tell of grain without moving texture, and are not
chosen for having little of it. All this for each channel by its brightness.

The fill gets what it lacks, octave by octave and place by place, made of white noise that belongs
to a frame number and a pixel (engine/noise.py). Nothing is ever taken from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.noise import key, normal
from infusion_ofx.engine.volume import Volume
from infusion_ofx.sequence.frame import Box

__all__ = ["Grain", "octaves"]

OCTAVES = 3
"""Grain is a few pixels wide at most; what is wider is picture."""
REACH = 2**OCTAVES - 1
"""Pixels round a pixel that its octaves are made of."""
BLOCK = 8
"""Pixels across: what is flat or not."""
FLATTEST = 0.05
"""Share of the blocks of one brightness that is measured."""
ENOUGH = 16
"""Blocks to measure a brightness from, at least."""
AGREE = 0.5
"""Spread over mean of these blocks' power, at most: grain is the same everywhere, and texture is
not (0.1 to 0.3 with grain, mostly 0.5 to 2 without, on the test shots)."""
QUIET = 2e-4
"""Spread from which it is grain; the rounding of half floats is below 1e-4 (working.py)."""
LEVELS = 8
"""Brightnesses, evenly between the darkest and the lightest."""
SLOPE = 1.6
"""From one brightness to the next, grain is no more than this much stronger: photon noise, seen as
a share of the light, is so where the brightnesses cover eleven stops."""
STRIP, STRIPS = 2**18, 32
"""Pixels of a strip, and strips that are looked at, evenly over the shot: enough for any figure
here, and no more memory or time for a large plate."""
NEAR = 8
"""Pixels: what a fill has of its own is looked for in a square of this radius."""


def octaves(picture: Tensor) -> tuple[Tensor, Tensor]:
    """The finest octaves of a picture (C, H, W), (OCTAVES, C, H, W), finest first, and the rest.

    Differences of binomial blurs, each twice as wide: the a trous scheme of Holschneider et al.,
    *A real-time algorithm for signal analysis with the help of the wavelet transform*, 1989.
    """
    found = []
    for step in (2**k for k in range(OCTAVES)):
        blurred = _blurred(_blurred(picture, step, -1), step, -2)
        found.append(picture - blurred)
        picture = blurred
    return torch.stack(found), picture


def _blurred(picture: Tensor, step: int, axis: int) -> Tensor:
    """(1, 2, 1) / 4 along an axis, ``step`` pixels apart; the border's pixels go on."""
    size = picture.shape[axis]
    places = torch.arange(size)
    before, after = (
        picture.index_select(axis, (places + shift).clamp(0, size - 1)) for shift in (-step, step)
    )
    return (before + 2 * picture + after) / 4


@dataclass(frozen=True)
class Grain:
    """The grain of a clip of C channels."""

    mix: Tensor
    """(C, C): takes a picture's components to channels in a range like a logarithm of light."""
    levels: Tensor
    """(LEVELS, C): brightnesses of each channel, rising."""
    variance: Tensor
    """(LEVELS, OCTAVES, C): of each channel in each octave."""
    shared: Tensor
    """(OCTAVES, C, C): correlation of the channels."""

    @classmethod
    def measure(cls, clip: Volume, unknown: Volume, mix: Tensor) -> Grain | None:
        """The grain of what is known of a clip; None where there is none, or it cannot be told.

        clip: (C, height, width) a frame. unknown: (1, height, width) a frame, above 0 where it is
        not known. mix: see above.
        """
        light, rough, power = _pairs(clip, unknown, mix)
        if len(light) * FLATTEST < ENOUGH:
            return None
        channels = range(len(mix))
        found = [_by_level(light[:, c], rough, power[:, :, c, c]) for c in channels]
        levels, variance = (torch.stack(part, -1) for part in zip(*found, strict=True))
        if float(variance[:, 0].amax(0).amin()) < QUIET**2:
            return None  # what is in some channels only is no grain
        alive = power[:, 0].diagonal(dim1=1, dim2=2).amin(1) > 0  # where no channel is clipped
        flattest = rough[alive].argsort()[: max(1, int(FLATTEST * int(alive.sum())))]
        common = power[alive][flattest].sum(0) + 1e-12 * torch.eye(len(mix))
        spread = common.diagonal(dim1=1, dim2=2).sqrt()
        return cls(mix, levels, variance, common / (spread[:, :, None] * spread[:, None, :]))

    def lay(self, picture: Tensor, fill: Tensor, seed: int, frame: int, box: Box) -> Tensor:
        """A frame with grain where its fill lacks it: as strong as the grain of known pixels of the
        same brightness, less what fine structure the fill has of its own nearby.

        picture: (C, height, width) of the box. fill: (height, width), boolean: what is not filled
        is not changed. seed, frame: the same give the same noise to a pixel, whatever the box.
        """
        where = box.tight(fill.numpy())
        if where.empty:
            return picture
        rows, columns = box.slices(where)
        mixed = torch.einsum("cd,dhw->chw", self.mix, picture)
        parts, rest = (part[..., rows, columns] for part in octaves(mixed))
        held = fill[rows, columns]
        own = _near(parts.square().flatten(0, 1), held)[:, held].reshape(OCTAVES, len(picture), -1)
        wanted = self._at(rest[:, held], self.variance)
        lacking = (1 - own / wanted.clamp_min(1e-20)).clamp_min(0).sqrt()
        # The octaves overlap: each takes up some of the noise of its neighbours.
        white = torch.einsum("ab,kbc->kac", torch.linalg.inv(_overlap()), self.variance)
        strength = self._at(rest[:, held], white.clamp_min(0).sqrt())
        laid = torch.zeros(len(picture), int(held.sum()))
        for octave, root in enumerate(_root(self.shared)):
            noise = normal(key(seed, "grain", octave), frame, where.grow(REACH), len(picture))
            noise = octaves(noise)[0][octave, :, REACH:-REACH, REACH:-REACH][:, held]
            laid += strength[octave] * lacking[octave] * (root @ noise)
        grained = picture.clone()
        grained[:, fill] += torch.linalg.inv(self.mix) @ laid
        return grained

    def _at(self, light: Tensor, table: Tensor) -> Tensor:
        """A table (LEVELS, OCTAVES, C) at the brightnesses (C, N) of the channels: (OCTAVES, C,
        N)."""
        found = [
            _between(light[c], self.levels[:, c].contiguous(), table[:, :, c])
            for c in range(len(light))
        ]
        return torch.stack(found).permute(2, 0, 1)


def _pairs(clip: Volume, unknown: Volume, mix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The blocks of pairs of frames of a clip, as ``_blocks`` has them."""
    strips = []
    for i, (one, other) in enumerate(pairwise(clip.boxes)):
        box = one.intersect(other)
        rows = max(BLOCK, STRIP // max(1, box.width))
        for top in range(box.top, box.bottom - BLOCK + 1, rows):
            if box.width >= BLOCK:
                strips.append((i, replace(box, top=top, bottom=min(top + rows, box.bottom))))
    nothing = torch.zeros(0, OCTAVES, *mix.shape)
    found = [(nothing[:, 0, 0], nothing[:, 0, 0, 0], nothing)]
    for i, box in strips[:: max(1, -(-len(strips) // STRIPS))]:
        hidden = torch.maximum(unknown.view(i, box), unknown.view(i + 1, box)) > 0
        near = functional.max_pool2d(hidden[None].float(), 2 * REACH + 1, 1, REACH)[0, 0]
        pair = [torch.einsum("cd,dhw->chw", mix, clip.view(j, box)) for j in (i, i + 1)]
        found.append(_blocks(pair[0], pair[1], near == 0))
    light, rough, power = (torch.cat(part) for part in zip(*found, strict=True))
    return light, rough, power


def _blocks(first: Tensor, second: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts two pictures (C, H, W) into the N blocks that lie in the mask, (H, W) boolean, whole.

    Returns their brightness, (N, C); how much else than grain may be in them, (N,); and the
    covariance of the channels of one frame's grain, (N, OCTAVES, C, C).
    """
    held = _cut(mask[None].float()).amin((1, 2)) > 0
    both, apart = (first + second) / 2**0.5, (first - second) / 2**0.5
    light = _cut(both)[held].mean(2) / 2**0.5
    (flat, _), (new, moved) = octaves(both), octaves(apart)
    rough = _cut(flat.flatten(0, 1))[held].square().mean(2).sum(1)
    rough += _cut(moved)[held].square().mean(2).sum(1)
    fresh = _cut(new.flatten(0, 1))[held].reshape(-1, OCTAVES, len(first), BLOCK**2)
    return light, rough, fresh @ fresh.mT / BLOCK**2


def _cut(picture: Tensor) -> Tensor:
    """(C, H, W) into whole blocks from its corner on: (N, C, BLOCK * BLOCK)."""
    cut = functional.unfold(picture[None], BLOCK, stride=BLOCK)[0]
    return cut.reshape(len(picture), BLOCK**2, -1).permute(2, 0, 1)


def _by_level(light: Tensor, rough: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """Brightnesses of a channel, (LEVELS,), and its grain's variance there, (LEVELS, OCTAVES).

    light, rough: (N,), power: (N, OCTAVES), of blocks. Brightnesses whose blocks do not agree have
    it from their neighbours; above the brightest, where grain fades into the light, it falls as
    fast as it may. Even where the blocks disagree it is more than the grain alone, and so a bound
    to what lies near; a level of no grain at all is clipped, and tells nothing.
    """
    order = light.argsort()
    few = len(order) // 200  # so that a highlight does not stretch the scale
    low, high = float(light[order[few]]), float(light[order[-1 - few]])
    level = ((light - low) / max(high - low, 1e-9) * LEVELS).long().clamp(0, LEVELS - 1)
    found, most, agreed = torch.zeros(LEVELS, OCTAVES), torch.full((LEVELS,), torch.inf), []
    place = torch.arange(LEVELS)
    for k in range(LEVELS):
        here = level == k
        flattest = power[here][rough[here].argsort()[: int(FLATTEST * int(here.sum()))]]
        if len(flattest) >= ENOUGH:
            found[k], finest = flattest.mean(0), flattest[:, 0]
            if found[k, 0] > 0:
                most = torch.minimum(most, found[k, 0] * SLOPE ** (2 * (place - k).abs()))
            if finest.std() <= AGREE * finest.mean():
                agreed.append(k)
    levels = low + (place + 0.5) * (high - low) / LEVELS
    if not agreed:
        return levels, torch.zeros(LEVELS, OCTAVES)
    variance = _between(place.float(), place[agreed].float(), found[agreed])
    share = (most / variance[:, 0].clamp_min(1e-20)).clamp_max(1)
    faded = SLOPE ** (2 * (agreed[-1] - place).clamp_max(0))
    return levels, variance * torch.minimum(share, faded)[:, None]


def _between(at: Tensor, places: Tensor, table: Tensor) -> Tensor:
    """The rows of a table (K, M) at the places (N,), (N, M): between two, some of both.

    places: (K,), rising: where the rows are.
    """
    above = torch.bucketize(at, places).clamp_max(len(places) - 1)
    below = (above - 1).clamp_min(0)
    share = (at - places[below]) / (places[above] - places[below]).clamp_min(1e-9)
    return torch.lerp(table[below], table[above], share.clamp(0, 1)[:, None])


def _near(values: Tensor, mask: Tensor) -> Tensor:
    """The mean, over a square round each pixel, of values (N, H, W) where the mask, (H, W), is."""
    total = torch.cat((values * mask, mask[None].float()))[None]
    for size in ((2 * NEAR + 1, 1), (1, 2 * NEAR + 1)):
        total = functional.avg_pool2d(total, size, 1, [side // 2 for side in size])
    mean: Tensor = total[0, :-1] / total[0, -1].clamp_min(1e-6)
    return mean


def _root(matrix: Tensor) -> Tensor:
    """The symmetric square root of (..., C, C)."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mT
    return root


@cache
def _overlap() -> Tensor:
    """(OCTAVES, OCTAVES): the power in octave a of white noise that was cut down to octave b."""
    point = torch.zeros(1, 4 * REACH + 1, 4 * REACH + 1)
    point[0, 2 * REACH, 2 * REACH] = 1
    overlap: Tensor = octaves(octaves(point)[0][:, 0])[0].square().sum((-2, -1))
    return overlap

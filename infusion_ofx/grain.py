"""Grain: noise that is new in each frame, measured in the plate and laid on a fill that lacks it.

Neither the look of grain nor its strength is guessed. Pictures are taken apart into octaves, and
the difference of two consecutive frames leaves of each what is new: grain, and what moves. The sum
of the two frames holds as much grain, and where there is nothing else it is independent of the
difference: so blocks that are flat in the sum tell of grain without moving texture, and are not
chosen for having little of it. All this by brightness, and as the covariance of the channels.

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
QUIET = 5e-4
"""Spread from which it is grain, in a range of about [-1, 1]; a half float's rounding is less."""
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

    bright: Tensor
    """(C,): what the channels weigh in brightness."""
    levels: Tensor
    """(K,): brightnesses, rising."""
    power: Tensor
    """(K, OCTAVES, C, C): covariance of the channels in each octave."""

    @classmethod
    def measure(cls, clip: Volume, unknown: Volume, bright: Tensor) -> Grain | None:
        """The grain of what is known of a clip; None where there is none, or it cannot be told.

        clip: (C, height, width) a frame, in a range like a logarithm of light. unknown: (1, height,
        width) a frame, above 0 where it is not known. bright: (C,), what the channels weigh.
        """
        light, rough, power = _pairs(clip, unknown, bright)
        if len(light) * FLATTEST < ENOUGH:
            return None
        order = light.argsort()
        few = len(order) // 200  # so that a highlight does not stretch the scale
        low, high = float(light[order[few]]), float(light[order[-1 - few]])
        place = ((light - low) / max(high - low, 1e-9) * LEVELS).long().clamp(0, LEVELS - 1)
        found = power.new_zeros(LEVELS, *power.shape[1:])
        told, agreed = [], []
        for k in range(LEVELS):
            here = place == k
            flattest = rough[here].argsort()[: int(FLATTEST * int(here.sum()))]
            told.append(len(flattest) >= ENOUGH)
            if told[k]:
                chosen = power[here][flattest]
                size = _variance(chosen)[:, 0].sum(1)
                found[k] = chosen.mean(0)
                if size.std() <= AGREE * size.mean():
                    agreed.append(k)
        if not agreed or float(_variance(found[agreed])[:, 0].max()) < QUIET**2:
            return None
        levels = low + (torch.arange(LEVELS) + 0.5) * (high - low) / LEVELS
        return cls(bright, levels, _joined(found, torch.tensor(told), agreed))

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
        parts, rest = (part[..., rows, columns] for part in octaves(picture))
        held = fill[rows, columns]
        own = _near(parts.square().flatten(0, 1), held)[:, held].reshape(OCTAVES, len(picture), -1)
        light = torch.einsum("c,cn->n", self.bright, rest[:, held])
        wanted = self.at(light, _variance(self.power)).permute(1, 2, 0)
        lacking = (1 - own / wanted.clamp_min(1e-20)).clamp_min(0).sqrt()
        roots = self.at(light, _roots(self.power))
        laid = torch.zeros(len(picture), len(light))
        for octave in range(OCTAVES):
            white = normal(key(seed, "grain", octave), frame, where.grow(REACH), len(picture))
            noise = octaves(white)[0][octave, :, REACH:-REACH, REACH:-REACH][:, held]
            laid += torch.einsum("ncd,dn->cn", roots[:, octave], noise) * lacking[octave]
        grained = picture.clone()
        grained[:, fill] += laid
        return grained

    def at(self, light: Tensor, table: Tensor) -> Tensor:
        """The rows of a table (K, ...) at brightnesses (N,), (N, ...): between two, both."""
        above = torch.bucketize(light, self.levels).clamp_max(len(self.levels) - 1)
        below = (above - 1).clamp_min(0)
        low, high = self.levels[below], self.levels[above]
        share = ((light - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
        share = share.reshape(*share.shape, *[1] * (table.ndim - 1))
        return torch.lerp(table[below], table[above], share)


def _pairs(clip: Volume, unknown: Volume, bright: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The blocks of pairs of frames of a clip, as ``_blocks`` has them."""
    strips = []
    for i, (one, other) in enumerate(pairwise(clip.boxes)):
        box = one.intersect(other)
        rows = max(BLOCK, STRIP // max(1, box.width))
        for top in range(box.top, box.bottom - BLOCK + 1, rows):
            if box.width >= BLOCK:
                strips.append((i, replace(box, top=top, bottom=min(top + rows, box.bottom))))
    channels = len(bright)
    found = [(torch.zeros(0), torch.zeros(0), torch.zeros(0, OCTAVES, channels, channels))]
    for i, box in strips[:: max(1, -(-len(strips) // STRIPS))]:
        hidden = torch.maximum(unknown.view(i, box), unknown.view(i + 1, box)) > 0
        near = functional.max_pool2d(hidden[None].float(), 2 * REACH + 1, 1, REACH)[0, 0]
        found.append(_blocks(clip.view(i, box), clip.view(i + 1, box), near == 0, bright))
    light, rough, power = (torch.cat(part) for part in zip(*found, strict=True))
    return light, rough, power


def _blocks(
    first: Tensor, second: Tensor, mask: Tensor, bright: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts two pictures (C, H, W) into the N blocks that lie in the mask, (H, W) boolean, whole.

    Returns their brightness, (N,); how much else than grain may be in them, (N,); and the
    covariance of the channels of one frame's grain, (N, OCTAVES, C, C).
    """
    held = _cut(mask[None].float()).amin((1, 2)) > 0
    both, apart = (first + second) / 2**0.5, (first - second) / 2**0.5
    light = _cut(torch.einsum("c,chw->hw", bright, first + second)[None] / 2)[held].mean((1, 2))
    (flat, _), (new, moved) = octaves(both), octaves(apart)
    rough = _cut(flat.flatten(0, 1))[held].square().mean(2).sum(1)
    rough += _cut(moved)[held].square().mean(2).sum(1)
    fresh = _cut(new.flatten(0, 1))[held].reshape(-1, OCTAVES, len(first), BLOCK**2)
    return light, rough, fresh @ fresh.transpose(-1, -2) / BLOCK**2


def _cut(picture: Tensor) -> Tensor:
    """(C, H, W) into whole blocks from its corner on: (N, C, BLOCK * BLOCK)."""
    cut = functional.unfold(picture[None], BLOCK, stride=BLOCK)[0]
    return cut.reshape(len(picture), BLOCK**2, -1).permute(2, 0, 1)


def _variance(power: Tensor) -> Tensor:
    """The variance of each channel, (N, OCTAVES, C), of its power."""
    return power.diagonal(dim1=-2, dim2=-1)


def _joined(found: Tensor, told: Tensor, agreed: list[int]) -> Tensor:
    """The power at every brightness, (LEVELS, OCTAVES, C, C), from those whose blocks agree.

    The others have it from their neighbours; above the brightest, where grain fades into the light,
    it falls as fast as it may. found: what was measured, where it was told. Even where the blocks
    disagree it is more than the grain alone, and so a bound to what lies near; one of no grain at
    all is clipped, and tells nothing.
    """
    place = torch.arange(LEVELS)
    sure = Grain(torch.zeros(0), torch.tensor(agreed).float(), found[agreed])
    power = sure.at(place.float(), sure.power)
    spread = _variance(found)[:, 0].sqrt()
    spread = torch.where(told[:, None] & (spread > 0), spread, torch.inf)
    away = torch.tensor(SLOPE) ** (place[:, None] - place).abs()
    most = (spread * away[..., None]).amin(1)
    share = (most / _variance(power)[:, 0].sqrt().clamp_min(1e-20)).clamp_max(1)
    faded = 1 / away[:, agreed[-1], None]
    share = torch.where(place[:, None] > agreed[-1], torch.minimum(share, faded), share)
    shared: Tensor = power * (share[:, :, None] * share[:, None, :])[:, None]
    return shared


def _near(values: Tensor, mask: Tensor) -> Tensor:
    """The mean, over a square round each pixel, of values (N, H, W) where the mask, (H, W), is."""
    total = torch.cat((values * mask, mask[None].float()))[None]
    for size in ((2 * NEAR + 1, 1), (1, 2 * NEAR + 1)):
        total = functional.avg_pool2d(total, size, 1, [side // 2 for side in size])
    mean: Tensor = total[0, :-1] / total[0, -1].clamp_min(1e-6)
    return mean


def _roots(power: Tensor) -> Tensor:
    """What white noise in octaves is multiplied by to have a power, both (K, OCTAVES, C, C).

    The octaves overlap: each takes up some of the noise of its neighbours.
    """
    needed = torch.einsum("ab,kbcd->kacd", torch.linalg.inv(_overlap()), power)
    values, vectors = torch.linalg.eigh(needed)
    roots: Tensor = (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mT
    return roots


@cache
def _overlap() -> Tensor:
    """(OCTAVES, OCTAVES): the power in octave a of white noise that was cut down to octave b."""
    point = torch.zeros(1, 4 * REACH + 1, 4 * REACH + 1)
    point[0, 2 * REACH, 2 * REACH] = 1
    overlap: Tensor = octaves(octaves(point)[0][:, 0])[0].square().sum((-2, -1))
    return overlap

"""A fill without training: the hole is made of the clip's own space-time patches, coarse to fine.

Newson, Almansa, Fradet, Gousseau, Pérez 2014, "Video Inpainting of Complex Scenes" (SIAM J.
Imaging Sciences 7(4), arXiv 1503.05528), on tensors. Each patch that touches the hole is matched
with the known patch that is most like it; each pixel of the hole then becomes the mean of what the
matches of the patches over it say; and again, on a pyramid from coarse to fine. At the coarsest
size the hole is first peeled from its border inwards, and all patches are searched; from there on
matches are carried up and mended by patch_match.py. Where we differ
    completeness   at the coarsest size every known patch is wanted (Haim et al. 2022, "Diverse
                   Generation from a Single Video Made Possible"); else a fire goes flat.
    sharpening     the mean becomes a choice from round to round: a mean agrees with all sides and
                   loses the texture, a choice keeps it; first the one, then the other.
    surroundings   matches are taken from a margin round the hole, not the whole plate: foreign
                   material stays out, and memory is bounded.

What is found can only be what the shot shows elsewhere: a rearrangement, sharp and plausible. No
value leaves the range of the known ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.patch_level import SIZES, Level, Size, grown
from infusion_ofx.patch_match import Matcher

__all__ = ["BYTES", "OnRound", "Settings", "fill", "fill_blocks"]

BYTES = 200
"""Memory that ``fill`` needs, in bytes a voxel of the region that it works on; see ``Settings``."""

OnRound = Callable[[float], None]
"""Called after each round with the share of all work that is done, below 1. Raise in it to stop."""

TEXTURE_WEIGHT = 7.0
TEXTURE_RADIUS = 8  # pixels; Newson et al. describe texture over the coarsest pixel's footprint
SHARED = 4  # frames of a block that the block before has filled


@dataclass(frozen=True)
class Settings:
    """How the fill is searched. The defaults are the best of what was tried on six clips."""

    rounds: tuple[int, ...] = (8, 4, 3)
    """Searches and votes at the coarsest size, the next, and so on; the last holds for the rest."""
    completeness: float = 0.01
    """Haim et al.'s alpha, in variances of a patch: less wants every known patch more."""
    sharpness: tuple[float, float] = (1.0, 40.0)
    """Of the votes, first and last of each size: 1 as published, more comes closer to a copy."""
    final: float = 100.0
    """Sharpness of the last vote."""
    deepest: int = 4
    """The pyramid ends where no pixel of the hole lies further inside, in pixels of that size."""
    margin: int = 6
    """Known pixels kept round the hole, in pixels of the coarsest size."""
    sources: int = 4096
    """A size with fewer whole known patches is not used."""
    voxels: int = 16_000_000
    """Most pixels times frames that are worked on at once. A longer clip is filled in blocks of
    frames, each starting from the end of the block before; a block has eight frames at least."""


def quiet(share: float) -> None:
    """Takes a report and does nothing with it."""


def fill(
    clean: Tensor,
    hole: Tensor,
    *,
    seed: int = 0,
    settings: Settings | None = None,
    on_round: OnRound = quiet,
) -> Tensor:
    """The clip with its hole filled: the last that ``fill_blocks`` gives."""
    *_, (_, filled) = fill_blocks(clean, hole, seed=seed, settings=settings, on_round=on_round)
    return filled


@torch.no_grad()
def fill_blocks(
    clean: Tensor,
    hole: Tensor,
    *,
    seed: int = 0,
    settings: Settings | None = None,
    done: int = 0,
    on_round: OnRound = quiet,
) -> Iterator[tuple[int, Tensor]]:
    """Fills the hole block by block of frames: how many frames are done, and the clip so far, which
    goes on changing. Known values stay as they are.

    clean: (C, T, H, W) in the working range, looked at outside the hole only. hole: (1, T, H, W),
    not 0 where unknown; something must be known. done: frames that an earlier call has filled, in
    ``clean``: what follows is what it would have gone on with.

    Runs where ``clean`` lies; the same seed gives the same fill on one kind of device. Needs about
    ``BYTES`` bytes for each voxel of the box round the hole and its margin, or of a block of it.
    """
    assert clean.ndim == 4 and hole.shape == (1, *clean.shape[1:]), (clean.shape, hole.shape)
    settings = settings or Settings()
    unknown = hole[0] != 0
    assert not unknown.all(), "nothing is known"
    filled = clean.clone()
    filled[:, done:].masked_fill_(unknown[done:], 0)
    depth = _depth(unknown, settings.deepest) if unknown.any() else 0
    blocks = _blocks(unknown, settings.margin << depth, settings.voxels) if unknown.any() else []
    for i, (start, stop) in enumerate(blocks):
        todo = unknown[start:stop].clone()
        if start:
            todo[:SHARED] = False
        if stop > done and todo.any():
            rows, columns = _surroundings(todo, settings.margin << depth)
            part = filled[:, start:stop, rows, columns]
            block = _Block(part, todo[:, rows, columns], depth, settings)
            tell = partial(_tell, on_round, i, len(blocks))
            generator = torch.Generator(clean.device).manual_seed(seed ^ start)
            part.copy_(block.solve(generator, tell))
        if stop > done:
            yield stop, filled
    if not blocks:
        yield len(unknown), filled


def _tell(on_round: OnRound, block: int, blocks: int, share: float) -> None:
    on_round((block + share) / blocks)


def _depth(unknown: Tensor, deepest: int) -> int:
    """How often a clip is halved until no pixel of the hole is deep inside, or little is left."""
    depth, side = 0, 2 * deepest + 1
    rows, columns = _surroundings(unknown, 1)
    unknown = unknown[:, rows, columns]
    while min(unknown.shape[1:]) > side and _eroded(unknown, side).any():
        unknown, depth = _half_hole(unknown), depth + 1
    return depth


def _eroded(unknown: Tensor, side: int) -> Tensor:
    """Pixels of the hole (T, H, W) whose square is wholly in it; what lies outside counts as in."""
    return ~grown(~unknown, (1, side, side))


def _surroundings(unknown: Tensor, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the box round the hole (T, H, W) and a margin."""
    sides = []
    for axis in (1, 2):
        held = unknown.any(0).any(2 - axis).nonzero()
        first, last = int(held[0]), int(held[-1])
        sides.append(slice(max(first - margin, 0), last + 1 + margin))
    return sides[0], sides[1]


def _blocks(unknown: Tensor, margin: int, voxels: int) -> list[tuple[int, int]]:
    """First and one past the last frame of each block; each shares frames with the one before."""
    rows, columns = _surroundings(unknown, margin)
    frames, area = len(unknown), unknown[0, rows, columns].numel()
    size = max(voxels // area, 2 * SHARED)
    starts = range(0, max(frames - SHARED, 1), size - SHARED)
    return [(start, min(start + size, frames)) for start in starts]


@dataclass(frozen=True)
class _Block:
    """A stretch of frames that is filled at once."""

    clean: Tensor
    """(C, T, H, W)"""
    unknown: Tensor
    """(T, H, W), bool."""
    depth: int
    settings: Settings

    def solve(self, generator: torch.Generator, on_round: OnRound) -> Tensor:
        """The block with its hole filled, (C, T, H, W)."""
        size, pyramid = self._pyramid()
        total = sum(values[0].numel() for values, _ in pyramid)
        below: Matcher | None = None
        done = 0
        for i, (values, hole) in enumerate(reversed(pyramid)):
            matcher = Matcher(Level(values, hole, size), generator)
            if below is None:
                matcher.peel()
            else:
                matcher.adopt(below)
            rounds = self.settings.rounds[min(i, len(self.settings.rounds) - 1)]
            for j in range(rounds):
                self._round(matcher, j / max(rounds - 1, 1), whole=below is None)
                on_round((done + values[0].numel() * j / rounds) / total)
            done += values[0].numel()
            below = matcher
        assert below is not None
        below.search_near()
        below.level.vote(self.settings.final)
        return below.level.clip()[: len(self.clean)]

    def _round(self, matcher: Matcher, share: float, *, whole: bool) -> None:
        """One search and one vote. share: how far this size is, 0 .. 1. whole: whether all known
        patches are searched."""
        if whole:
            matcher.search_all(self.settings.completeness)
        else:
            matcher.search_near()
        first, last = self.settings.sharpness
        matcher.level.vote(first * (last / first) ** share)

    def _pyramid(self) -> tuple[Size, list[tuple[Tensor, Tensor]]]:
        """The patch size; values and hole of each size of the clip, full size first."""
        size, clean = _patch(self.unknown), self.clean.float()
        pyramid = [(torch.cat([clean, _texture(clean, self.unknown)]), self.unknown)]
        while len(pyramid) <= self.depth:
            smaller = _half(*pyramid[-1])
            if Level.sources_of(smaller[1], size) < self.settings.sources:
                break
            pyramid.append(smaller)
        return size, pyramid


def _patch(unknown: Tensor) -> Size:
    """The largest patch of which one is wholly known."""
    return next(size for size in SIZES if Level.sources_of(unknown, size))


def _texture(clean: Tensor, unknown: Tensor) -> Tensor:
    """What the texture is like round each pixel, (2, T, H, W): section 3.2 of Newson et al.

    The mean size of the horizontal and vertical steps between known pixels nearby, weighted: two
    textures of one colour are then far from each other, however much the votes blur them.
    """
    side, features = 2 * TEXTURE_RADIUS + 1, []
    for axis in (1, 2):
        length = unknown.shape[axis] - 1
        ends = [unknown.narrow(axis, first, length) for first in (0, 1)]
        values = [clean.narrow(axis + 1, first, length) for first in (0, 1)]
        sure = (~(ends[0] | ends[1])).float()
        steps = (values[1] - values[0]).abs().mean(0) * sure
        pad = (0, 0, 0, 1) if axis == 1 else (0, 1)
        near = [
            functional.avg_pool2d(functional.pad(each, pad), side, 1, TEXTURE_RADIUS)
            for each in (steps, sure)
        ]
        features.append(TEXTURE_WEIGHT * near[0] / near[1].clamp_min(1 / side**2))
    return torch.stack(features)


def _half(values: Tensor, unknown: Tensor) -> tuple[Tensor, Tensor]:
    """Half the height and width: means of the known pixels; a pixel with any unknown is unknown."""
    sure = (~unknown).float()
    share = functional.avg_pool2d(sure[:, None], 2, ceil_mode=True)
    total = functional.avg_pool2d((values * sure).transpose(0, 1), 2, ceil_mode=True)
    return (total / share.clamp_min(1e-6)).transpose(0, 1), _half_hole(unknown)


def _half_hole(unknown: Tensor) -> Tensor:
    return functional.max_pool2d(unknown.float()[:, None], 2, ceil_mode=True)[:, 0] > 0

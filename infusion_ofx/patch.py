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

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.patch_level import SIZES, Level, Size, grown
from infusion_ofx.patch_match import Matcher

__all__ = ["BYTES", "Settings", "fill"]

BYTES = 200
"""Memory that ``fill`` needs, in bytes a voxel of the region that it works on; see ``Settings``."""

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


@torch.no_grad()
def fill(
    clean: Tensor,
    hole: Tensor,
    *,
    seed: int = 0,
    settings: Settings | None = None,
    on_round: Callable[[], None] = lambda: None,
) -> Tensor:
    """The clip with its hole filled; known values come back as they are.

    clean: (C, T, H, W) in the working range, looked at outside the hole only. hole: (1, T, H, W),
    not 0 where unknown; something must be known. on_round: called now and then; may raise to stop.

    Runs where ``clean`` lies; the same seed gives the same fill on one kind of device. Needs about
    ``BYTES`` bytes for each voxel of the box round the hole and its margin, or of a block of it.
    """
    assert clean.ndim == 4 and hole.shape == (1, *clean.shape[1:]), (clean.shape, hole.shape)
    settings = settings or Settings()
    unknown = hole[0] != 0
    assert not unknown.all(), "nothing is known"
    filled = torch.where(unknown, torch.zeros((), dtype=clean.dtype, device=clean.device), clean)
    if not unknown.any():
        return filled
    depth = _depth(unknown, settings.deepest)
    generator = torch.Generator(clean.device).manual_seed(seed)
    for start, stop in _blocks(unknown, settings.margin << depth, settings.voxels):
        todo = unknown[start:stop].clone()
        if start:
            todo[:SHARED] = False
        if not todo.any():
            continue
        rows, columns = _surroundings(todo, settings.margin << depth)
        part = filled[:, start:stop, rows, columns]
        part.copy_(_solve(part, todo[:, rows, columns], depth, settings, generator, on_round))
    return filled


def _depth(unknown: Tensor, deepest: int) -> int:
    """How often a clip is halved until no pixel of the hole is deep inside."""
    depth, side = 0, 2 * deepest + 1
    rows, columns = _surroundings(unknown, 1)
    unknown = unknown[:, rows, columns]
    while _eroded(unknown, side).any():
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


def _blocks(unknown: Tensor, margin: int, voxels: int) -> Iterator[tuple[int, int]]:
    """First and one past the last frame of each block; each shares frames with the one before."""
    rows, columns = _surroundings(unknown, margin)
    frames, area = len(unknown), unknown[0, rows, columns].numel()
    size = max(voxels // area, 2 * SHARED)
    for start in range(0, max(frames - SHARED, 1), size - SHARED):
        yield start, min(start + size, frames)


def _solve(
    clean: Tensor,
    unknown: Tensor,
    depth: int,
    settings: Settings,
    generator: torch.Generator,
    on_round: Callable[[], None],
) -> Tensor:
    """Fills one block: clean (C, T, H, W), unknown (T, H, W)."""
    size = _patch(unknown)
    pyramid = [(torch.cat([clean.float(), _texture(clean.float(), unknown)]), unknown)]
    while len(pyramid) <= depth:
        smaller = _half(*pyramid[-1])
        if Level.sources_of(smaller[1], size) < settings.sources:
            break
        pyramid.append(smaller)
    below: Matcher | None = None
    for i, (values, hole) in enumerate(reversed(pyramid)):
        matcher = Matcher(Level(values, hole, size), generator)
        if below is None:
            matcher.peel()
        else:
            matcher.adopt(below)
        rounds = settings.rounds[min(i, len(settings.rounds) - 1)]
        first, last = settings.sharpness
        for j in range(rounds):
            if below is None:
                matcher.search_all(settings.completeness)
            else:
                matcher.search_near()
            matcher.level.vote(first * (last / first) ** (j / max(rounds - 1, 1)))
            on_round()
        below = matcher
    assert below is not None
    below.search_near()
    below.level.vote(settings.final)
    return below.level.clip()[: len(clean)]


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

"""Scales: a deep hole is made up small first, and at the plate's own size only its detail.

A training block is 48 or 64 pixels wide, and the network sees hardly further: it learns how a flame
of 30 pixels looks, and of one of 300 no more than its edge. Of what is wider it knows what the
linear guess does, which is strength without shape. So a hole that is deep in pixels is filled at a
scale at which it is not, by a network of its own. Enlarged, with as much noise on it as hides what
it lacks, that fill is where the chain at the next scale begins, at most four times as large: its
network trains on no more noise than that. (A cascade: Ho et al., arXiv 2106.15282; begun from a
noisy guide: Meng et al., arXiv 2108.01073.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import calls_by_interval
from infusion_ofx.engine.volume import Shot, Volume, rest
from infusion_ofx.plan import Plan, Window, covered, spans, tiles
from infusion_ofx.sequence.frame import Box

__all__ = ["enlarge", "margin", "scale_of", "scales_of", "shrunk"]

DEEP = 32
"""Pixels: a hole no deeper than this is filled at once."""

STRIDE = 4
"""How many times larger the next scale is, at most: what is lacking then, the noise hides."""

MEET = 1.0
"""The noise that an enlarged fill is begun from, as a ratio to the signal: it hides what is finer
than the smaller scale shows, and leaves what is coarser."""

FEWEST = 8
"""Steps of detail, if the recipe has as many."""


def scale_of(recipe: Recipe, depth: float) -> int:
    """How many times smaller a hole of that depth, in pixels, is filled first: a power of two.

    1 where the recipe has no network of ours, and where it calls some of its networks never.
    """
    if recipe.network != "light" or not recipe.steps or not all(calls_by_interval(recipe)):
        return 1
    scale = 1
    while depth > DEEP * scale:
        scale *= 2
    return scale


def margin(recipe: Recipe, scale: int) -> int:
    """How many pixels round what sampling sees are loaded for a smaller scale, at which training
    sees as far as it does at the plate's."""
    return (scale - 1) * recipe.context + scale * recipe.near


def scales_of(recipe: Recipe, plan: Plan) -> list[tuple[Recipe, Plan]]:
    """What a plan is done as: a recipe and a plan for each scale, the smallest picture first."""
    work, scale = list[tuple[Recipe, Plan]](), plan.scale
    while True:
        own = recipe if scale == plan.scale else _detail(recipe)
        if scale == 1:
            return [*work, (own, plan)]
        work.append((replace(own, scale=scale, patches=False), _smaller(plan, recipe, scale)))
        scale = max(scale // STRIDE, 1)


def shrunk(shot: Shot, plan: Plan, scale: int, folder: Path) -> Shot:
    """The shot so many times smaller, on the disk of ``folder``: of ``plan.region``, in the smaller
    scale's pixels. One of them is known where all of its plate's are.

    Raises:
        TryAgainError: when the disk is full.
    """
    clean, hole = (Volume.scratch(plan.region, n, folder) for n in (len(shot.low), 1))
    for i, box in enumerate(plan.region):
        if not box.empty:
            own = _times(box, scale)
            unknown = functional.max_pool2d(shot.hole.view(i, own)[None], scale)[0]
            light = functional.avg_pool2d(shot.clean.view(i, own)[None], scale)[0]
            hole.data[i].copy_(unknown)
            clean.data[i].copy_(light * (1 - unknown))
        shot.rest()
        rest(clean, hole)
    return replace(shot, clean=clean, hole=hole)


def enlarge(small: Volume, times: int, first: Volume, shot: Shot, into: Volume) -> None:
    """Makes of ``into``, of the same boxes as ``first``, a smaller scale's fill, so many times as
    large, where the hole is, held to the range of the known pixels; elsewhere ``first`` as it is.
    """
    for i, box in enumerate(into.boxes):
        if box.empty:
            continue
        known, hole = (part.to(shot.device) for part in (first.data[i], shot.hole.view(i, box)))
        whole = _times(small.boxes[i], times)
        if whole.intersect(box).empty:  # too little is loaded round a tiny hole beside deep ones
            into.data[i].copy_(known)
        else:
            wide = functional.interpolate(
                small.data[i].to(shot.device)[None], size=(whole.height, whole.width),
                mode="bicubic",
            )[0]  # fmt: skip
            wide = torch.clamp(
                _cropped(wide, whole, box), shot.low[:, None, None], shot.high[:, None, None]
            )
            into.data[i].copy_(torch.where(hole > 0, wide, known))
        shot.rest()
        rest(small, first, into)


def _cropped(picture: Tensor, own: Box, box: Box) -> Tensor:
    """The pixels of ``box`` in a picture of ``own``, (C, height, width). Those beyond it, a few at
    the edges of what is loaded, are like the last that are not."""
    both = own.intersect(box)
    rows, columns = own.slices(both)
    beside = (both.left - box.left, box.right - both.right)
    above = (both.top - box.top, box.bottom - both.bottom)
    return functional.pad(picture[None, :, rows, columns], beside + above, mode="replicate")[0]


def _detail(recipe: Recipe) -> Recipe:
    """The recipe for what a smaller scale leaves: to an octave of noise as many steps as there
    were, of training and of sampling, and of sampling at least one in each interval."""
    assert recipe.noise is not None
    low, high = recipe.noise
    meet = min(MEET, high)
    octaves, trained, sampled = (math.log(most / low) for most in (meet, high, recipe.start))
    steps = round(octaves / sampled * recipe.sampling_steps)
    own = replace(
        recipe,
        noise=(low, meet),
        start=meet,
        steps=math.ceil(octaves / trained * recipe.steps),
        shared_steps=math.ceil(octaves / trained * recipe.shared_steps),
        sampling_steps=max(steps, min(FEWEST, recipe.sampling_steps)),
    )
    while not all(calls_by_interval(own)):
        own = replace(own, sampling_steps=own.sampling_steps + 1)
    return own


def _smaller(plan: Plan, recipe: Recipe, scale: int) -> Plan:
    """The plan so many times smaller: windows of the same frames, with as much context in pixels of
    that scale as is loaded."""
    region = tuple(_inside(box, scale) for box in plan.region)
    windows = tuple(_windows(plan, recipe.context, scale, region))
    close = tuple(replace(window, box=window.box.grow(recipe.near)) for window in windows)
    holes = tuple(_covering(box, scale) for box in plan.holes)
    sampled = covered(windows, len(region))
    small = Plan(windows, sampled, region, region, close, holes, plan.regions)
    return replace(small, trained=tuple(map(Box.intersect, small.reached, region)), blocks=())


def _windows(plan: Plan, context: int, scale: int, region: tuple[Box, ...]) -> Iterator[Window]:
    tile = max(max(window.size[1:]) for window in plan.windows)
    for (start, stop), box in spans(plan.windows).items():
        room = reduce(Box.intersect, region[start:stop])
        whole = _covering(box.grow(context * (scale - 1)), scale).intersect(room)
        for part in () if whole.empty else tiles(whole, tile, 2 * context):
            yield Window(start, stop, part)


def _times(box: Box, scale: int) -> Box:
    """A box of a smaller scale in pixels of one so many times larger."""
    return Box(box.top * scale, box.left * scale, box.bottom * scale, box.right * scale)


def _inside(box: Box, scale: int) -> Box:
    """The smaller scale's pixels that lie in a box altogether."""
    top, left = -(-box.top // scale), -(-box.left // scale)
    return Box(top, left, max(box.bottom // scale, top), max(box.right // scale, left))


def _covering(box: Box, scale: int) -> Box:
    """The smaller scale's pixels that cover a box."""
    return Box(box.top // scale, box.left // scale, -(-box.bottom // scale), -(-box.right // scale))

"""From a job's mattes to a plan: every matte is read, and no pixel of the plate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain

import torch

from infusion_ofx import plan
from infusion_ofx.engine.scales import margin, scale_of
from infusion_ofx.errors import JobError
from infusion_ofx.estimate import largest_tile, memory, window_voxels
from infusion_ofx.material import Hole, Material
from infusion_ofx.plan import Plan
from infusion_ofx.prior.sources import MOST_THREADS
from infusion_ofx.regions import Extent, split
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import read_ahead

__all__ = ["READERS", "lay_out", "plan_work", "prior_threads"]

WORTH = 1.5
"""How many times the work holes must be as one region before they are told apart."""

MOST_LOADED = 2**28
"""Pixels times frames that are loaded to train on, at most, if the hole and its context are not
more: 4 GiB of the disk."""

READERS = 4
"""Frames that are decoded side by side."""


def plan_work(
    material: Material, on_frame: Callable[[int], None] = lambda frames: None
) -> tuple[list[Extent], Plan]:
    """Reads every matte and lays out the work; touches no pixel of the plate. Returns where each
    frame's hole is, and the plan.

    on_frame: told how many mattes are read.

    Raises:
        JobError: when the work does not fit into the job's memory.
        SequenceError: when a matte cannot be read.
    """
    recipe, budget, frames = material.recipe, int(material.job.memory * 2**30), material.frames
    holes = []
    for _, hole in read_ahead(
        frames, lambda frame: _hole(material, frame), budget=budget // 8, threads=READERS
    ):
        holes.append(Extent.of(hole))
        on_frame(len(holes))
    layout = _fewest(material, holes)
    prior = 0 if material.job.prior == "off" else 1
    needed = memory(recipe, layout, prior=prior) if layout.windows else 0
    if needed > budget:
        raise JobError(
            f"this job needs {needed / 2**30:.1f} GiB, and --memory allows {budget / 2**30:.1f}",
            "raise --memory, choose a lighter --recipe, narrow the frame range, or make the matte "
            "smaller",
        )
    if all(_covers(hole, material.plate.data(f)) for f, hole in zip(frames, holes, strict=True)):
        raise JobError(
            f"the matte {material.job.matte!r} covers every pixel of every frame",
            "the shot itself is what is learnt from: leave some of it, or check --matte-channel",
        )
    return holes, layout


def prior_threads(material: Material, layout: Plan) -> int:
    """How many threads look at other frames of the shot: as many as there are, as far as the job's
    memory allows them; 0 where it wants none."""
    if material.job.prior == "off":
        return 0
    budget = int(material.job.memory * 2**30)
    most = min(torch.get_num_threads(), MOST_THREADS, layout.length)
    fitting = (n for n in range(most, 1, -1) if memory(material.recipe, layout, prior=n) <= budget)
    return next(fitting, 1)


def _fewest(material: Material, holes: Sequence[Extent]) -> Plan:
    """The plan with the holes as regions of their own, where that is clearly less work than the
    plan with all of them as one."""
    deepest = 0.0 if material.shown_only else max(hole.depth for hole in holes)
    scale = scale_of(material.recipe, deepest)
    whole = lay_out(material, [hole.box for hole in holes], scale=scale)
    regions = split(holes, 2 * material.recipe.context)
    if len(regions) == 1:
        return whole
    boxes = list(chain.from_iterable(regions))
    parts = lay_out(material, boxes, regions=len(regions), scale=scale)
    return parts if WORTH * window_voxels(parts) <= window_voxels(whole) else whole


def lay_out(
    material: Material,
    holes: Sequence[Box],
    area: Box | None = None,
    regions: int = 1,
    scale: int = 1,
) -> Plan:
    """The plan for the boxes of some holes, a region's after another's. area: the pixels to stay
    in; None is the plate's. scale: how many times smaller they are filled first, which needs as
    much around them at that scale."""
    recipe, budget = material.recipe, int(material.job.memory * 2**30)
    length = len(holes) // regions
    layout = reduce(
        Plan.then,
        (
            plan.make(
                holes[start : start + length],
                area or material.area,
                frames=recipe.frames,
                overlap=recipe.overlap,
                context=recipe.context,
                reach=recipe.reach,
                near=recipe.near,
                tile=largest_tile(recipe, budget),
                voxels=MOST_LOADED // regions,
                block=recipe.block if recipe.patches else MOST_LOADED,
                around=margin(recipe, scale),
            )
            for start in range(0, len(holes), length)
        ),
    )
    return replace(layout, scale=scale)


def _covers(hole: Extent, data: Box) -> bool:
    return hole.box == data and hole.pixels == data.height * data.width


def _hole(material: Material, frame: int) -> Hole:
    """A frame's hole, where it may be filled as the job wants it."""
    hole = material.hole(frame)
    if material.job.in_place and ((hole.alpha > 0) & (hole.alpha < 1)).any():
        raise JobError(
            f"frame {frame}: the matte has soft pixels, and in place they would be mixed again by "
            "every later run",
            "write to another --output, or use a hard matte without --feather",
        )
    return hole

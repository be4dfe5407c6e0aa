"""From a job's material to what the engine needs: the work planned, light read and encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from infusion_ofx import plan
from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.errors import JobError
from infusion_ofx.estimate import REGION_BYTES, largest_tile, memory, window_voxels
from infusion_ofx.material import Hole, Material
from infusion_ofx.plan import Plan
from infusion_ofx.regions import split
from infusion_ofx.routing import Routed, route
from infusion_ofx.score_self import plant
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import read_ahead
from infusion_ofx.working import Working

__all__ = ["Planted", "Prepared", "plan_work", "prepare"]

Array = npt.NDArray[Any]

SEAM = 4
"""Known pixels round a planted hole that are kept to judge its seam by."""

WORTH = 1.5
"""How many times the work holes must be as one region before they are told apart."""

_THREADS = 4
"""Frames that are decoded side by side."""


@dataclass(frozen=True)
class Planted:
    """A hole over known pixels, and what is behind it; score_self.py."""

    start: int
    """First frame, as the plan's lists run."""
    box: Box
    mask: Array
    """(t, height, width) of the box, bool."""
    truth: Array
    """(t, height, width, C), linear light, float32."""

    @property
    def frames(self) -> range:
        """The frames that it lasts, as the plan's lists run."""
        return range(self.start, self.start + len(self.mask))


@dataclass(frozen=True)
class Prepared:
    """Everything that the engine needs, and the way back to light."""

    plan: Plan
    """What the engine does; without windows where the shot itself has shown all of the hole."""
    shot: Shot
    working: Working
    planted: Planted | None = None
    """The hole that methods are judged by: to the shot it is a hole like any other."""

    def smooth(self, i: int, box: Box) -> Tensor:
        """The smooth fill of a box of one frame, (C, height, width): what costs nothing."""
        clean, hole = self.shot.clean.data[i], self.shot.hole.data[i]
        whole = push_pull(clean[None, :, None], hole[None, :, None])
        return Volume([self.shot.clean.boxes[i]], [whole[0, :, 0]]).view(0, box)


def plan_work(
    material: Material, on_frame: Callable[[int], None] = lambda frames: None
) -> tuple[list[Hole], Plan]:
    """Reads every matte and lays out the work; touches no pixel of the plate. Returns each frame's
    hole, and the plan.

    on_frame: told how many mattes are read.

    Raises:
        JobError: when the work does not fit into the job's memory.
        SequenceError: when a matte cannot be read.
    """
    recipe, budget, frames = material.recipe, int(material.job.memory * 2**30), material.frames
    holes = []
    for _, hole in read_ahead(
        frames, lambda frame: _hard(material, frame), budget=budget // 8, threads=_THREADS
    ):
        holes.append(hole)
        on_frame(len(holes))
    layout = _fewest(material, holes)
    needed = memory(recipe, layout) if layout.windows else 0
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


def _fewest(material: Material, holes: Sequence[Hole]) -> Plan:
    """The plan with the holes as regions of their own, where that is clearly less work than the
    plan with all of them as one."""
    whole = _layout(material, [hole.box for hole in holes])
    regions = split(holes, 2 * material.recipe.context)
    if len(regions) == 1:
        return whole
    parts = _layout(material, list(chain.from_iterable(regions)), regions=len(regions))
    return parts if WORTH * window_voxels(parts) <= window_voxels(whole) else whole


def _layout(
    material: Material, holes: Sequence[Box], area: Box | None = None, regions: int = 1
) -> Plan:
    """The plan for the boxes of some holes, a region's after another's. area: the pixels to stay
    in; None is the plate's."""
    recipe, budget = material.recipe, int(material.job.memory * 2**30)
    length = len(holes) // regions
    return reduce(
        Plan.then,
        (
            plan.make(
                holes[start : start + length],
                area or material.area,
                frames=recipe.frames,
                overlap=recipe.overlap,
                context=recipe.context,
                reach=recipe.reach,
                tile=largest_tile(recipe, budget),
                voxels=budget // 4 // REGION_BYTES // regions,
            )
            for start in range(0, len(holes), length)
        ),
    )


def _covers(hole: Hole, data: Box) -> bool:
    return hole.box == data and bool(hole.alpha.all())


def _hard(material: Material, frame: int) -> Hole:
    """The hole with a yes or no for each pixel, which is all that the engine wants to know."""
    hole = material.hole(frame)
    if material.job.in_place and ((hole.alpha > 0) & (hole.alpha < 1)).any():
        raise JobError(
            f"frame {frame}: the matte has soft pixels, and in place they would be mixed again by "
            "every later run",
            "write to another --output, or use a hard matte without --feather",
        )
    return Hole(hole.box, hole.alpha > 0)


def prepare(
    material: Material,
    holes: list[Hole],
    layout: Plan,
    on_frame: Callable[[int], None],
    on_seen: Callable[[Sequence[Routed]], None] = lambda seen: None,
    on_looked: Callable[[int], None] = lambda frames: None,
) -> Prepared:
    """Reads the planned region of the plate, fills what the shot itself has shown of the hole
    (routing.py), and takes it to the working range.

    Plate pixels that are not finite count as hole: the network never sees them. on_frame: told how
    many frames are read. on_looked: told of how many it is known what others show of them. on_seen:
    told once what the shot has shown, frame by frame, or nothing.

    Raises:
        JobError: when nothing of the region is known.
        SequenceError: when a frame cannot be read.
    """
    unknown, light = [], []
    for i, pixels in _read_region(material, layout):
        plate = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        frame = i % layout.length
        data = material.plate.data(material.frames[frame])
        bad = _unknown(plate, holes[frame], layout.region[i], data)
        unknown.append(bad)
        light.append(torch.where(bad > 0, torch.zeros((), dtype=plate.dtype), plate))
        on_frame((i + 1) // layout.regions)
    clean, hole = Volume(layout.region, light), Volume(layout.region, unknown)
    seen = _seen(material, clean, hole, layout, on_looked)
    on_seen(seen)
    layout = _with_seen(material, clean, hole, layout, seen)
    del seen
    known = _known(clean, hole, layout.sampled)
    if not known.shape[1]:
        known = _known(clean, hole, layout.region)
    if not known.shape[1]:
        raise JobError(
            f"no pixel of the plate {material.job.plate!r} is known and finite round the hole",
            "look at the plate for NaN, and at the matte",
        )
    working = Working.fit(known, decorrelate=material.recipe.decorrelate)
    for i, linear in enumerate(light):  # in the list that ``clean`` holds: one frame twice at most
        light[i] = working.encode(linear) * (1 - unknown[i])
    coded = working.encode(known)
    shot = Shot(material.frames * layout.regions, clean, hole, coded.amin(1), coded.amax(1))
    planted = None
    if material.job.method == "auto" and layout.windows:
        planted, layout = _plant(material, shot, working, layout)
    return Prepared(layout, shot, working, planted)


def _plant(
    material: Material, shot: Shot, working: Working, layout: Plan
) -> tuple[Planted | None, Plan]:
    """Plants a hole in the largest region of the shot, and adds the windows that fill it to the
    plan; nothing where that region has not one box in all frames, or no room."""

    def voxels(start: int) -> int:
        holes = layout.holes[start : start + layout.length]
        return sum(box.height * box.width for box in holes)

    first = max(layout.starts, key=voxels)
    own, box = slice(first, first + layout.length), layout.region[first]
    if len(set(layout.region[own])) > 1:
        return None, layout
    found = plant(torch.stack(shot.hole.data[own])[:, 0].numpy() > 0)
    if found is None:
        return None, layout
    start = first + found.start
    height, width = found.mask.shape[1:]
    top, left = box.top + found.top, box.left + found.left
    planted = Box(top, left, top + height, left + width)
    near = planted.grow(SEAM).intersect(box)
    mask = np.zeros((len(found.mask), near.height, near.width), bool)
    rows, columns = near.slices(planted)
    mask[:, rows, columns] = found.mask
    truth = []
    for i, held in enumerate(mask, start):
        clean, hole = shot.clean.view(i, near), shot.hole.view(i, near)
        truth.append(working.decode(clean).permute(1, 2, 0).numpy())
        clean[:, held] = 0
        hole[:, held] = 1
    boxes = [Box(0, 0, 0, 0)] * len(layout.region)
    boxes[start : start + len(mask)] = [planted] * len(mask)
    return Planted(start, near, mask, np.stack(truth)), layout.joined(
        _layout(material, boxes, box, layout.regions)
    )


def _seen(
    material: Material,
    clean: Volume,
    unknown: Volume,
    layout: Plan,
    on_looked: Callable[[int], None],
) -> list[Routed]:
    """What other frames show of the hole, as the plan's lists run; nothing where the job does not
    want it, or where that is too little in every region."""
    if material.job.prior == "off":
        return []

    def look(start: int) -> list[Routed]:
        own = slice(start, start + layout.length)
        return route(
            clean.data[own], unknown.data[own], layout.region[own], layout.holes[own],
            all_that_is_seen=_shown_only(material),
            on_frame=lambda done: on_looked((start + done) // layout.regions),
        )  # fmt: skip

    found = [look(start) for start in layout.starts]
    if not any(found):
        return []
    nothing = [Routed.nothing(len(material.channels))] * layout.length
    return list(chain.from_iterable(own or nothing for own in found))


def _shown_only(material: Material) -> bool:
    """Whether nothing is to be made up."""
    return material.job.prior == "only" or material.job.method == "prior"


def _with_seen(
    material: Material,
    clean: Volume,
    unknown: Volume,
    layout: Plan,
    seen: Sequence[Routed],
) -> Plan:
    """Puts what was seen of the hole into it, and plans what is left to be made up."""
    for i, part in enumerate(seen):
        if not part.box.empty:
            clean.view(i, part.box).copy_(
                torch.where(part.taken, part.light.to(clean.data[i].dtype), clean.view(i, part.box))
            )
            unknown.view(i, part.box)[:, part.taken] = 0
    if _shown_only(material):
        return replace(layout, windows=())
    if not seen:
        return layout
    rest = _layout(
        material,
        [
            box if box.empty else box.tight(unknown.view(i, box)[0].numpy())
            for i, box in enumerate(layout.holes)
        ],
        regions=layout.regions,
    )
    return replace(layout, windows=rest.windows, sampled=rest.sampled)


def _read_region(material: Material, layout: Plan) -> Iterator[tuple[int, Array]]:
    """The plate's light in each of the plan's boxes, with its place in the plan's lists."""

    def load(i: int) -> Array:
        frame = material.frames[i % layout.length]
        return material.colour.to_light(material.plate.read(frame, layout.region[i]))

    budget = int(material.job.memory * 2**30 / 8)
    return read_ahead(range(len(layout.region)), load, budget=budget, threads=_THREADS)


def _unknown(plate: Tensor, hole: Hole, box: Box, data: Box) -> Tensor:
    """(1, height, width) of the box, float32: 1 in the hole, where the plate is not finite, and
    outside the frame's data window."""
    unknown = (~torch.isfinite(plate).all(0, keepdim=True)).float()
    outside = torch.ones_like(unknown)
    rows, columns = box.slices(box.intersect(data))
    outside[:, rows, columns] = 0
    unknown = torch.maximum(unknown, outside)
    here = hole.box.intersect(box)  # a region has a part of the hole, perhaps one of another region
    if not here.empty:
        rows, columns = box.slices(here)
        part = hole.alpha[hole.box.slices(here)]
        inside = torch.from_numpy(np.ascontiguousarray(part)).float()
        unknown[0, rows, columns] = torch.maximum(unknown[0, rows, columns], inside)
    return unknown


def _known(light: Volume, unknown: Volume, boxes: Iterable[Box], most: int = 1_000_000) -> Tensor:
    """Known pixels within one box a frame, (C, N), float32: all, or an even choice of about
    ``most``."""
    held = [(i, box) for i, box in enumerate(boxes) if not box.empty]
    step = max(1, sum(box.height * box.width for _, box in held) // most)
    columns = [torch.zeros(light.data[0].shape[0], 0)]
    for i, box in held:
        chosen = unknown.view(i, box).flatten()[::step] == 0
        columns.append(light.view(i, box).flatten(1)[:, ::step][:, chosen].float())
    return torch.cat(columns, 1)

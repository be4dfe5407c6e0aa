"""From a job's plan to what the engine needs: light read, filled where it is known, encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from infusion_ofx.engine.held_out import HeldOut
from infusion_ofx.engine.scales import scale_of
from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.volume import Shot, Volume, rest
from infusion_ofx.errors import JobError
from infusion_ofx.grain import Grain
from infusion_ofx.material import Material
from infusion_ofx.plan import Plan
from infusion_ofx.planning import READERS, lay_out, prior_threads
from infusion_ofx.planting import Planted, plant_holes
from infusion_ofx.regions import Extent, depth
from infusion_ofx.routing import Routed, route
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import read_ahead
from infusion_ofx.working import Working

__all__ = ["Prepared", "prepare"]

Array = npt.NDArray[Any]

ENOUGH = 100
"""Known pixels that a working range can be fitted to; with fewer close to the hole, it is fitted to
all that sampling sees."""


@dataclass(frozen=True)
class Prepared:
    """Everything that the engine needs, and the way back to light."""

    plan: Plan
    """What the engine does; without windows where the shot itself has shown all of the hole."""
    shot: Shot
    working: Working
    planted: tuple[Planted, ...] = ()
    """The holes that methods are judged by, at most one in each region, the largest one's first: to
    the shot they are holes like any other."""

    @property
    def held_out(self) -> HeldOut | None:
        """What trainings are watched by: the planted hole of the largest region, of those that a
        window holds."""
        found = (each.held_out(self.plan, self.shot, self.working) for each in self.planted)
        return next((held for held in found if held is not None), None)

    @cached_property
    def grain(self) -> Grain | None:
        """The plate's, as its known pixels show it; None where it has none that can be told."""
        mix = (self.working.turn.T * self.working.scale).float()
        near = self.shot.within(self.plan.reached)
        return Grain.measure(near.clean, near.hole, mix)

    def smooth(self, i: int, box: Box) -> Tensor:
        """The smooth fill of a box of one frame, (C, height, width): what costs nothing."""
        near = self.plan.reached[i]
        clean, hole = self.shot.clean.view(i, near), self.shot.hole.view(i, near)
        whole = push_pull(clean[None, :, None], hole[None, :, None])
        return Volume([near], [whole[0, :, 0]]).view(0, box)


def prepare(
    material: Material,
    holes: Sequence[Extent],
    layout: Plan,
    folder: Path,
    on_frame: Callable[[int], None],
    on_seen: Callable[[Sequence[Routed]], None] = lambda seen: None,
    on_looked: Callable[[int], None] = lambda frames: None,
) -> Prepared:
    """Reads the planned region of the plate, fills what the shot itself has shown of the hole
    (routing.py), and takes it to the working range.

    Plate pixels that are not finite count as hole: the network never sees them. folder: the shot
    lies on its disk while it is worked on, so that it may be longer than memory. on_frame: told how
    many frames are read. on_looked: told of how many it is known what others show of them. on_seen:
    told once what the shot has shown, frame by frame, or nothing.

    Raises:
        JobError: when nothing of the region is known.
        SequenceError: when a frame cannot be read.
        TryAgainError: when the disk is full.
    """
    channels = len(material.channels)
    clean, hole = (Volume.scratch(layout.region, n, folder) for n in (channels, 1))
    for i, pixels in _read_region(material, layout):
        plate = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        frame = i % layout.length
        data = material.plate.data(material.frames[frame])
        bad = _unknown(plate, holes[frame], layout.region[i], data)
        hole.data[i].copy_(bad)
        clean.data[i].copy_(torch.where(bad > 0, torch.zeros((), dtype=plate.dtype), plate))
        rest(clean, hole)
        on_frame((i + 1) // layout.regions)
    layout = _with_seen(material, clean, hole, layout, folder, on_seen, on_looked)
    known = _known(clean, hole, layout.sampled)
    if not known.shape[1]:
        known = _known(clean, hole, layout.region)
    if not known.shape[1]:
        raise JobError(
            f"no pixel of the plate {material.job.plate!r} is known and finite round the hole",
            "look at the plate for NaN, and at the matte",
        )
    near = _known(clean, hole, _surround(layout, material.recipe.surround * layout.scale))
    if near.shape[1] < ENOUGH:
        near = known
    working = Working.fit(near, decorrelate=material.recipe.decorrelate, limits=known)
    for linear, unknown in zip(clean.data, hole.data, strict=True):
        linear.copy_(working.encode(linear) * (1 - unknown))
        rest(clean, hole)
    coded = working.encode(known)
    shot = Shot(material.frames * layout.regions, clean, hole, coded.amin(1), coded.amax(1))
    planted = tuple[Planted, ...]()
    if material.job.method == "auto" and layout.windows:
        planted, layout = plant_holes(material, shot, working, layout)
    return Prepared(layout, shot, working, planted)


def _with_seen(
    material: Material,
    clean: Volume,
    unknown: Volume,
    layout: Plan,
    folder: Path,
    on_seen: Callable[[Sequence[Routed]], None],
    on_looked: Callable[[int], None],
) -> Plan:
    """Puts what other frames show of the hole into it, where the job wants that and some region has
    enough of it, and plans what is left to be made up."""
    if material.job.prior == "off":
        on_seen([])
        return layout
    room = Volume.scratch(layout.holes, len(material.channels) + 2, folder)
    threads = prior_threads(material, layout)

    shown, hidden = (volume.within(layout.reached) for volume in (clean, unknown))

    def look(part: slice) -> list[Routed]:
        return route(
            shown[part], hidden[part], room[part], threads=threads,
            shown_only=material.shown_only,
            on_frame=lambda done: on_looked((part.start + done) // layout.regions),
        )  # fmt: skip

    found = [look(part) for part in layout.parts]
    nothing = [Routed.nothing(len(material.channels))] * layout.length
    seen = list(chain.from_iterable(own or nothing for own in found)) if any(found) else []
    on_seen(seen)
    for i, part in enumerate(seen):
        if part.pixels:
            own = clean.view(i, part.box)
            own.copy_(torch.where(part.taken, part.light, own))
            unknown.view(i, part.box)[:, part.taken] = 0
        rest(clean, unknown, room)
    if material.shown_only:
        return replace(layout, windows=())
    if not seen:
        return layout
    left, deepest = [], 0.0
    for i, box in enumerate(layout.holes):
        if not box.empty:
            unseen = unknown.view(i, box)[0].numpy() > 0
            box, deepest = box.tight(unseen), max(deepest, depth(unseen))
        left.append(box)
        unknown.rest()
    made_up = lay_out(material, left, regions=layout.regions)
    trained = tuple(map(Box.intersect, made_up.trained, layout.reached))
    return replace(
        layout, windows=made_up.windows, sampled=made_up.sampled, trained=trained,
        scale=min(layout.scale, scale_of(material.recipe, deepest)),
    )  # fmt: skip


def _read_region(material: Material, layout: Plan) -> Iterator[tuple[int, Array]]:
    """The plate's light in each of the plan's boxes, with its place in the plan's lists."""

    def load(i: int) -> Array:
        frame = material.frames[i % layout.length]
        return material.colour.to_light(material.plate.read(frame, layout.region[i]))

    budget = int(material.job.memory * 2**30 / 8)
    return read_ahead(range(len(layout.region)), load, budget=budget, threads=READERS)


def _unknown(plate: Tensor, hole: Extent, box: Box, data: Box) -> Tensor:
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
        part = hole.inside()[hole.box.slices(here)]
        inside = torch.from_numpy(np.ascontiguousarray(part)).float()
        unknown[0, rows, columns] = torch.maximum(unknown[0, rows, columns], inside)
    return unknown


def _surround(layout: Plan, surround: int) -> Iterator[Box]:
    """Each frame's hole and what lies round it, as far as it is loaded."""
    for hole, region in zip(layout.holes, layout.region, strict=True):
        yield hole if hole.empty else hole.grow(surround).intersect(region)


def _known(light: Volume, unknown: Volume, boxes: Iterable[Box], most: int = 1_000_000) -> Tensor:
    """Known pixels within one box a frame, (C, N), float32: all, or an even choice of about
    ``most``."""
    held = [(i, box) for i, box in enumerate(boxes) if not box.empty]
    step = max(1, sum(box.height * box.width for _, box in held) // most)
    columns = [torch.zeros(light.data[0].shape[0], 0)]
    for i, box in held:
        chosen = unknown.view(i, box).flatten()[::step] == 0
        columns.append(light.view(i, box).flatten(1)[:, ::step][:, chosen])
        rest(light, unknown)
    return torch.cat(columns, 1)

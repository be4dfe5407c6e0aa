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
from infusion_ofx.regions import Extent, depth
from infusion_ofx.routing import Routed, route
from infusion_ofx.score_self import GAP, plant, stretch
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import read_ahead
from infusion_ofx.working import Working

__all__ = ["Planted", "Prepared", "prepare"]

Array = npt.NDArray[Any]

ENOUGH = 100
"""Known pixels that a working range can be fitted to; with fewer close to the hole, it is fitted to
all that sampling sees."""

SEAM = 4
"""Known pixels round a planted hole that are kept to judge its seam by."""


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

    @property
    def held_out(self) -> HeldOut | None:
        """The planted hole as trainings are watched by it: what of it the window has that holds its
        first frame."""
        planted = self.planted
        if planted is None:
            return None
        holding = (
            w for w in self.plan.windows
            if w.start <= planted.start < w.stop and w.box.intersect(planted.box) == planted.box
        )  # fmt: skip
        own = next(holding, None)
        if own is None:  # it is larger than a tile
            return None
        frames = range(planted.start, min(own.stop, planted.frames.stop))
        held = slice(frames.start - own.start, frames.stop - own.start)
        mask = torch.zeros(1, *own.size)
        truth = self.shot.clean.cut(own.start, own.stop, own.box)
        rows, columns = own.box.slices(planted.box)
        mask[0, held, rows, columns] = torch.from_numpy(planted.mask[: len(frames)]).float()
        light = torch.from_numpy(planted.truth[: len(frames)]).permute(3, 0, 1, 2)
        truth[:, held, rows, columns] = self.working.encode(light)
        return HeldOut(own, mask, truth)

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
    reached = layout.reached[first : first + layout.length]
    box = reached[0]
    if len(set(reached)) > 1:
        return None, layout
    sizes = []
    for i in range(first, first + layout.length):
        sizes.append(int(shot.hole.view(i, box).count_nonzero()))
        shot.rest()
    frames = stretch(sizes)
    start = first + frames.start
    masks = [shot.hole.view(first + i, box)[0] for i in frames]
    found = plant(torch.stack(masks).numpy() > 0, GAP * layout.scale)
    if found is None:
        return None, layout
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
        lay_out(material, boxes, box, layout.regions)
    )


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

    def look(start: int) -> list[Routed]:
        own = slice(start, start + layout.length)
        return route(
            shown[own], hidden[own], room[own], threads=threads,
            all_that_is_seen=material.shown_only,
            on_frame=lambda done: on_looked((start + done) // layout.regions),
        )  # fmt: skip

    found = [look(start) for start in layout.starts]
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

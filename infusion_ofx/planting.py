"""Planted holes: in each region of a prepared shot one, where there is room, to judge fills by.

To training, patches and sampling they are holes like any other; here what is behind them is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from infusion_ofx.engine.held_out import HeldOut
from infusion_ofx.engine.volume import Shot
from infusion_ofx.material import Material
from infusion_ofx.plan import Plan
from infusion_ofx.planning import lay_out
from infusion_ofx.score_self import GAP, plant, stretch
from infusion_ofx.sequence.frame import Box
from infusion_ofx.working import Working

__all__ = ["Planted", "foreseen", "plant_holes"]

SEAM = 4
"""Known pixels round a planted hole that are kept to judge its seam by."""


@dataclass(frozen=True)
class Planted:
    """A hole over known pixels, and what is behind it; score_self.py."""

    start: int
    """First frame, as the plan's lists run."""
    box: Box
    mask: npt.NDArray[Any]
    """(t, height, width) of the box, bool."""
    truth: npt.NDArray[Any]
    """(t, height, width, C), linear light, float32."""

    @property
    def frames(self) -> range:
        """The frames that it lasts, as the plan's lists run."""
        return range(self.start, self.start + len(self.mask))

    def held_out(self, plan: Plan, shot: Shot, working: Working) -> HeldOut | None:
        """It as trainings are watched by it: what of it the window has that holds its first frame;
        None where no window holds all of its box."""
        holding = (
            w for w in plan.windows
            if w.start <= self.start < w.stop and w.box.intersect(self.box) == self.box
        )  # fmt: skip
        own = next(holding, None)
        if own is None:  # it is larger than a tile
            return None
        frames = range(self.start, min(own.stop, self.frames.stop))
        held = slice(frames.start - own.start, frames.stop - own.start)
        mask = torch.zeros(1, *own.size)
        truth = shot.clean.cut(own.start, own.stop, own.box)
        rows, columns = own.box.slices(self.box)
        mask[0, held, rows, columns] = torch.from_numpy(self.mask[: len(frames)]).float()
        light = torch.from_numpy(self.truth[: len(frames)]).permute(3, 0, 1, 2)
        truth[:, held, rows, columns] = working.encode(light)
        return HeldOut(own, mask, truth)


def plant_holes(
    material: Material, shot: Shot, working: Working, layout: Plan
) -> tuple[tuple[Planted, ...], Plan]:
    """Plants a hole in each region of the shot that has one box in all frames, and room; returns
    them, the largest region's first, and the plan with the windows that fill them."""

    def voxels(part: slice) -> int:
        return sum(box.height * box.width for box in layout.holes[part])

    made = []
    for part in sorted(layout.parts, key=voxels, reverse=True):
        found = _plant(shot, working, layout, part)
        if found is not None:
            planted, box = found
            made.append(planted)
            boxes = [Box(0, 0, 0, 0)] * len(layout.region)
            boxes[planted.frames.start : planted.frames.stop] = [box] * len(planted.frames)
            own = lay_out(material, boxes, layout.reached[part][0], layout.regions)
            layout = layout.joined(own)
    return tuple(made), layout


def foreseen(layout: Plan) -> Plan:
    """The plan with as many windows as planted holes will add, told before any pixel is read: those
    of the frames in which each region's hole is the largest, once more."""
    more = []
    for part in layout.parts:
        frames = stretch([box.height * box.width for box in layout.holes[part]])
        start, stop = part.start + frames.start, part.start + frames.stop
        more += [w for w in layout.windows if w.start < stop and start < w.stop]
    return replace(layout, windows=(*layout.windows, *more))


def _plant(shot: Shot, working: Working, layout: Plan, part: slice) -> tuple[Planted, Box] | None:
    """Plants one in the region that has this part of the lists, and says what its box is without
    what its seam is judged by; None where there is no room."""
    reached, first = layout.reached[part], part.start
    box = reached[0]
    if len(set(reached)) > 1:
        return None
    holes, sizes = layout.holes[part], []
    for i, own in enumerate(holes, first):
        sizes.append(0 if own.empty else int(shot.hole.view(i, own).count_nonzero()))
        shot.rest()
    frames = stretch(sizes)
    unknown = torch.stack([shot.hole.view(first + i, box)[0] for i in frames]).numpy() > 0
    hole = np.zeros_like(unknown)  # of other regions no pixel
    for mine, all_, own in zip(hole, unknown, holes[frames.start : frames.stop], strict=True):
        if not own.empty:
            mine[box.slices(own)] = all_[box.slices(own)]
    found = plant(hole, unknown, GAP * layout.scale)
    if found is None:
        return None
    height, width = found.mask.shape[1:]
    top, left = box.top + found.top, box.left + found.left
    planted = Box(top, left, top + height, left + width)
    near = planted.grow(SEAM).intersect(box)
    mask = np.zeros((len(found.mask), near.height, near.width), bool)
    rows, columns = near.slices(planted)
    mask[:, rows, columns] = found.mask
    truth = []
    for i, held in zip(frames, mask, strict=True):
        clean = shot.clean.view(first + i, near)
        truth.append(working.decode(clean).permute(1, 2, 0).numpy())
        for other in layout.parts:  # another region may have those pixels as well
            _hide(shot, other.start + i, near, held)
    behind = np.ascontiguousarray(np.stack(truth))  # sums over it do not differ once it was kept
    return Planted(first + frames.start, near, mask, behind), planted


def _hide(shot: Shot, i: int, box: Box, held: npt.NDArray[Any]) -> None:
    """Makes the pixels of a box unknown that are held out, as far as the frame has them."""
    both = shot.clean.boxes[i].intersect(box)
    if not both.empty:
        unknown = torch.from_numpy(held[box.slices(both)])
        shot.clean.view(i, both)[:, unknown] = 0
        shot.hole.view(i, both)[:, unknown] = 1

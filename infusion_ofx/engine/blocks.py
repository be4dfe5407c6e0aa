"""Which blocks of the shot are trained on: there, where there is something to learn."""

from __future__ import annotations

import random
from functools import lru_cache, reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.volume import Shot
from infusion_ofx.plan import Window
from infusion_ofx.sequence.frame import Box

__all__ = ["Blocks"]

CELL = 8
"""Pixels across of what is told apart."""


class Blocks:
    """Draws blocks of a shot, all of one size: as long as a window and as large as a crop where
    there is room.

    With ``recipe.close`` each holds a known pixel no farther from the hole than sampling sees; a
    large hole would else be most of what is drawn, and nothing is learnt inside it.
    """

    def __init__(self, shot: Shot, recipe: Recipe) -> None:
        self.frames = min(recipe.frames, shot.length)
        boxes = tuple(shot.clean.boxes)
        self.height, self.width, self.rooms = _rooms(boxes, shot.length, self.frames, recipe.crop)
        self.cells: list[NDArray[np.int32]] = []
        if recipe.close:
            for i in range(len(boxes)):
                self.cells.append(_cells(shot, i, recipe.context + recipe.near))
                shot.rest()

    def draw(self, draw: random.Random) -> Window:
        """A random block; equal generators give the same."""
        start, room = draw.choice(self.rooms)
        cells = self.cells[start + self.frames // 2] if self.cells else ()
        if len(cells):
            y, x = (int(corner) + draw.randrange(CELL) for corner in draw.choice(cells))
            top, left = y - draw.randrange(self.height), x - draw.randrange(self.width)
            top = min(max(top, room.top), room.bottom - self.height)
            left = min(max(left, room.left), room.right - self.width)
        else:
            top = draw.randint(room.top, room.bottom - self.height)
            left = draw.randint(room.left, room.right - self.width)
        box = Box(top, left, top + self.height, left + self.width)
        return Window(start, start + self.frames, box)


def _cells(shot: Shot, i: int, near: int) -> NDArray[np.int32]:
    """Corners on the plate, (N, 2), y before x, of the cells of a frame that are known and within
    about ``near`` pixels of its hole; where there is no hole, of all that are known."""
    box, hole = shot.hole.boxes[i], shot.hole.data[i][None]
    if not hole.numel():
        return np.zeros((0, 2), np.int32)
    known = functional.avg_pool2d(1 - hole, CELL, ceil_mode=True) > 0.5
    around = known
    if hole.any():
        held = functional.max_pool2d(hole, CELL, ceil_mode=True)
        reach = -(-near // CELL)
        around = known & (functional.max_pool2d(held, 2 * reach + 1, 1, reach) > 0)
    places: NDArray[np.int64] = torch.nonzero(around[0, 0]).cpu().numpy()
    return (places * CELL + (box.top, box.left)).astype(np.int32)


@lru_cache(maxsize=4)
def _rooms(
    boxes: tuple[Box, ...], length: int, frames: int, crop: int
) -> tuple[int, int, list[tuple[int, Box]]]:
    """Height and width of all blocks, and where one may start, with the pixels that all of its
    frames have.

    Where the hole leaves on one side and comes back on the other, some starts have little room or
    none. The size is the one at which the most pixels can be drawn, over all starts that hold it.
    """
    starts = [start for start in range(len(boxes)) if start % length + frames <= length]
    rooms = [(start, reduce(Box.intersect, boxes[start : start + frames])) for start in starts]
    sizes = {(min(crop, room.height), min(crop, room.width)) for _, room in rooms}

    def holding(height: int, width: int) -> list[tuple[int, Box]]:
        return [(i, room) for i, room in rooms if room.height >= height and room.width >= width]

    height, width = max(sorted(sizes), key=lambda s: s[0] * s[1] * len(holding(*s)))
    return height, width, holding(height, width)

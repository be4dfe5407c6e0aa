"""Which blocks of the shot are trained on: there, where there is something to learn."""

from __future__ import annotations

import random
from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional

from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.volume import Shot
from infusion_ofx.plan import Window
from infusion_ofx.sequence.frame import Box

__all__ = ["Blocks"]

CELL = 8
"""Pixels across of what is told apart."""

TRIES = 200
"""Blocks that are drawn until one is useful."""


class Blocks:
    """Draws blocks of a shot, all of one size: as long as a window and as large as a crop where
    there is room. Any of those that are loaded is as likely as any other.

    With ``recipe.close`` only those that hold something known close to the hole: most of a large
    hole's box would else be blocks in which there is nothing to learn.
    """

    def __init__(self, shot: Shot, recipe: Recipe) -> None:
        self.frames = min(recipe.frames, shot.length)
        self.boxes = tuple(shot.clean.boxes)
        self.height, self.width, self.rooms = _rooms(
            self.boxes, shot.length, self.frames, recipe.crop
        )
        self.useful: list[NDArray[np.bool_]] = []
        if recipe.close:
            for i in range(len(self.boxes)):
                self.useful.append(_useful(shot, i, recipe.context + recipe.near))
                shot.rest()

    def draw(self, draw: random.Random) -> Window:
        """A random block; equal generators give the same."""
        for _ in range(TRIES):
            start, room = draw.choice(self.rooms)
            top = draw.randint(room.top, room.bottom - self.height)
            left = draw.randint(room.left, room.right - self.width)
            box = Box(top, left, top + self.height, left + self.width)
            if not self.useful or self._is_useful(start + self.frames // 2, box):
                break
        return Window(start, start + self.frames, box)

    def _is_useful(self, i: int, box: Box) -> bool:
        rows, columns = self.boxes[i].slices(box)
        return bool(self.useful[i][_cells(rows), _cells(columns)].any())


def _cells(pixels: slice) -> slice:
    """The cells that some pixels are in."""
    return slice(pixels.start // CELL, -(-pixels.stop // CELL))


def _useful(shot: Shot, i: int, near: int) -> NDArray[np.bool_]:
    """Which cells of a frame are known and within about ``near`` pixels of its hole; where there is
    no hole, all that are known."""
    hole = shot.hole.data[i][None]
    if not hole.numel():
        return np.zeros((0, 0), bool)
    useful = functional.avg_pool2d(1 - hole, CELL, ceil_mode=True) > 0.5
    if hole.any():
        held = functional.max_pool2d(hole, CELL, ceil_mode=True)
        reach = -(-near // CELL)
        useful &= functional.max_pool2d(held, 2 * reach + 1, 1, reach) > 0
    return np.asarray(useful[0, 0].cpu().numpy())


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

"""Regions: holes that lie far from each other are worked on apart, each with its own surroundings.

Otherwise two markers at opposite ends of an 8K plate would be one hole as wide as the plate.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.material import Hole
from infusion_ofx.sequence.frame import Box

__all__ = ["Extent", "depth", "split"]

CELL = 8
"""Pixels across of what is told apart."""

MOST = 16
"""Regions. Each is read, loaded and trained on for the whole length of the shot."""


@dataclass(frozen=True)
class Extent:
    """Where a frame's hole is, in so little memory that a long shot has all of them."""

    box: Box
    """Round all of it; empty where there is nothing to fill."""
    pixels: int
    """How many there are to be filled."""
    packed: bytes
    """One bit for each pixel of the box, row by row, deflated."""
    depth: float
    """Pixels from its middle to what is known."""

    @classmethod
    def of(cls, hole: Hole) -> Extent:
        """Where a hole is; how much of the fill a pixel takes is left out."""
        inside = hole.alpha > 0
        packed = zlib.compress(np.packbits(inside).tobytes(), 1)
        return cls(hole.box, int(np.count_nonzero(inside)), packed, depth(inside))

    def inside(self) -> NDArray[np.bool_]:
        """(height, width) of the box: which pixels are to be filled."""
        shape = self.box.height, self.box.width
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).view(bool)


def depth(hole: NDArray[np.bool_]) -> float:
    """How many pixels the deepest place of a hole (height, width) is away from what is not in it,
    to about ``CELL``; beyond the picture's edges nothing is in it."""
    height, width = (side // CELL for side in hole.shape)
    if not height or not width:
        return 0.0
    cells = hole[: height * CELL, : width * CELL].reshape(height, CELL, width, CELL).all((1, 3))
    bordered = np.pad(cells.astype(np.uint8), 1)
    return CELL * float(cv2.distanceTransform(bordered, cv2.DIST_L2, 3).max())


def split(holes: Sequence[Extent], apart: int) -> list[list[Box]]:
    """The boxes of each region's holes, frame by frame; empty where a region has none in a frame.

    Holes belong together when, over the whole shot, they come within ``apart`` pixels of each
    other, or when their boxes overlap in some frame. Together the boxes hold every hole, and no two
    of one frame overlap. With more than ``MOST`` regions, ``apart`` is doubled until there are
    fewer. No hole at all is one region of empty boxes.
    """
    area = Box(0, 0, 0, 0)
    for hole in holes:
        area = area.union(hole.box)
    if area.empty:
        return [[hole.box for hole in holes]]
    trodden = np.zeros((area.height // CELL + 1, area.width // CELL + 1), np.uint8)
    for hole in holes:
        rows, columns = _cells(hole, area)
        trodden[rows, columns] = 1
    radius, count = -(-apart // (2 * CELL)), MOST + 2
    while count > MOST + 1:  # one is what no hole has trodden on
        disc = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        count, labels = cv2.connectedComponents(cv2.dilate(trodden, disc))
        radius *= 2
    regions = [[_part(hole, area, labels == label) for hole in holes] for label in range(1, count)]
    return _joined(regions)


def _cells(hole: Extent, area: Box) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the cell of each pixel of the hole."""
    y, x = np.nonzero(hole.inside())
    return (y + hole.box.top - area.top) // CELL, (x + hole.box.left - area.left) // CELL


def _part(hole: Extent, area: Box, cells: np.ndarray) -> Box:
    """Round the pixels of the hole that lie in ``cells``."""
    if hole.box.empty:
        return hole.box
    rows = (np.arange(hole.box.top, hole.box.bottom) - area.top) // CELL
    columns = (np.arange(hole.box.left, hole.box.right) - area.left) // CELL
    return hole.box.tight(hole.inside() & cells[np.ix_(rows, columns)])


def _joined(regions: list[list[Box]]) -> list[list[Box]]:
    """Regions of which no two have boxes that overlap in a frame."""
    for one, other in combinations(regions, 2):
        if any(not a.intersect(b).empty for a, b in zip(one, other, strict=True)):
            rest = [region for region in regions if region is not one and region is not other]
            return _joined([*rest, [a.union(b) for a, b in zip(one, other, strict=True)]])
    return regions

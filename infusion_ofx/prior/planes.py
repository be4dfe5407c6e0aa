"""Planes: what of a shot moves as one, followed from frame to frame.

A camera that moves through depth moves a wall before a street otherwise than the street: one
homography does not hold, several do (motion segmentation by sequential RANSAC: Vincent and
Laganière 2001, *Detecting planar homographies in an image pair*). A plane keeps its number as long
as some of its corners are found again in the next frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.prior.motion import FEWEST, corners, moved
from infusion_ofx.prior.spread import blur, spread
from infusion_ofx.prior.view import View
from infusion_ofx.sequence.frame import Box

__all__ = ["Planes"]

CLOSE = 0.4
"""Pixels that a corner may be off the motion of its plane: two or three times what corners are
followed to, and much less than depth makes of a few frames."""
SAME = 2.5
"""Pixels within which a corner of the next frame is one of this frame's."""
SHARE = 0.04
"""Of all corners: what a new plane has to explain."""
MOST = 6
"""Planes in one frame."""
AROUND = 9.0
"""Standard deviation of the window, in pixels, in which corners say which plane is there."""
SURE = 0.003
"""Corners in a pixel's window, of a weight of 1 in all, from which they need no others' word."""

Array = NDArray[Any]
Corners = tuple[Array, Array]
"""Places (N, 2), x before y, and the number of the plane that each belongs to, (N,)."""

NOTHING = np.zeros((0, 2)), np.zeros(0, int)


class Planes:
    """A shot's planes, found frame after frame as far as they are asked for."""

    def __init__(self, view: Callable[[int], View]) -> None:
        """view: gives the shot's frames."""
        self._view = view
        self._links: list[dict[int, Array]] = []
        self._corners: list[Corners] = [NOTHING]
        self._count = 0

    def link(self, i: int) -> dict[int, Array]:
        """Homographies (3, 3) from frame i to i + 1, by plane."""
        while len(self._links) <= i:
            self._follow(len(self._links))
        return self._links[i]

    def share(self, i: int, plane: int, box: Box) -> Array:
        """How much of what is round each pixel of a box of frame i belongs to a plane, (h, w), by
        the corners there; of those that ``link`` has found."""
        places, names = self._corners[i]
        column, row = np.rint(places - [box.left, box.top]).astype(int).T
        inside = (row >= 0) & (row < box.height) & (column >= 0) & (column < box.width)
        count = np.zeros((2, box.height, box.width), np.float32)
        np.add.at(count[0], (row[inside], column[inside]), 1)
        own = inside & (names == plane)
        np.add.at(count[1], (row[own], column[own]), 1)
        every, ours = (blur(each, AROUND) for each in count)
        return spread(ours / np.maximum(every, 1e-9), np.minimum(1, every / SURE))

    def _follow(self, i: int) -> None:
        """Finds the planes between frames i and i + 1: first those that are followed already."""
        begin, end, _ = corners(self._view(i), self._view(i + 1))
        found: dict[int, Array] = {}
        free = np.ones(len(begin), bool)
        names = _named(begin, self._corners[i])
        for plane in sorted(set(names[names >= 0].tolist())):
            self._fit(found, plane, begin, end, free, names == plane, FEWEST)
        fewest = max(FEWEST, SHARE * len(begin))
        while len(found) < MOST and self._fit(found, self._count, begin, end, free, free, fewest):
            self._count += 1
        off = [np.linalg.norm(moved(begin, each) - end, axis=1) for each in found.values()]
        held = np.zeros(len(begin), bool)
        if off:
            held, nearest = np.min(off, axis=0) < CLOSE, np.argmin(off, axis=0)
            names = np.array(list(found))[nearest]
        self._corners[i] = begin[held], names[held]
        self._corners.append((end[held], names[held]))
        self._links.append(found)

    def _fit(
        self, found: dict[int, Array], plane: int, begin: Array, end: Array, free: Array,
        own: Array, fewest: float,
    ) -> bool:  # fmt: skip
        """Fits one plane to its ``own`` corners and takes all that follow it from the ``free``
        ones; whether they are as many as they have to be."""
        own = own & free
        if own.sum() < fewest:
            return False
        fit, _ = cv2.findHomography(
            begin[own], end[own], cv2.RANSAC, CLOSE, maxIters=2000, confidence=0.999
        )
        if fit is None:
            return False
        follow = free & (np.linalg.norm(moved(begin, fit) - end, axis=1) < CLOSE)
        if follow.sum() < fewest:
            return False
        found[plane] = fit
        free &= ~follow
        return True


def _named(places: Array, known: Corners) -> Array:
    """The plane of each place (N, 2), (N,), by the corner that is there already; -1 is none."""
    before, names = known
    if not len(before) or not len(places):
        return np.full(len(places), -1)
    apart = np.linalg.norm(places[:, None] - before, axis=2)
    return np.where(apart.min(1) < SAME, names[apart.argmin(1)], -1)

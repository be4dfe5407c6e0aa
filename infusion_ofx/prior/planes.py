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

from infusion_ofx.prior.motion import FEWEST, Corners, steady
from infusion_ofx.prior.spread import blur, spread
from infusion_ofx.sequence.frame import Box

__all__ = ["Planes"]

CLOSE = 0.4
"""Pixels that a corner may be off the motion of its plane: two or three times what corners are
followed to, and much less than depth makes of a few frames."""
SAME = 2.5
"""Pixels within which a corner of the next frame is one of this frame's."""
SHARE = 0.04
"""Of the corners that two frames have in common: what a new plane has to explain."""
MOST = 6
"""Planes in one frame."""
KEPT = 130
"""Frames whose corners are kept: twice as far as sources are looked for."""
AROUND = 9.0
"""Standard deviation of the window, in pixels, in which corners say which plane is there."""
SURE = 0.003
"""Corners in a pixel's window, of a weight of 1 in all, from which they need no others' word: one
that is within two standard deviations has about a quarter of that."""

Array = NDArray[Any]
Members = tuple[Array, Array]
"""Places (N, 2), x before y, and the number of the plane that each belongs to, (N,)."""


class Planes:
    """A shot's planes, found frame after frame as far as they are asked for."""

    def __init__(self, corners: Callable[[int], Corners], rest: Callable[[], None]) -> None:
        """corners: gives those of a frame and the next. rest: lets go of what was looked at."""
        self._corners, self._rest = corners, rest
        self._links: list[dict[int, Array]] = []
        self._members: dict[int, list[Members]] = {}
        self._count = 0

    def link(self, i: int) -> dict[int, Array]:
        """Homographies (3, 3) from frame i to i + 1, by plane; none where the camera is still, and
        what moves does so by itself."""
        while len(self._links) <= i:
            self._links.append(self._follow(len(self._links)))
            self._rest()
        return self._links[i]

    def share(self, i: int, plane: int, box: Box) -> Array:
        """How much of what is round each pixel of a box of frame i belongs to a plane, (h, w), by
        the corners that ``link`` has found there; 0 of frames that are long behind."""
        count = np.zeros((2, box.height, box.width), np.float32)
        for places, names in self._members.get(i, ()):
            column, row = np.rint(places - [box.left, box.top]).astype(int).T
            inside = (row >= 0) & (row < box.height) & (column >= 0) & (column < box.width)
            np.add.at(count[0], (row[inside], column[inside]), 1)
            own = inside & (names == plane)
            np.add.at(count[1], (row[own], column[own]), 1)
        every, ours = (blur(each, AROUND) for each in count)
        return spread(ours / np.maximum(every, 1e-9), np.minimum(1, every / SURE))

    def _follow(self, i: int) -> dict[int, Array]:
        """Finds the planes between frames i and i + 1: first those that are followed already."""
        self._members.pop(i - KEPT, None)
        corners = self._corners(i)
        if corners.still:
            return {}
        members = self._members.setdefault(i, [])
        count = len(corners.begin)
        names = _named(corners.begin, members[0]) if members else np.full(count, -1)
        free = np.ones(count, bool)
        found: dict[int, Array] = {}

        def fitted(plane: int, own: Array, fewest: float) -> bool:
            fit = _fit(corners, free & own, fewest)
            if fit is None:
                return False
            follow = free & (corners.off(fit) < CLOSE)
            if follow.sum() < fewest:
                return False
            found[plane] = fit
            free[follow] = False
            return True

        for plane in sorted(set(names[names >= 0].tolist())):
            fitted(plane, names == plane, FEWEST)
        while len(found) < MOST and fitted(self._count, free, max(FEWEST, SHARE * count)):
            self._count += 1
        if found:
            off = np.stack([corners.off(each) for each in found.values()])
            held, names = off.min(0) < CLOSE, np.array(list(found))[off.argmin(0)]
            members.append((corners.begin[held], names[held]))
            self._members[i + 1] = [(corners.end[held], names[held])]
        return found


def _fit(corners: Corners, own: Array, fewest: float) -> Array | None:
    """The homography that most of their ``own`` corners follow; None where they are too few or no
    camera moves like that."""
    if own.sum() < fewest:
        return None
    fit, _ = cv2.findHomography(
        corners.begin[own], corners.end[own], cv2.RANSAC, CLOSE, maxIters=2000, confidence=0.999
    )
    return np.asarray(fit) if fit is not None and steady(fit, corners.box) else None


def _named(places: Array, known: Members) -> Array:
    """The plane of each place (N, 2), (N,), by the corner that is there already; -1 is none."""
    before, names = known
    if not len(before) or not len(places):
        return np.full(len(places), -1)
    apart = np.linalg.norm(places[:, None] - before, axis=2)
    return np.where(apart.min(1) < SAME, names[apart.argmin(1)], -1)

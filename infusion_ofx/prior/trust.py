"""Trust: how right a source is, from what it says about pixels that are known.

Errors are squares of luma in levels (view.py): shares of the light, squared, above the knee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.prior.spread import average, blur, spread
from infusion_ofx.prior.view import View, halved
from infusion_ofx.sequence.frame import Box

__all__ = ["Target", "confidence"]

RING, RING_SHARE = 12, 0.1
"""Width of the ring of known pixels that is predicted as the hole is: pixels at least, and share of
the hole's side."""
MARGIN = 40
"""Pixels round the hole that alignment sees, at least; three rings if that is more."""
NEAR, WIDE = 9.0, 27.0
"""Standard deviations of the windows over which errors are averaged, in pixels: for a place, and
for the lot, so that one lucky patch of a moving texture is not believed."""
SEAM = 2.0
"""Standard deviation of the window over which a source meets the surroundings, in pixels."""
FEWEST = 50
"""Ring pixels that a source has to be tried on."""
POINTS = 2000
"""Pixels that stand for a hole, about, when sources are chosen."""
TOLERANCE = 0.8
"""The error, as a share of the contrast that there is to explain, that is just bearable: a smooth
fill is off by all of it, and a texture that is made up by up to twice as much."""
STRANGE = 25.0
"""How far off a smooth fill a place may be that one source alone shows, in squared errors that are
just bearable: five times the root of what is."""
TINY = 1e-8

Array = NDArray[Any]


@dataclass(frozen=True)
class Target:
    """The surroundings of one frame's hole, and what of them is held back to try sources on.

    Arrays are (h, w) of ``box``; those called 1 or 0 are float32.
    """

    box: Box
    view: View
    """What of the frame lies within ``box``, at full size alone."""
    levels: Array
    """(h, w, C)"""
    lumas: tuple[Array, ...]
    safes: tuple[Array, ...]
    """Pyramids of luma and of where it is safe (view.py)."""
    hole: Array
    """bool"""
    safe: Array
    """1 where known and not at the hole's rim."""
    ring: Array
    """1 on safe pixels near the hole, which are held back."""
    away: Array
    """1 on the other safe pixels."""
    smooth: Array
    """Luma blurred by SEAM, and in the hole a smooth fill from all that is safe."""
    contrast: Array
    """What there is to explain: the squared error on the ring of a smooth fill that does not know
    the ring."""
    bearable: Array
    """The squared error that is just bearable: grain is none, source and target each have their
    own."""

    @classmethod
    def make(cls, view: View, hole: Box) -> Target:
        """The target round the box of a view's hole."""
        side = (hole.height * hole.width) ** 0.5
        width = max(RING, round(RING_SHARE * side))
        box = hole.grow(max(MARGIN, 3 * width)).intersect(view.box)
        levels, luma, safe, inside = view.cut(box)
        lumas, safes = halved(luma, safe)
        safe = (safe > 0).astype(np.float32)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
        ring = safe * cv2.dilate(inside.astype(np.float32), disc)
        away = safe - ring
        smooth, blind = (spread(average(luma, by, SEAM), by) for by in (safe, away))
        contrast = _around((luma - blind) ** 2, ring, NEAR)
        bearable = 4 * _grain(luma, safe) + TOLERANCE * contrast + TINY
        return cls(
            box, view.within(box), levels, lumas, safes, inside, safe, ring, away, smooth, contrast,
            bearable,
        )  # fmt: skip

    def points(self) -> Array:
        """Plate points (2, N), x before y, all over the hole."""
        y, x = np.nonzero(self.hole)
        every = max(1, len(y) // POINTS)
        return np.stack([x + self.box.left, y + self.box.top])[:, ::every]

    def joined(self, levels: Array, seen: Array) -> tuple[Array, Array]:
        """A source's levels (h, w, C), shifted smoothly to meet ours round the hole, and the square
        of how much luma is shifted there more than elsewhere, (h, w).

        What has to be shifted much is something else; what the whole of it is shifted by is
        exposure.
        """
        where = self.safe * seen
        shift = _offset(self.levels - levels, where)
        luma = shift.mean(-1)
        usual = np.median(luma[where > 0]) if where.any() else 0
        return np.asarray(levels + shift), np.asarray((luma - usual) ** 2)

    def tried(self, luma: Array, seen: Array) -> tuple[Array, Array] | None:
        """The squared error of a source on the ring, that was aligned without looking at it, and
        where on the ring it was tried, (h, w) each.

        luma, seen: (h, w), the source's. None where the source shows too little of the ring.
        """
        tried = self.ring * seen
        if tried.sum() < FEWEST:
            return None
        apart = self.lumas[0] - luma
        return (apart - _offset(apart, self.away * seen)) ** 2, tried

    def near(self, square: Array, tried: Array) -> Array:
        """Squared errors of the ring, (h, w), carried on into the hole."""
        return _around(square, tried, NEAR)

    def strange(self, luma: Array) -> Array:
        """The squared error that there is if a luma (h, w) is none of this place's, but something
        else's that passed there: 0 where it is near enough to what its surroundings say."""
        return np.maximum(0, (luma - self.smooth) ** 2 - STRANGE * self.bearable)

    def lot(self, square: Array, tried: Array) -> Array:
        """The squared error to expect by all that was tried, (h, w), where there is as much to
        explain: so that one lucky patch of a moving texture is not believed."""
        errors, contrasts = (_around(value, tried, WIDE) for value in (square, self.contrast))
        return np.asarray(errors / np.maximum(contrasts, 1e-12) * self.contrast)


def confidence(error: Array, target: Target) -> Array:
    """1 where no error (h, w) is to be expected, 1/2 where it is just bearable, and down to 0."""
    return np.asarray(np.exp2(-error / target.bearable), np.float32)


def _grain(luma: Array, safe: Array) -> float:
    """The variance of noise in a luma, by its calmest tenth.

    From the mean size of the second difference in both directions, whose variance is 36 times that
    of independent noise: Immerkær 1996, *Fast noise variance estimation*.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    size = cv2.blur(np.abs(cv2.filter2D(luma, -1, kernel)), (9, 9))
    clear = cv2.erode(safe, np.ones((11, 11), np.uint8)) > 0
    if not clear.any():
        return 0.0
    return float(np.pi / 2 * (np.quantile(size[clear], 0.1) / 6) ** 2)


def _offset(apart: Array, where: Array) -> Array:
    """A smooth field that follows differences where they are known; outliers hold it less."""
    square = (apart - average(apart, where, NEAR)) ** 2
    square = square if square.ndim == 2 else square.mean(-1)
    usual = average(square, where, NEAR) + TINY
    return spread(average(apart, where * usual / (usual + square), SEAM), where)


def _around(value: Array, where: Array, window: float) -> Array:
    """Values averaged where they were measured and carried on smoothly from there."""
    return spread(average(value, where, window), np.minimum(4 * blur(where, window), 1))

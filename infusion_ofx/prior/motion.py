"""Motion between two views: a homography for the camera, then a smooth flow for what is left.

Both look at known pixels only. Coordinates are the plate's, x before y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.prior.spread import average, blur, spread
from infusion_ofx.prior.view import SIZES, View
from infusion_ofx.sequence.frame import Box

__all__ = ["FEWEST", "Corners", "camera", "flow", "places", "steady"]

FEATURES = 800
"""Corners that the camera's motion is fitted to, at most."""
FEWEST, SHARE = 8, 0.4
"""Corners, and share of all corners, that have to agree on one motion."""
STILL, STANDING = 0.15, 0.25
"""Pixels that a corner may move and stand still, and the share of corners that have to: then so
does the camera, and what moves does so by itself, as flames before a wall do."""

STEADY = 10.0
"""No camera that pans or moves changes depth by so much within a frame: such a fit is chance."""

NOISE = 0.04
"""Differences of luma, in natural logarithms, that say nothing about motion."""
STEPS = (1, 2, 2, 2, 2)
"""Improvements of the flow at each size of the pyramid, from full size down."""
WINDOW = 1.5
"""Standard deviation of the window that a motion is read from, in pixels of half the size."""
LONGEST = 1.0
"""Longest step of the flow, in pixels of each size."""
FLAT = NOISE**2 / 10
"""Added to squared gradients, so that a flat picture stays where it is."""
MOST = 1_000_000
"""Pixels in the finest size that the flow is refined at."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Corners:
    """Corners of one view that are found again in another."""

    begin: Array
    """(N, 2), x before y, in the first."""
    end: Array
    """(N, 2), in the second."""
    count: int
    """How many were looked for."""
    box: Box
    """The first view's."""

    @classmethod
    def find(cls, source: View, target: View) -> Corners:
        """Those of Shi and Tomasi, followed both ways by Lucas and Kanade's method."""
        low, high = np.quantile(source.luma[0], [0.01, 0.99])
        size = max(source.box.height, target.box.height), max(source.box.width, target.box.width)
        first, second = (
            _on_canvas((view.luma[0] - low) * (255 / max(high - low, NOISE)), size)
            for view in (source, target)
        )
        clear = _on_canvas(cv2.erode(source.safe[0], np.ones((5, 5), np.uint8)), size)
        looked_for = cv2.goodFeaturesToTrack(first, FEATURES, 0.003, 6, mask=clear)
        if looked_for is None:
            return cls(np.zeros((0, 2)), np.zeros((0, 2)), 0, source.box)
        begin = looked_for[:, 0]
        shift = np.array(
            [source.box.left - target.box.left, source.box.top - target.box.top], np.float32
        )
        end, found = _followed(first, second, begin, begin + shift)
        back, found_again = _followed(second, first, end, begin)
        good = found & found_again & (np.linalg.norm(back - begin, axis=1) < 1)
        return cls(
            begin[good] + [source.box.left, source.box.top],
            end[good] + [target.box.left, target.box.top],
            len(begin),
            source.box,
        )

    @property
    def still(self) -> bool:
        """Whether the camera is."""
        return self.standing(STILL) > STANDING

    def standing(self, far: float) -> float:
        """The share that has moved by less than ``far`` pixels; 0 where there are none."""
        moved = np.linalg.norm(self.end - self.begin, axis=1)
        return float((moved < far).mean()) if len(moved) else 0.0

    def off(self, homography: Array) -> Array:
        """How far from where a homography takes them they were found: (N,), pixels."""
        u, v, w = homography @ np.vstack([self.begin.T, np.ones(len(self.begin))])
        return np.asarray(np.linalg.norm(np.stack([u / w, v / w], 1) - self.end, axis=1))


def camera(corners: Corners) -> Array | None:
    """The homography (3, 3) that takes most of one view's places to the other's; None where no
    motion explains enough of it: a cut, nothing to hold on to, or everything moves by itself.

    Fitted by RANSAC.
    """
    if len(corners.begin) < FEWEST:
        return None
    if corners.still:
        return np.eye(3)
    fit, inside = cv2.findHomography(
        corners.begin, corners.end, cv2.RANSAC, 1.5, maxIters=2000, confidence=0.999
    )
    if fit is None or inside.sum() < max(FEWEST, SHARE * corners.count):
        return None
    return np.asarray(fit) if steady(fit, corners.box) else None


def steady(homography: Array, box: Box) -> bool:
    """Whether a homography can be undone and keeps a box whole: no horizon runs through it, and no
    corner comes ``STEADY`` times nearer or farther than the middle."""
    if not np.isfinite(homography).all() or np.linalg.cond(homography) > 1e12:
        return False
    x, y = (box.left, box.right), (box.top, box.bottom)
    points = [(x[0], y[0]), (x[1], y[0]), (x[0], y[1]), (x[1], y[1]), (sum(x) / 2, sum(y) / 2)]
    depth = homography[2] @ np.c_[points, np.ones(5)].T
    return bool(1 / STEADY < depth.min() / depth[4] <= depth.max() / depth[4] < STEADY)


def _on_canvas(picture: Array, size: tuple[int, int]) -> Array:
    """A picture's whole part in 0 .. 255, uint8, on a canvas of a size: views differ in theirs."""
    canvas = np.zeros(size, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = np.clip(picture, 0, 255)
    return canvas


def _followed(first: Array, second: Array, corners: Array, guess: Array) -> tuple[Array, Array]:
    """Where corners (N, 2) of one picture are in another, and whether they were found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, corners, guess.copy(), maxLevel=4, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return np.asarray(there), found[:, 0] > 0


def places(box: Box, homography: Array) -> Array:
    """Where a homography takes the pixels of a box: (h, w, 2), float32."""
    y, x = np.mgrid[box.top : box.bottom, box.left : box.right].astype(np.float64)
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in homography)
    return np.stack([u / w, v / w], -1).astype(np.float32)


def flow(
    lumas: Sequence[Array], safes: Sequence[Array], source: View, base: Array
) -> tuple[Array, Array]:
    """What is to be added to ``base`` so that the source looks like a target.

    lumas, safes: the target's pyramids, from (h, w) down (view.py). base: (h, w, 2), where its
    pixels are in the source as far as is known. Returns the flow,
    (h, w, 2), smooth and everywhere, and how far each pixel was measured and not guessed from
    others, (h, w) in [0, 1].

    Coarse to fine least squares of Lucas and Kanade under a Gaussian window, with a free local
    offset, so that a change of exposure is no motion, and outliers held down; between measured
    pixels the flow is ``spread``.
    """
    state = np.zeros((*_half(lumas[-1]), 3), np.float32)  # the flow and its trust, at half the size
    for size in reversed(range(SIZES)):
        image, mask = lumas[size], safes[size] > 0
        state = _enlarged(state, _half(image))
        for _ in range(STEPS[size] if image.size <= MOST else 0):
            at = base[:: 2**size, :: 2**size] + _enlarged(state, image.shape)[:, :, :2]
            both = (mask & source.sure(at, size)).astype(np.float32)
            step, trust = _step(image, source.guess(at, size), both)
            found = spread(state[:, :, :2] + 2**size * step, trust)
            state = np.dstack([found, trust])
    state = _enlarged(state, lumas[0].shape)
    return state[:, :, :2], state[:, :, 2]


def _step(target: Array, source: Array, both: Array) -> tuple[Array, Array]:
    """One step of the flow, (h, w, 2), and how far to trust it, (h, w), at half the size."""
    x, y = (
        (cv2.Sobel(target, cv2.CV_32F, *axis) + cv2.Sobel(source, cv2.CV_32F, *axis)) / 16
        for axis in ((1, 0), (0, 1))
    )
    apart = target - source
    weight = both * _plausible(apart, both)
    share = _window(weight)
    mean_x, mean_y, mean = (_window(weight * p) / np.maximum(share, 1e-6) for p in (x, y, apart))
    xx = _window(weight * x * x) - share * mean_x * mean_x + FLAT
    xy = _window(weight * x * y) - share * mean_x * mean_y
    yy = _window(weight * y * y) - share * mean_y * mean_y + FLAT
    xd = _window(weight * x * apart) - share * mean_x * mean
    yd = _window(weight * y * apart) - share * mean_y * mean
    area = xx * yy - xy * xy
    step = np.dstack([yy * xd - xy * yd, xx * yd - xy * xd]) / area[:, :, None]
    length = np.linalg.norm(step, axis=2, keepdims=True)
    middle = (xx + yy) / 2
    least = middle - np.sqrt(np.maximum(middle * middle - area, 0))  # the weaker direction's
    trust = np.minimum(1, 2 * share) * least / (least + NOISE**2)
    return step * np.minimum(1, LONGEST / np.maximum(length, 1e-6)), trust


def _plausible(apart: Array, both: Array) -> Array:
    """Less than 1 where two views differ by more than they mostly do: something hides there."""
    square = (apart - average(apart, both, 2 * WINDOW)) ** 2
    usual = average(square, both, 2 * WINDOW) + NOISE**2 / 4
    return np.asarray(usual / (usual + square))


def _window(value: Array) -> Array:
    return blur(cv2.pyrDown(value), WINDOW)


def _half(image: Array) -> tuple[int, int]:
    return (image.shape[0] + 1) // 2, (image.shape[1] + 1) // 2


def _enlarged(value: Array, shape: tuple[int, ...]) -> Array:
    """Twice as large, or as it is when it has the shape already."""
    if value.shape[:2] == shape[:2]:
        return value
    return np.asarray(cv2.pyrUp(value, dstsize=(shape[1], shape[0])))

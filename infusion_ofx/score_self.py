"""The self-score: which fill is the best, told by the shot itself. No files.

A hole of the same shape and motion as the real one is planted over known pixels beside it, kept out
of all that is learnt or copied from, and filled by each method; there the truth is known. The same
shot gives the same planted hole and the same score.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.score import scores

__all__ = ["GAP", "Planting", "judge", "plant", "stretch"]

STRETCH = 16
"""Frames that a planted hole lasts, at most: those round the frame whose hole is the largest."""

GAP = 6
"""Pixels that stay known between the real hole and the planted one, at the smallest scale."""

ENOUGH = 0.8
"""Share, of the most of the hole that finds room anywhere, that a nearer place must hold."""

FEWEST = 256
"""Pixels times frames; less says nothing."""

Mask = NDArray[np.bool_]
Clip = NDArray[Any]


@dataclass(frozen=True)
class Planting:
    """Where a hole is planted, in rows and columns of the masks that ``plant`` was given."""

    top: int
    left: int
    mask: Mask
    """(t, h, w): the planted hole."""


def stretch(sizes: Sequence[int]) -> range:
    """The frames that a planted hole lasts, by how many pixels are unknown in each frame."""
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    start = min(max(largest - STRETCH // 2, 0), max(len(sizes) - STRETCH, 0))
    return range(start, min(start + STRETCH, len(sizes)))


def plant(hole: Mask, unknown: Mask, gap: int = GAP) -> Planting | None:
    """A place for a hole like one of a shot, or None where there is no room.

    hole: (t, H, W), bool, of the frames that it lasts. unknown: the same, with all else that is not
    known. gap: pixels that stay known between that and what is planted.
    The nearest place is taken that holds most of it: what is close is most like what is missing.
    """
    if not hole.any():
        return None
    rows, columns = (np.flatnonzero(hole.any(axis=(0, axis))) for axis in (2, 1))
    top, left = int(rows[0]), int(columns[0])
    shape = hole[:, top : rows[-1] + 1, left : columns[-1] + 1]
    taken = _grown(unknown, gap)
    found = []
    for y, x in _places(taken.shape, shape.shape):
        here = shape & ~taken[:, y : y + shape.shape[1], x : x + shape.shape[2]]
        found.append((int(here.sum()), -math.hypot(y - top, x - left), y, x))
    most = max((count for count, *_ in found), default=0)
    if most < FEWEST:
        return None
    _, y, x = max(place[1:] for place in found if place[0] >= ENOUGH * most)
    mask = shape & ~taken[:, y : y + shape.shape[1], x : x + shape.shape[2]]
    return Planting(y, x, mask)


def _places(room: tuple[int, ...], size: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Rows and columns at which a box fits, an eighth of its side apart."""
    steps = (max(1, side // 8) for side in size[1:])
    rows, columns = (
        range(0, length - side + 1, step)
        for length, side, step in zip(room[1:], size[1:], steps, strict=True)
    )
    return ((y, x) for y in rows for x in columns)


def _grown(mask: Mask, by: int) -> Mask:
    """The mask (T, H, W) and all within ``by`` of it in its frame, along either axis."""
    square = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return np.stack([cv2.dilate(frame.astype(np.uint8), square) for frame in mask]) > 0


def judge(
    fills: Mapping[str, Clip], truth: Clip, hole: Mask, strange: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """The figures of score.py for each fill, its ``strangeness``, and ``fault``, by which they are
    compared: 0 is right.

    fills: by name, (T, H, W, C) linear light, ``smooth`` among them: what costs nothing and must be
    beaten. truth: the same. hole: (T, H, W), bool. strange: score_strange.py's figure of each fill
    where it is wanted, in the real hole, which may be harder than what is planted.

    The fault is the distance of the patches, as they are and without their mean, over that of the
    smooth fill; and the stops by which frame differences, sharpness, seam and strangeness are off.
    PSNR and SSIM are not in it: they favour a blur.
    """
    figures = {name: scores(fill, truth, hole) for name, fill in fills.items()}
    smooth = figures["smooth"]
    for name, found in figures.items():
        found["strangeness"] = strange[name]
        found["fault"] = (
            2 * _over(found["swd"] + found["swd_texture"], smooth["swd"] + smooth["swd_texture"])
            + abs(_stops(found["frame_difference"]))
            + abs(_stops(found["sharpness"]))
            + max(_stops(found["seam"]), 0.0)
            + max(_stops(found["strangeness"]), 0.0)
        )
    return figures


def _over(value: float, reference: float) -> float:
    return value / reference if reference > 0 else float(value > 0)


def _stops(ratio: float) -> float:
    """A ratio in stops; 0 where the hole is too small for it."""
    return math.log2(ratio) if ratio > 0 and math.isfinite(ratio) else 0.0

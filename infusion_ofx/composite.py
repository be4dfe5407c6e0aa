"""Composite: the fill goes in through the matte, and nowhere else. Numpy, one frame at a time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["clean_matte", "composite", "shape_matte"]

Array = npt.NDArray[Any]


def clean_matte(matte: Array) -> Array:
    """A matte as float32 in [0, 1]: above 1 is 1, below 0 and NaN are 0. Any shape."""
    return np.clip(np.nan_to_num(matte.astype(np.float32), nan=0, posinf=1, neginf=0), 0, 1)


def shape_matte(matte: Array, *, grow: int, feather: int) -> Array:
    """The matte grown by a disc of ``grow`` pixels, then faded in over ``feather`` pixels inwards.

    matte: (height, width), float32 in [0, 1], with at least ``grow`` pixels of 0 round what is to
    grow. The result is above 0 only where the grown matte is, and never above it; the picture's
    border is no edge, so nothing fades there.
    """
    if grow:
        matte = _grown(matte, grow)
    if feather and not (matte > 0).all():
        inwards = cv2.distanceTransform((matte > 0).astype(np.uint8), cv2.DIST_L2, 5)
        matte = np.minimum(matte, inwards / (feather + 1))
    return matte


def _grown(matte: Array, radius: int) -> Array:
    """The greatest value within a disc round each pixel."""
    if np.isin(matte, (0, 1)).all():
        apart = cv2.distanceTransform(
            (matte == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        grown: Array = ((apart <= radius) & matte.any()).astype(np.float32)
        return grown
    height = matte.shape[0]
    grown = np.zeros_like(matte)
    for dy in range(-min(radius, height - 1), min(radius, height - 1) + 1):
        half = int((radius**2 - dy**2) ** 0.5)
        row = cv2.dilate(matte, np.ones((1, 2 * half + 1), np.uint8))  # a row of the disc
        here, there = (
            slice(max(dy, 0), height + min(dy, 0)),
            slice(max(-dy, 0), height - max(dy, 0)),
        )
        np.maximum(grown[here], row[there], out=grown[here])
    return grown


def composite(plate: Array, fill: Array, alpha: Array) -> Array:
    """Lays the fill into the plate: ``plate + alpha (fill - plate)``, float32.

    plate: (height, width, C), light, may hold NaN and Inf. fill: the same shape, finite. alpha:
    (height, width) in [0, 1]. Where alpha is 0 the plate's values come back as they are, where it
    is 1 the fill's; a plate value that is not finite gives way to the fill wherever alpha is above
    0.
    """
    light = plate.astype(np.float32)
    cover = alpha[:, :, None].astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        mixed = light + cover * (fill - light)
    mixed = np.where((cover >= 1) | ~np.isfinite(mixed), fill, mixed)
    return np.where(cover > 0, mixed, light)

"""Spreads what is known over what is not: the one smooth interpolation of this package."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["average", "blur", "spread"]

RELAXATIONS = 2
"""Smoothing passes at each size; more come closer to a membrane."""

WIDE = 3.0

Array = NDArray[Any]


def blur(value: Array, sigma: float) -> Array:
    """A Gaussian blur of (H, W) or (H, W, C), mirrored at the border; a wide one by way of half the
    size."""
    if sigma > WIDE and min(value.shape[:2]) > 1:
        left = (sigma**2 / 4 - 0.5) ** 0.5  # the two steps of the pyramid blur too
        half = blur(cv2.pyrDown(value), left)
        wide = cv2.pyrUp(half, dstsize=(value.shape[1], value.shape[0]))
    else:
        wide = cv2.GaussianBlur(value, (0, 0), sigma)
    return np.asarray(wide.reshape(value.shape))


def average(value: Array, weight: Array, sigma: float) -> Array:
    """The weighted mean of ``value``, (H, W) or (H, W, C), under a Gaussian window; 0 where the
    weight, (H, W), has nothing within reach."""
    share = weight.reshape(*weight.shape, *[1] * (value.ndim - 2))
    total = blur(weight, sigma).reshape(share.shape)
    return np.asarray(blur(value * share, sigma) * (total > 1e-6) / np.maximum(total, 1e-6))


def spread(value: Array, weight: Array) -> Array:
    """A smooth field that is ``value`` where its weight is 1, and elsewhere follows what is known
    around it, near things before far ones. 0 where nothing is known.

    value: (H, W) or (H, W, C), float32, finite. weight: (H, W), float32, in [0, 1].

    The pull-push of Gortler et al., *The Lumigraph*, SIGGRAPH 1996, with smoothing at each size, so
    that it is close to the membrane through the known values: weighted averages at half the size
    each, down to a point, then back up into what the finer size does not know.
    """
    flat, sure = value.reshape(*weight.shape, -1), weight[:, :, None]
    if max(weight.shape) == 1:
        return np.asarray((flat * (sure > 0)).reshape(value.shape))
    fixed = flat * sure
    share = cv2.pyrDown(weight)
    mean = cv2.pyrDown(fixed).reshape(*share.shape, -1) / np.maximum(share, 1e-12)[:, :, None]
    coarse = spread(mean, np.minimum(4 * share, 1))
    wide = cv2.pyrUp(coarse, dstsize=(weight.shape[1], weight.shape[0])).reshape(flat.shape)
    free = 1 - sure
    for _ in range(RELAXATIONS):
        wide = cv2.GaussianBlur(wide, (3, 3), 0).reshape(flat.shape)
        wide *= free
        wide += fixed
    return np.asarray(wide.reshape(value.shape))

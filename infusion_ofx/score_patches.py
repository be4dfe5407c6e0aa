"""Whether a fill is made of the truth's space-time patches, wherever they lie: texture's figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Patches", "distance"]

SIZES = ((3, 7, 7), (3, 5, 5), (3, 3, 3), (1, 3, 3), (1, 1, 1))
"""Patch sizes (time, height, width); the first that fits into the hole is taken."""

DIRECTIONS = 64
LARGEST = 16_384  # patches compared at most; more change the third digit only

Clip = NDArray[Any]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Patches:
    """Boxes of one size that lie wholly in a mask."""

    size: tuple[int, int, int]
    """Frames, height, width."""
    most: int = LARGEST
    """As many are looked at."""

    @classmethod
    def fitting(cls, *masks: Mask) -> Patches:
        """The largest size of which every mask holds a whole one; the smallest if none fits."""
        sized = (cls(size) for size in SIZES)
        return next((p for p in sized if all(p.count(mask) for mask in masks)), cls(SIZES[-1]))

    def count(self, mask: Mask) -> int:
        """How many lie in the mask."""
        return int(self._whole(mask).sum())

    def of(self, clip: Clip, mask: Mask) -> Clip:
        """The patches of a clip (T, H, W, C) in a mask, (N, voxels, C), N at most ``most``.

        Masks with the same number of patches give the same choice of them.
        """
        corners = np.argwhere(self._whole(mask))
        if len(corners) > self.most:
            chosen = np.random.default_rng(1).choice(len(corners), self.most, replace=False)
            corners = corners[chosen]
        if not len(corners):
            return np.zeros((0, 1, 1), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(clip, self.size, axis=(0, 1, 2))
        taken = windows[tuple(corners.T)]  # (N, C, t, h, w)
        return np.moveaxis(taken.reshape(*taken.shape[:2], -1), 1, 2)

    def _whole(self, mask: Mask) -> Mask:
        if any(length < side for length, side in zip(mask.shape, self.size, strict=True)):
            return np.zeros((0, 0, 0), bool)
        for axis, side in enumerate(self.size):
            windows = np.lib.stride_tricks.sliding_window_view(mask, side, axis=axis)
            mask = np.asarray(windows.all(axis=-1))
        return mask


def distance(ours: Clip, theirs: Clip) -> dict[str, float]:
    """``swd`` and ``swd_texture``: distances of two sets of patches (N, voxels, C), times 100.

    On the scale of the samples: of the log scale 0..1, hence per cent of the range; 0 is ideal.
    For ``swd_texture`` each patch loses its mean in each channel, so that brightness that drifts is
    not taken for a wrong texture, nor hides one.
    """
    centred = (patches - patches.mean(axis=1, keepdims=True) for patches in (ours, theirs))
    return {"swd": _sliced(ours, theirs), "swd_texture": _sliced(*centred)}


def _sliced(ours: Clip, theirs: Clip) -> float:
    """Sliced Wasserstein distance of order 1, times 100; NaN where a side has no patch.

    Rabin, Peyré, Delon, Bernot 2011, "Wasserstein barycenter and its application to texture
    mixing": the mean over random directions of the distance of the sorted projections.
    """
    count = min(len(ours), len(theirs))
    if not count:
        return float("nan")
    ours, theirs = ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)
    rng = np.random.default_rng(2)
    directions = rng.standard_normal((ours.shape[1], DIRECTIONS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    first, second = (
        _thinned(np.sort(patches @ directions, axis=0), count) for patches in (ours, theirs)
    )
    return float(100 * np.mean(np.abs(first.astype(np.float64) - second)))


def _thinned(ordered: Clip, count: int) -> Clip:
    """``count`` evenly spaced rows of sorted rows."""
    rows = (np.arange(count) + 0.5) * len(ordered) / count
    taken: Clip = ordered[rows.astype(np.intp)]
    return taken

"""Whether a fill looks like anything that the shot shows: what an eye calls scribble. No files.

Where a network has nothing to go by it leaves edges as strong as the shot's, and none of them makes
sense: what compares distributions finds them right. But each patch of what is really there, or of a
texture that goes on, is about like some patch that is known, and a patch of scribble is like none
(coherence: Simakov, Caspi, Shechtman, Irani, "Summarizing Visual Data Using Bidirectional
Similarity", CVPR 2008).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.score_patches import Patches

__all__ = ["strangeness"]

RING = 8
"""Pixels beside the hole: what the fill is held against. Both are looked for beyond them, so that
neither is helped by what it joins."""

TARGETS, SOURCES = 2_000, 40_000
"""Patches that are looked for, and that they are looked for among, at most."""

COMPONENTS = 40
"""Principal components by which the nearest is found."""

FAINT = 0.05
"""Contrast, over the ring's, that is added to both: a flat fill is like little, but not like
nothing."""

NOBODY_SEES = 2.0**-24
"""Squared distance on a log scale; keeps the ratio finite where all is known."""

AT_ONCE = 250

Clip = NDArray[Any]
Mask = NDArray[np.bool_]


def strangeness(fill: Clip, plate: Clip, hole: Mask, known: Mask) -> float:
    """What no known patch shows of the fill's patches, over their contrast, held against the same
    of known patches beside the hole: 1 is as much like the shot as those, more is strange.

    fill, plate: (T, H, W, C) on the log scale of score.py; the fill is looked at in the hole, the
    plate where it is known. hole, known: (T, H, W). NaN where there is nothing to compare.
    """
    square = np.ones((2 * RING + 1, 2 * RING + 1), np.uint8)
    beside = np.stack([cv2.dilate(frame.astype(np.uint8), square) for frame in hole]) > 0
    ring, beyond = beside & known, known & ~beside
    size = replace(Patches.fitting(hole, ring, beyond), most=TARGETS)
    ours, theirs = size.of(fill, hole), size.of(plate, ring)
    source = replace(size, most=SOURCES).of(plate, beyond)
    if not (len(ours) and len(theirs) and len(source)):
        return float("nan")
    known_ones, faint = _Known(source), FAINT * _contrast(theirs)
    above, below = (
        (known_ones.miss(each) + NOBODY_SEES) / (_contrast(each) + faint + NOBODY_SEES)
        for each in (ours, theirs)
    )
    return above / below


def _contrast(patches: Clip) -> float:
    """Mean square of how far samples are from their patch's mean in their channel; patches: (N,
    voxels, C)."""
    return float(np.var(patches, axis=1, dtype=np.float64).mean())


class _Known:
    """Patches (N, voxels, C) in which others are looked for."""

    def __init__(self, patches: Clip) -> None:
        rows = patches.reshape(len(patches), -1)
        self.mean = rows.mean(axis=0)
        apart = rows - self.mean
        _, vectors = np.linalg.eigh(apart.T @ apart)
        self.basis = vectors[:, -COMPONENTS:]
        self.described = apart @ self.basis
        self.squares = (self.described**2).sum(axis=1)

    def miss(self, patches: Clip) -> float:
        """Mean square by which samples of patches miss those of the nearest known one; of what the
        components do not tell, all is missed."""
        total = 0.0
        for first in range(0, len(patches), AT_ONCE):
            some = patches[first : first + AT_ONCE]
            apart = some.reshape(len(some), -1) - self.mean
            nearest = (self.squares - 2 * (apart @ self.basis) @ self.described.T).min(axis=1)
            total += float((nearest + (apart**2).sum(axis=1)).clip(0).sum(dtype=np.float64))
        return total / patches.size

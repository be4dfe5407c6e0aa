"""How good a fill is: against the truth, or against the known pixels round the hole. No files.

Light is unbounded and an eye sees ratios of it, so everything is measured on one log scale,
``logarithm(x, peak) = log2(1 + max(x, 0) / 2**-6) / log2(1 + peak / 2**-6)``, which maps 0 to 0
and ``peak`` to 1. It is close to a line below 2**-6 (six stops under diffuse white, about where a
camera's noise lies) and a plain count of stops above. ``peak`` is the brightest light of the
plate, see ``peak_of``: so the peak signal of PSNR is the range 0..peak.

The four figures
    ``psnr``              decibels, higher is closer; says little about texture, blur scores well.
    ``swd``               sliced Wasserstein distance of space-time patches, times 100; 0 is ideal.
    ``frame_difference``  spread of the differences of consecutive frames, fill over truth; 1 is
                          ideal, less is frozen or over-smooth, more flickers.
    ``sharpness``         spread of the Laplacian, fill over truth; 1 is ideal, less is blurred,
                          more is noisy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["logarithm", "peak_of", "scores", "scores_without_truth"]

TOE = 2.0**-6
"""Linear light under which the log scale turns into a line."""

PATCHES = ((3, 7, 7), (3, 5, 5), (3, 3, 3), (1, 3, 3), (1, 1, 1))
"""Patch sizes (time, height, width); the first that fits into the hole is taken."""

DIRECTIONS = 64
LARGEST = 16_384  # patches compared at most; more change the third digit only
BRIGHTEST = 65504.0  # half float's largest number; an infinite sample counts as this

Clip = NDArray[Any]
Mask = NDArray[np.bool_]


def logarithm(light: Clip, peak: float) -> NDArray[np.float32]:
    """Linear light on the log scale of this module: 0 at 0 and below, 1 at ``peak``, float32.

    A NaN counts as 0, an infinity as the largest half float.
    """
    finite = np.nan_to_num(light.astype(np.float32), nan=0.0, posinf=BRIGHTEST, neginf=0.0)
    scale = np.float32(1 / np.log2(1 + max(peak, TOE) / TOE))
    levels: NDArray[np.float32] = np.log2(1 + np.maximum(finite, 0) / np.float32(TOE)) * scale
    return levels


def peak_of(light: Clip) -> float:
    """The brightest light of a clip: its 99.9th percentile, so that one hot pixel does not set it.

    Non-finite samples are left out; an empty or black clip has the peak 2**-6.
    """
    finite = light[np.isfinite(light)]
    return max(float(np.percentile(finite.astype(np.float32), 99.9)), TOE) if finite.size else TOE


def scores(fill: Clip, truth: Clip, hole: Mask, *, peak: float | None = None) -> dict[str, float]:
    """Compares a fill with the truth; sees nothing outside the hole.

    fill, truth: (T, H, W, C) linear light. hole: (T, H, W). peak: the plate's, from ``peak_of``;
    left out, it is the truth's inside the hole. A figure that the hole is too small for is NaN.
    """
    hole = hole & np.isfinite(truth).all(axis=-1)
    if peak is None:
        peak = peak_of(truth[hole])
    ours, true = logarithm(fill, peak), logarithm(truth, peak)
    size = _patch_size(hole)
    corners = _corners(hole, size)
    return {
        "psnr": _psnr(ours[hole], true[hole]),
        "swd": _distance(_patches(ours, corners, size), _patches(true, corners, size)),
        "frame_difference": _ratio(_frame_differences(ours, hole), _frame_differences(true, hole)),
        "sharpness": _ratio(_laplacian(ours, hole), _laplacian(true, hole)),
    }


def scores_without_truth(fill: Clip, hole: Mask, plate: Clip) -> dict[str, float]:
    """Compares a fill with the known pixels of the plate round the hole.

    fill, plate: (T, H, W, C) linear light. hole: (T, H, W). The surroundings are a ring of known,
    finite pixels that holds as many pixels and as many whole patches as the hole, as far as the
    frame allows. The texture may change on its way into the hole: compare fills of one shot with
    each other by these figures, not one shot with another.
    """
    known = ~hole & np.isfinite(plate).all(axis=-1)
    peak = peak_of(plate[known])
    ours, theirs = logarithm(fill, peak), logarithm(plate, peak)
    size = _patch_size(hole, known)
    inside = _corners(hole, size)
    ring, outside = _surroundings(hole, known, size, len(inside))
    moving = _ratio(_frame_differences(ours, hole), _frame_differences(theirs, ring))
    return {
        "swd": _distance(_patches(ours, inside, size), _patches(theirs, outside, size)),
        "frame_difference": moving,
        "sharpness": _ratio(_laplacian(ours, hole), _laplacian(theirs, ring)),
    }


def _psnr(ours: Clip, true: Clip) -> float:
    if not true.size:
        return float("nan")
    error = float(np.mean((ours - true).astype(np.float64) ** 2))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def _ratio(ours: Clip, theirs: Clip) -> float:
    """Spread over spread; NaN where there is nothing to measure, 1 where both are still."""
    if not ours.size or not theirs.size:
        return float("nan")
    above, below = float(ours.std(dtype=np.float64)), float(theirs.std(dtype=np.float64))
    if below == 0:
        return 1.0 if above == 0 else float("inf")
    return above / below


def _frame_differences(clip: Clip, mask: Mask) -> Clip:
    """Differences of consecutive frames where both lie in the mask, (N, C)."""
    both: Clip = mask[1:] & mask[:-1]
    differences: Clip = (clip[1:] - clip[:-1])[both]
    return differences


def _laplacian(clip: Clip, mask: Mask) -> Clip:
    """The five-point Laplacian where the pixel and its four neighbours lie in the mask, (N, C)."""
    values = (
        clip[:, :-2, 1:-1]
        + clip[:, 2:, 1:-1]
        + clip[:, 1:-1, :-2]
        + clip[:, 1:-1, 2:]
        - 4 * clip[:, 1:-1, 1:-1]
    )
    whole = (
        mask[:, :-2, 1:-1]
        & mask[:, 2:, 1:-1]
        & mask[:, 1:-1, :-2]
        & mask[:, 1:-1, 2:]
        & mask[:, 1:-1, 1:-1]
    )
    chosen: Clip = values[whole]
    return chosen


def _patch_size(*masks: Mask) -> tuple[int, int, int]:
    """The largest patch size of which every mask holds a whole one; the smallest if none fits."""
    fitting = (size for size in PATCHES if all(len(_corners(mask, size)) for mask in masks))
    return next(fitting, PATCHES[-1])


def _corners(mask: Mask, size: tuple[int, int, int]) -> NDArray[np.intp]:
    if any(length < side for length, side in zip(mask.shape, size, strict=True)):
        return np.zeros((0, 3), np.intp)
    whole = mask
    for axis, side in enumerate(size):
        windows = np.lib.stride_tricks.sliding_window_view(whole, side, axis=axis)
        whole = np.asarray(windows.all(axis=-1))
    return np.argwhere(whole)


def _patches(clip: Clip, corners: NDArray[np.intp], size: tuple[int, int, int]) -> Clip:
    """Patches (N, values) at the corners; the same subset for the same number of corners."""
    if len(corners) > LARGEST:
        chosen = np.random.default_rng(1).choice(len(corners), LARGEST, replace=False)
        corners = corners[chosen]
    if not len(corners):
        return np.zeros((0, 1), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(clip, size, axis=(0, 1, 2))
    taken: Clip = windows[tuple(corners.T)].reshape(len(corners), -1)
    return taken


def _distance(ours: Clip, theirs: Clip) -> float:
    """Sliced Wasserstein distance of order 1 of two sets of patches, times 100.

    Rabin, Peyré, Delon, Bernot 2011, "Wasserstein barycenter and its application to texture
    mixing": the mean over random directions of the distance of the sorted projections.
    """
    count = min(len(ours), len(theirs))
    if not count:
        return float("nan")
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


def _surroundings(
    hole: Mask, known: Mask, size: tuple[int, int, int], patches: int
) -> tuple[Mask, NDArray[np.intp]]:
    """A ring of known pixels round the hole, with the corners of its whole patches."""
    grown, pixels = hole, int(hole.sum())
    wanted = min(patches, LARGEST)
    while True:
        wider = _grow(grown)
        ring = wider & known
        full = bool((wider == grown).all())
        if full or int(ring.sum()) >= pixels:
            corners = _corners(ring, size)
            if full or len(corners) >= wanted:
                return ring, corners
        grown = wider


def _grow(mask: Mask) -> Mask:
    """The mask and its four neighbours in each frame."""
    grown: Mask = mask.copy()
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    grown[:, :, 1:] |= mask[:, :, :-1]
    grown[:, :, :-1] |= mask[:, :, 1:]
    return grown

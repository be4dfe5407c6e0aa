"""How good a fill is: against the truth, or against the known pixels round the hole. No files.

Light is unbounded and an eye sees ratios of it, so all but FLIP is measured on one log scale,
``logarithm(x, peak) = log2(1 + max(x, 0) / 2**-6) / log2(1 + peak / 2**-6)``, which maps 0 to 0
and ``peak`` to 1. It is close to a line below 2**-6 (six stops under diffuse white, about where a
camera's noise lies) and a plain count of stops above. ``peak`` is the brightest light of the
plate, see ``peak_of``: so the peak signal of PSNR is the range 0..peak.

The figures; each says more where it is computed
    ``psnr``              decibels; higher is closer, infinity the truth. Blur scores well.
    ``ssim``              structural similarity, -1..1; 1 is the truth.
    ``flip``              HDR-FLIP, 0..1; 0 is the truth. NaN where it is not installed.
    ``swd``               sliced Wasserstein distance of space-time patches, times 100; 0 is ideal.
    ``swd_texture``       the same of patches without their mean: the texture, whatever its level.
    ``frame_difference``  spread of the differences of consecutive frames, fill over truth; 1 is
                          ideal, less is frozen or over-smooth, more flickers.
    ``spectrum``          decibels between the power of each temporal frequency; 0 is ideal.
    ``sharpness``         spread of the Laplacian, fill over truth; 1 is ideal, less is blurred,
                          more is noisy.
    ``seam``              steps across the hole's border over steps nearby; 1 is ideal, more shows.

Each looks at the hole only, but for ``seam``, which needs the known pixels beside it. A figure that
the hole is too small for is NaN; samples that are no numbers count as black or as the largest half
float. score_self.py plants holes where a shot has no truth, and says which fill is the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infusion_ofx.score_patches import Patches, distance
from infusion_ofx.score_pictures import flip, ssim

__all__ = ["frame_scores", "logarithm", "peak_of", "scores", "scores_without_truth"]

TOE = 2.0**-6
"""Linear light under which the log scale turns into a line."""

BRIGHTEST = 65504.0  # half float's largest number; an infinite sample counts as this
STILL = 2.0**-12  # spread of a log scale that nobody sees: keeps the ratios finite on a flat clip
RUNS = (16, 8, 4)  # frames of a stretch whose spectrum is taken: the longest that the hole holds
QUIET = 2.0**-24  # power of ``STILL``
ENOUGH = 300_000  # pixels of a frame that a figure of it is taken from
MARGIN = 3  # pixels kept round the hole

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
    """Compares a fill with the truth; does not see the fill outside the hole.

    fill, truth: (T, H, W, C) linear light. hole: (T, H, W). peak: the plate's, from ``peak_of``;
    left out, it is the truth's inside the hole.
    """
    hole = hole & np.isfinite(truth).all(axis=-1)
    near = _near(hole)
    fill, truth, hole = fill[near], truth[near], hole[near]
    if peak is None:
        peak = peak_of(truth[hole])
    ours, true = logarithm(fill, peak), logarithm(truth, peak)
    patches = Patches.fitting(hole)
    return {
        "psnr": _psnr(ours[hole], true[hole]),
        "ssim": ssim(ours, true, hole),
        "flip": flip(fill, truth, hole, peak),
        **distance(patches.of(ours, hole), patches.of(true, hole)),
        "frame_difference": _ratio(_frame_differences(ours, hole), _frame_differences(true, hole)),
        "spectrum": _spectrum_distance(ours, hole, true, hole),
        "sharpness": _ratio(_laplacian(ours, hole), _laplacian(true, hole)),
        "seam": _seam(ours, true, hole),
    }


def scores_without_truth(fill: Clip, hole: Mask, plate: Clip) -> dict[str, float]:
    """Compares a fill with the known pixels of the plate round the hole.

    fill, plate: (T, H, W, C) linear light. hole: (T, H, W). The surroundings are a ring of known,
    finite pixels that holds as many pixels and as many whole patches as the hole, as far as the
    frame allows. The texture may change on its way into the hole: compare fills of one shot with
    each other by these figures, not one shot with another. No ``psnr``, ``ssim``, ``flip``.
    """
    known = ~hole & np.isfinite(plate).all(axis=-1)
    peak = peak_of(plate[known])
    ours, theirs = logarithm(fill, peak), logarithm(plate, peak)
    patches = Patches.fitting(hole, known)
    ring = _surroundings(hole, known, patches)
    moving = _ratio(_frame_differences(ours, hole), _frame_differences(theirs, ring))
    return {
        **distance(patches.of(ours, hole), patches.of(theirs, ring)),
        "frame_difference": moving,
        "spectrum": _spectrum_distance(ours, hole, theirs, ring),
        "sharpness": _ratio(_laplacian(ours, hole), _laplacian(theirs, ring)),
        "seam": _seam(ours, theirs, hole, known),
    }


def frame_scores(
    fill: Sequence[Clip], plate: Sequence[Clip], hole: Sequence[Mask], *, peak: float
) -> tuple[float, float]:
    """``seam`` of the last of two frames, and ``frame_difference`` between them; see above.

    fill, plate: (H, W, C) linear light, of two frames, or of a first one, whose difference is NaN.
    hole: (H, W). The differences are held against those of the known pixels that are given.
    Of a large picture every n-th row and column is looked at, along which the steps are whole.
    """
    thin = max(1, int((hole[0].size / ENOUGH) ** 0.5))

    def looked_at(*places: slice) -> tuple[Clip, Clip, Mask, Mask]:
        when, *where = places
        ours, theirs, inside = (
            np.stack([one[tuple(where)] for one in each[when]]) for each in (fill, plate, hole)
        )
        known = ~inside & np.isfinite(theirs).all(axis=-1)
        return logarithm(ours, peak), logarithm(theirs, peak), inside, known

    last, every, all_ = slice(-1, None), slice(None, None, thin), slice(None)
    seam = _over([_border(*looked_at(last, all_, every), 1), _border(*looked_at(last, every), 2)])
    ours, theirs, inside, known = looked_at(all_, every, every)
    return seam, _ratio(_frame_differences(ours, inside), _frame_differences(theirs, known))


def _near(hole: Mask) -> tuple[slice, slice, slice]:
    """The box of the hole and a few pixels: figures of a small hole in a large plate are cheap."""
    if not hole.any():
        return slice(None), slice(None), slice(None)
    sides = []
    for axis, margin in enumerate((0, MARGIN, MARGIN)):
        others = tuple(other for other in range(3) if other != axis)
        held = np.flatnonzero(hole.any(axis=others))
        sides.append(slice(max(int(held[0]) - margin, 0), int(held[-1]) + 1 + margin))
    return sides[0], sides[1], sides[2]


def _psnr(ours: Clip, true: Clip) -> float:
    """Peak signal to noise in decibels, the peak being 1 on the log scale; infinite for the truth.

    Higher is closer. A pixel that is right on average scores best, so blur is rewarded where
    texture cannot be foretold: it decides on still content only.
    """
    if not true.size:
        return float("nan")
    error = float(np.mean((ours - true).astype(np.float64) ** 2))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def _ratio(ours: Clip, theirs: Clip) -> float:
    """Spread over spread, no unit, ideally 1; NaN where there is nothing to measure.

    ``STILL`` is added to both: two still clips are alike, and against a still one any movement
    that can be seen is many times too much, but not infinitely.
    """
    if not ours.size or not theirs.size:
        return float("nan")
    above, below = float(ours.std(dtype=np.float64)), float(theirs.std(dtype=np.float64))
    return (above + STILL) / (below + STILL)


def _frame_differences(clip: Clip, mask: Mask) -> Clip:
    """Differences of consecutive frames where both lie in the mask, (N, C)."""
    both: Clip = mask[1:] & mask[:-1]
    differences: Clip = (clip[1:] - clip[:-1])[both]
    return differences


def _laplacian(clip: Clip, mask: Mask) -> Clip:
    """The five-point Laplacian where the pixel and its four neighbours lie in the mask, (N, C)."""
    middle = (slice(None), slice(1, -1), slice(1, -1))
    above, below = (
        (slice(None), slice(None, -2), middle[2]),
        (slice(None), slice(2, None), middle[2]),
    )
    left, right = (
        (slice(None), middle[1], slice(None, -2)),
        (slice(None), middle[1], slice(2, None)),
    )
    values = clip[above] + clip[below] + clip[left] + clip[right] - 4 * clip[middle]
    whole = mask[above] & mask[below] & mask[left] & mask[right] & mask[middle]
    chosen: Clip = values[whole]
    return chosen


def _spectrum_distance(ours: Clip, mask: Mask, theirs: Clip, other: Mask) -> float:
    """Log spectral distance in time, decibels: 0 is ideal, 3 is twice or half the power throughout.

    The root mean square, over frequencies but 0, of the decibels between the powers of pixels
    through time: Welch's method (1967) on stretches that stay in the mask, with a Hann window. It
    tells slow drift from flicker where ``frame_difference`` sees their sum. ``QUIET`` is added to
    both powers, so that a frozen fill has a figure, if a large one.
    """
    for length in RUNS:
        ran = [_spectrum(clip, held, length) for clip, held in ((ours, mask), (theirs, other))]
        if all(power is not None for power in ran):
            first, second = (10 * np.log10(power + QUIET) for power in ran if power is not None)
            return float(np.sqrt(np.mean((first - second) ** 2)))
    return float("nan")


def _spectrum(clip: Clip, mask: Mask, length: int) -> NDArray[np.float64] | None:
    """Mean power of each frequency above 0 over half-overlapping stretches; None without any."""
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    window /= np.linalg.norm(window)
    power, count = np.zeros(length // 2), 0
    for start in range(0, len(clip) - length + 1, length // 2):
        held = mask[start : start + length].all(axis=0)
        runs = clip[start : start + length][:, held]  # (length, N, C)
        if held.any():
            moving = (runs - runs.mean(axis=0)) * window[:, None, None]
            power += (np.abs(np.fft.rfft(moving, axis=0)[1:]) ** 2).sum(axis=(1, 2))
            count += runs[0].size
    return power / count if count else None


def _seam(ours: Clip, theirs: Clip, hole: Mask, known: Mask | None = None) -> float:
    """Mean step across the hole's border over the mean step one pixel further in and out.

    No unit, ideally 1; above, the border shows; ours is taken in the hole and theirs outside. Each
    step of a border pixel with a known 4-neighbour is compared with the two that carry on from it
    in the same direction, so that an edge that lies along the border is not blamed on the fill.
    """
    known = ~hole if known is None else known
    return _over([_border(ours, theirs, hole, known, axis) for axis in (1, 2)])


def _border(
    ours: Clip, theirs: Clip, hole: Mask, known: Mask, axis: int
) -> tuple[Clip, Clip] | None:
    """Steps across the hole's border along an axis, and those nearby; None where there is no room
    for both."""
    if ours.shape[axis] < 4:
        return None
    mixed = np.where(hole[..., None], ours, theirs)
    cut = [np.moveaxis(each, axis, 0) for each in (mixed, hole, known)]
    steps = np.abs(np.diff(cut[0], axis=0)).mean(axis=-1)
    inside, outside = cut[1], cut[2]
    into = outside[:-3] & outside[1:-2] & inside[2:-1] & inside[3:]
    out = inside[:-3] & inside[1:-2] & outside[2:-1] & outside[3:]
    border = into | out
    return steps[1:-1][border], (steps[:-2] + steps[2:])[border] / 2


def _over(borders: Sequence[tuple[Clip, Clip] | None]) -> float:
    """Mean step across over mean step nearby; NaN without any."""
    found = [each for each in borders if each is not None]
    if not sum(across.size for across, _ in found):
        return float("nan")
    over, under = (
        float(np.concatenate(part).mean(dtype=np.float64)) for part in zip(*found, strict=True)
    )
    return (over + STILL) / (under + STILL)


def _surroundings(hole: Mask, known: Mask, patches: Patches) -> Mask:
    """A ring of known pixels round the hole, with as many pixels and whole patches."""
    grown, pixels = hole, int(hole.sum())
    wanted = min(patches.count(hole), patches.most)
    while True:
        wider = _grow(grown)
        ring = wider & known
        full = bool((wider == grown).all())
        if full or (int(ring.sum()) >= pixels and patches.count(ring) >= wanted):
            return ring
        grown = wider


def _grow(mask: Mask) -> Mask:
    """The mask and its four neighbours in each frame."""
    grown: Mask = mask.copy()
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    grown[:, :, 1:] |= mask[:, :, :-1]
    grown[:, :, :-1] |= mask[:, :, 1:]
    return grown

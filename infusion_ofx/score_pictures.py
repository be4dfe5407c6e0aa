"""Figures that compare a fill with the truth frame by frame, as a picture: SSIM and HDR-FLIP."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["flip", "ssim"]

SIGMA = 1.5  # pixels; Wang et al. 2004
RADIUS = 5
STEADY = (0.01**2, 0.03**2)  # C1 and C2 of Wang et al. 2004 for a range of 1
FRAMES = 12  # frames that FLIP looks at: it takes about 10 microseconds a pixel
EXPOSURES = (2, 6)  # FLIP's pictures of a frame, least and most
SHOWN = 2.12  # light that the filmic curve of FLIP (ACES) shows at 85 per cent
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)

Clip = NDArray[Any]
Mask = NDArray[np.bool_]


def ssim(ours: Clip, true: Clip, hole: Mask) -> float:
    """Structural similarity inside the hole, -1..1, ideally 1; mean over pixels and channels.

    ours, true: (T, H, W, C) on a scale of range 1. hole: (T, H, W). Wang, Bovik, Sheikh,
    Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity",
    with their Gaussian window of 11 pixels; the window's weights outside the hole are 0.
    """
    total, count = 0.0, 0
    for a, b, held in zip(ours, true, hole, strict=True):
        if not held.any():
            continue
        weight = held[..., None].astype(np.float64)
        share = _blurred(weight)[held]
        a, b = a.astype(np.float64), b.astype(np.float64)
        parts = (a, b, a * a, b * b, a * b)
        mean_a, mean_b, aa, bb, ab = (_blurred(part * weight)[held] / share for part in parts)
        cross = mean_a * mean_b
        light = (2 * cross + STEADY[0]) / (mean_a**2 + mean_b**2 + STEADY[0])
        spread = aa - mean_a**2 + bb - mean_b**2
        similar = light * (2 * (ab - cross) + STEADY[1]) / (spread + STEADY[1])
        total, count = total + float(similar.sum()), count + similar.size
    return total / count if count else float("nan")


def _blurred(picture: Clip) -> Clip:
    """A picture (H, W, C) under the Gaussian window, with nothing outside the frame."""
    window = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    window /= window.sum()
    for axis in (0, 1):
        sides = [(RADIUS, RADIUS) if axis == other else (0, 0) for other in range(3)]
        wide, length = np.pad(picture, sides), picture.shape[axis]
        picture = sum(
            part * np.take(wide, range(i, i + length), axis=axis) for i, part in enumerate(window)
        )
    return picture


def flip(fill: Clip, truth: Clip, hole: Mask, peak: float) -> float:
    """HDR-FLIP inside the hole: 0..1, ideally 0, seen from 67 pixels a degree. NaN without it.

    fill, truth: (T, H, W, C) linear light. Andersson, Nilsson, Shirley, Akenine-Möller 2021,
    "Visualizing errors in rendered high dynamic range images": what an eye sees that flips between
    the two, the worst over exposures from where the brightest is shown at 85 per cent to where the
    median is. The package ``flip-evaluator`` (NVIDIA, BSD-3-Clause) computes it and is asked for
    only here. It takes light as linear sRGB: for other primaries the figure compares fills of one
    shot, and no more. Outside the hole both pictures show the truth's mean. Of a long clip 12
    evenly spaced frames are looked at.
    """
    try:
        from flip_evaluator import evaluate
    except ImportError:
        return float("nan")
    held = np.flatnonzero(hole.any(axis=(1, 2)))
    if not held.size or truth.shape[-1] != 3:
        return float("nan")
    held = held[
        np.unique(np.linspace(0, len(held) - 1, min(len(held), FRAMES)).round().astype(int))
    ]
    settings = _exposures(_light(truth[hole], peak), peak)
    total, count = 0.0, 0
    for i in held:
        inside = hole[i][..., None]
        true = _light(truth[i], peak)
        ground = true[hole[i]].mean(axis=0)
        pictures = (np.where(inside, light, ground) for light in (true, _light(fill[i], peak)))
        seen, _, _ = evaluate(
            *pictures,
            "HDR",
            inputsRGB=False,
            applyMagma=False,
            computeMeanError=False,
            parameters=settings,
        )
        total, count = total + float(seen[hole[i]].sum()), count + int(hole[i].sum())
    return total / count


def _light(clip: Clip, peak: float) -> NDArray[np.float32]:
    """Light that FLIP can take: finite, from 0 to some stops above the peak."""
    top = 16 * peak
    finite = np.nan_to_num(clip.astype(np.float32), nan=0.0, posinf=top, neginf=0.0)
    return np.clip(finite, 0, np.float32(top))


def _exposures(light: Clip, peak: float) -> dict[str, float | int]:
    """FLIP's exposures, in stops; set here, since it ends the process on a black picture."""
    middle = max(float(np.median(light @ LUMINANCE)), peak * 2.0 ** -EXPOSURES[1])
    start, stop = (float(np.log2(SHOWN / level)) for level in (peak, middle))
    stop = max(stop, start + 1)
    count = min(max(round(stop - start), EXPOSURES[0]), EXPOSURES[1])
    return {"startExposure": start, "stopExposure": stop, "numExposures": count}

"""What anything must be held against: fills that take seconds and learn nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infusion_ofx.bench_case import Case
from infusion_ofx.prior.motion import places
from infusion_ofx.prior.sources import Sources
from infusion_ofx.score import logarithm
from infusion_ofx.sequence.frame import Box

__all__ = ["BASELINES", "median", "nearest", "telea"]

TELEA_RADIUS = 5  # pixels
STEPS = 64.0  # of the log scale's toe, as in score.py

Clip = NDArray[Any]


def telea(light: Clip, matte: Clip, peak: float) -> Clip:
    """Fills each frame by itself with cv2.inpaint (Telea 2004), through the matte.

    light: (T, H, W, 3). matte: (T, H, W) in 0..1. OpenCV takes 8 bit, so that the frame is coded on
    score.py's log scale first: 256 steps from 0 to ``peak``; light above it comes back as ``peak``.
    """
    import cv2  # here, since the engine's measurements do not need it

    ratio = 1 + peak * STEPS
    filled: Clip = light.copy()
    for picture, cover in zip(filled, matte, strict=True):
        coded = (np.clip(logarithm(picture, peak), 0, 1) * 255 + 0.5).astype(np.uint8)
        hole = (cover > 0).astype(np.uint8)
        painted = cv2.inpaint(coded, hole, TELEA_RADIUS, cv2.INPAINT_TELEA)
        fill = (ratio ** (np.asarray(painted, np.float32) / 255) - 1) / STEPS
        _lay(picture, fill, cover)
    return filled


def median(light: Clip, matte: Clip, peak: float) -> Clip:
    """Fills each pixel with the median, over all frames, of what is known there; Telea's fill where
    no frame knows it. Arguments as in ``telea``."""
    filled = telea(light, matte, peak)
    known = (matte == 0) & np.isfinite(light).all(axis=-1)
    held = (matte > 0).any(axis=0) & known.any(axis=0)
    seen = np.where(known[:, held, None], light[:, held].astype(np.float32), np.nan)
    fill = np.zeros((*held.shape, light.shape[-1]), np.float32)
    fill[held] = np.nanmedian(seen, axis=0)
    for picture, frame, cover in zip(filled, light, matte, strict=True):
        part = np.where(held, cover, 0)
        picture[part > 0] = frame[part > 0]
        _lay(picture, fill, part)
    return filled


def nearest(light: Clip, matte: Clip, peak: float) -> Clip:
    """Fills each pixel from the nearest frame that shows it, after the camera's motion between the
    two (a homography); Telea's fill where none does. Arguments as in ``telea``."""
    filled = telea(light, matte, peak)
    frames, height, width = matte.shape
    whole = Box(0, 0, height, width)
    sources = Sources(list(light), list(matte > 0), [whole] * frames)
    for i in range(frames):
        left = matte[i] > 0
        for _, view, homography in sources.around(i) if left.any() else ():
            at = places(whole, homography)
            part = np.where(left & view.sees(at), matte[i], 0)
            fill = np.sinh(view.look(at)) / np.float32(view.scale)
            filled[i][part > 0] = light[i][part > 0]
            _lay(filled[i], fill, part)
            left &= part == 0
    return filled


BASELINES: dict[str, Callable[[Clip, Clip, float], Clip]] = {
    "telea": telea,
    "median": median,
    "nearest": nearest,
}
"""By name: light (T, H, W, 3), matte (T, H, W) and the plate's peak to the filled clip."""


def baseline(name: str, case: Case) -> Clip:
    """A baseline's fill of what is scored of a case."""
    return BASELINES[name](case.light, case.cover, case.peak)


def _lay(picture: Clip, fill: Clip, cover: Clip) -> None:
    """Mixes a fill into a picture (H, W, C), in place, through its matte (H, W)."""
    part = cover[..., None].astype(np.float32)
    kept = np.where(part == 1, 0, picture.astype(np.float32))  # what is replaced may be Inf
    mixed = kept * (1 - part) + fill * part
    picture[cover > 0] = mixed[cover > 0].astype(picture.dtype)

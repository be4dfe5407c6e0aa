"""The prior: a hole's pixels from frames that have seen what is behind it. Read this first.

For each frame with a hole: the frames that have seen most of it from nearest in time (sources.py);
each aligned to the hole's surroundings (motion.py) and shifted to meet them; one picture from them
all; and how far to believe it (trust.py). Nothing is trained and nothing is random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.prior.motion import flow, places
from infusion_ofx.prior.sources import Sources
from infusion_ofx.prior.spread import average, spread
from infusion_ofx.prior.trust import Target, confidence
from infusion_ofx.prior.view import View
from infusion_ofx.sequence.frame import Box

__all__ = ["Shown", "propagate"]

FADE = 8.0
"""Pixels over which a source fades out towards the edge of what it has seen."""
GRAIN = 1.0
"""Standard deviation, in pixels, of the blur that parts grain from the rest."""
NEAR = 3.0
"""Standard deviation, in pixels, of the window in which sources are compared."""
TINY = 1e-8

Array = NDArray[Any]


@dataclass(frozen=True)
class Shown:
    """What the shot itself says about the hole of one frame."""

    box: Box
    """Round the hole; empty where there is none."""
    light: Array
    """(height, width, C) of the box, float32, finite; 0 where nothing was seen."""
    confidence: Array
    """(height, width) of the box, float32, in [0, 1]: 0 outside the hole and where nothing was
    seen. From one half on, what was seen is better than what could be made up."""


@dataclass(frozen=True)
class _Look:
    """What one source shows of the hole: arrays of the target's box."""

    levels: Array
    """(h, w, C)"""
    seen: Array
    """(h, w): 1 where seen, less towards the edge of that, 0 outside the hole."""
    error: Array
    """(h, w): the squared error of luma that is to be expected; above 0."""


def propagate(
    light: Sequence[Array],
    hole: Sequence[Array],
    boxes: Sequence[Box],
    rest: Callable[[], None] = lambda: None,
) -> Iterator[Shown]:
    """Fills holes from other frames of the shot, as far as they have seen what is behind: frame by
    frame.

    light: (H, W, C) a frame, any float type, scene-linear. hole: (H, W) a frame, not 0 in the hole;
    a pixel that is not finite is hole as well. boxes: what of the plate each frame covers. rest:
    lets go of what was looked at of light and hole.

    OpenCV is held to one thread meanwhile: some of its results change with the number of threads.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        sources = Sources(light, hole, boxes, rest)
        for i in range(len(boxes)):
            yield _fill(sources, i)
            rest()
    finally:
        cv2.setNumThreads(threads)


def _fill(sources: Sources, i: int) -> Shown:
    view = sources.view(i)
    box = view.hole()
    light = np.zeros((box.height, box.width, view.light.shape[2]), np.float32)
    trust = np.zeros((box.height, box.width), np.float32)
    if box.empty:
        return Shown(box, light, trust)
    target = Target.make(view, box)
    looks = [_look(target, *source) for source in sources.best(i, target.points())]
    useful = [look for look in looks if look is not None]
    if useful:
        picture, seen, error = _consensus(useful)
        inner = target.box.slices(box)
        light = np.sinh(picture[inner]) / np.float32(view.scale)
        trust = (confidence(error, target) * seen)[inner]
    return Shown(box, light, trust)


def _look(target: Target, source: View, homography: Array) -> _Look | None:
    """What a source shows and how right it is; None where that cannot be told."""
    base = places(target.box, homography)
    motion, sure = flow(target.lumas, target.safes, source, base)
    blind = base + spread(motion, sure * target.away)
    error = target.error(source.guess(blind, 0), source.sees(blind))
    if error is None:
        return None
    at = base + spread(motion, sure * target.safe)
    seen = source.sees(at)
    levels = target.joined(source.look(at), seen)
    inwards = cv2.distanceTransform(seen.astype(np.uint8), cv2.DIST_L2, 3)
    return _Look(levels, np.minimum(inwards / FADE, 1) * target.hole, error + TINY)


def _consensus(looks: list[_Look]) -> tuple[Array, Array, Array]:
    """One picture, (h, w, C) levels, where anything is seen, (h, w), 1 or 0, and the squared error
    of luma that is to be expected, (h, w).

    Coarse structure is the mean of all sources, which neither flickers nor shows their edges; grain
    comes from the best one alone, so that it is not averaged away. A source that disagrees with the
    others, for something passes there, counts less.
    """
    levels = np.stack([look.levels for look in looks])
    seen = np.stack([look.seen for look in looks])
    error = np.stack([look.error for look in looks])
    luma = levels.mean(-1)
    share = _shares(seen / error)
    apart = (luma - (share * luma).sum(0)) ** 2
    odd = np.stack([average(a, s, NEAR) for a, s in zip(apart, seen, strict=True)])
    share = _shares(seen / (error + odd / 2))
    anywhere = (seen.max(0) > 0).astype(np.float32)
    mean = (share[..., None] * levels).sum(0)
    best = np.take_along_axis(levels, share.argmax(0)[None, :, :, None], 0)[0]
    picture = (best + average(mean - best, anywhere, GRAIN)) * anywhere[:, :, None]
    expected = np.maximum((share * error).sum(0), _disagreement(luma, share))
    return picture, anywhere, expected


def _shares(weight: Array) -> Array:
    """Weights (n, h, w) that sum to 1, or to 0 where all are 0."""
    return np.asarray(weight / np.maximum(weight.sum(0), 1e-12))


def _disagreement(luma: Array, share: Array) -> Array:
    """The squared error of one source, (h, w), by what the sources say of each other; 0 where fewer
    than two have a say."""
    apart = (share * (luma - (share * luma).sum(0)) ** 2).sum(0)
    several = 1 - (share**2).sum(0)  # 0 for one source, 1 - 1/n for n alike
    say = (several > 0.15).astype(np.float32)
    return np.asarray(average(apart / np.maximum(several, 0.15), say, NEAR) * say)

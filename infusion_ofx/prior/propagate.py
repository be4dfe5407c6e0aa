"""The prior: a hole's pixels from frames that have seen what is behind it. Read this first.

For each frame with a hole: the frames that have seen most of it from nearest in time (sources.py);
each aligned to the hole's surroundings (motion.py) and shifted to meet them; one picture from them
all; and how far to believe it (trust.py). Where the camera's one motion does not explain the hole,
the same for each plane that moves by itself (planes.py), and of each place the plane that fits
best. Nothing is trained and nothing is random.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.prior.motion import Corners, flow, places
from infusion_ofx.prior.sources import MOST_THREADS, Sources
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
SAY = 0.15
"""One less the sum of the squares of the sources' shares: below this only one has a say."""
SOFT = 2.0
"""Standard deviation, in pixels, of the window in which motions are."""
BELIEVED, ENOUGH = 0.7, 0.9
"""Where so much of the hole has this confidence by the camera's motion, that is enough."""
COMPROMISE = 4.0
"""How many times as wrong the camera's motion is taken to be where there are several planes: its
flow is bent to fit them all round the hole, which says little about the hole."""
UNCOVERED = 0.1
"""Of the hole: what the camera's motion must uncover before planes are looked for."""
FEW, ALONE = 0.4, 2.0
"""A plane that has less of what is round a pixel than this share is believed the less there: where
it has nothing, the error to expect is this many times what there is to explain."""
STRAY = 2.0
"""Pixels that a plane's flow may be off its homography: beyond that it has left the plane."""
HARDLY, MOST_STAND = 0.3, 0.5
"""Pixels that a corner may seem to have moved by, and the share of those round a hole that must not
have moved more, for all there to stand still."""
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
    seen; one half where the error is just bearable (trust.py)."""


@dataclass(frozen=True)
class _Look:
    """What one source shows, or what all sources of one motion do: arrays of the target's box."""

    levels: Array
    """(h, w, C)"""
    seen: Array
    """(h, w): 1 where seen, less towards the edge of that, 0 outside the hole."""
    error: Array
    """(h, w): the squared error of luma that is to be expected; above 0."""
    square: Array
    """(h, w): the squared error of luma on the ring."""
    tried: Array
    """(h, w): 1 where that was tried, else 0."""


def propagate(
    light: Sequence[Array],
    hole: Sequence[Array],
    boxes: Sequence[Box],
    rest: Callable[[], None] = lambda: None,
    threads: int = 1,
) -> Iterator[Shown]:
    """Fills holes from other frames of the shot, as far as they have seen what is behind: frame by
    frame.

    light: (H, W, C) a frame, any float type, scene-linear. hole: (H, W) a frame, not 0 in the hole;
    a pixel that is not finite is hole as well. boxes: what of the plate each frame covers. rest:
    lets go of what was looked at of light and hole. threads: frames that are worked on side by
    side, MOST_THREADS at most; however many, the result is the same.

    OpenCV is held to one thread meanwhile: some of its results change with the number of threads.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    threads = min(threads, MOST_THREADS)
    pool = ThreadPoolExecutor(threads, "prior")
    try:
        sources = Sources(light, hole, boxes, rest)
        waiting: deque[Future[Shown]] = deque()  # bounded by frames: planes forget those far behind
        for i in range(len(boxes)):
            waiting.append(pool.submit(_fill, sources, i))
            if len(waiting) == 2 * threads:
                yield waiting.popleft().result()
                rest()
        for future in waiting:
            yield future.result()
            rest()
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(before)


def _fill(sources: Sources, i: int) -> Shown:
    view = sources.view(i)
    box = view.hole()
    light = np.zeros((box.height, box.width, view.light.shape[2]), np.float32)
    trust = np.zeros((box.height, box.width), np.float32)
    if box.empty:
        return Shown(box, light, trust)
    target = Target.make(view, box)
    look = _shown(sources, i, target)
    if look is not None:
        sure = _believed(look, target)
        if (sure > BELIEVED).sum() < ENOUGH * target.hole.sum():
            look = reduce(_better, _planes(sources, i, target, look))
            sure = _believed(look, target)
        inner = target.box.slices(box)
        light = np.clip(np.sinh(look.levels[inner]) / np.float32(view.scale), *sources.limits)
        light *= look.seen[inner][..., None] > 0
        trust = sure[inner]
    return Shown(box, light, trust)


def _planes(sources: Sources, i: int, target: Target, whole: _Look) -> Iterator[_Look]:
    """What is shown by the camera's motion, and by each plane near the hole; by the camera's alone
    where that uncovers next to nothing: then nothing there was seen from elsewhere, and what seems
    a plane is a texture that moves."""
    looks = []
    if whole.seen.sum() > UNCOVERED * target.hole.sum():
        for plane, share in sources.planes(i, target.box):
            if (share * target.hole).max() > FEW / 2:
                looks.append(_shown(sources, i, target, plane, share))
    found = [look for look in looks if look is not None]
    bent = COMPROMISE if len(found) > 1 else 1.0
    yield replace(whole, error=whole.error * bent)
    yield from found


def _shown(
    sources: Sources, i: int, target: Target, plane: int | None = None, share: Array | None = None
) -> _Look | None:
    """What all sources together show by one motion; None where that is nothing. share: how much of
    what is round each pixel (h, w) moves like that."""
    stray = STRAY if plane is not None else np.inf
    chosen = sources.best(i, target.points(), plane)
    looks = [_look(target, *source, stray) for source in chosen]
    useful = [look for look in looks if look is not None]
    if not useful:
        return None
    look = _consensus(useful, target)
    if share is None:
        return look
    alone = np.maximum(0, 1 - share / FEW)
    return replace(look, error=look.error + ALONE * target.contrast * alone)


def _better(first: _Look, second: _Look) -> _Look:
    """Of what two motions show, place by place that with the less error."""

    def error(look: _Look, where: Array) -> Array:
        return np.where(where > 0, average(look.error, where, SOFT), np.inf)

    inside = error(second, second.seen) < error(first, first.seen)
    on_ring = error(second, second.tried) < error(first, first.tried)
    return _Look(
        np.where(inside[..., None], second.levels, first.levels),
        np.where(inside, second.seen, first.seen),
        np.where(inside | on_ring, second.error, first.error),
        np.where(on_ring, second.square, first.square),
        np.where(on_ring, second.tried, first.tried),
    )


def _believed(look: _Look, target: Target) -> Array:
    """How far to believe what is shown, (h, w)."""
    expected = np.maximum(look.error, target.lot(look.square, look.tried))
    return np.asarray(confidence(expected, target) * look.seen)


def _look(target: Target, source: View, homography: Array, stray: float) -> _Look | None:
    """What a source shows and how right it is; None where that cannot be told. stray: pixels, from
    which on what moves otherwise than the homography is something else."""
    base = places(target.box, homography)
    motion, sure = _motion(target, source, homography, base)
    sure = sure * (np.linalg.norm(motion, axis=2) < stray)
    blind = base + spread(motion, sure * target.away)
    on_ring = target.tried(source.guess(blind, 0), source.sees(blind))
    if on_ring is None:
        return None
    square, tried = on_ring
    at = base + spread(motion, sure * target.safe)
    seen = source.sees(at)
    levels, shifted = target.joined(source.look(at), seen)
    inwards = cv2.distanceTransform(seen.astype(np.uint8), cv2.DIST_L2, 3)
    error = target.near(square, tried) + shifted + TINY
    return _Look(levels, np.minimum(inwards / FADE, 1) * target.hole, error, square, tried)


def _motion(target: Target, source: View, homography: Array, base: Array) -> tuple[Array, Array]:
    """The flow that is left to be added to ``base``, and how far it was measured, as ``flow`` gives
    them: none before a still camera where what is round the hole stands still as well. Light that
    flickers over it would be taken for motion."""
    if (homography == np.eye(3)).all():
        corners = Corners.find(source.within(target.box), target.view)
        if corners.standing(HARDLY) > MOST_STAND:
            return np.zeros_like(base), np.ones_like(base[..., 0])
    return flow(target.lumas, target.safes, source, base)


def _consensus(looks: list[_Look], target: Target) -> _Look:
    """One picture of several sources; seen: 1 where any of them sees.

    Coarse structure is the mean of all sources, which neither flickers nor shows their edges; grain
    comes from the best one alone, so that it is not averaged away. A source that disagrees with the
    others, for something passes there, counts less. Where there are no others, it must not be too
    far off what the surroundings say.
    """
    levels, seen, error, square, tried = (
        np.stack([getattr(look, field.name) for look in looks]) for field in fields(_Look)
    )
    luma = levels.mean(-1)
    share = _shares(seen / error)
    apart = (luma - (share * luma).sum(0)) ** 2
    odd = np.stack([average(a, s, NEAR) for a, s in zip(apart, seen, strict=True)])
    share = _shares(seen / (error + odd / 2))
    anywhere = (seen.max(0) > 0).astype(np.float32)
    mean = (share[..., None] * levels).sum(0)
    best = np.take_along_axis(levels, share.argmax(0)[None, :, :, None], 0)[0]
    picture = (best + average(mean - best, anywhere, GRAIN)) * anywhere[:, :, None]
    on_ring = _shares(tried / error)
    expected = np.maximum((share * error).sum(0), _disagreement(luma, share))
    expected = expected + target.strange(picture.mean(-1)) * (anywhere * (_several(share) <= SAY))
    return _Look(
        picture,
        anywhere,
        np.where(tried.max(0) > 0, (on_ring * error).sum(0), expected),
        (on_ring * square).sum(0),
        tried.max(0),
    )


def _shares(weight: Array) -> Array:
    """Weights (n, h, w) that sum to 1, or to 0 where all are 0."""
    return np.asarray(weight / np.maximum(weight.sum(0), 1e-12))


def _several(share: Array) -> Array:
    """0 where one source has all of the say, 1 - 1/n where n have the same, (h, w)."""
    return np.asarray(1 - (share**2).sum(0))


def _disagreement(luma: Array, share: Array) -> Array:
    """The squared error of one source, (h, w), by what the sources say of each other; 0 where fewer
    than two have a say."""
    apart = (share * (luma - (share * luma).sum(0)) ** 2).sum(0)
    several = _several(share)
    say = (several > SAY).astype(np.float32)
    return np.asarray(average(apart / np.maximum(several, SAY), say, NEAR) * say)

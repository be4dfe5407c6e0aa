"""Sources: which other frames have seen what a frame's hole hides, and by what camera motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from threading import RLock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from infusion_ofx.prior.motion import Corners, camera, steady
from infusion_ofx.prior.planes import Planes
from infusion_ofx.prior.view import View
from infusion_ofx.sequence.frame import Box
from infusion_ofx.working import KNEE, Working

__all__ = ["MOST_THREADS", "VIEWS", "Sources"]

DISTANCES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
"""How far off, in frames, sources are looked for, either way."""
MOST_THREADS = 8
"""Frames that may be worked on side by side; a part of the work is one thread's."""
VIEWS = 2 * (DISTANCES[-1] + MOST_THREADS + 1)
"""Views that are kept, so that none of a frame's sources is made twice."""
MOST = 8
"""Sources for one frame."""
LEAST_GAIN = 0.01
"""A source that adds less than this share of what the first could add is not worth its time."""

Array = NDArray[Any]


class Sources:
    """A shot's views and the camera's motion between them, made when asked for, by one thread at a
    time; the rest of the work on a frame may be done by several, each with a frame of its own."""

    def __init__(
        self,
        light: Sequence[Array],
        hole: Sequence[Array],
        boxes: Sequence[Box],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes what ``propagate`` takes. ``limits``: the least and the greatest known value of
        each channel, (C,) float32 each."""
        scale, self.limits = _scale(light, hole, rest)

        @lru_cache(VIEWS)
        def view(i: int) -> View:
            return View.make(light[i], hole[i], boxes[i], scale)

        @lru_cache(VIEWS)
        def corners(i: int) -> Corners:
            return Corners.find(view(i), view(i + 1))

        @lru_cache(None)
        def link(i: int) -> Array | None:
            return camera(corners(i))

        self._view, self._camera, self._frames = view, link, len(boxes)
        self._planes = Planes(corners, rest)
        self._one = RLock()

    def view(self, i: int) -> View:
        """One of the shot's frames."""
        with self._one:
            return self._view(i)

    def planes(self, i: int, box: Box) -> Iterator[tuple[int, Array]]:
        """The planes of frame i that more than one motion is needed for, and how much of what is
        round each pixel of a box belongs to them, (h, w); nothing where one explains all."""
        links = [j for j in (i - 1, i) if 0 <= j < self._frames - 1]
        with self._one:
            found = sorted({plane for j in links for plane in self._planes.link(j)})
        for plane in found if len(found) > 1 else ():
            yield plane, self._planes.share(i, plane, box)

    def best(self, i: int, points: Array, plane: int | None = None) -> list[tuple[View, Array]]:
        """The sources for plate points (2, N) of frame i, with the homographies that lead there:
        the camera's, or a plane's.

        Each point wants to be seen, best from near in time, and better by three frames than by one;
        chosen one by one for the most that each adds.
        """
        worth = {}
        for j, view, homography in self.around(i, plane):
            seen = _seen(view, homography, points)
            if seen.any():
                worth[j] = (seen / abs(j - i) ** 0.5, homography)
        chosen: list[tuple[View, Array]] = []
        held = np.zeros((3, points.shape[1]))  # worth of each point's three best sources so far
        enough = 0.0
        while worth and len(chosen) < MOST:
            gains = {j: float(_added(held, value).sum()) for j, (value, _) in worth.items()}
            j = max(gains, key=lambda j: (gains[j], -abs(j - i), j))
            enough = enough or LEAST_GAIN * gains[j]
            if gains[j] <= enough and chosen:
                break
            value, homography = worth.pop(j)
            held = -np.sort(-np.vstack([held, value]), axis=0)[:3]
            chosen.append((self.view(j), homography))
        return chosen

    def around(self, i: int, plane: int | None = None) -> Iterator[tuple[int, View, Array]]:
        """Frames round i as far as the camera, or a plane, can be followed, nearest first: their
        number, view, and the homography from i to them."""
        whole = {1: np.eye(3), -1: np.eye(3)}
        for step in range(1, DISTANCES[-1] + 1):
            for way in tuple(whole):
                j = i + way * step
                link = self._link(min(j, j - way), plane) if 0 <= j < self._frames else None
                if link is not None:
                    whole[way] = (link if way > 0 else np.linalg.inv(link)) @ whole[way]
                if link is None or not steady(whole[way], self.view(i).box):
                    del whole[way]
                elif step in DISTANCES:
                    yield j, self.view(j), whole[way]

    def _link(self, i: int, plane: int | None) -> Array | None:
        """The homography from frame i to i + 1."""
        with self._one:
            return self._camera(i) if plane is None else self._planes.link(i).get(plane)


def _seen(view: View, homography: Array, points: Array) -> Array:
    """Which plate points (2, N) of another frame a view has seen, bool (N,)."""
    x, y, w = homography @ np.vstack([points, np.ones(points.shape[1])])
    ahead = w > 1e-6
    x = np.where(ahead, x / np.where(ahead, w, 1), -1e9) - view.box.left
    y = np.where(ahead, y / np.where(ahead, w, 1), -1e9) - view.box.top
    inside = (x >= 0) & (y >= 0) & (x <= view.box.width - 1) & (y <= view.box.height - 1)
    seen = np.zeros(points.shape[1], bool)
    row, column = np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)
    seen[inside] = view.safe[0][row, column] > 0
    return seen


def _added(held: Array, value: Array) -> Array:
    """What a source's worth (N,) adds to the three best so far, (3, N): a place counts half of the
    one before it."""
    places = np.array([[1.0], [0.5], [0.25]])
    best = -np.sort(-np.vstack([held, value]), axis=0)[:3]
    return np.asarray((places * (best - held)).sum(0))


def _scale(
    light: Sequence[Array], hole: Sequence[Array], rest: Callable[[], None]
) -> tuple[float, tuple[Array, Array]]:
    """What light is multiplied with before the asinh, the working range's choice for the shot; and
    the least and the greatest known value of each channel."""
    total = sum(mask.size for mask in hole)
    step = max(1, total // 1_000_000)
    known, ends = [], []
    for pixels, mask in zip(light, hole, strict=True):
        shown = pixels[(mask == 0) & np.isfinite(pixels).all(-1)]
        known.append(shown[::step].copy())
        if len(shown):
            ends += [shown.min(0), shown.max(0)]
        rest()
    values = torch.from_numpy(np.concatenate(known).astype(np.float32))
    if not len(values):
        return 1.0, (np.float32(0), np.float32(0))
    limits = np.min(ends, 0).astype(np.float32), np.max(ends, 0).astype(np.float32)
    return KNEE * Working.fit(values.T, decorrelate=False).gain, limits

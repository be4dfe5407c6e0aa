"""View: one frame as the prior looks at it, its holes marked and smoothed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from infusion_ofx.prior.spread import spread
from infusion_ofx.sequence.frame import Box

__all__ = ["GUARD", "SIZES", "View", "halved", "sample"]

GUARD = 2
"""Pixels round what is unknown that are not used either: as far as a cubic kernel reaches, and the
soft rim that most mattes leave outside."""

KERNEL = 4
"""Pixels round a place that a cubic kernel may touch, and some."""

NEXT = np.ones((3, 3), np.uint8)
"""The pixels next to one."""

SIZES = 5
"""Sizes in a pyramid, each half the one before."""

Array = NDArray[Any]


@dataclass(frozen=True)
class View:
    """One frame's region. Levels are ``asinh(scale * light)``: natural logarithms above a knee."""

    box: Box
    light: Array
    """(H, W, C), as it was given: what is unknown may hold anything."""
    scale: float
    known: Array
    """(H, W), bool."""
    luma: tuple[Array, ...]
    """Mean levels of the channels, float32, from full size down; smooth where unknown."""
    safe: tuple[Array, ...]
    """For each size uint8, 255 where known with ``GUARD`` known pixels all round, else 0."""

    @classmethod
    def make(cls, light: Array, hole: Array, box: Box, scale: float) -> View:
        """A view of ``light``, (H, W, C), in which is unknown where ``hole``, (H, W), is not 0 and
        what is not finite."""
        known = (hole == 0) & np.isfinite(light).all(-1)
        luma = levels(np.where(known[:, :, None], light, 0), scale).mean(-1)
        side = 2 * GUARD + 1
        safe = cv2.erode(
            known.astype(np.uint8) * 255,
            np.ones((side, side), np.uint8),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=0,
        )
        filled = spread(luma, known.astype(np.float32))
        return cls(box, light, scale, known, *halved(filled, safe))

    def within(self, box: Box) -> View:
        """What lies within a box of it, at full size alone."""
        box = box.intersect(self.box)
        cut = self.box.slices(box)
        return View(
            box, self.light[cut], self.scale, self.known[cut],
            (self.luma[0][cut],), (self.safe[0][cut],),
        )  # fmt: skip

    def hole(self) -> Box:
        """The smallest box round all that is unknown; empty when all is known."""
        left, top, width, height = cv2.boundingRect((~self.known).astype(np.uint8))
        top, left = top + self.box.top, left + self.box.left
        return Box(top, left, top + height, left + width)

    def cut(self, box: Box) -> tuple[Array, Array, Array, Array]:
        """Levels (h, w, C), 0 where unknown, luma, safe, and what is unknown, of a box inside
        ours."""
        cut = self.box.slices(box)
        known = self.known[cut]
        light = np.where(known[:, :, None], self.light[cut], 0)
        return levels(light, self.scale), self.luma[0][cut], self.safe[0][cut], ~known

    def look(self, at: Array) -> Array:
        """Levels (h, w, C) at plate coordinates ``at``, (h, w, 2), x before y, by a cubic kernel on
        light; anything where ``sees`` is false.

        Held to what the pixels next to a place show: beside a flame of 12 a cubic kernel swings
        below 0, and on the scale of levels that is far off.
        """
        x, y = at[..., 0], at[..., 1]
        touched = Box(int(y.min()), int(x.min()), int(y.max()), int(x.max())).grow(KERNEL)
        wanted = touched.intersect(self.box)
        if wanted.empty:
            return np.zeros((*at.shape[:2], self.light.shape[2]), np.float32)
        rows, columns = self.box.slices(wanted)
        light = np.where(self.known[rows, columns, None], self.light[rows, columns], 0)
        light, place = light.astype(np.float32), at - _corner(wanted)
        least, most = (
            sample(of(light, NEXT), place, cv2.INTER_NEAREST) for of in (cv2.erode, cv2.dilate)
        )
        found = np.clip(sample(light, place, cv2.INTER_CUBIC), least, most)
        return levels(found.reshape(*at.shape[:2], -1), self.scale)

    def sees(self, at: Array) -> Array:
        """Whether (h, w) all that ``look`` touches there is known."""
        return self.sure(at, 0)

    def guess(self, at: Array, size: int) -> Array:
        """Luma (h, w) at ``at``, from the pyramid's given size."""
        return sample(self.luma[size], (at - _corner(self.box)) / 2**size)

    def sure(self, at: Array, size: int) -> Array:
        """Whether (h, w) what ``guess`` gives there is seen and not guessed."""
        place = (at - _corner(self.box)) / 2**size
        return np.asarray(sample(self.safe[size], place, border=cv2.BORDER_CONSTANT) == 255)


def levels(light: Array, scale: float) -> Array:
    """``asinh(scale * light)``, float32."""
    scaled = light.astype(np.float32) * np.float32(scale)
    size = np.abs(scaled)  # numpy's own arcsinh takes twenty times as long
    return np.asarray(np.copysign(np.log(size + np.sqrt(size * size + 1)), scaled))


def sample(
    image: Array,
    at: Array,
    interpolation: int = cv2.INTER_LINEAR,
    border: int = cv2.BORDER_REPLICATE,
) -> Array:
    """An image (H, W) or (H, W, C) at pixel coordinates (h, w, 2), x before y."""
    at = np.clip(at, -1e4, 3e4).astype(np.float32)  # what is out of sight stays out of sight
    return np.asarray(cv2.remap(image, at[..., 0], at[..., 1], interpolation, borderMode=border))


def halved(luma: Array, safe: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Pyramids of a luma and of where it is safe; a pixel is safe when all that is in it is."""
    lumas, safes = [luma], [safe]
    for _ in range(SIZES - 1):
        lumas.append(cv2.pyrDown(lumas[-1]))
        safes.append((cv2.pyrDown(safes[-1]) == 255).astype(np.uint8) * 255)
    return tuple(lumas), tuple(safes)


def _corner(box: Box) -> Array:
    return np.array([box.left, box.top], np.float32)

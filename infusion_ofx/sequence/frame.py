"""What the header of one frame says, and how numbers become samples of a file's type."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import SequenceError

__all__ = ["Box", "Channel", "Header", "check_file", "check_pixels", "samples"]

Array = npt.NDArray[Any]

_HALF_MAX = 65504.0
_FLOAT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels in display space: y down, half-open, the data window's origin kept."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows, 0 or more."""
        return max(self.bottom - self.top, 0)

    @property
    def width(self) -> int:
        """Columns, 0 or more."""
        return max(self.right - self.left, 0)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.height == 0 or self.width == 0

    def intersect(self, other: Box) -> Box:
        """The pixels that are in both; ``empty`` where there are none."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Box(
            top,
            left,
            max(min(self.bottom, other.bottom), top),
            max(min(self.right, other.right), left),
        )

    def union(self, other: Box) -> Box:
        """The smallest box round both; an empty box adds nothing."""
        if self.empty or other.empty:
            return other if self.empty else self
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def grow(self, n: int) -> Box:
        """The box with ``n`` more pixels at each side; an empty one stays as it is."""
        if self.empty:
            return self
        return Box(self.top - n, self.left - n, self.bottom + n, self.right + n)

    def slices(self, inner: Box) -> tuple[slice, slice]:
        """Where a box inside this one lies in an array (height, width, ...) of this box."""
        return (
            slice(inner.top - self.top, inner.bottom - self.top),
            slice(inner.left - self.left, inner.right - self.left),
        )


@dataclass(frozen=True)
class Channel:
    """One channel of a file."""

    name: str
    """As the file names it: ``R``, ``left.B``, ``depth.Z``."""
    type: str
    """Type on disk: half, float, uint, uint8, uint10, uint12 or uint16."""


@dataclass(frozen=True)
class Header:
    """What a file says about itself before any pixel is read."""

    path: Path
    format: str
    """``openexr`` or ``dpx``."""
    data: Box
    """Pixels that the file holds."""
    display: Box
    """Pixels that the picture is shown in."""
    channels: tuple[Channel, ...]
    """Channels of the part that is the picture, in the file's order."""
    compression: str = "none"
    """As OpenEXR names it: none, rle, zips, zip, piz, ...; none for DPX."""
    parts: tuple[str, ...] = ("",)
    """Names of the parts; one empty name for a file without parts."""
    part: int = 0
    """Which of the parts is the picture."""
    pixel_aspect: float = 1.0
    """Width of a pixel over its height."""
    transfer: str = ""
    """DPX: the transfer characteristic, such as ``printing density``; empty for EXR."""

    @property
    def matte_channel(self) -> str:
        """What a matte is read from unless another is asked for: A, else the only channel, else R;
        empty where there is none of these."""
        names = [channel.name for channel in self.channels]
        if "A" in names or len(names) == 1:
            return "A" if "A" in names else names[0]
        return "R" if "R" in names else ""

    def check_channels(self, names: Sequence[str]) -> tuple[int, ...]:
        """Where the channels are in ``channels``.

        Raises:
            SequenceError: naming the file, a channel that it lacks, and those that it has.
        """
        places = {channel.name: i for i, channel in enumerate(self.channels)}
        for name in names:
            if name not in places:
                known = ", ".join(list(places)[:40]) + (" ..." if len(places) > 40 else "")
                raise SequenceError(
                    f"{str(self.path)!r} has no channel {name!r}", f"it has {known}"
                )
        if len(set(names)) != len(names) or not names:
            raise SequenceError(
                f"the channels {','.join(names)!r} for {str(self.path)!r} are not "
                "one or more different names"
            )
        return tuple(places[name] for name in names)


def check_file(path: Path) -> os.stat_result:
    """Looks at a file before anything opens it, since a FIFO would never answer.

    Raises:
        SequenceError: when it is not there, no regular file, or empty.
    """
    try:
        str(path).encode()
        status = os.stat(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is no UTF-8 text"
        raise SequenceError(
            f"cannot open {str(path)!r}: {reason}", "check the path and its permissions"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise SequenceError(f"{str(path)!r} is no plain file", "give a file, a pattern or a folder")
    if status.st_size == 0:
        raise SequenceError(f"{str(path)!r} is empty (0 bytes)", "render or copy the frame again")
    return status


def check_pixels(channels: Sequence[str], box: Box, pixels: Array, where: Array) -> None:
    """Holds the caller of ``rewrite`` to its shapes.

    pixels: (box.height, box.width, len(channels)). where: (box.height, box.width), boolean.

    Raises:
        ValueError: when a shape or a type differs; a fault in this program, not in a file.
    """
    shape = (box.height, box.width)
    if pixels.shape != (*shape, len(channels)) or where.shape != shape or where.dtype != np.bool_:
        raise ValueError(
            f"pixels {pixels.shape} and where {where.shape} ({where.dtype}) "
            f"do not fit box {box} and channels {list(channels)}"
        )


def samples(pixels: Array, dtype: npt.DTypeLike) -> Array:
    """Numbers as samples of half, float or uint: rounded to nearest, finite ones clamped.

    Infinities and NaN stay what they are in half and float; a uint sample of them is 0 or the
    greatest. Samples that are of the type already come back bit for bit.
    """
    target = np.dtype(dtype)
    if pixels.dtype == target:
        return pixels
    if target == np.uint32:
        whole = np.rint(np.nan_to_num(np.asarray(pixels, np.float64), posinf=2.0**32 - 1))
        return np.clip(whole, 0, 2.0**32 - 1).astype(np.uint32)
    most = _HALF_MAX if target == np.float16 else _FLOAT_MAX
    clamped = np.where(np.isfinite(pixels), np.clip(pixels, -most, most), pixels)
    return clamped.astype(target)

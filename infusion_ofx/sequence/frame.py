"""What the header of one frame says, and how numbers become samples of a file's type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import SequenceError

__all__ = ["Box", "Channel", "Edit", "Header", "Part", "Picked", "samples"]

Array = npt.NDArray[Any]

_BYTES = {"uint8": 1, "float": 4, "uint": 4}
"""What a sample takes; 2 for all others."""
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

    def tight(self, where: Array) -> Box:
        """The smallest box round all that is True, or is not 0, in an array of this box."""
        rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
        if not len(rows):
            return Box(self.top, self.left, self.top, self.left)
        return Box(
            self.top + int(rows[0]),
            self.left + int(columns[0]),
            self.top + int(rows[-1]) + 1,
            self.left + int(columns[-1]) + 1,
        )

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
class Part:
    """One picture within a file; most files have one."""

    data: Box
    """Pixels that it holds."""
    channels: tuple[Channel, ...]
    """In the file's order."""
    name: str = ""
    """Empty where the format or the file gives none."""
    view: str = ""
    """The eye that it is for, such as ``left``; empty for both."""
    compression: str = "none"
    """As OpenEXR names it: none, rle, zips, zip, piz, ..."""
    unread: str = ""
    """Why its pixels cannot be read, as ``deep``; such a part is carried along as it is."""

    @property
    def nbytes(self) -> int:
        """Bytes of its samples, none compressed."""
        sizes = (_BYTES.get(channel.type, 2) for channel in self.channels)
        return self.data.height * self.data.width * sum(sizes)


@dataclass(frozen=True)
class Picked:
    """Channels of one part that were found by the names a user gave."""

    part: int
    """Place of the part in the file."""
    names: tuple[str, ...]
    """Names as they are stored, in the order asked for."""
    data: Box
    """The part's data window."""


@dataclass(frozen=True)
class Edit:
    """Samples of a frame that change: where they are, and what they become."""

    picked: Picked
    """Their channels."""
    box: Box
    pixels: Array
    """(box.height, box.width, len(picked.names)): 1 is the greatest of integer codes."""
    where: npt.NDArray[np.bool_]
    """(box.height, box.width)"""

    def __post_init__(self) -> None:
        """Raises ValueError when a shape or a type differs; a fault in this program, not a file."""
        shape = (self.box.height, self.box.width)
        if (
            self.pixels.shape != (*shape, len(self.picked.names))
            or self.where.shape != shape
            or self.where.dtype != np.bool_
        ):
            raise ValueError(
                f"pixels {self.pixels.shape} and where {self.where.shape} ({self.where.dtype}) "
                f"do not fit box {self.box} and channels {list(self.picked.names)}"
            )


@dataclass(frozen=True)
class Header:
    """What a file says about itself before any pixel is read."""

    path: Path
    format: str
    """As OpenImageIO names it: ``openexr``, ``dpx``, ``png``, ``tiff`` or ``jpeg``."""
    display: Box
    """Pixels that the picture is shown in."""
    parts: tuple[Part, ...]
    """In the file's order."""
    pixel_aspect: float = 1.0
    """Width of a pixel over its height."""
    transfer: str = ""
    """DPX: the transfer characteristic, such as ``printing density``; empty elsewhere."""
    views: tuple[str, ...] = ()
    """Eyes within the file, the default one first; empty where it does not tell any apart."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else a person asks for, ready to print: time code, frame rate, colour tags."""

    def names(self, view: str = "") -> tuple[str, ...]:
        """Every name that ``pick`` takes for a view, without double meanings."""
        found: dict[str, None] = {}
        for part in self.parts:
            found.update(dict.fromkeys(self._names(part, view)))
        return tuple(found)

    def pick(self, names: Sequence[str], layer: str = "", view: str = "") -> Picked:
        """Finds channels by name: the first part that holds all of them in the view.

        A channel answers to its stored name without the view's, and in a part that has a name to
        ``part.channel`` too. ``layer`` goes before each name: ``R`` of ``beauty`` is ``beauty.R``.

        Raises:
            SequenceError: naming the file, a channel that it lacks, and those that it has.
        """
        wanted = [f"{layer}.{name}" if layer else name for name in names]
        if len(set(wanted)) != len(wanted) or not wanted:
            raise SequenceError(
                f"the channels {','.join(names)!r} for {str(self.path)!r} are not "
                "one or more different names",
                f"it has {self.listed(view)}",
            )
        for i, part in enumerate(self.parts):
            stored = self._names(part, view)
            if all(name in stored for name in wanted):
                return Picked(i, tuple(stored[name] for name in wanted), part.data)
        raise self._lacking(wanted, view)

    def matte_channel(self, view: str = "") -> str:
        """What a matte is read from unless another is asked for: A, else the only channel, else R;
        empty where there is none of these."""
        for part in self.parts:
            names = list(self._names(part, view))
            if "A" in names or len({*self._names(part, view).values()}) == 1:
                return "A" if "A" in names else names[0]
            if "R" in names:
                return "R"
        return ""

    def _names(self, part: Part, view: str) -> dict[str, str]:
        """The names that a part's channels answer to, each with the stored one."""
        if part.unread or (part.view and part.view != (view or self.views[0])):
            return {}
        short = {}
        # Where parts are told apart by view, names hold none, and a part without one is for both.
        within = () if any(other.view for other in self.parts) else self.views
        for channel in part.channels:
            name = _without_view(channel.name, within, view)
            if name:
                short[name] = channel.name
        prefix = part.name.removesuffix(f".{part.view}") if part.view else part.name
        if not prefix:
            return short
        return {**short, **{f"{prefix}.{name}": stored for name, stored in short.items()}}

    def _lacking(self, wanted: Sequence[str], view: str) -> SequenceError:
        unread = [f"{part.name or 'part'} is {part.unread}" for part in self.parts if part.unread]
        if view and self.views and view not in self.views:
            return SequenceError(
                f"{str(self.path)!r} has no view {view!r}", f"it has {', '.join(self.views)}"
            )
        known = self.names(view)
        lacking = next((name for name in wanted if name not in known), None)
        if lacking is None:
            return SequenceError(
                f"the channels {','.join(wanted)!r} of {str(self.path)!r} lie in several parts",
                "name channels of one part",
            )
        return SequenceError(
            f"{str(self.path)!r} has no channel {lacking!r}",
            f"it has {self.listed(view)}"
            + (f"; {', '.join(unread)}, which is not read" if unread else ""),
        )

    def listed(self, view: str = "") -> str:
        """Those names for an error: the first 40 of them."""
        known = self.names(view)
        more = " ..." if len(known) > 40 else ""
        return ", ".join(known[:40]) + more or "none that is read"


def _without_view(name: str, views: tuple[str, ...], view: str) -> str:
    """A channel's name within one view; empty for a channel of another one.

    In a part of several views the first one's channels have plain names and the others' hold the
    view before the last dot: ``right.R``, ``beauty.right.R`` (OpenEXR, Storing Multi-View Images).
    """
    *layers, last = name.split(".")
    own = layers[-1] if layers and layers[-1] in views else ""
    if len(views) > 1 and (own or views[0]) != (view or views[0]):
        return ""
    return ".".join([*layers[:-1], last]) if own else name


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

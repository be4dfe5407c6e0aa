"""Files of plain floats that the plug-in in C reads and writes with the C library alone.

Little endian, a header of 64 bytes of which the rest is 0. Pixels are counted as OFX does: (0, 0)
is the picture's lowest, leftmost one, x2 and y2 are one beyond the last, the lowest row comes
first.

A *fill* is the part of a finished frame that holds its hole: ``INFUFILL``, then int32 version 1,
width and height of the frame, x1, y1, x2, y2; then float32 R, G, B, A for each pixel, then a byte
for each with a bit (1, 2, 4, 8) for each of the four that is filled there.

A *frame* is what a host gave: ``INFUFRAM``, then int32 version 1, x1, y1, x2, y2, channels (4 or
1); then float32 pixels, premultiplied.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.atomic import whole_file
from infusion_ofx.sequence.frame import Box

__all__ = ["Fill", "read_frame", "write_fill"]

Array = npt.NDArray[Any]

_SIZE = 64
_FILL = struct.Struct("<8s7i")
_FRAME = struct.Struct("<8s6i")


@dataclass(frozen=True)
class Fill:
    """The part of a finished frame that holds its hole."""

    display: Box
    """All of the frame, as its file has it."""
    box: Box
    """What is held."""
    rgba: Array
    """(height, width, 4) of the box, float32, top row first."""
    inside: Array
    """(height, width) uint8: which of R, G, B, A are filled, as bits 1, 2, 4, 8."""


def write_fill(path: Path, fill: Fill) -> None:
    """Writes a fill, whole or not at all.

    Raises:
        JobError: when it may not be written.
        TryAgainError: when the storage fails.
    """
    display, box = fill.display, fill.box
    edges = (
        box.left - display.left, display.bottom - box.bottom,
        box.right - display.left, display.bottom - box.top,
    )  # fmt: skip
    head = _FILL.pack(b"INFUFILL", 1, display.width, display.height, *edges)
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(head.ljust(_SIZE, b"\0"))
        file.write(np.ascontiguousarray(fill.rgba[::-1], "<f4").tobytes())
        file.write(np.ascontiguousarray(fill.inside[::-1], np.uint8).tobytes())


def read_frame(path: Path) -> Array:
    """A frame that a host gave: (height, width, 4 or 1) float32, top row first.

    Raises:
        SequenceError: when it is damaged.
    """
    data = path.read_bytes()
    if len(data) >= _SIZE:
        magic, version, x1, y1, x2, y2, channels = _FRAME.unpack_from(data)
        shape = (y2 - y1, x2 - x1, channels)
        if (x1, y1) != (0, 0):
            raise SequenceError(
                f"the host's picture in {str(path)!r} begins at pixel ({x1}, {y1})",
                "crop it to its format before the node",
            )
        sound = channels in (1, 4) and min(shape) > 0 and (magic, version) == (b"INFUFRAM", 1)
        if sound and len(data) == _SIZE + 4 * shape[0] * shape[1] * shape[2]:
            return np.frombuffer(data, "<f4", offset=_SIZE).reshape(shape)[::-1]
    raise SequenceError(f"{str(path)!r} is no frame of a host, or damaged", "fetch it again")

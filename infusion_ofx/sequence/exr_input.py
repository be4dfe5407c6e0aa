"""OpenImageIO's reader of OpenEXR, set up for many frames side by side and made to raise.

OpenImageIO answers None or False where it fails, and its error text may be no text at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
import OpenImageIO as oiio

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.frame import Box

__all__ = ["Input", "error_text", "types_of"]

Array = npt.NDArray[Any]

# One thread for each call: frames run side by side in our own pools. More threads inside
# OpenImageIO would also hang a forked child.
oiio.attribute("threads", 1)
oiio.attribute("exr_threads", -1)
oiio.attribute("try_all_readers", 0)
oiio.attribute("limits:imagesize_MB", 8192)
oiio.attribute("limits:resolution", 65536)


def types_of(spec: oiio.ImageSpec) -> list[str]:
    """The type of each channel, in OpenImageIO's order: half, float or uint."""
    if spec.channelformats:
        return [str(kind) for kind in spec.channelformats]
    return [str(spec.format)] * int(spec.nchannels)


class Input:
    """An open file; every answer of OpenImageIO is looked at."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or raises SequenceError."""
        self.path = path
        file = oiio.ImageInput.open(str(path))
        if file is None:
            raise SequenceError(
                f"cannot read {str(path)!r}: {error_text(oiio)}", "render or copy the frame again"
            )
        self._file: oiio.ImageInput = file

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def spec(self, part: int, level: int = 0) -> oiio.ImageSpec:
        """What OpenImageIO makes of one part."""
        if not self._file.seek_subimage(part, level):
            raise self.failure()
        return self._file.spec()

    def levels(self, part: int) -> int:
        """How many mip levels a part has, 1 for a plain picture."""
        count = 1
        while self._file.seek_subimage(part, count):
            count += 1
        error_text(self._file)
        return count

    def rows(
        self,
        part: int,
        spec: oiio.ImageSpec,
        box: Box,
        first: int,
        last: int,
        kind: str = "",
        level: int = 0,
    ) -> tuple[Array, Box]:
        """At least the pixels of ``box`` of channels first..last, and the box that they cover."""
        kind = kind or types_of(spec)[first]
        if spec.tile_width:
            covered = _whole_tiles(box, spec)
            pixels = self._file.read_tiles(
                part,
                level,
                covered.left,
                covered.right,
                covered.top,
                covered.bottom,
                0,
                1,
                first,
                last,
                kind,
            )
        else:
            covered = Box(box.top, spec.x, box.bottom, spec.x + spec.width)
            pixels = self._file.read_scanlines(
                part, level, box.top, box.bottom, 0, first, last, kind
            )
        if pixels is None:
            raise self.failure()
        return pixels.reshape(covered.height, covered.width, last - first), covered

    def failure(self) -> SequenceError:
        """The error of the call before, as one to raise."""
        return SequenceError(
            f"cannot read {str(self.path)!r}: {error_text(self._file)}",
            "render or copy the frame again",
        )


def _whole_tiles(box: Box, spec: oiio.ImageSpec) -> Box:
    wide, high = spec.tile_width, spec.tile_height
    return Box(
        spec.y + (box.top - spec.y) // high * high,
        spec.x + (box.left - spec.x) // wide * wide,
        min(spec.y - (spec.y - box.bottom) // high * high, spec.y + spec.height),
        min(spec.x - (spec.x - box.right) // wide * wide, spec.x + spec.width),
    )


def error_text(source: Any) -> str:
    """The last error of an OpenImageIO object or of the module, as one line; never raises."""
    try:
        text = str(source.geterror())
    except UnicodeDecodeError as error:
        text = f"undecodable error text ({error.reason})"
    return " ".join(text.split()) or "OpenImageIO gives no reason"

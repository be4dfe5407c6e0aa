"""Decoding OpenEXR pixels, through OpenImageIO's ImageInput.

Not through the OpenEXR binding, which writes for us: it takes whole files only, and prints to both
of the process's streams when a chunk is damaged. And never through ImageBuf, which crashes on deep
files. OpenImageIO does not raise: every answer is looked at, and its error text may be no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import OpenImageIO as oiio

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.source import damaged

__all__ = ["Input"]

Array = npt.NDArray[Any]

# One thread for each call: frames run side by side in our own pools. More threads inside
# OpenImageIO would also hang a forked child.
oiio.attribute("threads", 1)
oiio.attribute("exr_threads", -1)
oiio.attribute("try_all_readers", 0)
# Pictures are decoded in bands, so the size of the whole does not matter.
oiio.attribute("limits:imagesize_MB", 1 << 20)
oiio.attribute("limits:resolution", 65536)


class Input:
    """An open file."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or raises SequenceError."""
        self.path = path
        self._specs: dict[tuple[int, int], oiio.ImageSpec] = {}
        file = oiio.ImageInput.open(str(path))
        if file is None:
            raise self._failure(oiio)
        self._file: oiio.ImageInput = file

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def planes(self, part: int, level: int, box: Box, names: Sequence[str]) -> dict[str, Array]:
        """Decodes channels of a box: (box.height, box.width) each, in the type it is stored in.

        box: whole chunks within the level's window. level: of a mip chain, 0 for the picture.
        names: none of them decodes nothing.

        Raises:
            SequenceError: when the file is damaged there.
        """
        if not names:
            return {}
        try:
            spec = self._spec(part, level)
            places = {int(spec.channelindex(name)): name for name in names}
            if min(places) < 0:
                raise ValueError(f"OpenImageIO finds no channel {places[-1]!r}")
            found = {}
            for first, last in _runs(sorted(places), spec):
                block = self._block(part, level, spec, box, first, last)
                found.update(
                    {places[i]: block[..., i - first] for i in range(first, last) if i in places}
                )
        except ValueError as error:  # of text that is none, too
            raise damaged(self.path, f"cannot be decoded: {error}") from error
        return {name: found[name] for name in names}

    def _spec(self, part: int, level: int) -> oiio.ImageSpec:
        if (part, level) not in self._specs:
            if not self._file.seek_subimage(part, level):
                raise self._failure(self._file)
            self._specs[part, level] = self._file.spec()
        return self._specs[part, level]

    def _block(
        self, part: int, level: int, spec: oiio.ImageSpec, box: Box, first: int, last: int
    ) -> Array:
        """Channels first..last, which are of one type: (box.height, box.width, last - first)."""
        rows, columns, kind = (box.top, box.bottom), (box.left, box.right), _types(spec)[first]
        if spec.tile_width:
            pixels = self._file.read_tiles(part, level, *columns, *rows, 0, 1, first, last, kind)
        else:
            pixels = self._file.read_scanlines(part, level, *rows, 0, first, last, kind)
        if pixels is None:
            raise self._failure(self._file)
        block: Array = pixels.reshape(box.height, box.width, last - first)
        return block

    def _failure(self, source: Any) -> SequenceError:
        """The last error of an OpenImageIO object, or of the module, as one to raise."""
        try:
            text = " ".join(str(source.geterror()).split())
        except UnicodeDecodeError:
            text = ""
        reason = text or "OpenImageIO gives no reason"
        return damaged(self.path, f"cannot be decoded: {reason}")


def _types(spec: oiio.ImageSpec) -> list[str]:
    """The type of each channel, in OpenImageIO's order: half, float or uint."""
    if spec.channelformats:
        return [str(kind) for kind in spec.channelformats]
    return [str(spec.format)] * int(spec.nchannels)


def _runs(places: list[int], spec: oiio.ImageSpec) -> list[tuple[int, int]]:
    """Channels that lie side by side and are of one type, as half-open spans of places.

    Read span by span, samples come as they are stored, through no conversion.
    """
    types, runs = _types(spec), [(places[0], places[0] + 1)]
    for place in places[1:]:
        first, last = runs[-1]
        if place == last and types[place] == types[first]:
            runs[-1] = (first, place + 1)
        else:
            runs.append((place, place + 1))
    return runs

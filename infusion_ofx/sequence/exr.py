"""OpenEXR frames: header, rows of chosen channels, and rewriting a few samples of a copy.

Through OpenImageIO's ImageInput and ImageOutput, never ImageBuf, which loses parts and tiles and
crashes on deep files. OpenImageIO does not raise: every result is looked at here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio

from infusion_ofx.errors import InfusionError, SequenceError, TryAgainError
from infusion_ofx.sequence.exr_file import (
    COMPRESSIONS,
    Layout,
    Part,
    check_chunks,
    read_layout,
)
from infusion_ofx.sequence.exr_header import carry_header
from infusion_ofx.sequence.exr_input import Input, error_text, types_of
from infusion_ofx.sequence.frame import Box, Channel, Header, check_pixels, samples

__all__ = ["check_rewrite", "header", "read", "rewrite", "verify"]

Array = npt.NDArray[Any]

_DTYPES = {"half": np.float16, "float": np.float32, "uint": np.uint32}
_ALWAYS_LOSSY = ("b44", "b44a", "dwaa", "dwab")
_BLOCK_ROWS = 256
"""Rows held at once while rewriting; a multiple of every compression's chunk."""


def header(path: Path) -> Header:
    """What the file says about itself; the picture is its first part that is not deep.

    Raises:
        SequenceError: when the file is damaged, no OpenEXR file, or holds deep parts only.
    """
    return _header(path, read_layout(path))


def _header(path: Path, layout: Layout) -> Header:
    flat = [i for i, part in enumerate(layout.parts) if not part.is_deep]
    if not flat:
        raise SequenceError(
            f"{str(path)!r} holds deep pixels only", "render a flat picture beside it"
        )
    part = layout.parts[flat[0]]
    if any(sampling != (1, 1) for _, _, sampling in part.channels):
        raise SequenceError(
            f"{str(path)!r} stores luminance and chroma, not RGB, and is not read",
            "convert it to RGB",
        )
    return Header(
        path=path,
        format="openexr",
        data=part.box("dataWindow"),
        display=part.box("displayWindow"),
        channels=tuple(Channel(name, kind) for name, kind, _ in part.channels),
        compression=COMPRESSIONS.get(part.compression, str(part.compression)),
        parts=tuple(each.text("name") for each in layout.parts),
        part=flat[0],
        pixel_aspect=_float(part.value("pixelAspectRatio")),
    )


def _float(value: bytes) -> float:
    return float(np.frombuffer(value, "<f4")[0]) if len(value) == 4 else 1.0


def read(path: Path, channels: Sequence[str], box: Box) -> Array:
    """Reads a box of the picture: (box.height, box.width, len(channels)), black outside the data.

    The type is the channels' own: float16, float32 or uint32; half beside float gives float32,
    which holds both exactly. Only the rows of the box are decoded.

    Raises:
        SequenceError: when the file is damaged, lacks a channel, or mixes uint with other types.
    """
    head = header(path)
    head.check_channels(channels)
    kinds = {channel.name: channel.type for channel in head.channels}
    dtype = _dtype([kinds[name] for name in channels], path)
    out = np.zeros((box.height, box.width, len(channels)), dtype)
    rows = box.intersect(head.data)
    if rows.empty:
        return out
    target = out[box.slices(rows)]
    with Input(path) as file:
        spec = file.spec(head.part)
        places = [_place(spec, name, path) for name in channels]
        for first, last in _runs(sorted(set(places)), spec):
            block, covered = file.rows(head.part, spec, rows, first, last)
            inner = block[covered.slices(rows)]
            for i, place in enumerate(places):
                if first <= place < last:
                    target[..., i] = inner[..., place - first]
    return out


def _dtype(kinds: Sequence[str], path: Path) -> npt.DTypeLike:
    if "uint" in kinds and len(set(kinds)) > 1:
        raise SequenceError(
            f"the channels asked of {str(path)!r} are uint beside others",
            "ask for picture channels only",
        )
    return np.result_type(*(np.dtype(_DTYPES[kind]) for kind in kinds))


def _place(spec: oiio.ImageSpec, name: str, path: Path) -> int:
    place = spec.channelindex(name)
    if place < 0:
        raise SequenceError(
            f"{str(path)!r}: OpenImageIO does not find the channel {name!r}", "rename the channel"
        )
    return int(place)


def _runs(places: list[int], spec: oiio.ImageSpec) -> list[tuple[int, int]]:
    """Channels that lie side by side and are of one type, as half-open spans of places.

    Read span by span, samples come as they are stored, through no conversion.
    """
    types, runs = types_of(spec), [(places[0], places[0] + 1)]
    for place in places[1:]:
        first, last = runs[-1]
        if place == last and types[place] == types[first]:
            runs[-1] = (first, place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def rewrite(
    source: Path,
    temporary: Path,
    channels: Sequence[str],
    box: Box,
    pixels: Array,
    where: npt.NDArray[np.bool_],
) -> None:
    """Writes the source to ``temporary`` with some samples changed and every other one as it was.

    Samples of ``channels`` at pixels of ``box`` where ``where`` is True become ``pixels``: rounded
    to nearest into the channel's type, finite values clamped to its range. pixels:
    (box.height, box.width, len(channels)); where: (box.height, box.width). Header and metadata are
    the source's bytes. Lossless sources keep their compression; lossy ones are written as zip.

    Raises:
        SequenceError: when the source is damaged, or holds what cannot be kept exactly.
        TryAgainError: when writing fails.
    """
    check_pixels(channels, box, pixels, where)
    layout = read_layout(source)
    head = _header(source, layout)
    head.check_channels(channels)
    _refuse_inexact(source, layout)
    edit = _Edit(head.part, tuple(channels), box, pixels, where)
    with Input(source) as file:
        specs = [_output_spec(file.spec(i), part) for i, part in enumerate(layout.parts)]
        _Output(temporary, specs).copy(file, layout, edit)
    verify(temporary)
    carry_header(source, temporary)


def check_rewrite(path: Path) -> None:
    """Looks at the header alone whether ``rewrite`` could keep everything that the file holds.

    Raises:
        SequenceError: when it could not.
    """
    _refuse_inexact(path, read_layout(path))


def _refuse_inexact(path: Path, layout: Layout) -> None:
    """Refuses what OpenImageIO cannot write: deep beside flat, and uint beside other types.

    It takes one type for all channels of a part, and none holds uint beside the others.
    """
    for part in layout.parts:
        if part.is_deep:
            raise SequenceError(
                f"{str(path)!r} holds deep pixels beside the picture, and they "
                "cannot be carried yet",
                "render them to a file of their own",
            )
        kinds = {kind for _, kind, _ in part.channels}
        if "uint" in kinds and len(kinds) > 1:
            ids = ", ".join(name for name, kind, _ in part.channels if kind == "uint")
            raise SequenceError(
                f"{str(path)!r} has uint channels ({ids}) beside others in one "
                "part, and they would not come through exactly",
                "put them into a part or a file of their own",
            )


def _is_lossy(part: Part) -> bool:
    name = COMPRESSIONS.get(part.compression, "")
    return name in _ALWAYS_LOSSY or (
        name == "pxr24" and any(kind == "float" for _, kind, _ in part.channels)
    )


def _output_spec(spec: oiio.ImageSpec, part: Part) -> oiio.ImageSpec:
    """The layout to write; the metadata matter little, since the source's header replaces them."""
    out = oiio.ImageSpec(spec)
    out.erase_attribute("openexr:chunkCount")
    if _is_lossy(part):
        out.attribute("compression", "zip")
    return out


class _Edit:
    """The samples to change: where they are, and what they become."""

    def __init__(
        self,
        part: int,
        channels: tuple[str, ...],
        box: Box,
        pixels: Array,
        where: npt.NDArray[np.bool_],
    ) -> None:
        self._part, self._channels, self._box = part, channels, box
        self._pixels, self._where = pixels, where

    def apply(
        self, part: int, level: int, spec: oiio.ImageSpec, block: Array, covered: Box
    ) -> None:
        """Changes a block (height, width, all channels of the part) in place."""
        inner = self._box.intersect(covered)
        if part != self._part or level or inner.empty:
            return
        ours, theirs = self._box.slices(inner), covered.slices(inner)
        where, types = self._where[ours], types_of(spec)
        for i, name in enumerate(self._channels):
            place = int(spec.channelindex(name))
            new = samples(self._pixels[ours][..., i], _DTYPES[types[place]]).astype(block.dtype)
            target = block[..., place][theirs]
            target[where] = new[where]


class _Output:
    """A file being written; refuses to end well when a single call did not."""

    def __init__(self, path: Path, specs: list[oiio.ImageSpec]) -> None:
        self._path, self._specs = path, specs
        file = oiio.ImageOutput.create("openexr")
        if file is None:
            raise InfusionError(
                f"this OpenImageIO cannot write OpenEXR: {error_text(oiio)}",
                "install the OpenImageIO wheel from the package index",
            )
        self._file: oiio.ImageOutput = file

    def copy(self, source: Input, layout: Layout, edit: _Edit) -> None:
        """Writes all parts and levels of the source, edited."""
        try:
            self._check(self._file.open(str(self._path), tuple(self._specs)))
            for part in range(len(self._specs)):
                if part:
                    self._append(self._specs[part], "AppendSubimage")
                for level in range(source.levels(part)):
                    self._copy_level(source, layout.parts[part], part, level, edit)
        finally:
            closed = self._file.close()
        self._check(closed)
        # The last bytes of a tiled file reach the disk when OpenImageIO's object goes, not before.
        del self._file

    def _copy_level(self, source: Input, kind: Part, part: int, level: int, edit: _Edit) -> None:
        spec = source.spec(part, level)
        if level:
            self._append(_output_spec(spec, kind), "AppendMIPLevel")
        types = set(types_of(spec))
        dtype = types.pop() if len(types) == 1 else "float"
        window = Box(spec.y, spec.x, spec.y + spec.height, spec.x + spec.width)
        for box in _blocks(window, bool(spec.tile_width) or kind.value("lineOrder") != b"\0"):
            block, covered = source.rows(part, spec, box, 0, spec.nchannels, dtype, level)
            edit.apply(part, level, spec, block, covered)
            if box == window:
                self._check(self._file.write_image(block))
            else:
                self._check(self._file.write_scanlines(box.top, box.bottom, 0, block))

    def _append(self, spec: oiio.ImageSpec, mode: str) -> None:
        self._check(self._file.open(str(self._path), spec, mode))

    def _check(self, good: bool) -> None:
        if not good or self._file.has_error:
            raise TryAgainError(
                f"cannot write {str(self._path)!r}: {error_text(self._file)}",
                "check the space and the permissions of its folder",
            )


def _blocks(window: Box, at_once: bool) -> list[Box]:
    """The window cut into blocks of rows that hold whole chunks, or whole."""
    step = window.height if at_once else _BLOCK_ROWS
    return [
        Box(top, window.left, min(top + step, window.bottom), window.right)
        for top in range(window.top, window.bottom, step)
    ]


def verify(path: Path) -> None:
    """Looks whether a file that was just written is whole: header, chunk table, every chunk.

    Raises:
        TryAgainError: when it is not, since only the storage can be at fault.
    """
    try:
        check_chunks(path)
    except SequenceError as error:
        raise TryAgainError(f"the storage did not keep what was written: {error}") from error

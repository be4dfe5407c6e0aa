"""TIFF frames: 8 and 16 bit codes, half and float; some of them changed in a copy of the file.

OpenImageIO decodes. What is written is a copy of the source in which the strips or tiles that hold
a changed sample are stored anew: in their place where they fit, else at the end. Every tag of every
page stays but for the two that say where those strips are.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import picture, tiff_pages
from infusion_ofx.sequence.frame import Box, Edit, Header, Part, Picked
from infusion_ofx.sequence.source import copy_file, damaged
from infusion_ofx.sequence.tiff_pages import Layout, Page

__all__ = ["check_rewrite", "header", "read", "rewrite", "verify"]

Array = npt.NDArray[Any]

_NONE, _LZW, _PACK_BITS = 1, 5, 32773
_DEFLATE = (8, 32946)
_COMPRESSIONS = {_NONE: "none", _LZW: "lzw", _PACK_BITS: "rle", **dict.fromkeys(_DEFLATE, "zip")}
"""Those that are written, as they are named in a header."""
_LIBTIFF = {_LZW: "tiff_lzw", _PACK_BITS: "packbits"}
_WHOLE, _FLOATING, _UNDEFINED = 1, 3, 4
_READ = {_WHOLE: (1, 2, 4, 8, 16), _UNDEFINED: (8, 16), _FLOATING: (16, 32)}
"""The bits that a sample may have, by its kind."""
_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_ROWS_PER_STRIP = 278
_LONG, _LONG8 = 4, 16
_BAND = 64
"""Rows of pixels that are decoded at a time, where strips or tiles are no higher."""


def header(path: Path) -> Header:
    """What the file says about itself, a part for each page; the first has no name of its own.

    Raises:
        SequenceError: when the file is damaged or cut short.
    """
    layout = tiff_pages.layout(path)
    parts: list[Part] = []
    with picture.Input(path) as file:
        for i, page in enumerate(layout.pages):
            spec = file.spec(i)
            if spec is None:  # a mip map: its levels are pages to TIFF, not to OpenImageIO
                break
            if (spec.width, spec.height) != (page.width, page.height):
                raise damaged(path, "is damaged: its tags contradict each other")
            name = page.name or (f"page{i + 1}" if i else "")
            compression = _COMPRESSIONS.get(page.compression, f"TIFF {page.compression}")
            parts.append(picture.part(spec, compression, name, _unread(page)))
        spec = file.spec(0)
    if spec is None:
        raise damaged(path, "holds no picture")
    return picture.header(path, "tiff", tuple(parts), spec, max(layout.pages[0].bits))


def _unread(page: Page) -> str:
    """Why a page's samples have no place here; empty where they have one."""
    if page.photometric not in (_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _YCBCR):
        return f"of colour kind {page.photometric} (CMYK, Lab or the like)"
    if len(page.bits) > 1 or page.bits[0] not in _READ.get(page.format, ()):
        kind = {_WHOLE: "whole", _FLOATING: "floating-point"}.get(page.format, "other")
        return f"of {kind} samples of {', '.join(map(str, page.bits))} bits"
    return ""


def read(header: Header, picked: Picked, box: Box) -> Array:
    """Reads a box: float32 (box.height, box.width, len(picked.names)), 0 outside the picture.

    Only the strips or tiles that hold it are decoded.

    Raises:
        SequenceError: when they cannot be.
    """
    return picture.read(header, picked, box)


def check_rewrite(header: Header, picked: Picked, keep_lossy: bool = False) -> str:
    """Looks whether ``rewrite`` could keep everything.

    Raises:
        SequenceError: with the reason, for samples that are not stored as they are decoded.
    """
    _check(header.path, tiff_pages.layout(header.path), picked)
    return ""


def _check(path: Path, layout: Layout, picked: Picked) -> Page:
    """The page that is picked, if it is one that can be rewritten."""
    if picked.part >= len(layout.pages):
        raise damaged(path, "changed while it was read")
    page = layout.pages[picked.part]
    reasons = {
        "colours of a palette": page.photometric == _PALETTE,
        "YCbCr colours": page.photometric == _YCBCR,
        "a grey scale whose 0 is white": page.photometric == _WHITE_IS_0,
        f"samples of {page.bits[0]} bits": page.bits[0] < 8,
        f"compression {page.compression}": page.compression not in _COMPRESSIONS,
        f"predictor {page.predictor}": page.predictor not in _predictors(page),
        "reversed bits (FillOrder 2)": page.fill_order != 1,
    }
    for reason, holds in reasons.items():
        if holds:
            raise SequenceError(
                f"{str(path)!r} has {reason}, which cannot be written back exactly",
                "save it as grey or RGB with LZW, ZIP or no compression",
            )
    return page


def _predictors(page: Page) -> tuple[int, ...]:
    return (1, 2, 3) if page.format == _FLOATING else (1, 2)


def rewrite(header: Header, temporary: Path, edit: Edit, keep_lossy: bool = False) -> None:
    """Copies the source to ``temporary`` with some samples changed; nothing is ever lossy here.

    Codes are rounded to the nearest and clamped, NaN becomes 0; half and float keep it.

    Raises:
        SequenceError: when the source cannot be decoded or kept exactly.
        OSError: when the copy cannot be written.
    """
    layout = tiff_pages.layout(header.path)
    part, page = header.parts[edit.picked.part], _check(header.path, layout, edit.picked)
    copy_file(header.path, temporary)
    names = [channel.name for channel in part.channels]
    places = [names.index(name) for name in edit.picked.names]
    with picture.Input(header.path) as source, temporary.open("r+b") as file:
        copy = _Copy(header.path, file, layout, page)
        for band in _bands(page, edit.box.intersect(part.data)):
            codes = source.codes(edit.picked.part, part, band)
            picture.patch(codes, band, header, edit)
            for at, segment in page.segments(band):
                if edit.where[edit.box.slices(edit.box.intersect(segment))].any():
                    for index, plane in _planes(page, at, codes[band.slices(segment)], places):
                        copy.put(index, _encode(plane, page, layout.order))
        copy.close()


def _bands(page: Page, box: Box) -> Iterator[Box]:
    """The strips or tiles round a box, some rows of pixels at a time."""
    if box.empty:
        return
    rows = max(_BAND // page.rows, 1) * page.rows
    left = box.left // page.columns * page.columns
    right = min(-(-box.right // page.columns) * page.columns, page.width)
    for top in range(box.top // rows * rows, box.bottom, rows):
        yield Box(top, left, min(top + rows, page.height), right)


def _planes(page: Page, at: int, codes: Array, places: list[int]) -> Iterator[tuple[int, Array]]:
    """The samples of a strip or tile as they are stored: together, or each channel elsewhere."""
    if not page.planar:
        yield at, codes
        return
    for place in places:
        yield place * page.across * page.down + at, codes[..., place : place + 1]


class _Copy:
    """A copy of a file whose strips or tiles are exchanged one by one."""

    def __init__(self, path: Path, file: BinaryIO, layout: Layout, page: Page) -> None:
        self._path, self._file, self._layout, self._page = path, file, layout, page
        self._offsets, self._counts = page.offsets.copy(), page.counts.copy()
        self._end = file.seek(0, io.SEEK_END)

    def put(self, at: int, data: bytes) -> None:
        """Stores a strip: over the old one where it fits and nothing else lies there."""
        start = int(self._page.offsets[at])
        if start in self._layout.alone and len(data) <= self._page.counts[at]:
            self._write(start, data)
        else:
            self._offsets[at] = self._append(data)
        self._counts[at] = len(data)

    def close(self) -> None:
        """Lets the page's tags say where its strips are by now."""
        for place, old, new in zip(
            self._page.entries,
            (self._page.offsets, self._page.counts),
            (self._offsets, self._counts),
            strict=True,
        ):
            if not np.array_equal(old, new):
                self._point(place, new)

    def _point(self, place: int, values: Array) -> None:
        """Gives a tag other values, 32 or 64 bits each; several of them lie behind all else."""
        order, big = self._layout.order, self._layout.big
        data = values.astype(f"{order}u{8 if big else 4}").tobytes()
        if len(values) > 1:
            data = struct.pack(f"{order}{'Q' if big else 'I'}", self._append(data))
        form, kind = ("HQ", _LONG8) if big else ("HI", _LONG)
        self._write(place + 2, struct.pack(order + form, kind, len(values)) + data)

    def _append(self, data: bytes) -> int:
        """Writes behind all else, at an even place as TIFF wants it; returns that place."""
        start = self._end + self._end % 2
        if not self._layout.big and start + len(data) >= 1 << 32:
            raise SequenceError(
                f"{str(self._path)!r} would grow beyond the 4 GiB of classic TIFF",
                "save it as BigTIFF",
            )
        self._write(start, data)
        self._end = start + len(data)
        return start

    def _write(self, start: int, data: bytes) -> None:
        self._file.seek(start)
        self._file.write(data)


def _encode(codes: Array, page: Page, order: str) -> bytes:
    """A strip or tile as the page stores it. codes: (rows, columns, samples) of its pixels."""
    if page.tiled:  # tiles are whole, and what lies beyond the picture is nobody's
        beyond = (page.rows - codes.shape[0], page.columns - codes.shape[1])
        codes = np.pad(codes, ((0, beyond[0]), (0, beyond[1]), (0, 0)), "edge")
    if page.predictor == 3:
        data = _byte_differences(codes)
    else:
        whole = np.ascontiguousarray(codes).view(f"u{codes.dtype.itemsize}")
        if page.predictor == 2:
            whole = np.diff(whole, axis=1, prepend=whole.dtype.type(0))
        data = whole.astype(f"{order}u{codes.dtype.itemsize}").tobytes()
    return _compress(data, page.compression, len(codes))


def _byte_differences(codes: Array) -> bytes:
    """The floating-point predictor (Adobe, TIFF Technical Note 3): a row's first bytes, then its
    second ones and so on, each less the byte of the pixel before."""
    rows, columns, samples = codes.shape
    big = np.ascontiguousarray(codes, codes.dtype.newbyteorder(">")).view(np.uint8)
    planes = big.reshape(rows, columns * samples, -1).transpose(0, 2, 1).reshape(rows, -1, samples)
    return bytes(np.diff(planes, axis=1, prepend=np.uint8(0)).tobytes())


def _compress(data: bytes, compression: int, rows: int) -> bytes:
    if compression == _NONE:
        return data
    if compression in _DEFLATE:
        return zlib.compress(data)
    # Pillow's libtiff packs the bytes as a grey picture, whose only strip is lifted out.
    file = io.BytesIO()
    image = Image.frombytes("L", (len(data) // rows, rows), data)
    image.save(file, "TIFF", compression=_LIBTIFF[compression], tiffinfo={_ROWS_PER_STRIP: rows})
    return tiff_pages.only_strip(file.getvalue())


def verify(path: Path) -> None:
    """Looks whether a file is whole: every strip lies inside of it.

    Raises:
        SequenceError: when it is not.
    """
    tiff_pages.layout(path)

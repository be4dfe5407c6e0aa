"""PNG frames (ISO/IEC 15948): codes of 8 or 16 bits, some of them changed among untouched chunks.

OpenImageIO decodes. What is written is the source's own chunks, byte for byte, round image data
that is compressed anew.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import picture
from infusion_ofx.sequence.frame import Box, Edit, Header, Picked
from infusion_ofx.sequence.source import check_file, check_size, damaged, reading

__all__ = ["SIGNATURE", "check_rewrite", "chunk", "header", "image", "read", "rewrite", "verify"]

Array = npt.NDArray[Any]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3
_SAMPLES = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
"""Samples of a pixel for each colour type."""
_BITS = {0: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}
"""Bits that a sample may have for each colour type; 8 or 16 for the others."""
_CRITICAL = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND"))
"""Chunks that a reader must know; all are that begin with a capital."""
_DEFLATE_MOST = 1032
"""Bytes that one byte of deflate can become (zlib, Technical Details)."""
_MOST_CHUNKS = 200_000
_MOST_TEXTS = 32
"""Of those that may be compressed: libpng unpacks up to 8 MB of each."""
_MOST_INTERLACED = 1 << 28
_ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip
"""The passes of an interlaced picture: first column and row, and steps between them."""
_LAST_FILTER = 4
_LEVEL = 3
"""Of zlib: for 8-bit plates a third of the time of level 6, for 5 per cent more bytes."""
_PIECE = 1 << 16
"""Bytes of image data that are read at a time to look into them."""
_BAND = 1 << 20
"""Bytes of samples that are filtered and compressed at a time."""


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    start: int
    """Where its length field is."""
    length: int
    """Bytes of its data alone."""

    @property
    def stop(self) -> int:
        """The first byte after it."""
        return self.start + self.length + 12


@dataclass(frozen=True)
class _Layout:
    """What the chunks say, before anything is decoded."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool
    chunks: tuple[_Chunk, ...]

    @property
    def data(self) -> tuple[_Chunk, ...]:
        """The chunks that hold the picture; they follow each other."""
        return tuple(chunk for chunk in self.chunks if chunk.kind == b"IDAT")

    def rows(self) -> Iterator[int]:
        """Bytes of each row as it is packed, after the one for its filter."""
        grids = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        for left, top, across, down in grids:
            width, height = -(-(self.width - left) // across), -(-(self.height - top) // down)
            if width > 0:
                yield from repeat(-(-width * _SAMPLES[self.colour] * self.bits // 8), height)


def _layout(path: Path, *, whole: bool = False) -> _Layout:
    """Walks the chunks and holds them to their checksums; ``whole`` looks into the image data too.

    What libpng finds wrong it says to the terminal as well, so it is to find nothing.
    """
    size = check_file(path).st_size
    with reading(path), path.open("rb", buffering=0) as file:
        chunks = tuple(_chunks(file, size))
        for chunk in chunks:
            if whole or chunk.kind != b"IDAT":
                _check_sum(file, chunk)
        file.seek(16)
        layout = _parse(file.read(13), chunks)
        if whole:
            _check_data(_pieces(file, layout.data), layout.rows())
        return layout


def _chunks(file: BinaryIO, size: int) -> Iterator[_Chunk]:
    if file.read(8) != SIGNATURE:
        raise ValueError("is no PNG file")
    start, kind, texts = 8, b"", 0
    for _ in range(_MOST_CHUNKS):
        file.seek(start)
        head = file.read(8)
        kind = head[4:]
        chunk = _Chunk(kind, start, int.from_bytes(head[:4], "big"))
        if len(head) < 8 or chunk.stop > size:
            raise ValueError("is cut short")
        if not kind.isalpha() or (kind == b"IHDR") != (start == 8):
            raise ValueError(f"is damaged at byte {start}")
        yield chunk
        if kind == b"IEND":
            return
        start = chunk.stop
        texts += kind in (b"zTXt", b"iTXt")
        if texts > _MOST_TEXTS:
            break
    raise ValueError("has more chunks than any picture needs")


def _check_sum(file: BinaryIO, chunk: _Chunk) -> None:
    file.seek(chunk.start + 4)
    left, total = chunk.length + 4, 0
    while left:
        piece = file.read(min(left, _BAND))
        if not piece:
            raise ValueError("is cut short")
        left, total = left - len(piece), zlib.crc32(piece, total)
    if file.read(4) != struct.pack(">I", total):
        raise ValueError(f"is damaged: its {chunk.kind.decode()} chunk does not fit its checksum")


def _pieces(file: BinaryIO, chunks: tuple[_Chunk, ...]) -> Iterator[bytes]:
    """The data of chunks, some at a time."""
    for chunk in chunks:
        file.seek(chunk.start + 8)
        for start in range(0, chunk.length, _PIECE):
            yield file.read(min(_PIECE, chunk.length - start))


def _check_data(pieces: Iterator[bytes], rows: Iterator[int]) -> None:
    """Unpacks image data: it must hold the rows, each with a filter that there is, and no more."""
    packer, data = zlib.decompressobj(), b""

    def unpacked(most: int) -> bytes:
        nonlocal data
        found = b""
        while len(found) < most and not packer.eof:
            data = data or next(pieces, b"")
            if not data:
                raise ValueError("is cut short: its image data ends too soon")
            found += packer.decompress(data, most - len(found))
            data = packer.unconsumed_tail
        return found

    try:
        for size in rows:
            row = unpacked(1 + size)
            if len(row) <= size:
                raise ValueError("is cut short: its image data ends too soon")
            if row[0] > _LAST_FILTER:
                raise ValueError(f"is damaged: a row has filter {row[0]}")
        if unpacked(1):
            raise ValueError("is damaged: it has more image data than pixels")
    except zlib.error as error:
        raise ValueError(f"is damaged in its image data: {error}") from error


def _parse(head: bytes, chunks: tuple[_Chunk, ...]) -> _Layout:
    if chunks[0].length != 13 or len(head) != 13:
        raise ValueError("is damaged in its header")
    width, height, bits, colour, *methods, interlace = struct.unpack(">II5B", head)
    layout = _Layout(width, height, bits, colour, interlace == 1, chunks)
    known = colour in _SAMPLES and bits in _BITS.get(colour, (8, 16))
    if not known or methods != [0, 0] or interlace > 1:
        raise ValueError("is damaged in its header")
    kinds = {chunk.kind for chunk in chunks if chunk.kind[:1].isupper()}
    if kinds - _CRITICAL:
        raise ValueError(f"has chunks that nobody knows: {min(kinds - _CRITICAL).decode()}")
    if colour == _PALETTE and b"PLTE" not in kinds:
        raise ValueError("is damaged: it has no palette")
    data = layout.data
    if not data or any(one.stop != two.start for one, two in zip(data, data[1:], strict=False)):
        raise ValueError("is damaged: its image data is not in one place")
    stored = sum(chunk.length for chunk in data)
    claimed = -(-width * _SAMPLES[colour] * bits // 8) * height
    check_size(width, height, claimed, stored * _DEFLATE_MOST)
    if layout.interlaced and claimed > _MOST_INTERLACED:
        raise ValueError(f"has {claimed} bytes of samples interlaced, which must be read as one")
    return layout


def header(path: Path) -> Header:
    """What the file says about itself; palettes and fewer than 8 bits as they are decoded.

    Raises:
        SequenceError: when the file is damaged or cut short.
    """
    layout = _layout(path)
    with picture.Input(path) as file:
        spec = file.spec(0)
        if spec is None:
            raise damaged(path, "holds no picture")
        part = picture.part(spec, "zip")
        return picture.header(path, "png", (part,), spec, layout.bits)


def read(header: Header, picked: Picked, box: Box) -> Array:
    """Reads a box: float32 (box.height, box.width, len(picked.names)), 0 outside the picture.

    Raises:
        SequenceError: when the file is damaged anywhere, which its checksums tell.
    """
    _layout(header.path, whole=True)
    return picture.read(header, picked, box)


def check_rewrite(header: Header, picked: Picked, keep_lossy: bool = False) -> str:
    """Looks whether ``rewrite`` could keep everything.

    Returns what it drops, empty where that is nothing.

    Raises:
        SequenceError: with the reason, for a picture that is not stored as it is decoded.
    """
    layout = _layout(header.path)
    _check(header.path, layout)
    return "interlace is dropped" if layout.interlaced else ""


def _check(path: Path, layout: _Layout) -> None:
    reasons = {
        "colours of a palette": layout.colour == _PALETTE,
        f"{layout.bits}-bit codes": layout.bits < 8,
        "a transparent colour (tRNS)": any(chunk.kind == b"tRNS" for chunk in layout.chunks),
    }
    for reason, holds in reasons.items():
        if holds:
            raise SequenceError(
                f"{str(path)!r} has {reason}, which cannot be written back exactly",
                "save it as 8 or 16 bit grey or RGB, with an alpha channel if need be",
            )


def rewrite(header: Header, temporary: Path, edit: Edit, keep_lossy: bool = False) -> None:
    """Writes the source to ``temporary`` with some codes changed; nothing is ever lossy here.

    Codes are rounded to the nearest and clamped, NaN becomes 0. An interlaced picture is written
    without interlace.

    Raises:
        SequenceError: when the source cannot be decoded or kept exactly.
        OSError: when ``temporary`` cannot be written.
    """
    layout = _layout(header.path, whole=True)
    _check(header.path, layout)
    codes = picture.patched(header, edit)
    with header.path.open("rb") as plate, temporary.open("wb") as file:
        first, last = layout.data[0], layout.data[-1]
        head = bytearray(plate.read(first.start))
        if layout.interlaced:
            head[28] = 0  # the last byte of IHDR; its checksum follows
            struct.pack_into(">I", head, 29, zlib.crc32(head[12:29]))
        file.write(head)
        for piece in image(codes):
            file.write(piece)
        plate.seek(last.stop)
        shutil.copyfileobj(plate, file)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def image(codes: Array) -> Iterator[bytes]:
    """The IDAT chunks of a picture: (height, width, C), uint8 or uint16.

    Every row has the Paeth filter: as small as the best of five for photographs and flat mattes,
    and the same bytes on every machine with the same zlib.
    """
    height, width, samples = codes.shape
    step = samples * codes.dtype.itemsize
    high = max(_BAND // (width * step), 1)
    packer = zlib.compressobj(_LEVEL)
    above = np.zeros((1, width * step), np.uint8)
    for top in range(0, height, high):
        band = np.ascontiguousarray(codes[top : top + high], codes.dtype.newbyteorder(">"))
        rows = band.view(np.uint8).reshape(len(band), -1)
        data = packer.compress(_paeth(rows, above, step))
        if data:
            yield chunk(b"IDAT", data)
        above = rows[-1:]
    yield chunk(b"IDAT", packer.flush())


def _paeth(rows: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], step: int) -> bytes:
    """Rows less what the Paeth predictor makes of them (ISO/IEC 15948, 9.4), each after a 4."""
    up = np.concatenate([above, rows[:-1]]).astype(np.int16)
    left, corner = np.zeros_like(up), np.zeros_like(up)
    left[:, step:], corner[:, step:] = rows[:, :-step], up[:, :-step]
    by_left = np.abs(up - corner)
    by_up = np.abs(left - corner)
    by_corner = np.abs(up + left - 2 * corner)
    near = np.where(by_up <= by_corner, up, corner)
    near = np.where((by_left <= by_up) & (by_left <= by_corner), left, near)
    out = np.full((len(rows), rows.shape[1] + 1), 4, np.uint8)
    out[:, 1:] = rows - near.astype(np.uint8)
    return out.tobytes()


def verify(path: Path) -> None:
    """Looks whether a file is whole: every chunk, every checksum.

    Raises:
        SequenceError: when it is not.
    """
    _layout(path, whole=True)

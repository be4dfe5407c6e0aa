"""Rewriting an OpenEXR file: the source's bytes, with some chunks replaced where they stand.

Nothing that does not change is decoded, so it cannot change: headers, other parts, deep pixels,
mip levels and untouched chunks are copied as they are.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from infusion_ofx.sequence.exr_file import Layout, Table, chunk_ends, read_table, reading
from infusion_ofx.sequence.exr_input import Input
from infusion_ofx.sequence.exr_part import StoredPart
from infusion_ofx.sequence.exr_recode import Chunk, Recoding
from infusion_ofx.sequence.frame import Edit

__all__ = ["rewrite_chunks"]

_DECREASING = b"\1"
_COPY_BYTES = 1 << 20


class _Span(NamedTuple):
    """Bytes of the source that a chunk takes."""

    begin: int
    end: int
    place: int
    """The chunk's place in the table of its part."""


def rewrite_chunks(
    path: Path, temporary: Path, layout: Layout, edit: Edit, compression: int
) -> None:
    """Writes ``path`` to ``temporary`` with the samples of an edit changed.

    compression: what the touched chunks are encoded with. Where it is not the part's own, all of
    the part's chunks are, on every level of a mip chain, and the header says so.

    Raises:
        SequenceError: when the source is damaged where it is touched.
        TryAgainError: when the storage fails to give it.
        OSError: when writing fails.
    """
    number = edit.picked.part
    part, own = layout.parts[number], layout.places(number)
    count = part.chunk_count(compression)
    with Input(path) as pixels, path.open("rb") as source, temporary.open("wb") as target:
        prefix = struct.pack("<i", number) if layout.is_multipart else b""
        recoding = Recoding(pixels, part, edit, compression, prefix)
        with reading(path):
            table = read_table(source, layout)
            spans = _spans(source, layout, table, own.start, recoding.places())
            source.seek(0)
            header = bytearray(source.read(layout.header_end))
        _change_header(header, part, compression, count)
        target.write(header)
        target.seek(8 * (len(table) + count - part.chunk_count()), os.SEEK_CUR)
        splice = _Splice(path, source, target, layout.table_end)
        is_falling = part.value("lineOrder", b"lineOrder") == _DECREASING
        offsets = _replace(splice, spans, recoding.run(table[own]), is_falling)
        splice.copy_until(layout.size)
        moved = splice.moved(table)
        mine = moved[own] if count == part.chunk_count() else np.zeros(count, np.int64)
        mine[list(offsets)] = list(offsets.values())
        target.seek(layout.header_end)
        target.write(np.concatenate([moved[: own.start], mine, moved[own.stop :]]).tobytes())


def _spans(
    source: BinaryIO, layout: Layout, table: Table, first: int, places: list[int]
) -> list[_Span]:
    """Where the chunks of a part are that are to be replaced, in the file's order.

    first, places: where the part's table begins in that of all parts, and the chunks in it. All
    others are looked at too, since a damaged file is not to be copied as if it were whole.
    """
    whole = [first + place for place in places]
    begins, ends = table[whole], chunk_ends(source, layout, table)[whole]
    begun, ended = (np.searchsorted(np.sort(at), table, "right") for at in (begins, ends))
    if int((begun - ended).sum()) != len(places):  # each holds but its own first byte
        raise ValueError("its chunks overlap")
    return sorted(map(_Span, begins.tolist(), ends.tolist(), places))


def _change_header(header: bytearray, part: StoredPart, compression: int, count: int) -> None:
    """Writes compression and chunk count over those of the part, which are of the same size."""
    header[part.attributes["compression"].at] = compression
    if count != part.chunk_count() and "chunkCount" in part.attributes:
        struct.pack_into("<i", header, part.attributes["chunkCount"].at, count)


def _replace(
    splice: _Splice,
    spans: list[_Span],
    bands: Iterator[dict[int, list[Chunk]]],
    is_falling: bool,
) -> dict[int, int]:
    """Puts new chunks where the old ones were; returns offsets by place in the part's new table.

    is_falling: whether lower lines come first in the file.
    """
    offsets: dict[int, int] = {}
    ready: dict[int, list[Chunk]] = {}
    for begin, end, place in spans:
        while place not in ready:
            ready.update(next(bands))
        chunks = ready.pop(place)[:: -1 if is_falling else 1]
        begins = splice.replace(begin, end, [chunk.data for chunk in chunks])
        offsets.update(zip((chunk.place for chunk in chunks), begins, strict=True))
    return offsets


class _Splice:
    """A copy of the bytes of a file, with some replaced on the way."""

    def __init__(self, path: Path, source: BinaryIO, target: BinaryIO, begin: int) -> None:
        """Copies from ``begin`` on to where ``target`` stands."""
        self._path, self._source, self._target = path, source, target
        self._at = begin
        self._begins, self._shifts = [0], [target.tell() - begin]

    def replace(self, begin: int, end: int, chunks: Sequence[bytes]) -> list[int]:
        """Copies up to ``begin`` and writes chunks for what lies before ``end``.

        Returns where each chunk begins.
        """
        self.copy_until(begin)
        offsets = []
        for chunk in chunks:
            offsets.append(self._target.tell())
            self._target.write(chunk)
        self._at = end
        self._begins.append(end)
        self._shifts.append(self._target.tell() - end)
        return offsets

    def copy_until(self, end: int) -> None:
        """Copies up to ``end``."""
        self._source.seek(self._at)
        while self._at < end:
            with reading(self._path):
                data = self._source.read(min(end - self._at, _COPY_BYTES))
                if not data:
                    raise ValueError("it is cut short")
            self._target.write(data)
            self._at += len(data)

    def moved(self, offsets: Table) -> Table:
        """Where bytes of the source are in the copy, but for those that were replaced."""
        last = np.searchsorted(np.array(self._begins), offsets, "right") - 1
        moved: Table = offsets + np.array(self._shifts)[last]
        return moved

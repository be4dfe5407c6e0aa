"""Where things are in an OpenEXR file: its parts, its chunk tables, and every chunk."""

from __future__ import annotations

import bisect
import itertools
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from infusion_ofx.sequence import source
from infusion_ofx.sequence.exr_header import parse
from infusion_ofx.sequence.exr_part import StoredPart

__all__ = ["Layout", "Table", "check_chunks", "chunk_ends", "read_layout", "read_table", "reading"]

Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """What lies where in a file."""

    is_multipart: bool
    """Whether chunks carry the number of their part."""
    parts: tuple[StoredPart, ...]
    header_end: int
    """First byte of the chunk tables, which follow each other."""
    size: int
    """Bytes of the file."""

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        """Where the table of each part ends in that of all parts."""
        return tuple(itertools.accumulate(part.chunk_count() for part in self.parts))

    @property
    def table_end(self) -> int:
        """First byte after the chunk tables."""
        return self.header_end + 8 * self._ends[-1]

    def places(self, part: int) -> slice:
        """Where a part's own table lies in that of all parts."""
        return slice(self._ends[part - 1] if part else 0, self._ends[part])

    def part_of(self, chunk: int) -> int:
        """The part that a chunk in the table of all parts belongs to."""
        return bisect.bisect_right(self._ends, chunk)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns everything that a read of the file or damage in it may raise into one clear error.

    Raises:
        TryAgainError: when the storage failed and may recover.
        SequenceError: for all else, naming the file.
    """
    with source.reading(path):
        try:
            yield
        except (struct.error, ValueError, IndexError, KeyError) as error:
            reason = f"its header lacks {error}" if isinstance(error, KeyError) else str(error)
            raise source.damaged(path, f"is damaged or no OpenEXR file: {reason}") from error


def read_layout(path: Path) -> Layout:
    """Reads the headers of all parts and looks whether the newest chunk is whole.

    Raises:
        SequenceError: when the file is no OpenEXR file, is cut short, or its header is absurd.
    """
    size = source.check_file(path).st_size
    with reading(path), path.open("rb") as file:
        layout = Layout(*parse(file, size), size)
        if layout.table_end > size:
            raise ValueError("it is cut short before the pixels")
        _check_last_chunk(file, layout)
    return layout


def read_table(file: BinaryIO, layout: Layout) -> Table:
    """Where each chunk of each part begins, part after part."""
    file.seek(layout.header_end)
    return np.frombuffer(file.read(layout.table_end - layout.header_end), "<i8")


def _check_last_chunk(file: BinaryIO, layout: Layout) -> None:
    """Three reads that find every file whose writing or copying stopped."""
    table = read_table(file, layout)
    if int(table.min()) < layout.table_end:
        raise ValueError("its writing was not finished")
    last = int(table.argmax())
    _ends(file, layout, layout.part_of(last), [int(table[last])], [b""])


def _ends(
    file: BinaryIO,
    layout: Layout,
    part: int,
    offsets: Iterable[int],
    coordinates: Iterable[bytes],
) -> list[int]:
    """First byte after each chunk of a part.

    coordinates: what the chunks must say of their places; empty where that is not known.

    Raises:
        ValueError: when one does not fit into the file, or is another one.
    """
    stored = layout.parts[part]
    number = struct.pack("<i", part) if layout.is_multipart else b""
    # Deep pixels come in two packs, whose unpacked length follows.
    lengths = struct.Struct("<QQ8x" if stored.is_deep else "<i")
    before = len(number) + (16 if stored.is_tiled else 4)
    head = before + lengths.size
    ends = []
    for offset, place in zip(offsets, coordinates, strict=False):
        file.seek(offset)
        data = file.read(head)
        if len(data) < head:
            raise ValueError("it is cut short")
        if not data.startswith(number + place):
            raise ValueError("a chunk is not where the table says")
        length = sum(lengths.unpack_from(data, before))
        if not 0 <= length <= layout.size - offset - head:
            raise ValueError("it is cut short")
        ends.append(offset + head + length)
    return ends


def chunk_ends(file: BinaryIO, layout: Layout, table: Table) -> Table:
    """Looks at every chunk: it must be there, whole, and at its place. Decodes nothing.

    Returns the first byte after each, in the order of the table.

    Raises:
        ValueError: when one is not.
    """
    ends: list[int] = []
    for number, part in enumerate(layout.parts):
        offsets = table[layout.places(number)].tolist()
        ends += _ends(file, layout, number, offsets, _coordinates(part))
    return np.array(ends, np.int64)


def _coordinates(part: StoredPart) -> Iterator[bytes]:
    """What each chunk says of its place, in the table's order; nothing where that is not known."""
    for grid in part.grids():
        for row in range(grid.rows):
            for column in range(grid.columns):
                yield grid.coordinates(row, column)
    yield from itertools.repeat(b"")


def check_chunks(path: Path) -> None:
    """Looks at every chunk of a file, as ``chunk_ends`` does.

    Raises:
        SequenceError: when one is damaged.
        TryAgainError: when the storage fails to give the file.
    """
    layout = read_layout(path)
    with reading(path), path.open("rb") as file:
        chunk_ends(file, layout, read_table(file, layout))

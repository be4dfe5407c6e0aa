"""The pages of a TIFF file: where its tags and its samples lie, read from the file's bytes.

Source: TIFF 6.0 (Adobe, 1992), its Technical Notes 1 and 3, and BigTIFF as libtiff documents it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.source import check_file, check_size, printable, reading

__all__ = ["Layout", "Page", "layout", "only_strip"]

Array = npt.NDArray[Any]

_ORDERS = {b"II": "<", b"MM": ">"}
_CLASSIC, _BIG = 42, 43
_WHOLE = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
"""The types that hold whole numbers."""
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTES |= {16: 8, 17: 8, 18: 8}
"""Bytes of one value of each type."""
_MOST_PAGES = _MOST_TAGS = 1000
_MOST_SAMPLES = 1024
_GROWTH = {1: 1, 5: 4096, 8: 1032, 32773: 128, 32946: 1032}
"""What a byte of data can become at most, by compression; others are taken for ``_GREATEST``."""
_GREATEST = 1 << 16
_PREDICTING = (5, 8, 32946)
"""The compressions that a predictor works for: LZW and both deflates."""
_CUT = "is cut short: some strips or tiles are not there"

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS = 273, 277, 278, 279
_PLANAR, _PAGE_NAME, _PREDICTOR = 284, 285, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT = 322, 323, 324, 325, 339


@dataclass(frozen=True)
class _Entry:
    """One tag of a page."""

    place: int
    """Where its 12 or 20 bytes are."""
    type: int
    count: int
    start: int
    """Where its values are, within the entry or elsewhere."""

    @property
    def bytes(self) -> int:
        """Bytes of its values; 0 for a type that nobody knows."""
        return _BYTES.get(self.type, 0) * self.count


@dataclass(frozen=True)
class Page:
    """One picture of the file: how its samples are stored, and where."""

    width: int
    height: int
    samples: int
    """Samples of a pixel."""
    bits: tuple[int, ...]
    """Of each sample; one number where all are alike."""
    format: int
    """1 whole, 2 whole with a sign, 3 floating point, 4 undefined, which is taken for whole."""
    photometric: int
    compression: int
    predictor: int
    """What the compression is given: 1 samples, 2 their differences, 3 those of their bytes."""
    planar: bool
    """Whether each channel has strips of its own."""
    fill_order: int
    tiled: bool
    columns: int
    """Pixels of a strip or tile from left to right, and down: ``rows``."""
    rows: int
    name: str
    offsets: Array
    """Where each strip or tile begins: first across, then down, then channel by channel."""
    counts: Array
    """Bytes of each of them."""
    entries: tuple[int, int]
    """Where the tags of ``offsets`` and ``counts`` are in the file."""

    @property
    def across(self) -> int:
        """Strips or tiles from left to right."""
        return -(-self.width // self.columns)

    @property
    def down(self) -> int:
        """Strips or tiles from top to bottom."""
        return -(-self.height // self.rows)

    def segments(self, box: Box) -> Iterator[tuple[int, Box]]:
        """The strips or tiles that hold pixels of a box within the picture.

        Yields the place of each within its channel, and the pixels that it has in the picture.
        """
        for row in range(box.top // self.rows, -(-box.bottom // self.rows)):
            for column in range(box.left // self.columns, -(-box.right // self.columns)):
                top, left = row * self.rows, column * self.columns
                bottom = min(top + self.rows, self.height)
                right = min(left + self.columns, self.width)
                yield row * self.across + column, Box(top, left, bottom, right)


@dataclass(frozen=True)
class Layout:
    """The pages of a file, and which of its bytes are taken."""

    order: str
    """``<`` or ``>``."""
    big: bool
    """BigTIFF, with offsets of 64 bits."""
    pages: tuple[Page, ...]
    alone: frozenset[int]
    """First bytes of strips and tiles that lie over nothing else that is known of the file."""


@dataclass
class _Reader:
    """The file's numbers; what lies outside of it raises ValueError."""

    file: BinaryIO
    size: int
    order: str = "<"
    big: bool = False
    extents: list[tuple[int, int]] = field(default_factory=list)
    taken: int = 0

    def bytes(self, start: int, count: int) -> bytes:
        """Bytes at a place."""
        if start + count > self.size:
            raise ValueError("is cut short")
        self.file.seek(start)
        data = self.file.read(count)
        if len(data) != count:
            raise ValueError("is cut short")
        return data

    def take(self, start: int, form: str) -> tuple[int, ...]:
        """Numbers at a place, by ``struct``."""
        return struct.unpack(self.order + form, self.bytes(start, struct.calcsize("<" + form)))

    def take_up(self, start: int, count: int) -> None:
        """Notes that bytes are in use; tags that lie over each other are no file's."""
        self.extents.append((start, start + count))
        self.taken += count
        if start + count > self.size:
            raise ValueError("is cut short")
        if self.taken > 2 * self.size:
            raise ValueError("is damaged: its tags lie over each other")

    def values(self, entry: _Entry, most: int) -> Array:
        """The whole numbers of a tag, the first ``most`` of them."""
        if entry.type not in _WHOLE:
            raise ValueError(f"is damaged: a tag at byte {entry.place} holds no whole numbers")
        kind = np.dtype(self.order + _WHOLE[entry.type])
        data = self.bytes(entry.start, min(entry.count, most) * kind.itemsize)
        return np.frombuffer(data, kind).astype(np.uint64)


def layout(path: Path) -> Layout:
    """Reads the tags of all pages.

    Raises:
        SequenceError: when the file is damaged or cut short.
    """
    size = check_file(path).st_size
    with reading(path), path.open("rb") as file:
        return _parse(_Reader(file, size))


def _parse(reader: _Reader) -> Layout:
    start = _first(reader)
    pages: list[Page] = []
    seen: set[int] = set()
    while start:
        if start in seen or len(seen) == _MOST_PAGES:
            raise ValueError("is damaged: its pages do not end")
        seen.add(start)
        entries, start = _entries(reader, start)
        pages.append(_page(reader, entries))
    if not pages:
        raise ValueError("holds no picture")
    segments = [np.stack([page.offsets, page.offsets + page.counts], axis=1) for page in pages]
    extents = np.concatenate([np.array(reader.extents, np.uint64), *segments])
    return Layout(reader.order, reader.big, tuple(pages), _alone(extents))


def only_strip(data: bytes) -> bytes:
    """The bytes of the one strip of a small file that is in memory."""
    reader = _Reader(io.BytesIO(data), len(data))
    entries, _ = _entries(reader, _first(reader))
    (start,), (count,) = (reader.values(entries[tag], 2) for tag in (_STRIP_OFFSETS, _STRIP_COUNTS))
    return reader.bytes(int(start), int(count))


def _alone(extents: Array) -> frozenset[int]:
    """Where those begin that overlap no other. extents: (N, 2), first and last + 1 byte."""
    starts, stops = extents[np.argsort(extents[:, 0])].T
    before = np.maximum.accumulate(np.append(np.uint64(0), stops[:-1])) <= starts
    after = np.append(starts[1:], stops[-1]) >= stops
    return frozenset(starts[before & after].tolist())


def _first(reader: _Reader) -> int:
    """Where the first page's tags are; sets the byte order and the kind of TIFF."""
    head = reader.bytes(0, min(reader.size, 4))
    if head[:2] not in _ORDERS:
        raise ValueError("is no TIFF file")
    reader.order = _ORDERS[head[:2]]
    (version,) = reader.take(2, "H")
    if version not in (_CLASSIC, _BIG):
        raise ValueError("is no TIFF file")
    reader.big = version == _BIG
    reader.take_up(0, 16 if reader.big else 8)
    if reader.big and reader.take(4, "HH") != (8, 0):
        raise ValueError("is damaged in its header")
    return reader.take(8, "Q")[0] if reader.big else reader.take(4, "I")[0]


def _entries(reader: _Reader, start: int) -> tuple[Mapping[int, _Entry], int]:
    """The tags of the page at a place, and the place of the next one."""
    form, word, step, inline = ("HHQ", "Q", 20, 8) if reader.big else ("HHI", "I", 12, 4)
    head = struct.calcsize("<" + word) if reader.big else 2
    (count,) = reader.take(start, "Q" if reader.big else "H")
    if count > _MOST_TAGS:
        raise ValueError("is damaged: a page has too many tags")
    reader.take_up(start, head + count * step + inline)
    found: dict[int, _Entry] = {}
    for place in range(start + head, start + head + count * step, step):
        tag, kind, number = reader.take(place, form)
        entry = _Entry(place, kind, number, place + step - inline)
        if entry.bytes > inline:
            (outside,) = reader.take(entry.start, word)
            entry = _Entry(place, kind, number, outside)
            reader.take_up(outside, entry.bytes)
        found.setdefault(tag, entry)
    return found, reader.take(start + head + count * step, word)[0]


def _page(reader: _Reader, entries: Mapping[int, _Entry]) -> Page:
    def all_of(tag: int, default: int) -> list[int]:
        found = reader.values(entries[tag], _MOST_SAMPLES).tolist() if tag in entries else []
        return [int(value) for value in found] or [default]

    def one(tag: int, default: int) -> int:
        return all_of(tag, default)[0]

    width, height, samples = one(_WIDTH, 0), one(_HEIGHT, 0), one(_SAMPLES, 1)
    bits, compression = all_of(_BITS, 1), one(_COMPRESSION, 1)
    tiled = _TILE_WIDTH in entries
    columns = one(_TILE_WIDTH, 0) if tiled else width
    rows = one(_TILE_HEIGHT, 0) if tiled else min(one(_ROWS_PER_STRIP, height), height)
    if not (columns and rows and 1 <= samples <= _MOST_SAMPLES and 1 <= min(bits)):
        raise ValueError("is damaged: a page lacks its size")
    claimed = -(-width * samples * max(bits) // 8) * height
    growth = _GROWTH.get(compression, _GREATEST)
    check_size(width, height, claimed, reader.size * growth)
    planar = one(_PLANAR, 1) == 2 and samples > 1
    needed = -(-width // columns) * -(-height // rows) * (samples if planar else 1)
    offsets, offsets_at = _places(reader, entries, (_TILE_OFFSETS, _STRIP_OFFSETS), needed)
    counts, counts_at = _places(reader, entries, (_TILE_COUNTS, _STRIP_COUNTS), needed)
    if not counts.all() or (offsets > reader.size).any() or (counts > reader.size).any():
        raise ValueError(_CUT)
    if (offsets + counts > reader.size).any() or claimed > int(counts.sum()) * growth:
        raise ValueError(_CUT)
    return Page(
        width=width,
        height=height,
        samples=samples,
        bits=tuple(dict.fromkeys(bits)),
        format=one(_FORMAT, 1),
        photometric=one(_PHOTOMETRIC, 1),
        compression=compression,
        predictor=one(_PREDICTOR, 1) if compression in _PREDICTING else 1,
        planar=planar,
        fill_order=one(_FILL_ORDER, 1),
        tiled=tiled,
        columns=columns,
        rows=rows,
        name=_name(reader, entries.get(_PAGE_NAME)),
        offsets=offsets,
        counts=counts,
        entries=(offsets_at, counts_at),
    )


def _places(
    reader: _Reader, entries: Mapping[int, _Entry], tags: tuple[int, int], needed: int
) -> tuple[Array, int]:
    """The numbers of each strip or tile, and the place of their tag."""
    entry = next((entries[tag] for tag in tags if tag in entries), None)
    if entry is None or entry.count < needed:
        raise ValueError(_CUT)
    return reader.values(entry, needed), entry.place


def _name(reader: _Reader, entry: _Entry | None) -> str:
    if entry is None or entry.type != 2:
        return ""
    data = reader.bytes(entry.start, min(entry.count, 200))
    return printable(data.split(b"\0")[0].decode("utf-8", "replace"))

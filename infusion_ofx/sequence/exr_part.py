"""One part of an OpenEXR file: what its attributes say, and how it is cut into chunks.

After the OpenEXR file layout (https://openexr.com/en/latest/OpenEXRFileLayout.html).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infusion_ofx.sequence.frame import Box

__all__ = ["COMPRESSIONS", "Attribute", "Grid", "StoredChannel", "StoredPart"]

COMPRESSIONS = {
    0: ("none", 1),
    1: ("rle", 1),
    2: ("zips", 1),
    3: ("zip", 16),
    4: ("piz", 32),
    5: ("pxr24", 16),
    6: ("b44", 32),
    7: ("b44a", 32),
    8: ("dwaa", 32),
    9: ("dwab", 256),
    10: ("htj2k256", 256),
    11: ("htj2k32", 32),
    13: ("zstd", 1),
}
"""OpenEXR's numbers of its compressions: the names that OpenImageIO gives them, and how many scan
lines each puts into one chunk."""

_MOST_TEXTS = 100


class Attribute(NamedTuple):
    """One attribute as it is stored."""

    kind: bytes
    """Name of its type: ``string``, ``box2i``, ..."""
    value: bytes
    at: int
    """Where the value begins in the file."""


class StoredChannel(NamedTuple):
    """One channel as the header lists it."""

    name: str
    type: str
    """half, float or uint."""
    size: int
    """Bytes of a sample."""
    is_linear: bool
    """What B44 goes by: whether perception is linear in the samples."""
    sampling: tuple[int, int]
    """A sample for every so many pixels, x and y."""

    @property
    def dtype(self) -> str:
        """The type as numpy names it."""
        return {"half": "float16", "float": "float32", "uint": "uint32"}[self.type]


@dataclass(frozen=True)
class Grid:
    """The chunks of one level of a part: rows and columns of boxes, those at the edges cut."""

    window: Box
    """Pixels of the level."""
    wide: int
    """Pixels of a chunk, at most the level's width."""
    high: int
    first: int
    """Place of its first chunk in the part's table; rows of chunks follow each other."""
    level: tuple[int, int] | None
    """Level of tiles in x and y; None for scan lines."""

    @property
    def columns(self) -> int:
        """Chunks side by side."""
        return -(-self.window.width // self.wide)

    @property
    def rows(self) -> int:
        """Chunks above each other."""
        return -(-self.window.height // self.high)

    def coordinates(self, row: int, column: int) -> bytes:
        """What a chunk says of its place: the first line, or the numbers of the tile and level."""
        if self.level is None:
            return struct.pack("<i", self.window.top + row * self.high)
        return struct.pack("<4i", column, row, *self.level)

    def place(self, row: int, column: int) -> int:
        """Where a chunk is in the part's table."""
        return self.first + row * self.columns + column

    def touching(self, box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
        """Half-open ranges of rows and columns of the chunks that a box within the level meets."""
        top, bottom = box.top - self.window.top, box.bottom - self.window.top
        left, right = box.left - self.window.left, box.right - self.window.left
        rows = (top // self.high, -(-bottom // self.high))
        return rows, (left // self.wide, -(-right // self.wide))

    def box(self, rows: tuple[int, int], columns: tuple[int, int]) -> Box:
        """Pixels of half-open ranges of chunks."""
        top, left = self.window.top, self.window.left
        return self.window.intersect(
            Box(
                top + rows[0] * self.high,
                left + columns[0] * self.wide,
                top + rows[1] * self.high,
                left + columns[1] * self.wide,
            )
        )


@dataclass(frozen=True)
class StoredPart:
    """One part of a file."""

    attributes: Mapping[str, Attribute]
    """All of them, in the file's order; names that are no UTF-8 with surrogate escapes."""
    is_tiled: bool
    is_deep: bool
    """Whether pixels hold any number of samples."""
    window: Box
    """The data window."""
    display: Box
    channels: tuple[StoredChannel, ...]
    """In the file's order."""
    compression: int
    """OpenEXR's number of it."""

    def value(self, name: str, kind: bytes) -> bytes:
        """The bytes of an attribute; empty where there is none, or one of another type."""
        attribute = self.attributes.get(name)
        return attribute.value if attribute is not None and attribute.kind == kind else b""

    def text(self, name: str) -> str:
        """A string attribute, 255 bytes at most as other names; empty where there is none."""
        return _name(self.value(name, b"string"))

    def texts(self, name: str) -> tuple[str, ...]:
        """An attribute that lists strings, the first of them; empty where there is none."""
        data, found, at = self.value(name, b"stringvector"), list[str](), 0
        while at + 4 <= len(data) and len(found) < _MOST_TEXTS:
            end = at + 4 + int.from_bytes(data[at : at + 4], "little")
            found.append(_name(data[at + 4 : end]))
            at = end
        return tuple(found)

    @property
    def pixel_size(self) -> int:
        """Bytes of a pixel, all channels, before compression."""
        return sum(channel.size for channel in self.channels)

    @property
    def tiles(self) -> tuple[int, int, int]:
        """Width and height of a tile, and the mode: levels in the low bits, rounding up at 16."""
        wide, high, mode = struct.unpack("<IIB", self.attributes["tiles"].value)
        return wide, high, mode

    def grids(self, compression: int | None = None) -> tuple[Grid, ...]:
        """The chunks of each level, the picture itself first; none for unknown compressions.

        compression: in place of the part's own.
        """
        compression = self.compression if compression is None else compression
        if not self.is_tiled:
            if compression not in COMPRESSIONS:
                return ()
            lines = COMPRESSIONS[compression][1]
            return (Grid(self.window, self.window.width, lines, 0, None),)
        wide, high, mode = self.tiles
        found: list[Grid] = []
        first = 0
        for level, width, height in _levels(self.window, mode):
            top, left = self.window.top, self.window.left
            window = Box(top, left, top + height, left + width)
            found.append(Grid(window, min(wide, width), min(high, height), first, level))
            first = found[-1].place(found[-1].rows, 0)
        return tuple(found)

    def chunk_count(self, compression: int | None = None) -> int:
        """How many chunks the part has, or would have under another compression."""
        grids = self.grids(compression)
        if not grids:
            return int(struct.unpack("<i", self.attributes["chunkCount"].value)[0])
        return grids[-1].place(grids[-1].rows, 0)


def _name(value: bytes) -> str:
    return value[:255].decode("utf-8", "replace")


def _levels(window: Box, mode: int) -> list[tuple[tuple[int, int], int, int]]:
    """Number and size of each level of tiles: one, a mip chain (mode 1) or a rip grid (mode 2)."""
    up = bool(mode & 0x10)
    widths, heights = _halvings(window.width, up), _halvings(window.height, up)
    if mode & 0xF == 0:
        return [((0, 0), window.width, window.height)]
    if mode & 0xF == 1:
        count = max(len(widths), len(heights))
        widths += [1] * (count - len(widths))
        heights += [1] * (count - len(heights))
        return [((i, i), widths[i], heights[i]) for i in range(count)]
    return [((x, y), w, h) for y, h in enumerate(heights) for x, w in enumerate(widths)]


def _halvings(size: int, up: bool) -> list[int]:
    sizes = [size]
    while size > 1:
        size = (size + 1) // 2 if up else size // 2
        sizes.append(size)
    return sizes

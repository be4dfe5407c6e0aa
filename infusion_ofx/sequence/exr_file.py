"""The bytes round the pixels of an OpenEXR file: headers and chunk tables.

After the OpenEXR file layout (https://openexr.com/en/latest/OpenEXRFileLayout.html). Decodes no
pixel; standard library only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.frame import Box, check_file

__all__ = ["COMPRESSIONS", "Layout", "Part", "check_chunks", "read_layout"]

MAGIC = b"\x76\x2f\x31\x01"
COMPRESSIONS = {
    0: "none",
    1: "rle",
    2: "zips",
    3: "zip",
    4: "piz",
    5: "pxr24",
    6: "b44",
    7: "b44a",
    8: "dwaa",
    9: "dwab",
    10: "htj2k256",
    11: "htj2k32",
    13: "zstd",
}
"""OpenEXR's numbers of its compressions, and the names that OpenImageIO gives them."""

_CHUNK_LINES = {
    0: 1,
    1: 1,
    2: 1,
    3: 16,
    4: 32,
    5: 16,
    6: 32,
    7: 32,
    8: 32,
    9: 256,
    10: 256,
    11: 32,
    13: 1,
}
_TYPES = ("uint", "half", "float")
TILED, DEEP, MULTIPART = 0x200, 0x800, 0x1000
_WIDEST = 65536
_MOST_CHANNELS = 1024
_MOST_PARTS = 1024
_LONGEST_HEADER = 64 << 20

Attributes = dict[bytes, tuple[bytes, bytes]]


@dataclass(frozen=True)
class Part:
    """One part of a file: its attributes as they are stored, name to (type, value)."""

    attributes: Attributes

    def value(self, name: str) -> bytes:
        """The stored bytes of an attribute, empty where it is not there."""
        return self.attributes.get(name.encode(), (b"", b""))[1]

    def text(self, name: str) -> str:
        """A string attribute, empty where it is not there."""
        return self.value(name).decode("utf-8", "replace")

    def box(self, name: str) -> Box:
        """A window as a half-open box."""
        left, top, right, bottom = struct.unpack("<4i", self.value(name))
        return Box(top, left, bottom + 1, right + 1)

    @property
    def channels(self) -> tuple[tuple[str, str, tuple[int, int]], ...]:
        """Name, type and sampling (x, y) of each channel, in the file's order."""
        data, found = self.value("channels"), []
        while data[:1] not in (b"", b"\0"):
            name, _, rest = data.partition(b"\0")
            kind, _, step_x, step_y = struct.unpack_from("<iIii", rest)
            found.append((name.decode("utf-8", "replace"), _TYPES[kind], (step_x, step_y)))
            data = rest[16:]
        return tuple(found)

    @property
    def compression(self) -> int:
        """OpenEXR's number of the compression."""
        return self.value("compression")[0]

    @property
    def is_deep(self) -> bool:
        """Whether pixels hold any number of samples."""
        return self.value("type").startswith(b"deep")

    @property
    def is_tiled(self) -> bool:
        """Whether pixels are stored in tiles."""
        kind = self.value("type")
        return b"tile" in kind or (not kind and bool(self.value("tiles")))

    def chunks(self) -> int:
        """How many chunks the part has, from its windows, tiles and levels."""
        count = self.value("chunkCount")
        if len(count) == 4:
            return int(struct.unpack("<i", count)[0])
        window = self.box("dataWindow")
        if not self.is_tiled:
            return -(-window.height // _CHUNK_LINES.get(self.compression, 1))
        return sum(_tiles(window, *struct.unpack("<IIB", self.value("tiles"))))


def _tiles(window: Box, wide: int, high: int, mode: int) -> Iterator[int]:
    """Tiles of each level: one level, a mip chain (mode 1) or a rip grid (mode 2)."""
    up = bool(mode & 0x10)
    widths, heights = _levels(window.width, up), _levels(window.height, up)
    if mode & 0xF == 1:
        longest = max(len(widths), len(heights))
        pairs = list(
            zip(
                widths + [1] * (longest - len(widths)),
                heights + [1] * (longest - len(heights)),
                strict=True,
            )
        )
    else:
        pairs = [(w, h) for w in widths for h in heights][: None if mode & 0xF else 1]
    for w, h in pairs:
        yield -(-w // wide) * -(-h // high)


def _levels(size: int, up: bool) -> list[int]:
    sizes = [size]
    while size > 1:
        size = (size + 1) // 2 if up else size // 2
        sizes.append(size)
    return sizes


@dataclass(frozen=True)
class Layout:
    """Where things are in a file."""

    flags: int
    """Version and flags, the second word of the file."""
    parts: tuple[Part, ...]
    header_end: int
    """First byte of the chunk tables."""
    size: int
    """Bytes of the file."""

    @property
    def is_multipart(self) -> bool:
        """Whether chunks carry the number of their part."""
        return bool(self.flags & MULTIPART)

    @property
    def table_end(self) -> int:
        """First byte after the chunk tables."""
        return self.header_end + 8 * sum(part.chunks() for part in self.parts)


def read_layout(path: Path) -> Layout:
    """Reads the headers of all parts and looks whether the newest chunk is whole.

    Raises:
        SequenceError: when the file is no OpenEXR file, is cut short, or its header is absurd.
    """
    size = check_file(path).st_size
    try:
        with path.open("rb") as file:
            layout = _parse(file, size)
            _check_sane(layout)
            _check_last_chunk(file, layout)
    except OSError as error:
        raise SequenceError(
            f"cannot read {str(path)!r}: {error.strerror}", "check its permissions and the storage"
        ) from error
    except (struct.error, ValueError, IndexError) as error:
        raise SequenceError(
            f"{str(path)!r} is damaged or no OpenEXR file: {error}",
            "render or copy the frame again",
        ) from error
    return layout


def _parse(file: BinaryIO, size: int) -> Layout:
    start = file.read(8)
    if start[:4] != MAGIC or len(start) < 8:
        raise ValueError("it does not start as one")
    flags = struct.unpack("<I", start[4:])[0]
    if flags & 0xFF != 2:
        raise ValueError(f"it is of version {flags & 0xFF}, known is 2")
    data = file.read(min(size, _LONGEST_HEADER))
    parts: list[Part] = []
    at = 0
    while len(parts) <= _MOST_PARTS:
        if parts and (not flags & MULTIPART or data[at : at + 1] == b"\0"):
            break
        attributes, at = _parse_attributes(data, at)
        parts.append(Part(attributes))
    else:
        raise ValueError(f"it has more than {_MOST_PARTS} parts")
    return Layout(flags, tuple(parts), 8 + at + (1 if flags & MULTIPART else 0), size)


def _parse_attributes(data: bytes, at: int) -> tuple[Attributes, int]:
    found: Attributes = {}
    while data[at : at + 1] != b"\0":
        name_end = data.index(b"\0", at, at + 257)
        type_end = data.index(b"\0", name_end + 1, name_end + 258)
        length = struct.unpack_from("<i", data, type_end + 1)[0]
        start = type_end + 5
        if length < 0 or start + length >= len(data):
            raise ValueError("its header is cut short")
        found[data[at:name_end]] = (data[name_end + 1 : type_end], data[start : start + length])
        at = start + length
    return found, at + 1


def _check_sane(layout: Layout) -> None:
    """Refuses headers that would ask for absurd amounts of memory, before anything is decoded."""
    for part in layout.parts:
        _check_window("data", part.box("dataWindow"))
        _check_window("display", part.box("displayWindow"))
        if not 1 <= len(part.channels) <= _MOST_CHANNELS:
            raise ValueError(f"it has {len(part.channels)} channels; {_MOST_CHANNELS} are read")
        if part.is_tiled:
            wide, high, _ = struct.unpack("<IIB", part.value("tiles"))
            if not (1 <= wide <= _WIDEST and 1 <= high <= _WIDEST):
                raise ValueError(f"its tiles of {wide} x {high} pixels are not sane")
        if len(part.value("compression")) != 1 or part.chunks() < 0:
            raise ValueError("its compression or chunk count is not sane")
    if layout.table_end > layout.size:
        raise ValueError("it is cut short before the pixels")


def _check_window(name: str, window: Box) -> None:
    far = max(abs(edge) for edge in (window.top, window.left, window.bottom, window.right))
    if window.empty or max(window.width, window.height) > _WIDEST or far > 1 << 24:
        raise ValueError(f"its {name} window of {window.width} x {window.height} pixels is absurd")


def _table(file: BinaryIO, layout: Layout) -> tuple[int, ...]:
    file.seek(layout.header_end)
    data = file.read(layout.table_end - layout.header_end)
    return struct.unpack(f"<{len(data) // 8}Q", data)


def _check_last_chunk(file: BinaryIO, layout: Layout) -> None:
    """Three reads that find every file whose writing or copying stopped."""
    table = _table(file, layout)
    if not table or min(table) < layout.table_end:
        raise ValueError("its writing was not finished")
    last = table.index(max(table))
    for part in layout.parts:
        if last < part.chunks():
            _chunk_start(file, layout, part, max(table))
            return
        last -= part.chunks()


def _chunk_start(file: BinaryIO, layout: Layout, part: Part, offset: int) -> int:
    """The first coordinate of a chunk: its y, or its tile's x.

    Raises:
        ValueError: when the chunk does not fit into the file.
    """
    prefix = 4 if layout.is_multipart else 0
    coordinates = 16 if part.is_tiled else 4
    head = struct.calcsize("<QQQ") if part.is_deep else 4
    file.seek(offset)
    data = file.read(prefix + coordinates + head)
    if len(data) < prefix + coordinates + head:
        raise ValueError("it is cut short")
    if part.is_deep:
        table, packed, _ = struct.unpack_from("<QQQ", data, prefix + coordinates)
        length = table + packed
    else:
        length = struct.unpack_from("<i", data, prefix + coordinates)[0]
    if not 0 <= length <= layout.size - offset - len(data):
        raise ValueError("it is cut short")
    return int(struct.unpack_from("<i", data, prefix)[0])


def check_chunks(path: Path) -> None:
    """Looks at every chunk of a file: it must be there, whole, and at its place. Decodes nothing.

    Raises:
        SequenceError: when one is not.
    """
    layout = read_layout(path)
    try:
        with path.open("rb") as file:
            offsets = iter(_table(file, layout))
            for part in layout.parts:
                top, lines = part.box("dataWindow").top, _CHUNK_LINES.get(part.compression, 1)
                for i in range(part.chunks()):
                    start = _chunk_start(file, layout, part, next(offsets))
                    if not part.is_tiled and start != top + i * lines:
                        raise ValueError(f"chunk {i} is not where the table says")
    except (struct.error, ValueError) as error:
        raise SequenceError(
            f"{str(path)!r} is damaged: {error}", "write the frame again"
        ) from error

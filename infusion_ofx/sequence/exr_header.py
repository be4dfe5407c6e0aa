"""The headers of an OpenEXR file: attributes as they are stored, and what they make of each part.

After the OpenEXR file layout (https://openexr.com/en/latest/OpenEXRFileLayout.html). Nothing here
trusts a number: what is absurd is refused before anything is allocated for it.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from infusion_ofx.sequence.exr_part import Attribute, StoredChannel, StoredPart
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.source import WIDEST, is_absurd

__all__ = ["parse"]

_MAGIC = b"\x76\x2f\x31\x01"
_TYPES = {0: ("uint", 4), 1: ("half", 2), 2: ("float", 4)}
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_MOST_CHANNELS = 1024
"""Of a part; OpenImageIO reads no more."""
_MOST_PARTS = 1024
_MOST_ENTRIES = 1 << 16
"""Attributes and channels of all parts together."""
_MOST_CHUNKS = 1 << 22
"""Of all parts together: a picture of 16384 x 16384 in tiles of 8 x 8."""
_HEADER_STEPS = (1 << 16, 1 << 20, 64 << 20)
_LARGE_CHUNK = 256 << 20
_BEST_RATIO = 64


class _CutShortError(ValueError):
    """More bytes are needed."""


def parse(file: BinaryIO, size: int) -> tuple[bool, tuple[StoredPart, ...], int]:
    """Reads the headers at the start of a file: whether it is multi-part, its parts, their end.

    size: bytes of the file.

    Raises:
        ValueError, struct.error, KeyError, IndexError: when it is no OpenEXR file, or damaged.
    """
    start = file.read(8)
    if start[:4] != _MAGIC or len(start) < 8:
        raise ValueError("it does not start as one")
    flags = struct.unpack("<I", start[4:])[0]
    if flags & 0xFF != 2:
        raise ValueError(f"it is of version {flags & 0xFF}, known is 2")
    data = start
    for most in _HEADER_STEPS:
        data += file.read(most - len(data))
        try:
            parts, end = _parse_parts(data, flags)
            break
        except _CutShortError:
            if len(data) < most or most == _HEADER_STEPS[-1]:
                raise
    for part in parts:
        _check_sane(part, size)
    if sum(part.chunk_count() for part in parts) > _MOST_CHUNKS:
        raise ValueError("its header has more chunks than any picture needs")
    return bool(flags & _MULTIPART), tuple(parts), end


def _parse_parts(data: bytes, flags: int) -> tuple[list[StoredPart], int]:
    parts: list[StoredPart] = []
    at, entries = 8, 0
    while True:
        attributes, at = _parse_attributes(data, at)
        parts.append(_stored_part(attributes, flags))
        if not flags & _MULTIPART:
            return parts, at
        if data[at : at + 1] == b"\0":
            return parts, at + 1
        entries += len(attributes) + len(parts[-1].channels)
        if len(parts) == _MOST_PARTS or entries > _MOST_ENTRIES:
            raise ValueError("its header has more parts or channels than any picture needs")


def _parse_attributes(data: bytes, at: int) -> tuple[dict[str, Attribute], int]:
    found: dict[str, Attribute] = {}
    while data[at : at + 1] != b"\0":
        name, at = _name(data, at)
        kind, at = _name(data, at)
        if at + 4 > len(data):
            raise _CutShortError("its header is cut short")
        length = struct.unpack_from("<i", data, at)[0]
        at += 4
        if length < 0:
            raise ValueError("its header is not sane")
        if at + length >= len(data):
            raise _CutShortError("its header is cut short")
        key = name.decode("utf-8", "surrogateescape")
        if key in found:
            raise ValueError(f"its header has {key!r} twice")
        if len(found) == _MOST_ENTRIES:
            raise ValueError("its header has more attributes than any picture needs")
        found[key] = Attribute(kind, data[at : at + length], at)
        at += length
    return found, at + 1


def _name(data: bytes, at: int) -> tuple[bytes, int]:
    """A string that ends with a zero byte, and what comes after it."""
    end = data.find(b"\0", at, at + 256)
    if end <= at:
        if end < 0 and len(data) < at + 256:
            raise _CutShortError("its header is cut short")
        raise ValueError("its header is not sane")
    return data[at:end], end + 1


def _stored_part(attributes: dict[str, Attribute], flags: int) -> StoredPart:
    kind = attributes["type"].value if "type" in attributes else b""
    # A single flat part may keep a "type" or "tiles" of another life; its flag says what it is.
    is_plain = not flags & (_MULTIPART | _DEEP)
    return StoredPart(
        attributes,
        is_tiled=bool(flags & _TILED) if is_plain else b"tile" in kind,
        is_deep=not is_plain and kind.startswith(b"deep"),
        window=_box(attributes["dataWindow"]),
        display=_box(attributes["displayWindow"]),
        channels=_channels(attributes["channels"].value),
        compression=struct.unpack("<B", attributes["compression"].value)[0],
    )


def _box(attribute: Attribute) -> Box:
    left, top, right, bottom = struct.unpack("<4i", attribute.value)
    return Box(top, left, bottom + 1, right + 1)


def _channels(data: bytes) -> tuple[StoredChannel, ...]:
    found: dict[str, StoredChannel] = {}
    at = 0
    while data[at] != 0:
        end = data.find(b"\0", at, at + 256)
        if end < 0:
            raise ValueError("its list of channels is not sane")
        name = data[at:end].decode()
        kind, is_linear, step_x, step_y = struct.unpack_from("<iB3xii", data, end + 1)
        if kind not in _TYPES:
            raise ValueError(f"its channel {name!r} is of an unknown type")
        if name in found or len(found) == _MOST_CHANNELS:
            raise ValueError(f"its channels are not 1 to {_MOST_CHANNELS} different ones")
        found[name] = StoredChannel(name, *_TYPES[kind], bool(is_linear), (step_x, step_y))
        at = end + 17
    return tuple(found.values())


def _check_sane(part: StoredPart, size: int) -> None:
    """Refuses headers that would ask for absurd amounts of memory, before anything is decoded."""
    _check_window("data", part.window)
    _check_window("display", part.display)
    if not part.channels:
        raise ValueError("it has no channels")
    if part.is_tiled:
        wide, high, mode = part.tiles
        if not (1 <= wide <= WIDEST and 1 <= high <= WIDEST) or mode & 0xF > 2:
            raise ValueError(f"its tiles of {wide} x {high} pixels are not sane")
    if not 0 < part.chunk_count() <= size // 8:
        raise ValueError("it is cut short before the pixels")
    for grid in part.grids()[:1]:
        chunk = grid.wide * min(grid.high, grid.window.height) * part.pixel_size
        if not part.is_deep and chunk > max(_LARGE_CHUNK, _BEST_RATIO * size):
            raise ValueError(f"its chunks of {chunk} bytes are absurd in a file of {size}")


def _check_window(name: str, window: Box) -> None:
    far = max(abs(edge) for edge in (window.top, window.left, window.bottom, window.right))
    if is_absurd(window.width, window.height) or far > 1 << 24:
        raise ValueError(f"its {name} window of {window.width} x {window.height} pixels is absurd")

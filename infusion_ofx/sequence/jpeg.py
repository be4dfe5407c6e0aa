"""JPEG frames (ITU-T T.81), which are read only: what is made of them is written as PNG.

Storing a JPEG anew would change every sample of it. A PNG holds the samples that were decoded.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from infusion_ofx.sequence import picture, png
from infusion_ofx.sequence.frame import Box, Edit, Header, Picked
from infusion_ofx.sequence.png import verify
from infusion_ofx.sequence.source import check_file, check_size, damaged, reading

__all__ = ["TARGET", "check_rewrite", "header", "read", "rewrite", "verify"]

Array = npt.NDArray[Any]

TARGET = ".png"
"""The extension of whatever ``rewrite`` writes."""

_END, _SCAN, _JFIF, _EXIF, _ICC = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""The next marker after coded data: no stuffed byte, and none of the restarts within it."""
_MOST_BYTES = 1 << 28
_MOST_SEGMENTS = 10_000
_MOST_SAMPLES = 1 << 28
"""Of a progressive picture libjpeg holds all in memory, at 2 bytes each."""
_MOST_VISITS = 1 << 32
"""Samples times scans: every scan of a progressive picture goes over all of them."""
_GROWTH = 2048
"""What a byte can become at most: 64 samples take a bit, and chroma may be a 16th of luma."""


@dataclass(frozen=True)
class _Layout:
    """What the markers say, before anything is decoded."""

    width: int
    height: int
    bits: int
    channels: int
    segments: tuple[tuple[int, bytes], ...]
    """Marker and content of what is carried into a PNG, among others."""


def _layout(path: Path) -> _Layout:
    size = check_file(path).st_size
    with reading(path):
        if size > _MOST_BYTES:
            raise ValueError(f"has {size} bytes, which is absurd")
        segments = tuple(_segments(path.read_bytes()))
        frames = [content for marker, content in segments if marker in _FRAMES]
        if len(frames) != 1 or len(frames[0]) < 6:
            raise ValueError("is damaged in its header")
        bits, height, width, channels = struct.unpack_from(">BHHB", frames[0])
        samples = width * height * channels
        check_size(width, height, samples, size * _GROWTH)
        if samples > _MOST_SAMPLES:
            raise ValueError(f"has {samples} samples, more than are read of a JPEG")
        if samples * sum(marker == _SCAN for marker, _ in segments) > _MOST_VISITS:
            raise ValueError("has more scans than any picture needs")
        return _Layout(width, height, bits, channels, segments)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each marker up to the end of the image, with the content of its segment."""
    if not data.startswith(b"\xff\xd8"):
        raise ValueError("is no JPEG file")
    at = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise ValueError("is cut short: its end is missing")
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise ValueError("is cut short")
        yield marker, data[at + 2 : at + length]
        at += length
    raise ValueError("has more segments than any picture needs")


def header(path: Path) -> Header:
    """What the file says about itself.

    Raises:
        SequenceError: when the file is damaged or cut short.
    """
    layout = _layout(path)
    unread = "" if layout.channels in (1, 3) else "of CMYK colours"
    with picture.Input(path) as file:
        spec = file.spec(0)
        if spec is None or (spec.width, spec.height) != (layout.width, layout.height):
            raise damaged(path, "is damaged in its header")
        part = picture.part(spec, "jpeg", unread=unread)
        return picture.header(path, "jpeg", (part,), spec, layout.bits)


def read(header: Header, picked: Picked, box: Box) -> Array:
    """Reads a box: float32 (box.height, box.width, len(picked.names)), 0 outside the picture.

    Raises:
        SequenceError: when the file is damaged or cut short, rather than the grey that libjpeg
            puts in the place of what is not there.
    """
    _layout(header.path)
    return picture.read(header, picked, box)


def check_rewrite(header: Header, picked: Picked, keep_lossy: bool = False) -> str:
    """Looks whether ``rewrite`` could keep every sample: as a PNG it can.

    Returns what changes else.

    Raises:
        SequenceError: when the file is damaged or cut short.
    """
    _layout(header.path)
    return "JPEG becomes PNG, without XMP, IPTC and comments"


def rewrite(header: Header, temporary: Path, edit: Edit, keep_lossy: bool = False) -> None:
    """Writes the decoded picture as a **PNG** with some codes changed, whatever ``keep_lossy``.

    Its ICC profile, EXIF and resolution are carried along. Codes are rounded to the nearest and
    clamped, NaN becomes 0.

    Raises:
        SequenceError: when the source cannot be decoded.
        OSError: when ``temporary`` cannot be written.
    """
    layout = _layout(header.path)
    codes = picture.patched(header, edit)
    colour = 0 if layout.channels == 1 else 2
    size = struct.pack(">II5B", layout.width, layout.height, 8, colour, 0, 0, 0)
    with temporary.open("wb") as file:
        file.write(png.SIGNATURE + png.chunk(b"IHDR", size) + _carried(layout))
        for piece in png.image(codes):
            file.write(piece)
        file.write(png.chunk(b"IEND", b""))


def _carried(layout: _Layout) -> bytes:
    """The chunks that hold what the segments held: resolution, profile and EXIF."""
    found: dict[bytes, bytes] = {}
    profile = []
    for marker, content in layout.segments:
        if marker == _ICC and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            profile.append(content[12:])
        elif marker == _EXIF and content.startswith((b"Exif\0\0II", b"Exif\0\0MM")):
            found.setdefault(b"eXIf", content[6:])
        elif marker == _JFIF and content.startswith(b"JFIF\0") and len(content) >= 12:
            unit, across, down = struct.unpack_from(">BHH", content, 7)
            metre = {1: 1 / 0.0254, 2: 100}.get(unit, 1)
            size = (round(across * metre), round(down * metre), int(unit in (1, 2)))
            found.setdefault(b"pHYs", struct.pack(">IIB", *size))
    # Each piece of a profile begins with its number and how many there are.
    profile.sort(key=lambda piece: piece[0])
    if profile and [piece[0] for piece in profile] == [*range(1, profile[0][1] + 1)]:
        joined = b"".join(piece[2:] for piece in profile)
        found[b"iCCP"] = b"ICC profile\0\0" + zlib.compress(joined)
    return b"".join(png.chunk(kind, data) for kind, data in found.items())

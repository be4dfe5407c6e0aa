"""What the header of a DPX file says (SMPTE ST 268): where its codes are, and facts for people.

Offsets are those of the standard: file 0, image 768, source 1408, film 1664, television 1920.
What a header leaves open is refused rather than guessed: a wrong guess damages a plate.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.dpx_codes import Packing
from infusion_ofx.sequence.source import WIDEST, check_file, check_size, printable, reading

__all__ = ["Element", "Layout", "parse"]

_ORDERS = {b"SDPX": ">", b"XPDS": "<"}
_CHANNELS = {
    1: ("R",),
    2: ("G",),
    3: ("B",),
    4: ("A",),
    6: ("Y",),
    8: ("Z",),
    50: ("R", "G", "B"),
    51: ("R", "G", "B", "A"),
    52: ("A", "B", "G", "R"),
}
_SUBSAMPLED = (7, 100, 101)
_CHARACTERISTICS = {
    0: "user defined",
    1: "printing density",
    2: "linear",
    3: "logarithmic",
    4: "unspecified video",
    5: "SMPTE 274M",
    6: "ITU-R 709",
    7: "ITU-R 601 625",
    8: "ITU-R 601 525",
    9: "NTSC composite",
    10: "PAL composite",
    11: "Z linear",
    12: "Z homogeneous",
    13: "ADX",
}
_PACKINGS = {0: "packed", 1: "filled, method A", 2: "filled, method B"}
_UNPADDED = ((160, b"Lasergraphics Inc."), (160, b"DIAMANT-Film"), (1556, b"Scanity"))
"""Makers, and where they sign, whose 10-bit rows do not end with a word as the standard asks."""
_HEADER, _FIRST_PIXEL = 2048, 1408
_UNSET = 0xFFFFFFFF


class _Unread(Exception):
    """An element is of a kind that is not read; the text follows "is" or "which is"."""


@dataclass(frozen=True)
class Element:
    """Where the samples of one image element are."""

    number: int
    """Place among the file's image elements, from 1."""
    channels: tuple[str, ...]
    """In the file's order."""
    packing: Packing
    dtype: np.dtype[Any]
    """A word in the file's byte order."""
    start: int
    """Place of the first row in the file."""
    stride: int
    """Bytes from row to row."""


@dataclass(frozen=True)
class Layout:
    """What is needed of a header."""

    width: int
    height: int
    elements: tuple[Element, ...]
    """Those that are read; no channel is in two."""
    unread: tuple[tuple[str, str], ...]
    """Name of each other element, and why it is not read."""
    pixel_aspect: float
    transfer: str
    facts: dict[str, str]


def parse(path: Path) -> Layout:
    """Reads a header and checks that all the pixels that it claims are there.

    Raises:
        SequenceError: when the file is damaged, cut short, or of a kind that is not read.
    """
    size = check_file(path).st_size
    try:
        with reading(path), path.open("rb") as file:
            return _layout(file.read(_HEADER), size)
    except _Unread as error:
        raise SequenceError(
            f"{str(path)!r} is {error}, which is not read",
            "write it as 10-bit filled (method A) or 16-bit DPX, or as OpenEXR",
        ) from error


def _layout(data: bytes, size: int) -> Layout:
    order = _ORDERS.get(data[:4])
    if order is None:
        raise ValueError("is no DPX file")
    if len(data) < _FIRST_PIXEL:
        raise ValueError("is cut short in its header")
    fields = _Fields(data, order)
    orientation, count, width, height = fields.get("HHII", 768)
    check_size(width, height)
    if not 1 <= count <= 8:
        raise ValueError(f"claims {count} image elements; the standard has 1 to 8")
    if orientation not in (0, 0xFFFF):
        raise _Unread(f"stored in orientation {orientation}, not by rows from the top left")
    starts = _starts(fields, count, size)
    fields = _Fields(data[: min(starts)].ljust(_HEADER, b"\xff"), order)  # sections may be missing
    elements, unread = _elements(fields, starts, width, height, size)
    at = 780 + 72 * (elements[0].number - 1)
    transfer = _CHARACTERISTICS.get(fields.get("B", at + 21)[0], "undefined")
    facts = fields.facts(at, count)
    return Layout(width, height, elements, unread, fields.pixel_aspect(), transfer, facts)


def _starts(fields: _Fields, count: int, size: int) -> list[int]:
    """Where the pixels of each element begin."""
    starts = [fields.get("I", 808 + 72 * i)[0] for i in range(count)]
    if starts[0] in (0, _UNSET):
        (starts[0],) = fields.get("I", 4)
    for i, start in enumerate(starts):
        if start in (0, _UNSET):
            raise ValueError(f"does not say where the pixels of image element {i + 1} are")
        if start < _FIRST_PIXEL:
            raise ValueError(f"has its pixels at byte {start}, in its own header")
        if start >= size:
            raise ValueError(f"is cut short: its pixels begin at byte {start} of {size}")
    if len(set(starts)) != count:
        raise ValueError("has image elements that lie over each other")
    return starts


def _elements(
    fields: _Fields, starts: Sequence[int], width: int, height: int, size: int
) -> tuple[tuple[Element, ...], tuple[tuple[str, str], ...]]:
    """The elements that are read, and for the others their names and reasons."""
    read: list[Element] = []
    unread: list[tuple[str, str]] = []
    for i, start in enumerate(starts):
        end = min((other for other in starts if other > start), default=size)
        try:
            channels, packing = _kind(fields, 780 + 72 * i)
            if any(set(channels) & set(element.channels) for element in read):
                raise _Unread(f"a second {','.join(channels)}")
            stride = _stride(fields, i, width * len(channels), packing, height, (start, end, size))
        except _Unread as error:
            unread.append((f"element {i + 1}", str(error)))
            continue
        dtype = np.dtype(f"{fields.order}u{packing.word}")
        read.append(Element(i + 1, channels, packing, dtype, start, stride))
    if not read:
        raise _Unread(unread[0][1])
    return tuple(read), tuple(unread)


def _kind(fields: _Fields, at: int) -> tuple[tuple[str, ...], Packing]:
    """Channels and packing of the element whose fields begin at ``at``."""
    (sign,) = fields.get("I", at)
    descriptor, _, _, bits, method, encoding = fields.get("BBBBHH", at + 20)
    if descriptor in _SUBSAMPLED:
        raise _Unread(f"4:2:2 (image descriptor {descriptor})")
    channels = _CHANNELS.get(descriptor)
    if channels is None:
        raise _Unread(f"neither RGB, RGBA, ABGR nor one channel (image descriptor {descriptor})")
    if encoding not in (0, 0xFFFF):
        raise _Unread("run-length encoded")
    packing = Packing.of(bits, method, len(channels))
    if packing is None:
        raise _Unread(f"{bits}-bit in packing {method}")
    if sign not in (0, _UNSET) and not packing.real:
        raise _Unread("of signed codes")
    return channels, packing


def _stride(
    fields: _Fields, i: int, codes: int, packing: Packing, height: int, ends: tuple[int, int, int]
) -> int:
    """Bytes from row to row.

    The standard pads rows of 8 and 16 bits to 4 bytes, many programs do not: the room that there
    is tells. ends: of the element's pixels the first byte, the next element's or the end of the
    file, and the end of the file.
    """
    start, end, size = ends
    row_end = fields.get("I", 812 + 72 * i)[0]
    row_end = 0 if row_end == _UNSET else row_end
    if row_end > WIDEST:
        raise ValueError(f"claims {row_end} bytes of padding in a row, which is absurd")
    row = packing.words(codes) * packing.word
    plain, padded, room = row + row_end, -(-row // 4) * 4 + row_end, end - start
    if packing.bits == 10 and codes % len(packing.places):
        run_on = packing.words(codes * height) * packing.word
        if fields.is_of(_UNPADDED) or plain * height > room == run_on:
            raise _Unread("10-bit in rows that run on into each other within a word")
    if room < plain * height:
        if size - start >= plain * height:
            raise ValueError("has image elements that lie over each other")
        raise ValueError(f"is cut short: {max(room, 0)} of {plain * height} bytes of pixels")
    if padded == plain or room == plain * height:
        return plain
    if room == padded * height:
        return padded
    raise ValueError("does not tell whether its rows are padded")


@dataclass(frozen=True)
class _Fields:
    """The header as bytes, in its byte order."""

    data: bytes
    order: str

    def get(self, kinds: str, at: int) -> tuple[Any, ...]:
        """Fields one after the other, as ``struct`` spells them."""
        return struct.unpack_from(self.order + kinds, self.data, at)

    def text(self, at: int, length: int) -> str:
        """Text up to the first NUL; unset bytes are 0xFF."""
        found = self.data[at : at + length].split(b"\0")[0].rstrip(b"\xff")
        return printable(found.decode("utf-8", "replace"))

    def is_of(self, makers: Sequence[tuple[int, bytes]]) -> bool:
        """Whether one of the makers signed at its place."""
        return any(self.data.startswith(name, at) for at, name in makers)

    def pixel_aspect(self) -> float:
        """Width of a pixel over its height; 1 where it is unset or absurd."""
        across, down = self.get("II", 1628)
        ratio = across / down if down else 0.0
        return ratio if _UNSET not in (across, down) and 0.1 <= ratio <= 10 else 1.0

    def time_code(self) -> str:
        """Hours, minutes, seconds and frames, a byte each in binary-coded decimals."""
        text = self.get("I", 1920)[0].to_bytes(4, "big").hex()
        if not text.isdecimal() or text[:2] > "23" or text[2:4] > "59" or text[4:6] > "59":
            return ""
        return ":".join(text[i : i + 2] for i in range(0, 8, 2))

    def frame_rate(self) -> str:
        """Frames a second: the film section's, else the television section's."""
        rates = (self.get("f", at)[0] for at in (1724, 1940))
        return next((f"{rate:.6g}" for rate in rates if 0 < rate < 10000), "")  # unset is NaN

    def facts(self, at: int, count: int) -> dict[str, str]:
        """What a person asks for, unless it is unset; ``at`` is where an element's fields begin."""
        colorimetric, bits, method = self.get("BBH", at + 22)
        kind = "float" if bits == 32 else _PACKINGS[method] if bits in (10, 12) else ""
        found = {
            "time code": self.time_code(),
            "frame rate": self.frame_rate(),
            "date": self.text(136, 24),
            "colorimetric": _CHARACTERISTICS.get(colorimetric, ""),
            "samples": f"{bits}-bit {kind}".rstrip(),
            "byte order": "big endian" if self.order == ">" else "little endian",
            "image elements": str(count) if count > 1 else "",
            "creator": self.text(160, 100),
            "project": self.text(260, 200),
        }
        return {name: value for name, value in found.items() if value}

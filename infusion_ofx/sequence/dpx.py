"""DPX frames (SMPTE ST 268): header, codes, and a few codes changed in a copy of the bytes.

Everything but the changed codes is copied, so no header field can be lost. Read and written by
numpy rather than OpenImageIO, whose reader damages the last alpha of some 10-bit RGBA rows and
whose writer drops endianness, user data and half the header.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import SequenceError, TryAgainError
from infusion_ofx.sequence.frame import Box, Channel, Header, check_file, check_pixels

__all__ = ["check_rewrite", "header", "read", "rewrite", "verify"]

Array = npt.NDArray[Any]

_ORDERS = {b"SDPX": ">", b"XPDS": "<"}
_CHANNELS = {
    1: ("R",),
    2: ("G",),
    3: ("B",),
    4: ("A",),
    6: ("Y",),
    50: ("R", "G", "B"),
    51: ("R", "G", "B", "A"),
    52: ("A", "B", "G", "R"),
}
_TRANSFERS = {
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
}
_WIDEST = 65536
_UNSET = 0xFFFFFFFF


@dataclass(frozen=True)
class _Layout:
    """Where the codes of the one image element are."""

    order: str
    width: int
    height: int
    channels: tuple[str, ...]
    bits: int
    shifts: tuple[int, ...]
    """Place of each code in its word, in file order."""
    word: int
    """Bytes of a word."""
    start: int
    stride: int
    """Bytes from row to row."""
    size: int
    transfer: str

    @property
    def words(self) -> int:
        """Words that hold the codes of a row."""
        return -(-self.width * len(self.channels) // len(self.shifts))

    @property
    def dtype(self) -> np.dtype[Any]:
        """A word in the file's byte order."""
        return np.dtype(f"{self.order}u{self.word}")

    @property
    def most(self) -> int:
        """The greatest code."""
        return (1 << self.bits) - 1


def _layout(path: Path) -> _Layout:
    size = check_file(path).st_size
    try:
        with path.open("rb") as file:
            data = file.read(2048)
        return _parse(data, size)
    except OSError as error:
        raise SequenceError(
            f"cannot read {str(path)!r}: {error.strerror}", "check its permissions and the storage"
        ) from error
    except struct.error as error:
        raise SequenceError(
            f"{str(path)!r} is cut short in its header", "render or copy the frame again"
        ) from error
    except ValueError as error:
        raise SequenceError(
            f"{str(path)!r} {error}",
            "write it as 10-bit filled (method A) or "
            "16-bit DPX, or as OpenEXR, or copy the frame again",
        ) from error


def _parse(data: bytes, size: int) -> _Layout:
    order = _ORDERS.get(data[:4])
    if order is None:
        raise ValueError("is no DPX file")
    orientation, elements, width, height = struct.unpack_from(f"{order}HHII", data, 768)
    (sign,) = struct.unpack_from(f"{order}I", data, 780)
    descriptor, transfer, _, bits = struct.unpack_from("4B", data, 800)
    packing, encoding, start, row_end = struct.unpack_from(f"{order}HHII", data, 804)
    if elements != 1:
        raise ValueError(f"has {elements} image elements; 1 is read")
    if not (1 <= width <= _WIDEST and 1 <= height <= _WIDEST):
        raise ValueError(f"claims {width} x {height} pixels, which is absurd")
    if orientation not in (0, 0xFFFF):
        raise ValueError(f"has orientation {orientation}; only rows from the top left are read")
    if encoding not in (0, 0xFFFF):
        raise ValueError("is run-length encoded, which is not read")
    if sign not in (0, _UNSET):
        raise ValueError("has signed codes, which are not read")
    channels = _CHANNELS.get(descriptor)
    if channels is None:
        raise ValueError(
            f"has image descriptor {descriptor}; RGB, RGBA, ABGR and single channels are read"
        )
    shifts, word = _packing(bits, packing, len(channels))
    if start in (0, _UNSET):
        (start,) = struct.unpack_from(f"{order}I", data, 4)
    words = -(-width * len(channels) // len(shifts))
    stride = _stride(words * word, 0 if row_end == _UNSET else row_end, height, size - start)
    return _Layout(
        order,
        width,
        height,
        channels,
        bits,
        shifts,
        word,
        start,
        stride,
        size,
        _TRANSFERS.get(transfer, "undefined"),
    )


def _packing(bits: int, packing: int, channels: int) -> tuple[tuple[int, ...], int]:
    """Shifts of the codes in a word, in file order, and the bytes of a word."""
    if bits == 8:
        return (0,), 1
    if bits == 16:
        return (0,), 2
    # A single 10-bit channel is written in either order of the word by different programs.
    if bits == 10 and packing in (1, 2) and channels > 1:
        return ((22, 12, 2) if packing == 1 else (20, 10, 0)), 4
    if bits == 12 and packing in (1, 2):
        return ((4,) if packing == 1 else (0,)), 2
    raise ValueError(
        f"has {bits}-bit samples in packing {packing} with {channels} channels, which is not read"
    )


def _stride(row: int, row_end: int, height: int, room: int) -> int:
    """Bytes from row to row.

    The standard pads 8 and 16 bit rows to 4 bytes, many programs do not: the file's size tells.
    """
    plain, padded = row + row_end, -(-row // 4) * 4 + row_end
    if room < plain * height:
        raise ValueError(f"is cut short: {max(room, 0)} of {plain * height} bytes of pixels")
    if padded == plain or room == plain * height:
        return plain
    if room == padded * height:
        return padded
    raise ValueError("does not tell whether its rows are padded")


def header(path: Path) -> Header:
    """What the file says about itself.

    Raises:
        SequenceError: when the file is damaged, cut short, or of a kind that is not read.
    """
    return _header(path, _layout(path))


def _header(path: Path, layout: _Layout) -> Header:
    box = Box(0, 0, layout.height, layout.width)
    channels = tuple(Channel(name, f"uint{layout.bits}") for name in layout.channels)
    return Header(
        path=path, format="dpx", data=box, display=box, channels=channels, transfer=layout.transfer
    )


def read(path: Path, channels: Sequence[str], box: Box) -> Array:
    """Reads a box: float32 (box.height, box.width, len(channels)), code over the greatest code.

    Pixels outside the picture are 0. Only the rows of the box are read.

    Raises:
        SequenceError: when the file cannot be read or lacks a channel.
    """
    layout = _layout(path)
    places = _header(path, layout).check_channels(channels)
    out = np.zeros((box.height, box.width, len(places)), np.float32)
    inner = box.intersect(Box(0, 0, layout.height, layout.width))
    if inner.empty:
        return out
    with path.open("rb") as file:
        words = _words(_read_rows(file, path, layout, inner), layout)
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    target = out[box.slices(inner)]
    for i, place in enumerate(places):
        target[..., i] = _plane(words, layout, place, inner)
    target /= np.float32(layout.most)
    return out


def _read_rows(file: BinaryIO, path: Path, layout: _Layout, box: Box) -> npt.NDArray[np.uint8]:
    """The bytes of the rows of a box: (box.height, stride)."""
    length = layout.stride * box.height
    file.seek(layout.start + layout.stride * box.top)
    data = bytearray(file.read(length))
    if len(data) != length:
        raise SequenceError(f"{str(path)!r} changed while it was read", "run again")
    return np.frombuffer(data, np.uint8).reshape(box.height, layout.stride)


def _words(rows: npt.NDArray[np.uint8], layout: _Layout) -> Array:
    """A copy of the words of rows: (rows, words)."""
    used = np.ascontiguousarray(rows[:, : layout.words * layout.word])
    return used.view(layout.dtype)


def _plane(words: Array, layout: _Layout, place: int, box: Box) -> Array:
    """The codes of one channel in the columns of a box: (rows, box.width)."""
    count, step = len(layout.shifts), len(layout.channels)
    if step % count == 0:  # the same bits of every so many words: no need to gather them
        first = box.left * step + place
        stride = step // count
        last = first // count + (box.width - 1) * stride
        codes = words[:, first // count : last + 1 : stride] >> layout.shifts[first % count]
    else:
        at, in_word = np.divmod(np.arange(box.left, box.right) * step + place, count)
        codes = words[:, at] >> np.array(layout.shifts, words.dtype)[in_word]
    return codes & layout.most


def rewrite(
    source: Path,
    temporary: Path,
    channels: Sequence[str],
    box: Box,
    pixels: Array,
    where: npt.NDArray[np.bool_],
) -> None:
    """Copies the source to ``temporary`` byte for byte, with some codes changed.

    Codes of ``channels`` at pixels of ``box`` where ``where`` is True become ``pixels``, rounded
    to the nearest code and clamped (NaN becomes 0). pixels: (box.height, box.width,
    len(channels)), 1 = the greatest code; where: (box.height, box.width).

    Raises:
        SequenceError: when the source cannot be read or lacks a channel.
        OSError: when the copy cannot be written.
    """
    check_pixels(channels, box, pixels, where)
    layout = _layout(source)
    places = _header(source, layout).check_channels(channels)
    shutil.copyfile(source, temporary)
    inner = box.intersect(Box(0, 0, layout.height, layout.width))
    if inner.empty or not where.any():
        return
    with temporary.open("r+b") as file:
        rows = _read_rows(file, temporary, layout, inner)
        _patch(rows, layout, inner, places, pixels[box.slices(inner)], where[box.slices(inner)])
        file.seek(layout.start + layout.stride * inner.top)
        file.write(rows.tobytes())


def _patch(
    rows: npt.NDArray[np.uint8],
    layout: _Layout,
    box: Box,
    places: Sequence[int],
    pixels: Array,
    where: npt.NDArray[np.bool_],
) -> None:
    """Changes codes in the bytes of rows in place; bits between the codes stay."""
    words, count = _words(rows, layout), len(layout.shifts)
    new = np.rint(
        np.clip(np.nan_to_num(pixels.astype(np.float64), posinf=1.0, neginf=0.0), 0, 1)
        * layout.most
    ).astype(words.dtype)
    row, column = np.nonzero(where)
    for i, place in enumerate(places):
        datum = (box.left + column) * len(layout.channels) + place
        for k, shift in enumerate(layout.shifts):
            ours = datum % count == k
            at = (row[ours], datum[ours] // count)
            kept = words[at] & words.dtype.type(~(layout.most << shift) & _mask(layout))
            words[at] = kept | (new[row[ours], column[ours], i] << words.dtype.type(shift))
    rows[:, : layout.words * layout.word] = words.view(np.uint8)


def _mask(layout: _Layout) -> int:
    return (1 << 8 * layout.word) - 1


def check_rewrite(path: Path) -> None:
    """Looks whether ``rewrite`` could keep everything: it can whatever ``header`` reads.

    Raises:
        SequenceError: when the file cannot be read.
    """
    header(path)


def verify(path: Path) -> None:
    """Looks whether a file that was just written is whole.

    Raises:
        TryAgainError: when it is not, since only the storage can be at fault.
    """
    try:
        header(path)
    except SequenceError as error:
        raise TryAgainError(f"the storage did not keep what was written: {error}") from error

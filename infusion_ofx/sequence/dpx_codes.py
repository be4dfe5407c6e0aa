"""How the codes of DPX samples lie in words, and getting them out and in (SMPTE ST 268, annex C).

Words are taken in the file's byte order; within one the first code is in the lowest bits. The
exception is 10-bit filled RGB, RGBA and ABGR, whose first code is in the highest ones (note 2 of
table 1). OpenImageIO's reader does the same but for two faults that are not shared here: the last
alpha of 10-bit filled rows of RGBA, and rows of one 10-bit channel that end within a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.sequence.frame import samples

__all__ = ["Packing", "Plane", "pack", "unpack"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Packing:
    """The places of the codes in a group of words; every group of a row is like the first."""

    bits: int
    """Bits of a code; 32 is an IEEE float."""
    word: int
    """Bytes of a word."""
    group: int
    """Words of a group."""
    places: tuple[tuple[int, int], ...]
    """For each code of a group, its word and lowest bit; it may run on into the next word."""

    @classmethod
    def of(cls, bits: int, method: int, channels: int) -> Packing | None:
        """What the header's fields mean; None for what is not read.

        method: 0 is packed, 1 and 2 are filled by method A and B; 8, 16 and 32 bits fill words.
        """
        if bits in (8, 16, 32):
            return cls(bits, bits // 8, 1, ((0, 0),))
        if bits not in (10, 12) or method not in (0, 1, 2):
            return None
        if method == 0:
            shared = gcd(bits, 32)
            places = tuple(divmod(bits * i, 32) for i in range(32 // shared))
            return cls(bits, 4, bits // shared, places)
        if bits == 12:  # every program takes these as 16-bit words, whatever the byte order
            return cls(bits, 2, 1, ((0, 4 if method == 1 else 0),))
        lows = (2, 12, 22) if method == 1 else (0, 10, 20)
        return cls(bits, 4, 1, tuple((0, low) for low in (lows if channels == 1 else lows[::-1])))

    @property
    def real(self) -> bool:
        """Whether samples are floats, which stand for themselves."""
        return self.bits == 32

    @property
    def most(self) -> int:
        """The greatest code."""
        return (1 << self.bits) - 1

    def words(self, codes: int) -> int:
        """Words that a row of so many codes takes."""
        groups, rest = divmod(codes, len(self.places))
        if not rest:
            return groups * self.group
        word, low = self.places[rest - 1]
        return groups * self.group + word + (1 if low + self.bits <= 8 * self.word else 2)


@dataclass(frozen=True)
class Plane:
    """The codes of one channel in some columns of a row."""

    packing: Packing
    place: int
    """Place of the channel in a pixel."""
    channels: int
    """Codes of a pixel."""
    left: int
    """First column."""
    width: int
    """How many columns."""

    def lanes(self) -> Iterator[tuple[slice, slice, int]]:
        """Columns whose codes lie alike: which they are, their words, and the lowest bit there."""
        count, group = len(self.packing.places), self.packing.group
        shared = gcd(self.channels, count)
        every, step = count // shared, self.channels // shared * group
        for i in range(min(every, self.width)):
            groups, k = divmod((self.left + i) * self.channels + self.place, count)
            word, low = self.packing.places[k]
            first = groups * group + word
            columns = len(range(i, self.width, every))
            yield slice(i, None, every), slice(first, first + step * columns, step), low


def unpack(words: Array, plane: Plane, out: Array) -> None:
    """Puts samples into ``out``: a code over the greatest code, a float as it is.

    words: (rows, words of a row), unsigned, in any byte order. out: (rows, plane.width), float32.
    """
    packing = plane.packing
    for columns, at, low in plane.lanes():
        bits = _native(words[:, at])
        if packing.real:
            out[:, columns] = bits.view(np.float32)
            continue
        if packing.bits < 8 * packing.word:
            bits = bits >> low
            if low + packing.bits > 32:
                bits |= _native(words[:, _next(at)]) << (32 - low)
            bits &= packing.most
        codes = (bits.view(np.int32) if packing.word == 4 else bits).astype(np.float32)
        codes /= np.float32(packing.most)
        out[:, columns] = codes


def pack(words: Array, plane: Plane, pixels: Array, where: npt.NDArray[np.bool_]) -> None:
    """Puts ``pixels`` into words where ``where`` is True; every other bit stays.

    1 is the greatest code: numbers are rounded to the nearest one and clamped, NaN is 0. Floats
    stay what they are. words: as in ``unpack``, changed in place. pixels, where: (rows,
    plane.width).
    """
    packing = plane.packing
    codes = _quantise(pixels, packing)
    for columns, at, low in plane.lanes():
        new, chosen = codes[:, columns], where[:, columns]
        _put(words[:, at], packing.most << low, new << low, chosen)
        if low + packing.bits > 8 * packing.word:
            over = 32 - low
            _put(words[:, _next(at)], packing.most >> over, new >> over, chosen)


def _next(at: slice) -> slice:
    """The words after those."""
    return slice(at.start + 1, at.stop + 1, at.step)


def _native(words: Array) -> Array:
    """Words in the machine's byte order."""
    return words.astype(words.dtype.newbyteorder("="))


def _quantise(pixels: Array, packing: Packing) -> Array:
    """Numbers as codes, uint32; the bits of a float where samples are floats."""
    if packing.real:
        return np.ascontiguousarray(samples(pixels, np.float32)).view(np.uint32)
    within = np.fmin(np.fmax(pixels.astype(np.float64), 0), 1)  # fmax takes NaN to 0
    codes: Array = np.rint(within * packing.most).astype(np.uint32)
    return codes


def _put(words: Array, mask: int, bits: Array, where: npt.NDArray[np.bool_]) -> None:
    """Replaces the bits of ``mask`` in words where ``where`` is True."""
    kept = words & (~mask & ((1 << 8 * words.dtype.itemsize) - 1))
    np.copyto(words, (kept | bits).astype(words.dtype), where=where)

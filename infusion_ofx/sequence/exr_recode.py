"""Chunks of an OpenEXR part: decoded a band at a time, edited, and encoded again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.exr_file import Table
from infusion_ofx.sequence.exr_input import Input
from infusion_ofx.sequence.exr_output import encode
from infusion_ofx.sequence.exr_part import Grid, StoredPart
from infusion_ofx.sequence.frame import Box, Edit, samples

__all__ = ["Chunk", "Recoding", "rectangles", "touched"]

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Rectangle = tuple[tuple[int, int], tuple[int, int]]
"""Half-open ranges of rows and columns of chunks."""

_BAND_BYTES = 16 << 20


class Chunk(NamedTuple):
    """One encoded chunk."""

    place: int
    """Its place in the part's new table."""
    data: bytes


def touched(edit: Edit, grid: Grid) -> Bools:
    """Which chunks hold a sample that changes: (rows, columns)."""
    found = np.zeros((grid.rows, grid.columns), bool)
    inner = edit.box.intersect(grid.window)
    if not inner.empty:
        (top, bottom), (left, right) = grid.touching(inner)
        rows = np.arange(top, bottom) * grid.high - (inner.top - grid.window.top)
        columns = np.arange(left, right) * grid.wide - (inner.left - grid.window.left)
        where = edit.where[edit.box.slices(inner)]
        where = np.logical_or.reduceat(where, rows.clip(0), axis=0)
        found[top:bottom, left:right] = np.logical_or.reduceat(where, columns.clip(0), axis=1)
    return found


def rectangles(chunks: Bools, chunk_bytes: int) -> Iterator[Rectangle]:
    """Cuts chunks (rows, columns) into rectangles of touched ones only, some megabytes each.

    chunk_bytes: what one chunk takes when it is decoded.
    """
    most = max(1, _BAND_BYTES // chunk_bytes)
    top: int = 0
    above: list[tuple[int, int]] = []
    for row in range(len(chunks) + 1):
        here = _runs(chunks[row], most) if row < len(chunks) else []
        widest = max((last - first for first, last in above), default=0)
        if here != above or (row - top + 1) * widest > most:
            yield from (((top, row), columns) for columns in above)
            top, above = row, here


def _runs(chunks: Bools, most: int) -> list[tuple[int, int]]:
    """Half-open runs of True in one row, each of ``most`` at the most."""
    edges = np.flatnonzero(np.diff(chunks, prepend=False, append=False)).tolist()
    return [
        (at, min(at + most, last))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
        for at in range(first, last, most)
    ]


class Recoding:
    """The chunks of one part that change, and what takes their places.

    They are those that an edit touches; where the compression is another than the part's own, they
    are all, on every level of a mip chain.
    """

    def __init__(
        self, pixels: Input, part: StoredPart, edit: Edit, compression: int, prefix: bytes
    ) -> None:
        """Finds the chunks; decodes nothing yet. prefix: what each begins with."""
        self._pixels, self._part, self._edit = pixels, part, edit
        self._compression, self._prefix = compression, prefix
        self._old, self._new = part.grids(), part.grids(compression)
        if compression == part.compression:
            self._touched = [touched(edit, self._old[0])]
        else:
            self._touched = [np.ones((grid.rows, grid.columns), bool) for grid in self._old]

    def places(self) -> list[int]:
        """Each chunk's place in the part's table."""
        return [
            grid.place(row, column)
            for grid, chosen in zip(self._old, self._touched, strict=False)
            for row, column in np.argwhere(chosen).tolist()
        ]

    def run(self, table: Table) -> Iterator[dict[int, list[Chunk]]]:
        """By the place of a chunk in the part's table, the chunks that take its place.

        A band at a time, in the order that the chunks have in the file, so far as bands go.
        table: where each chunk of the part begins.
        """
        jobs = []
        for level, chosen in enumerate(self._touched):
            grid = self._old[level]
            for rectangle in rectangles(chosen, grid.wide * grid.high * self._part.pixel_size):
                (top, bottom), (left, _) = rectangle
                begin = min(table[grid.place(row, left)] for row in (top, bottom - 1))
                jobs.append((begin, level, rectangle))
        for _, level, rectangle in sorted(jobs):
            yield self._band(level, rectangle)

    def _planes(self, level: int, covered: Box) -> dict[str, Array]:
        """The new samples of all channels; what is replaced whole is not decoded before."""
        edit, channels = self._edit, {each.name: each.dtype for each in self._part.channels}
        inner = edit.box.intersect(covered) if level == 0 else Box(0, 0, 0, 0)
        where = edit.where[edit.box.slices(inner)]
        gone = edit.picked.names if inner == covered and where.all() else ()
        shape = (covered.height, covered.width)
        planes = {name: np.empty(shape, channels.pop(name)) for name in gone}
        planes |= self._pixels.planes(edit.picked.part, level, covered, list(channels))
        new = edit.pixels[edit.box.slices(inner)]
        for i, name in enumerate(edit.picked.names):
            plane = planes[name][covered.slices(inner)]
            np.copyto(plane, samples(new[..., i], plane.dtype), where=where)
        return planes

    def _band(self, level: int, rectangle: Rectangle) -> dict[int, list[Chunk]]:
        old, new = self._old[level], self._new[level]
        covered = old.box(*rectangle)
        planes = self._planes(level, covered)
        (top, bottom), (left, right) = new.touching(covered)
        found: dict[int, list[Chunk]] = {}
        try:
            packed = iter(encode(planes, self._part, new, self._compression))
        except ValueError as error:
            raise SequenceError(
                f"a part like that of {str(self._pixels.path)!r} cannot be written: {error}",
                "convert it to zip",
            ) from error
        for row in range(top, bottom):
            for column in range(left, right):
                pixels = next(packed)
                length = struct.pack("<i", len(pixels))
                data = self._prefix + new.coordinates(row, column) + length + pixels
                replaced = old.place(row * new.high // old.high, column)
                found.setdefault(replaced, []).append(Chunk(new.place(row, column), data))
        return found

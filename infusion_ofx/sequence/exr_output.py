"""Encoding OpenEXR chunks, through the OpenEXR binding.

The binding writes whole files only. So the pixels of neighbouring chunks become a small file of
their own, in memory, whose chunks are then lifted out: a chunk's bytes say nothing of the file
round it. Channels of different types in one part, which OpenImageIO cannot write, come through.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR

from infusion_ofx.sequence.exr_header import parse
from infusion_ofx.sequence.exr_part import Grid, StoredPart

__all__ = ["encode"]

Array = npt.NDArray[Any]


def encode(
    planes: Mapping[str, Array], part: StoredPart, grid: Grid, compression: int
) -> list[bytes]:
    """The packed pixels of chunks, row by row, without what a chunk says of its place.

    planes: samples (height, width) of every channel of the part, in its own type; whole chunks of
    ``grid``, beginning at the upper left of one. compression: OpenEXR's number of it.

    Raises:
        ValueError: when the binding cannot write such a part.
    """
    header: dict[str, Any] = {
        "compression": OpenEXR.Compression(compression),
        "type": OpenEXR.scanlineimage,
    }
    level = part.value("dwaCompressionLevel", b"float")
    if len(level) == 4:
        header["dwaCompressionLevel"] = float(np.frombuffer(level, "<f4")[0])
    height, width = next(iter(planes.values())).shape
    if grid.level is not None:
        header |= {"type": OpenEXR.tiledimage, "tiles": _tile(grid, height, width)}
    channels = {
        channel.name: OpenEXR.Channel(
            np.ascontiguousarray(planes[channel.name]), 1, 1, channel.is_linear
        )
        for channel in part.channels
    }
    file = io.BytesIO()
    try:
        OpenEXR.File(header, channels, num_threads=0).write(file)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"OpenEXR cannot write its like: {error}") from error
    return _chunks(file)


def _tile(grid: Grid, height: int, width: int) -> OpenEXR.TileDescription:
    tile = OpenEXR.TileDescription()
    tile.xSize, tile.ySize = min(grid.wide, width), min(grid.high, height)
    tile.mode, tile.roundingMode = OpenEXR.ONE_LEVEL, OpenEXR.ROUND_DOWN
    return tile


def _chunks(file: io.BytesIO) -> list[bytes]:
    """The packed pixels of each chunk of a file of one part."""
    data = file.getbuffer()
    file.seek(0)
    _, (part,), end = parse(file, len(data))
    head = 16 if part.is_tiled else 4
    found = []
    for offset in np.frombuffer(data, "<u8", part.chunk_count(), end).tolist():
        length = int.from_bytes(data[offset + head : offset + head + 4], "little")
        found.append(bytes(data[offset + head + 4 : offset + head + 4 + length]))
    return found

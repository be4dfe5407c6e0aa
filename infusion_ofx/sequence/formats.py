"""One file, whatever its format: which module reads and writes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy.typing as npt

from infusion_ofx.errors import SequenceError, TryAgainError
from infusion_ofx.sequence import dpx, exr, jpeg, png, tiff
from infusion_ofx.sequence.frame import Box, Edit, Header, Picked
from infusion_ofx.sequence.listing import FORMATS, format_of
from infusion_ofx.sequence.source import check_file, copy_file

__all__ = [
    "check_extension",
    "check_rewrite",
    "output_name",
    "read_header",
    "read_pixels",
    "strips",
    "write_file",
]

Array = npt.NDArray[Any]

_MODULES: dict[str, ModuleType] = {
    "openexr": exr,
    "dpx": dpx,
    "png": png,
    "tiff": tiff,
    "jpeg": jpeg,
}
_IN_PARTS = {"openexr", "dpx"}
"""Formats of which a part is read without decoding the rest."""
_STRIP, _TALL = 2**22, 256
"""Pixels of a strip, and rows that it has a multiple of: EXR's tallest chunks have as many."""
_WRITTEN_AS = {"jpeg": jpeg.TARGET}
"""Formats that are only read, and the extension of what a frame of one becomes."""


def read_header(path: Path) -> Header:
    """The header of one file, by its extension.

    Raises:
        SequenceError: when the format is none that is read, or the file is damaged.
    """
    check_file(path)
    format = format_of(path.name)
    if not format:
        raise SequenceError(
            f"{str(path)!r} is none of {', '.join(FORMATS)}", "convert it to OpenEXR or DPX"
        )
    header: Header = _MODULES[format].header(path)
    return header


def read_pixels(header: Header, picked: Picked, box: Box) -> Array:
    """Reads a box of one file: (box.height, box.width, len(picked.names)), 0 outside the data.

    EXR comes in the channels' own type; integer codes come as float32, over the greatest code.

    Raises:
        SequenceError: when the file is damaged.
    """
    pixels: Array = _MODULES[header.format].read(header, picked, box)
    return pixels


def strips(header: Header, box: Box) -> Iterator[Box]:
    """Boxes that cover a box of one file from top to bottom, each small enough to be read where the
    whole would take much memory; just one where the format is decoded as a whole anyway."""
    rows = max(_TALL, _STRIP // max(box.width, 1) // _TALL * _TALL)
    if header.format not in _IN_PARTS:
        rows = max(box.height, 1)
    for top in range(box.top, box.bottom, rows):
        yield replace(box, top=top, bottom=min(top + rows, box.bottom))


def check_rewrite(header: Header, picked: Picked, keep_lossy: bool = False) -> str:
    """Looks whether ``write_file`` could keep all that the file holds.

    Returns what it would change where samples do, besides them; empty where that is nothing.

    Raises:
        SequenceError: with what would be damaged.
    """
    changes: str = _MODULES[header.format].check_rewrite(header, picked, keep_lossy)
    return changes


def write_file(header: Header, path: Path, edit: Edit, keep_lossy: bool = False) -> None:
    """Writes the header's file to ``path`` with some samples changed, and looks whether the storage
    kept it.

    Byte for byte where nothing changes; as another format where its own is only read.

    Raises:
        SequenceError: when the source cannot be read or kept exactly.
        TryAgainError: when the storage fails.
        OSError: when the storage fails.
    """
    module = _MODULES[header.format]
    is_copy = not edit.where.any() and header.format not in _WRITTEN_AS
    if is_copy:
        copy_file(header.path, path)
    else:
        module.rewrite(header, path, edit, keep_lossy)
    try:
        module.verify(path)
    except SequenceError as error:
        if is_copy:
            module.verify(header.path)  # the damage may have been copied
        raise TryAgainError(f"the storage did not keep what was written: {error}") from error


def output_name(name: str) -> str:
    """The file name of a result that is named after its source: the same, where it is written."""
    stem, extension = os.path.splitext(name)
    return stem + _WRITTEN_AS.get(format_of(name), extension)


def check_extension(source: Path, target: Path) -> None:
    """Holds a target to the format of its source: formats are not converted.

    Raises:
        SequenceError: when the target's extension is another format's.
    """
    wanted = output_name(source.name)
    if format_of(target.name) != format_of(wanted):
        raise SequenceError(
            f"{str(target)!r} is to be written from {str(source)!r}",
            f"give it the extension {os.path.splitext(wanted)[1]!r}; formats are not converted",
        )

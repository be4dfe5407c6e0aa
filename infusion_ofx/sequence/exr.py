"""OpenEXR frames: header, a box of chosen channels, and rewriting a few samples of a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.exr_facts import facts
from infusion_ofx.sequence.exr_file import Layout, check_chunks, read_layout
from infusion_ofx.sequence.exr_input import Input
from infusion_ofx.sequence.exr_part import COMPRESSIONS, StoredPart
from infusion_ofx.sequence.exr_recode import rectangles, touched
from infusion_ofx.sequence.exr_rewrite import rewrite_chunks
from infusion_ofx.sequence.frame import Box, Channel, Edit, Header, Part, Picked
from infusion_ofx.sequence.source import damaged

__all__ = ["check_rewrite", "header", "read", "rewrite", "verify"]

Array = npt.NDArray[Any]

_LOSSY = ("b44", "b44a", "dwaa", "dwab")
_ZIP = 3
_RIP = 2
_REMEDIES = {
    "deep": "render a flat picture beside it",
    "luminance and chroma": "convert it to RGB",
}


def header(path: Path) -> Header:
    """What the file says about itself.

    Raises:
        SequenceError: when the file is damaged, no OpenEXR file, or no part of it can be read.
    """
    layout = read_layout(path)
    parts = tuple(_part(each) for each in layout.parts)
    picture = next((i for i, part in enumerate(parts) if not part.unread), None)
    if picture is None:
        reasons = dict.fromkeys(part.unread for part in parts)
        raise SequenceError(
            f"{str(path)!r} holds nothing that is read: it is {', '.join(reasons)}",
            _REMEDIES.get(parts[0].unread, "convert it to zip"),
        )
    stored = layout.parts[picture]
    return Header(
        path=path,
        format="openexr",
        display=stored.display,
        parts=parts,
        pixel_aspect=_pixel_aspect(stored),
        views=_views(layout),
        facts=facts(stored),
    )


def _pixel_aspect(part: StoredPart) -> float:
    value = part.value("pixelAspectRatio", b"float")
    aspect = float(np.frombuffer(value, "<f4")[0]) if len(value) == 4 else 1.0
    return aspect if np.isfinite(aspect) and aspect > 0 else 1.0


def _part(part: StoredPart) -> Part:
    return Part(
        data=part.window,
        channels=tuple(Channel(channel.name, channel.type) for channel in part.channels),
        name=part.text("name"),
        view=part.text("view"),
        compression=_compression(part),
        unread=_unread(part),
    )


def _compression(part: StoredPart) -> str:
    number = part.compression
    return COMPRESSIONS[number][0] if number in COMPRESSIONS else f"method {number}"


def _unread(part: StoredPart) -> str:
    """Why a part's pixels cannot be read; empty where they can."""
    if part.is_deep:
        return "deep"
    if any(channel.sampling != (1, 1) for channel in part.channels):
        return "luminance and chroma"
    return "" if part.compression in COMPRESSIONS else f"compressed by {_compression(part)}"


def _views(layout: Layout) -> tuple[str, ...]:
    """The eyes: of the parts in a file of several, else as the part's ``multiView`` lists them."""
    own = (part.text("view") for part in layout.parts)
    return tuple(dict.fromkeys(filter(None, own))) or layout.parts[0].texts("multiView")


def read(header: Header, picked: Picked, box: Box) -> Array:
    """Reads a box of a part: (box.height, box.width, len(picked.names)), 0 outside its data.

    The type is the channels' own: float16, float32 or uint32; half beside float gives float32,
    which holds both exactly. Only the chunks that the box meets are read.

    Raises:
        SequenceError: when the file is damaged there, or uint is asked for beside other types.
    """
    part = _stored(header, picked, read_layout(header.path))
    out = np.zeros((box.height, box.width, len(picked.names)), _dtype(header, picked, part))
    inner = box.intersect(part.window)
    if inner.empty:
        return out
    grid = part.grids()[0]
    (top, bottom), (left, right) = grid.touching(inner)
    met = np.zeros((grid.rows, grid.columns), bool)
    met[top:bottom, left:right] = True
    with Input(header.path) as file:
        for rectangle in rectangles(met, grid.wide * grid.high * part.pixel_size):
            chunks = grid.box(*rectangle)
            covered = chunks.intersect(inner)
            planes = file.planes(picked.part, 0, chunks, picked.names)
            target = out[box.slices(covered)]
            for i, name in enumerate(picked.names):
                target[..., i] = planes[name][chunks.slices(covered)]
    return out


def _stored(header: Header, picked: Picked, layout: Layout) -> StoredPart:
    """The part that was picked, so long as the file is still what its header said."""
    part = layout.parts[picked.part] if picked.part < len(layout.parts) else None
    if part is None or _part(part) != header.parts[picked.part]:
        raise damaged(header.path, "changed since it was opened")
    return part


def _dtype(header: Header, picked: Picked, part: StoredPart) -> npt.DTypeLike:
    kinds = {channel.name: channel.dtype for channel in part.channels}
    asked = {kinds[name] for name in picked.names}
    if "uint32" in asked and len(asked) > 1:
        raise SequenceError(
            f"the channels asked of {str(header.path)!r} are uint beside others",
            "ask for picture channels only",
        )
    return np.result_type(*map(np.dtype, asked))


def check_rewrite(header: Header, picked: Picked, keep_lossy: bool = False) -> str:
    """Looks at the header alone whether ``rewrite`` could keep everything that the file holds.

    Returns what else than samples it would change; nothing where that is empty.

    Raises:
        SequenceError: when it could not.
    """
    part = _stored(header, picked, read_layout(header.path))
    name, _ = COMPRESSIONS[_target_compression(header, part, keep_lossy)]
    return "" if name == _compression(part) else f"{_compression(part)} becomes {name}"


def rewrite(header: Header, temporary: Path, edit: Edit, keep_lossy: bool = False) -> None:
    """Writes the file to ``temporary`` with some samples changed and every other one as it was.

    Numbers are rounded to nearest into the channel's type, finite ones clamped to its range.

    Chunks without a changed sample are copied byte for byte, and so are the header and all other
    parts. A part whose compression loses something is written as zip, so that it loses nothing
    once more; its header then says zip. With ``keep_lossy`` it keeps its compression and level,
    and other samples of the touched chunks may then change a little.

    Raises:
        SequenceError: when the source is damaged, or holds what cannot be kept exactly.
        TryAgainError: when the storage fails to give the source.
        OSError: when writing fails.
    """
    layout = read_layout(header.path)
    part = _stored(header, edit.picked, layout)
    compression = _target_compression(header, part, keep_lossy)
    if not touched(edit, part.grids()[0]).any():
        compression = part.compression
    rewrite_chunks(header.path, temporary, layout, edit, compression)


def _target_compression(header: Header, part: StoredPart, keep_lossy: bool) -> int:
    """OpenEXR's number of the compression to write a part with."""
    name = COMPRESSIONS[part.compression][0]
    is_lossy = name in _LOSSY or (
        name == "pxr24" and any(channel.type == "float" for channel in part.channels)
    )
    if keep_lossy or not is_lossy:
        return part.compression
    if part.is_tiled and part.tiles[2] & 0xF == _RIP:
        raise SequenceError(
            f"{str(header.path)!r} has rip levels under {name}, which cannot be kept exactly",
            "convert it to zip",
        )
    return _ZIP


def verify(path: Path) -> None:
    """Looks whether a file is whole: header, chunk table, every chunk; decodes nothing.

    Raises:
        SequenceError: when it is not.
    """
    check_chunks(path)

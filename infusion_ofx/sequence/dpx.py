"""DPX frames (SMPTE ST 268): header, pixels, and a few codes changed in a copy of the bytes.

Everything but the changed codes is copied, so no header field can be lost. Read and written by
numpy rather than OpenImageIO, whose reader damages the last alpha of some 10-bit RGBA rows, whose
writer drops endianness, user data and half the header, and which takes twice the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.sequence.dpx_codes import Plane, pack, unpack
from infusion_ofx.sequence.dpx_header import Element, Layout, parse
from infusion_ofx.sequence.frame import Box, Channel, Edit, Header, Part, Picked
from infusion_ofx.sequence.source import copy_file, damaged, reading

__all__ = ["check_rewrite", "header", "read", "rewrite", "verify"]

Array = npt.NDArray[Any]
_Places = dict[int, int]
"""Place of a channel among those asked for, and place of its samples in a pixel of the file."""

_BLOCK = 1 << 19
"""Bytes of a file that are worked on at a time: all steps over them stay in the cache."""


def header(path: Path) -> Header:
    """What the file says about itself: one part of all channels, and one for each unread element.

    Raises:
        SequenceError: when the file is damaged, cut short, or of a kind that is not read.
    """
    layout = parse(path)
    box = Box(0, 0, layout.height, layout.width)
    channels = tuple(
        Channel(name, "float" if element.packing.real else f"uint{element.packing.bits}")
        for element in layout.elements
        for name in element.channels
    )
    carried = (Part(box, (), name=name, unread=reason) for name, reason in layout.unread)
    return Header(
        path=path,
        format="dpx",
        display=box,
        parts=(Part(box, channels), *carried),
        pixel_aspect=layout.pixel_aspect,
        transfer=layout.transfer,
        facts=layout.facts,
    )


def read(header: Header, picked: Picked, box: Box) -> Array:
    """Reads a box: float32 (box.height, box.width, len(picked.names)).

    A code comes as itself over the greatest code, a float sample as it is; pixels outside the
    picture are 0. Only the rows of the box are read.

    Raises:
        SequenceError: when the file cannot be read, or lacks a channel since it was opened.
    """
    layout = parse(header.path)
    found = _find(layout, header.path, picked)
    out = np.zeros((box.height, box.width, len(picked.names)), np.float32)
    inner = box.intersect(Box(0, 0, layout.height, layout.width))
    if inner.empty:
        return out
    with reading(header.path), header.path.open("rb") as file:
        for element, places in found:
            for rows in _blocks(element, inner):
                words = _words(_read_rows(file, element, rows), element, rows)
                for i, place in places.items():
                    unpack(words, _plane(element, place, rows), out[box.slices(rows)][..., i])
    return out


def _find(layout: Layout, path: Path, picked: Picked) -> list[tuple[Element, _Places]]:
    """The elements that hold the channels."""
    found = []
    for element in layout.elements:
        held = {name: place for place, name in enumerate(element.channels)}
        places = {i: held[name] for i, name in enumerate(picked.names) if name in held}
        if places:
            found.append((element, places))
    if sum(len(places) for _, places in found) != len(picked.names):
        raise damaged(path, "changed since it was opened")
    return found


def _blocks(element: Element, box: Box) -> Iterator[Box]:
    """The box in strips of rows, from the top."""
    step = max(_BLOCK // element.stride, 1)
    for top in range(box.top, box.bottom, step):
        yield replace(box, top=top, bottom=min(top + step, box.bottom))


def _read_rows(file: BufferedIOBase, element: Element, rows: Box) -> bytearray:
    """The bytes of whole rows, padding and all; ValueError where they are not there."""
    data = bytearray(element.stride * rows.height)
    file.seek(element.start + element.stride * rows.top)
    if file.readinto(data) != len(data):
        raise ValueError("changed while it was read")
    return data


def _words(data: bytearray, element: Element, rows: Box) -> Array:
    """The bytes of rows as words: (rows.height, words of a row and of what pads it)."""
    size = element.dtype.itemsize
    shape, strides = (rows.height, element.stride // size), (element.stride, size)
    words: Array = np.ndarray(shape, element.dtype, data, 0, strides)
    return words


def _plane(element: Element, place: int, box: Box) -> Plane:
    return Plane(element.packing, place, len(element.channels), box.left, box.width)


def check_rewrite(header: Header, picked: Picked, keep_lossy: bool = False) -> str:
    """Looks whether ``rewrite`` could keep everything: it can whatever ``header`` reads.

    Raises:
        SequenceError: when the file cannot be read, or lacks a channel since it was opened.
    """
    _find(parse(header.path), header.path, picked)
    return ""


def rewrite(header: Header, temporary: Path, edit: Edit, keep_lossy: bool = False) -> None:
    """Copies the file to ``temporary`` byte for byte, with some samples changed.

    Numbers are rounded to the nearest code and clamped, NaN becomes 0; float samples take them as
    they are. keep_lossy: for the formats that have lossy compression; it changes nothing here.

    Raises:
        SequenceError: when the source cannot be read, or lacks a channel since it was opened.
        OSError: when the copy cannot be written.
    """
    layout = parse(header.path)
    found = _find(layout, header.path, edit.picked)
    copy_file(header.path, temporary)
    inner = edit.box.tight(edit.where).intersect(Box(0, 0, layout.height, layout.width))
    if inner.empty:
        return
    with temporary.open("r+b") as file:
        for element, places in found:
            for rows in _blocks(element, inner):
                at = edit.box.slices(rows)
                with reading(header.path):
                    data = _read_rows(file, element, rows)
                words, new, chosen = _words(data, element, rows), edit.pixels[at], edit.where[at]
                for i, place in places.items():
                    pack(words, _plane(element, place, rows), new[..., i], chosen)
                file.seek(element.start + element.stride * rows.top)
                file.write(data)


def verify(path: Path) -> None:
    """Looks whether a file is whole.

    Raises:
        SequenceError: when it is not.
    """
    parse(path)

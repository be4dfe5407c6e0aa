"""Law 1 on files: where the matte is 0, every sample of the result is the plate's, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infusion_ofx.sequence.formats import read_pixels
from infusion_ofx.sequence.frame import Box, Header, Picked
from infusion_ofx.sequence.store import Sequence as Frames

__all__ = ["bits", "differing", "law_one"]

Array = NDArray[Any]


def law_one(plate: Frames, result: Frames, covers: Iterable[Array]) -> dict[str, Any]:
    """Whether a result keeps its plate: samples of any channel, frames, file names, headers.

    covers: each frame's matte, (H, W) over the display window. Returns ``outside_differ``, samples
    of any part whose bits differ where the matte is 0, and ``names_kept`` and ``header_kept``.
    Frames that the result lacks are not compared; ``names_kept`` is then False.
    """
    differ, names, headers = 0, result.frames == plate.frames, True
    for frame, cover in zip(plate.frames, covers, strict=True):
        if frame not in result.frames:
            continue
        ours, theirs = result.header(frame), plate.header(frame)
        names = names and ours.path.name == theirs.path.name
        headers = headers and _said(ours) == _said(theirs)
        differ += differing(ours, theirs, cover, theirs.display)
    return {"outside_differ": differ, "names_kept": names, "header_kept": headers}


def differing(ours: Header, theirs: Header, cover: Array, box: Box) -> int:
    """Samples of any part and channel of a frame whose bits differ outside the matte.

    ours, theirs: the result's and the plate's. cover: the matte over ``box``, (height, width);
    where it is 0, and outside the box, nothing may differ. A channel or a part that is gone
    differs everywhere.

    Raises:
        SequenceError: when a file cannot be read.
    """
    return sum(_differing(ours, theirs, i, cover, box) for i in range(len(theirs.parts)))


def _differing(ours: Header, theirs: Header, i: int, cover: Array, box: Box) -> int:
    part, count = theirs.parts[i], 0
    outside = np.ones((part.data.height, part.data.width), bool)
    seen = part.data.intersect(box)
    outside[part.data.slices(seen)] = cover[box.slices(seen)] == 0
    same = i < len(ours.parts) and ours.parts[i].data == part.data
    left = set(ours.parts[i].channels) if same else set()
    for kind in () if part.unread else sorted({channel.type for channel in part.channels}):
        channels = [channel for channel in part.channels if channel.type == kind]
        kept = tuple(channel.name for channel in channels if channel in left)
        count += (len(channels) - len(kept)) * int(outside.sum())
        if kept:
            picked = Picked(i, kept, part.data)
            pair = [bits(read_pixels(one, picked, part.data)) for one in (ours, theirs)]
            count += int((pair[0] != pair[1])[outside].sum())
    return count


def bits(samples: Array) -> Array:
    """The samples' bits as whole numbers, so that NaN equals NaN and -0 differs from 0."""
    whole: Array = np.ascontiguousarray(samples).view(f"u{samples.dtype.itemsize}")
    return whole


def _said(header: Header) -> Header:
    """A header but for its file and its compressions: a lossy source is written as zip, so that
    nothing is lost a second time (docs/formats.md)."""
    parts = tuple(replace(part, compression="") for part in header.parts)
    return replace(header, path=Path(), parts=parts)

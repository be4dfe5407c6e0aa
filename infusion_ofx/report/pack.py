"""Frames as text within a page: half floats, deflated, one block a frame; web/frames.js reads them.

A block holds the plate, then the result within the box that differs, then the matte of that box.
Samples are coded one channel after the other as differences to their left neighbour, zigzag, all
high bytes before all low bytes: deflate then finds what is alike.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.sequence.frame import Box

__all__ = ["Block", "pack"]

Array = npt.NDArray[Any]
Block = dict[str, Any]
"""``box``: top, left, height and width of what differs; ``text``: base64."""

_INFINITE = 0x7C00


def pack(plate: Array, result: Array, box: Box, matte: Array, *, shift: int) -> Block:
    """One frame as a block.

    plate, result: (h, w, 3) light. box: where they may differ, in the picture's own pixels. matte:
    (height, width) of the box, 0 to 1. shift: how many of a half's ten bits of fraction are rounded
    away; 0 keeps it exactly.
    """
    inner = result[box.top : box.bottom, box.left : box.right]
    raw = (
        _coded(plate, shift) + _coded(inner, shift) + (matte * 255 + 0.5).astype(np.uint8).tobytes()
    )
    text = base64.b64encode(zlib.compress(raw, 6)).decode("ascii")
    return {"box": [box.top, box.left, box.height, box.width], "text": text}


def _coded(light: Array, shift: int) -> bytes:
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(light.transpose(2, 0, 1), np.float16)
    whole = _rounded(half.view(np.uint16), shift)
    steps = np.diff(whole, axis=2, prepend=np.uint16(0)).view(np.int16)
    zigzag = ((steps << 1) ^ (steps >> 15)).view(np.uint16)
    return (zigzag >> 8).astype(np.uint8).tobytes() + (zigzag & 255).astype(np.uint8).tobytes()


def _rounded(whole: Array, shift: int) -> Array:
    """Rounds away low bits of halves; what is not finite, or would become so, is cut instead."""
    if not shift:
        return whole
    up = np.uint16(1 << (shift - 1))
    safe = (whole & 0x7FFF) + up < _INFINITE
    rounded: Array = np.where(safe, whole + up, whole) >> np.uint16(shift)
    return rounded

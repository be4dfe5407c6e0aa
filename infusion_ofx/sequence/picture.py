"""What PNG, TIFF and JPEG have in common: OpenImageIO's readers, told to hand over what is stored.

OpenImageIO would multiply colour by alpha unless it is asked not to; it never applies gamma,
profiles or orientation here. It answers None or False where it fails, and its error text may be no
text at all.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio

from infusion_ofx.sequence.frame import Box, Channel, Edit, Header, Part, Picked, samples
from infusion_ofx.sequence.source import WIDEST, damaged, printable

__all__ = [
    "GREATEST",
    "Input",
    "header",
    "part",
    "patch",
    "patched",
    "read",
]

Array = npt.NDArray[Any]

GREATEST = {"uint8": 255, "uint16": 65535}
"""The greatest code of the types that hold codes; half and float hold plain numbers."""
_TYPES = (*GREATEST, "half", "float")
_BAND = 64 << 20
"""Bytes of samples that are decoded at a time."""
_FACTS = {
    "date": "DateTime",
    "software": "Software",
    "gamma": "oiio:Gamma",
    "CICP": "CICP",
    "ICC profile": "ICCProfile:profile_description",
    "orientation": "Orientation",
}
"""What is told about a file, and the attribute of OpenImageIO that holds it."""

# One thread for each call: frames run side by side in our own pools.
oiio.attribute("threads", 1)
oiio.attribute("try_all_readers", 0)
oiio.attribute("limits:resolution", WIDEST)


class Input:
    """An open file; every answer of OpenImageIO is looked at."""

    def __init__(self, path: Path) -> None:
        """Opens the file, or raises SequenceError."""
        self.path = path
        config = oiio.ImageSpec()
        config.attribute("oiio:UnassociatedAlpha", 1)
        file = oiio.ImageInput.open(str(path), config)
        if file is None:
            raise damaged(path, f"cannot be read: {_error_text(oiio)}")
        self._file: oiio.ImageInput = file

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def spec(self, part: int) -> oiio.ImageSpec | None:
        """What OpenImageIO makes of one part; None where there is no such part."""
        return self._file.spec() if self._file.seek_subimage(part, 0) else None

    def codes(self, index: int, part: Part, box: Box) -> Array:
        """The samples of a box within a part, as they are stored: (box.height, box.width, C).

        Raises:
            SequenceError: when they cannot be decoded, or the file is another one by now.
        """
        spec = self.spec(index)
        if spec is None or _layout(spec) != (part.data, part.channels):
            raise damaged(self.path, "changed while it was read")
        covered = _covered(box, spec)
        rows = (spec.y + covered.top, spec.y + covered.bottom)
        if spec.tile_width:
            columns = (spec.x + covered.left, spec.x + covered.right)
            pixels = self._file.read_tiles(
                index, 0, *columns, *rows, 0, 1, 0, spec.nchannels, str(spec.format)
            )
        else:
            pixels = self._file.read_scanlines(
                index, 0, *rows, 0, 0, spec.nchannels, str(spec.format)
            )
        # What libjpeg fills in for data that is not there comes with an error text only.
        if pixels is None or self._file.has_error:
            raise damaged(self.path, f"cannot be decoded: {_error_text(self._file)}")
        pixels = pixels.reshape(covered.height, covered.width, spec.nchannels)
        return np.asarray(pixels[covered.slices(box)])


def _error_text(source: Any) -> str:
    """The last error of an OpenImageIO object or of the module, as one line; never raises."""
    try:
        text = str(source.geterror())
    except UnicodeDecodeError as error:
        text = f"undecodable error text ({error.reason})"
    return " ".join(text.split()) or "OpenImageIO gives no reason"


def _covered(box: Box, spec: oiio.ImageSpec) -> Box:
    """The whole rows or tiles that hold a box; all of them from 0, whatever the file's origin."""
    if not spec.tile_width:
        return Box(box.top, 0, box.bottom, spec.width)
    wide, high = spec.tile_width, spec.tile_height
    return Box(
        box.top // high * high,
        box.left // wide * wide,
        min(-(-box.bottom // high) * high, spec.height),
        min(-(-box.right // wide) * wide, spec.width),
    )


def _layout(spec: oiio.ImageSpec) -> tuple[Box, tuple[Channel, ...]]:
    kind = str(spec.format)
    return (
        Box(0, 0, spec.height, spec.width),
        tuple(Channel(name, kind) for name in spec.channelnames),
    )


def part(spec: oiio.ImageSpec, compression: str, name: str = "", unread: str = "") -> Part:
    """A part as OpenImageIO sees it; ``unread`` where its type has no place here."""
    data, channels = _layout(spec)
    if str(spec.format) not in _TYPES:
        unread = unread or f"of {spec.format} samples"
    return Part(data, channels, name, "", compression, unread)


def header(
    path: Path, format: str, parts: tuple[Part, ...], spec: oiio.ImageSpec, bits: int
) -> Header:
    """The header of a file. spec: of its first part. bits: of one of its samples."""
    across, down = (spec.get_float_attribute(f"{side}Resolution", 0) for side in "XY")
    facts = {"bit depth": str(bits)}
    for label, name in _FACTS.items():
        value = _fact(spec, name)
        if value:
            facts[label] = value
    if spec.getattribute("ICCProfile") is not None:
        facts.setdefault("ICC profile", "without a name")
    if across > 0 and down > 0:
        unit = _fact(spec, "ResolutionUnit")
        facts["resolution"] = f"{across:g} x {down:g}" + (f" per {unit}" if unit else "")
    aspect = down / across if across > 0 and down > 0 else 1.0
    return Header(path, format, parts[0].data, parts, aspect, facts=facts)


def _fact(spec: oiio.ImageSpec, name: str) -> str:
    try:
        value = spec.getattribute(name)
    except UnicodeDecodeError:
        return "undecodable text"
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def read(header: Header, picked: Picked, box: Box) -> Array:
    """Reads a box: float32 (box.height, box.width, len(picked.names)), 0 outside the picture.

    Codes come over the greatest code, half and float samples as they are; always as stored: no
    gamma, no profile, no orientation, colour not multiplied by alpha.

    Raises:
        SequenceError: when the file cannot be decoded.
    """
    out = np.zeros((box.height, box.width, len(picked.names)), np.float32)
    inner = box.intersect(picked.data)
    if inner.empty:
        return out
    part = header.parts[picked.part]
    places, most = _places(part, picked), GREATEST.get(part.channels[0].type)
    step = max(_BAND * part.data.height // part.nbytes, 1)
    with Input(header.path) as file:
        for top in range(inner.top, inner.bottom, step):
            band = replace(inner, top=top, bottom=min(top + step, inner.bottom))
            target = out[box.slices(band)]
            target[...] = file.codes(picked.part, part, band)[..., places]
            if most is not None:
                target /= np.float32(most)
    return out


def _places(part: Part, picked: Picked) -> list[int]:
    names = [channel.name for channel in part.channels]
    return [names.index(name) for name in picked.names]


def patch(codes: Array, segment: Box, header: Header, edit: Edit) -> None:
    """Changes stored samples in place.

    codes: (segment.height, segment.width, C), all channels of a part. Codes are rounded to the
    nearest and clamped, NaN becomes 0; half and float keep it.
    """
    inner = edit.box.intersect(segment)
    if inner.empty:
        return
    part = header.parts[edit.picked.part]
    most, here = GREATEST.get(part.channels[0].type), edit.box.slices(inner)
    changed = edit.where[here]
    for i, place in enumerate(_places(part, edit.picked)):
        new = edit.pixels[here][..., i][changed]
        if most is None:
            new = samples(new, codes.dtype)
        else:
            finite = np.nan_to_num(np.asarray(new, np.float64), posinf=1.0, neginf=0.0)
            new = np.rint(np.clip(finite, 0, 1) * most)
        codes[segment.slices(inner)][..., place][changed] = new


def patched(header: Header, edit: Edit) -> Array:
    """All samples of a part as they are stored, after ``patch``: (height, width, C).

    Raises:
        SequenceError: when the file cannot be decoded.
    """
    part = header.parts[edit.picked.part]
    with Input(header.path) as file:
        codes = file.codes(edit.picked.part, part, part.data)
    patch(codes, part.data, header, edit)
    return codes

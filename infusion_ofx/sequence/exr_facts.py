"""What an OpenEXR header says that a person asks for, as text that is ready to print."""

from __future__ import annotations

import struct
from collections.abc import Callable

from infusion_ofx.sequence.exr_part import StoredPart
from infusion_ofx.sequence.source import printable

__all__ = ["facts"]


def facts(part: StoredPart) -> dict[str, str]:
    """Time code, frame rate, colour tags and the like.

    Only what is there; an attribute of another type than its name promises counts for nothing.
    """
    found: dict[str, str] = {}
    for label, (name, kind, form) in _FORMS.items():
        try:
            found[label] = form(part.value(name, kind))
        except (struct.error, IndexError, ZeroDivisionError):
            continue
    if part.is_tiled:
        found["tiles"] = _tiles(part)
    return {label: text for label, text in found.items() if text}


def _text(value: bytes) -> str:
    return printable(value[:800].decode("utf-8", "replace"))


def _time_code(value: bytes) -> str:
    """hh:mm:ss:ff of SMPTE 12M, whose digits are decimals in fours of bits; ; for drop frame."""
    bits = struct.unpack("<II", value)[0]
    hours, minutes, seconds, frames = (
        10 * (bits >> at + 4 & tens) + (bits >> at & 15)
        for at, tens in ((24, 3), (16, 7), (8, 7), (0, 3))
    )
    mark = ";" if bits & 0x40 else ":"
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{frames:02}"


def _rational(value: bytes) -> str:
    over, under = struct.unpack("<iI", value)
    return f"{over / under:.6g} ({over}/{under})" if over % under else f"{over // under}"


def _chromaticities(value: bytes) -> str:
    numbers = [f"{number:.4g}" for number in struct.unpack("<8f", value)]
    pairs = zip(("red", "green", "blue", "white"), numbers[::2], numbers[1::2], strict=True)
    return ", ".join(f"{name} {x} {y}" for name, x, y in pairs)


def _one_of(*names: str) -> Callable[[bytes], str]:
    return lambda value: names[value[0]]


def _tiles(part: StoredPart) -> str:
    wide, high, mode = part.tiles
    levels = f", {('one', 'mip', 'rip')[mode & 0xF]} levels" if mode & 0xF else ""
    return f"{wide} x {high}{levels}"


_FORMS: dict[str, tuple[str, bytes, Callable[[bytes], str]]] = {
    "time code": ("timeCode", b"timecode", _time_code),
    "frame rate": ("framesPerSecond", b"rational", _rational),
    "date": ("capDate", b"string", _text),
    "chromaticities": ("chromaticities", b"chromaticities", _chromaticities),
    "colour interop ID": ("colorInteropID", b"string", _text),
    "owner": ("owner", b"string", _text),
    "comments": ("comments", b"string", _text),
    "environment map": ("envmap", b"envmap", _one_of("latitude and longitude", "cube")),
    "line order": ("lineOrder", b"lineOrder", _one_of("", "decreasing", "random")),
}
"""By what a fact is called in every format: its attribute, the type of that, and its text."""

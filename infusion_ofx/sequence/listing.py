"""What a folder holds: its sequences and stills, and the name that was likely meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.pattern import TOKEN, Pattern, list_folder

__all__ = ["FORMATS", "format_of", "frame_of", "list_sequences", "nearest_name", "only_sequence"]

FORMATS = {
    ".exr": "openexr",
    ".dpx": "dpx",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
}
"""Format by extension, named as OpenImageIO names it."""

_FILM = ("openexr", "dpx")
_NUMBER = re.compile(r"(.*?)(-?[0-9]+)([^0-9]*)", re.DOTALL)
_VERSION = re.compile(r"(?:^|[._ -])[vV]$")
"""Before a number: it is a version, as in ``comp_v002.exr``, and no frame."""
_MOST_NAMES = 20_000
"""Names that are looked at for a hint."""


def format_of(name: str) -> str:
    """The format that a file's extension stands for; empty for any other."""
    return FORMATS.get(os.path.splitext(name)[1].lower(), "")


def frame_of(name: str) -> int:
    """The frame that a lone file is: the last number of its name, or 1."""
    return int(_parts(name)[1] or 1)


def list_sequences(folder: str) -> list[Pattern]:
    """The sequences and stills of pictures in a folder, by name; hidden files do not count.

    Grouped by the last number of each name, so that versions are not taken for frames.

    Raises:
        SequenceError: when the folder cannot be read.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in list_folder(folder):
        if format_of(name) and not name.startswith("."):
            head, number, tail = _parts(name)
            groups.setdefault((head, tail) if number else (name, ""), []).append(name)
    return [_pattern(folder, *key, names) for key, names in sorted(groups.items())]


def _parts(name: str) -> tuple[str, str, str]:
    """A name before, in and after its last number; a dash belongs to it after a separator only.

    All of it before, where the number is a version, a date or a checksum and no frame.
    """
    stem, extension = os.path.splitext(name)
    match = _NUMBER.fullmatch(stem)
    if match is None or len(match[2].lstrip("-0")) > 9 or _VERSION.search(match[1]):
        return name, "", ""
    head, number, tail = match[1], match[2], match[3] + extension
    if number[0] == "-" and head and head[-1] not in "._ ":
        return f"{head}-", number[1:], tail
    return head, number, tail


def _pattern(folder: str, head: str, tail: str, names: list[str]) -> Pattern:
    """One group of ``list_sequences``; a lone file is a still."""
    if len(names) == 1:
        return Pattern.still(os.path.join(folder, names[0]))
    width = min(len(name[len(head) : -len(tail)].lstrip("-")) for name in names)
    return Pattern(folder, head, width, tail, os.path.join(folder, f"{head}{'#' * width}{tail}"))


def only_sequence(folder: str) -> Pattern:
    """The one sequence or still in a folder: of EXR or DPX, or where there is none of pictures.

    Raises:
        SequenceError: listing them when there are more, or saying that there is none.
    """
    found = list_sequences(folder)
    film = [pattern for pattern in found if format_of(pattern.text) in _FILM]
    found = film or found
    if len(found) != 1:
        shown = ", ".join(repr(os.path.basename(pattern.text)) for pattern in found[:8])
        more = ", ..." if len(found) > 8 else ""
        raise SequenceError(
            f"the folder {folder!r} holds {len(found)} sequences"
            + (f": {shown}{more}" if shown else " of pictures"),
            "name one, as plate.####.exr",
        )
    return found[0]


def nearest_name(text: str) -> str:
    """The sequence or file in the folder of ``text`` whose name is most like it, or an empty text.

    Listed by pyseq, which groups names by their numbers; good for a hint, not for opening.
    """
    folder, wanted = os.path.split(text)
    try:
        names = [name for name in list_folder(folder) if not name.startswith(".")]
    except SequenceError:
        return ""
    plain = TOKEN.sub("####", wanted)
    near = difflib.get_close_matches(plain, _listed(names[:_MOST_NAMES]), n=1, cutoff=0.5)
    return os.path.join(folder, near[0]) if near else ""


def _listed(names: Iterable[str]) -> list[str]:
    """Each sequence of pyseq's listing as ``head####tail``, and each lone file by its name."""
    import pyseq

    listed = []
    for sequence in pyseq.get_sequences(list(names)):
        if len(sequence) < 2:
            listed.append(str(sequence[0]))
            continue
        digits = min(len(digits) for digits in sequence[0].digits[-1:] or ["1"])
        listed.append(f"{sequence.head()}{'#' * digits}{sequence.tail()}")
    return listed

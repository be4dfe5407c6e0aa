"""Names of sequences: frame ranges, patterns such as ``plate.####.exr``, and what a folder holds.

Touches names only, never a pixel, and imports the standard library only; pyseq is asked for a
hint after a name was not found. Original names are kept: an input name is never formatted anew.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infusion_ofx.errors import SequenceError

__all__ = ["MOST_FRAMES", "Pattern", "format_frames", "list_folder", "nearest_name", "parse_frames"]

MOST_FRAMES = 1_000_000
"""Longest range that is taken; more is a typing error."""

_RANGE = re.compile(r"(-?[0-9]{1,9})(?:-(-?[0-9]{1,9})(?:[x:]([0-9]{1,9}))?)?")
_TOKEN = re.compile(r"#+|@+|%[0-9]*d|\$F[0-9]*")
_WIDEST = 18


def parse_frames(text: str) -> tuple[int, ...]:
    """Reads a frame range such as ``1001-1100x2,1200``: ascending, each frame once.

    A range is ``first-last`` with an optional step as ``x2`` or ``:2``; ranges and single frames
    are joined by commas; frames may be negative, as in ``-5--1``.

    Raises:
        SequenceError: for any other text, a range that falls, a step of 0, or too many frames.
    """
    frames: set[int] = set()
    named = 0
    for part in text.split(","):
        span = _parse_range(part.strip(), text)
        named += len(span)
        if named > MOST_FRAMES:
            raise SequenceError(
                f"the frame range {text!r} has more than {MOST_FRAMES} frames", "narrow it"
            )
        frames.update(span)
    return tuple(sorted(frames))


def _parse_range(part: str, text: str) -> range:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise SequenceError(
            f"{part!r} in the frame range {text!r} is no range", "write it as 1001-1100x2,1200"
        )
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    step = 1 if match[3] is None else int(match[3])
    if last < first or step == 0:
        fault = "falls" if last < first else "has a step of 0"
        raise SequenceError(
            f"{part!r} in the frame range {text!r} {fault}",
            "write the lower frame first, and a step of 1 or more",
        )
    return range(first, last + 1, step)


def format_frames(frames: Iterable[int]) -> str:
    """Writes frames as the shortest text of ranges that do not overlap; ``parse_frames`` reads it.

    An empty set gives an empty text.
    """
    numbers = sorted(set(frames))
    ends = _run_ends(numbers)
    costs = [0] * (len(numbers) + 1)
    stops = [0] * len(numbers)
    for i in range(len(numbers) - 1, -1, -1):
        # The longest run from here, that run without its last frame (which may begin the next
        # one), or this frame alone: no other cut can be shorter.
        options = {i + 1, ends[i] + 1, max(ends[i], i + 1)}
        costs[i], negative_stop = min(
            (len(_range_text(numbers, i, stop)) + 1 + costs[stop], -stop) for stop in options
        )
        stops[i] = -negative_stop
    parts, i = [], 0
    while i < len(numbers):
        parts.append(_range_text(numbers, i, stops[i]))
        i = stops[i]
    return ",".join(parts)


def _run_ends(numbers: list[int]) -> list[int]:
    """For each place, the last place of the longest run of one step that starts there."""
    ends = list(range(len(numbers)))
    for i in range(len(numbers) - 2, -1, -1):
        step = numbers[i + 1] - numbers[i]
        goes_on = i + 2 < len(numbers) and numbers[i + 2] - numbers[i + 1] == step
        ends[i] = ends[i + 1] if goes_on else i + 1
    return ends


def _range_text(numbers: list[int], start: int, stop: int) -> str:
    if stop - start == 1:
        return str(numbers[start])
    step = numbers[start + 1] - numbers[start]
    return f"{numbers[start]}-{numbers[stop - 1]}" + (f"x{step}" if step > 1 else "")


@dataclass(frozen=True)
class Pattern:
    """A path with one token for the frame number in its file name, or with none: a still file."""

    folder: str
    """Folder of the files as it was written; empty for the current one."""
    head: str
    """File name before the frame number."""
    width: int
    """Least number of digits; 0 for a still file."""
    tail: str
    """File name after the frame number."""
    text: str
    """The pattern as it was written."""

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Reads ``####`` (a digit each), ``@@@@``, ``%04d``, ``%d``, ``$F4`` or a plain name.

        Touches no disk. Only the file name is searched for a token, never the folders before it.

        Raises:
            SequenceError: for an empty text, a folder, or more than one token.
        """
        folder, name = os.path.split(text)
        if not name or "\0" in text:
            raise SequenceError(f"{text!r} names no file", "write a pattern such as plate.####.exr")
        tokens = list(_TOKEN.finditer(name))
        if len(tokens) > 1:
            first, second = tokens[0][0], tokens[1][0]
            raise SequenceError(
                f"{text!r} has two places for the frame number, {first!r} and {second!r}",
                "write exactly one, as #### or %04d",
            )
        if not tokens:
            return cls(folder, name, 0, "", text)
        token = tokens[0]
        return cls(
            folder, name[: token.start()], _token_width(token[0], text), name[token.end() :], text
        )

    @property
    def is_still(self) -> bool:
        """Whether the pattern has no frame number: one file for all frames."""
        return self.width == 0

    def path(self, frame: int) -> Path:
        """The name of one frame, for a file that is to be written."""
        return Path(self.folder) / self._name(frame)

    def find(self) -> dict[int, Path]:
        """The frames on disk in ascending order, each with the name that it has there.

        A number must have as many digits as the pattern asks for, or more without a leading zero.
        A still file is listed as frame 0 where it exists.

        Raises:
            SequenceError: when the folder cannot be read, or two files are of one frame.
        """
        if self.is_still:
            path = self.path(0)
            return {0: path} if os.path.lexists(path) else {}
        # C's %04d writes -5 as -005, others as -0005: both are read.
        short = max(self.width - 1, 1)
        number = (
            f"[0-9]{{{self.width}}}|[1-9][0-9]{{{self.width},}}"
            f"|-(?:[0-9]{{{short},{self.width}}}|[1-9][0-9]{{{self.width},}})"
        )
        matcher = re.compile(f"{re.escape(self.head)}({number}){re.escape(self.tail)}")
        found: dict[int, Path] = {}
        for name in list_folder(self.folder):
            match = matcher.fullmatch(name)
            if match is None or (match[1][0] == "-" and int(match[1]) == 0):
                continue
            frame = int(match[1])
            path = Path(self.folder) / name
            if frame in found:
                raise SequenceError(
                    f"frame {frame} of {self.text!r} has two files, "
                    f"{found[frame].name!r} and {name!r}",
                    "move one away",
                )
            found[frame] = path
        return dict(sorted(found.items()))

    def _name(self, frame: int) -> str:
        if self.is_still:
            return self.head
        sign = "-" if frame < 0 else ""
        return f"{self.head}{sign}{abs(frame):0{self.width}d}{self.tail}"


def _token_width(token: str, text: str) -> int:
    if token[0] in "#@":
        width = len(token)
    else:
        digits = token.strip("%$Fd")
        width = int(digits or 1) if len(digits) < 4 else _WIDEST + 1
    if not 1 <= max(width, 1) <= _WIDEST:
        raise SequenceError(
            f"{text!r} asks for frame numbers of more than {_WIDEST} digits",
            "write it as #### or %04d",
        )
    return max(width, 1)


def list_folder(folder: str) -> list[str]:
    """Names in a folder, sorted; an empty text is the current folder.

    Raises:
        SequenceError: when there is no such folder, or it cannot be read.
    """
    try:
        with os.scandir(folder or ".") as entries:
            return sorted(entry.name for entry in entries)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SequenceError(
            f"cannot list the folder {folder or '.'!r}: {reason}",
            "check the path and its permissions",
        ) from error


def nearest_name(text: str) -> str:
    """The sequence or file in the folder of ``text`` whose name is most like it, or an empty text.

    Listed by pyseq, which groups names by their numbers; good for a hint, not for opening.
    """
    folder, wanted = os.path.split(text)
    try:
        names = [name for name in list_folder(folder) if not name.startswith(".")]
    except SequenceError:
        return ""
    plain = _TOKEN.sub("####", wanted)
    near = difflib.get_close_matches(plain, _listed(names[:20_000]), n=1, cutoff=0.5)
    return os.path.join(folder, near[0]) if near else ""


def _listed(names: list[str]) -> list[str]:
    """Each sequence of pyseq's listing as ``head####tail``, and each lone file by its name."""
    import pyseq

    listed = []
    for sequence in pyseq.get_sequences(names):
        if len(sequence) < 2:
            listed.append(str(sequence[0]))
            continue
        digits = min(len(digits) for digits in sequence[0].digits[-1:] or ["1"])
        listed.append(f"{sequence.head()}{'#' * digits}{sequence.tail()}")
    return listed

"""Names of sequences: patterns such as ``plate.####.exr``, frames to names and back.

Touches names only, never a pixel, and imports the standard library only. Original names are kept:
an input name is never formatted anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from infusion_ofx.errors import TRANSIENT, SequenceError, TryAgainError

__all__ = ["TOKEN", "Pattern", "expand_view", "list_folder", "wants_view"]

TOKEN = re.compile(r"#+|@+|%[0-9]*d|\$F[0-9]*")
"""A place for the frame number in a file name."""

_VIEW = re.compile("%[Vv]")
_WIDEST = 18
_FAR = 10**9
"""A number from here on is a date or a checksum, no frame."""


def wants_view(text: str) -> bool:
    """Whether a name has a place for the view: ``%V`` or ``%v``."""
    return _VIEW.search(text) is not None


def expand_view(text: str, view: str) -> str:
    """The text with the view for ``%V`` and its first letter for ``%v``, as in Nuke; as it is where
    no view is given."""
    if not view:
        return text
    return _VIEW.sub(lambda token: view if token[0] == "%V" else view[0], text)


@dataclass(frozen=True)
class Pattern:
    """A path with one token for the frame number in its file name, or with none: a still file."""

    folder: str
    """Folder of the files as it was written; empty for the current one."""
    head: str
    """File name before the frame number."""
    width: int
    """Least number of digits of a name that is made; 0 for a still file."""
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
        tokens = list(TOKEN.finditer(name))
        if len(tokens) > 1:
            first, second = tokens[0][0], tokens[1][0]
            raise SequenceError(
                f"{text!r} has two places for the frame number, {first!r} and {second!r}",
                "write exactly one, as #### or %04d",
            )
        if not tokens:
            return cls.still(text)
        token = tokens[0]
        return cls(
            folder, name[: token.start()], _token_width(token[0], text), name[token.end() :], text
        )

    @classmethod
    def still(cls, text: str) -> Pattern:
        """One file, whatever signs its name holds."""
        folder, name = os.path.split(text)
        return cls(folder, name, 0, "", text)

    @property
    def is_still(self) -> bool:
        """Whether the pattern has no frame number: one file for all frames."""
        return self.width == 0

    def path(self, frame: int) -> Path:
        """The name of one frame, for a file that is to be written."""
        return Path(self.folder) / self._name(frame)

    def find(self) -> dict[int, Path]:
        """The frames on disk in ascending order, each with the name that it has there.

        A number may have any padding, whatever the pattern's: ``plate.998.exr`` and
        ``plate.1001.exr`` are frames of ``plate.####.exr``. A still file is frame 0.

        Raises:
            SequenceError: when the folder cannot be read, or two files are of one frame.
        """
        if self.is_still:
            path = self.path(0)
            return {0: path} if os.path.lexists(path) else {}
        return self.match(list_folder(self.folder))

    def match(self, names: Iterable[str]) -> dict[int, Path]:
        """The frames among the names of a folder, as ``find`` has them.

        Raises:
            SequenceError: when two files are of one frame.
        """
        matcher = re.compile(
            f"{re.escape(self.head)}(-?[0-9]{{1,{_WIDEST}}}){re.escape(self.tail)}"
        )
        found: dict[int, Path] = {}
        for name in names:
            match = matcher.fullmatch(name)
            frame = int(match[1]) if match else _FAR
            if match is None or abs(frame) >= _FAR or (match[1][0] == "-" and frame == 0):
                continue
            if frame in found:
                raise SequenceError(
                    f"frame {frame} of {self.text!r} has two files, "
                    f"{found[frame].name!r} and {name!r}",
                    "move one away",
                )
            found[frame] = Path(self.folder) / name
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
        TryAgainError: when the storage failed and may recover.
    """
    try:
        with os.scandir(folder or ".") as entries:
            return sorted(entry.name for entry in entries)
    except (OSError, ValueError) as error:
        number, reason = getattr(error, "errno", 0), getattr(error, "strerror", error)
        kind = TryAgainError if number in TRANSIENT else SequenceError
        raise kind(
            f"cannot list the folder {folder or '.'!r}: {reason}",
            "check the path and its permissions",
        ) from error

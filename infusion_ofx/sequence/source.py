"""Files that are read and not to be trusted: looked at before anything opens them, never believed
in their size or their texts, and every fault of theirs told as one error."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infusion_ofx.errors import TRANSIENT, InfusionError, SequenceError, TryAgainError
from infusion_ofx.progress import visible

__all__ = [
    "WIDEST",
    "check_file",
    "check_size",
    "copy_file",
    "damaged",
    "is_absurd",
    "is_same_file",
    "printable",
    "reading",
]

WIDEST = 1 << 16
"""Most pixels of a side of a picture."""
_MOST_PIXELS = 1 << 28
"""Of a picture: 16384 x 16384."""


def check_file(path: Path) -> os.stat_result:
    """Looks at a file before anything opens it, since a FIFO would never answer.

    Raises:
        SequenceError: when it is not there, no regular file, or empty.
        TryAgainError: when the storage failed and may recover.
    """
    try:
        str(path).encode()
        status = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise SequenceError(
            f"{str(path)!r} is no name of a file that can be read", "rename it to UTF-8 text"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise SequenceError(f"{str(path)!r} is no plain file", "give a file, a pattern or a folder")
    if status.st_size == 0:
        raise damaged(path, "is empty (0 bytes)")
    return status


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the storage or a parser raises over a file into one error that names it.

    The text of a ValueError goes on from the name: "is cut short".

    Raises:
        TryAgainError: when the storage failed and may recover.
        SequenceError: for all else.
    """
    try:
        yield
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> SequenceError:
    """The error of a file that is not whole; ``reason`` goes on from its name."""
    return SequenceError(f"{str(path)!r} {reason}", "render or copy the frame again")


def _unreadable(path: Path, error: OSError) -> InfusionError:
    message = f"cannot read {str(path)!r}: {error.strerror}"
    if error.errno in TRANSIENT:
        return TryAgainError(message, "run the same command again")
    return SequenceError(message, "check the path, its permissions and the storage")


def copy_file(path: Path, target: Path) -> None:
    """Copies a file byte for byte.

    Raises:
        SequenceError: when it cannot be read.
        OSError: when ``target`` cannot be written.
    """
    check_file(path)
    with reading(path):
        path.open("rb").close()  # so that what fails below is the target's fault
    shutil.copyfile(path, target)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file or folder, by whatever names; False where one is not there."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def is_absurd(width: int, height: int) -> bool:
    """Whether a header that claims a picture of this size is not to be believed."""
    return not (1 <= width <= WIDEST and 1 <= height <= WIDEST and width * height <= _MOST_PIXELS)


def check_size(width: int, height: int, claimed: int = 0, most: int = 0) -> None:
    """Holds a header to what a file can hold, before anything is made for it.

    claimed, most: bytes of samples that it claims, and that its data can become at the very most.

    Raises:
        ValueError: when a side or the whole is absurd.
    """
    if is_absurd(width, height):
        raise ValueError(f"claims {width} x {height} pixels, which is absurd")
    if claimed > most:
        raise ValueError(f"claims {width} x {height} pixels, more than its data can hold")


def printable(text: str) -> str:
    """A text out of a file as one line that a terminal can show: 200 letters at most."""
    return visible(" ".join(text[:200].split()))

"""The command lines of the review players that are installed here. Nothing is run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

__all__ = ["as_printf", "viewers"]


def viewers(plate: Path, result: Path, frames: Sequence[int]) -> list[list[str]]:
    """The arguments, program first, for each of RV, DJV, mrv2 and Nuke that is on the path.

    plate, result: the files of the first of ``frames``. All wipe between plate and result but
    Nuke, whose viewer shows the result.
    """
    first, span = frames[0], f"{frames[0]}-{frames[-1]}"
    compare = [str(result), "-b", str(plate), "-c", "Wipe"]  # of DJV 3, which mrv2 shares
    commands = [
        ["rv", "-wipe", as_printf(plate, first), as_printf(result, first)],
        ["djv", *compare],
        ["mrv2", *compare],
        ["nuke", "-v", as_printf(result, first), span],
    ]
    return [words for words in commands if shutil.which(words[0])]


def as_printf(path: Path, frame: int) -> str:
    """A frame's path with ``%04d`` for its number, the last one in its name; as it is without."""
    found = list(re.finditer(rf"(?<!\d)0*{abs(frame)}(?!\d)", path.name))
    if not found:
        return str(path)
    start, stop = found[-1].span()
    name = path.name
    return str(path.with_name(f"{name[:start]}%0{stop - start}d{name[stop:]}"))

"""The command lines of the review players that are installed here. Nothing is run."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

__all__ = ["as_printf", "viewers"]


def viewers(plate: Path, result: Path, frames: Sequence[int]) -> list[str]:
    """A command line for each of RV, Nuke and DJV that is on the path, to look at a result.

    plate, result: the files of the first of ``frames``. RV wipes between plate and result; Nuke's
    viewer and DJV show the result.
    """
    first, span = frames[0], f"{frames[0]}-{frames[-1]}"
    commands = {
        "rv": ["rv", "-wipe", as_printf(plate, first), as_printf(result, first)],
        "nuke": ["nuke", "-v", as_printf(result, first), span],
        "djv": ["djv", str(result)],
    }
    return [shlex.join(words) for program, words in commands.items() if shutil.which(program)]


def as_printf(path: Path, frame: int) -> str:
    """A frame's path with ``%04d`` for its number, the last one in its name; as it is without."""
    found = list(re.finditer(rf"(?<!\d)0*{abs(frame)}(?!\d)", path.name))
    if not found:
        return str(path)
    start, stop = found[-1].span()
    name = path.name
    return str(path.with_name(f"{name[:start]}%0{stop - start}d{name[stop:]}"))

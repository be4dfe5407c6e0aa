"""From what a user writes to files by frame: views, ranges, folders, stills, missing frames."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.listing import frame_of, nearest_name, only_sequence
from infusion_ofx.sequence.pattern import Pattern, expand_view, wants_view
from infusion_ofx.sequence.ranges import MOST_FRAMES, gaps, parse_frames, short_frames, split_range
from infusion_ofx.sequence.source import is_same_file

__all__ = ["Files"]


@dataclass(frozen=True)
class Files:
    """The files of a sequence as they lie on disk; none has been opened."""

    text: str
    """As the user wrote it."""
    pattern: Pattern
    """How names are made; a still has no place for the frame number."""
    by_frame: Mapping[int, Path]
    """Ascending. A still has one entry, under the last number of its name, else under 1."""
    named: tuple[int, ...] | None = None
    """Frames of the range after the name, if there is one."""

    @classmethod
    def find(cls, text: str, view: str = "") -> Files:
        """Finds the files of a pattern, a folder that holds one sequence, or a still.

        A name that exists as it is written is taken so. Else ``%V`` and ``%v`` become the view, and
        a range after the last space is taken off: ``plate.%V.####.exr 1001-1100x2``.

        Raises:
            SequenceError: when there is no such sequence, with the name that was likely meant.
        """
        own = expand_view(text, view)
        name, span = split_range(own)
        for known in dict.fromkeys((text, own, name)):
            if os.path.lexists(known):
                pattern = only_sequence(known) if os.path.isdir(known) else Pattern.still(known)
                break
        else:
            known, pattern = name, _parse(name)
        if pattern.is_still and os.path.lexists(pattern.text):
            files = {frame_of(pattern.head): pattern.path(0)}
        elif wants_view(name) and not os.path.isdir(pattern.folder or "."):
            files = {}
        else:
            files = pattern.find()
        if not files:
            raise _not_there(name, pattern)
        return cls(text, pattern, files, parse_frames(span) if span and known == name else None)

    @property
    def still(self) -> bool:
        """Whether one file serves every frame."""
        return self.pattern.is_still

    def name(self, frame: int) -> str:
        """The file name of a frame: its own, or where it has none the one that it would have."""
        if self.still:
            return self.pattern.head
        path = self.by_frame.get(frame)
        return path.name if path else self.pattern.path(frame).name

    def frame_at(self, path: Path) -> int | None:
        """The frame that a file is of, by whatever name, or would be once it is written."""
        try:
            status = os.stat(path)
        except OSError:
            folder = Path(self.pattern.folder)
            is_new = not self.still and is_same_file(path.parent, folder)
            return next(iter(self.pattern.match([path.name])), None) if is_new else None
        return self._identities.get((status.st_dev, status.st_ino))

    @cached_property
    def _identities(self) -> dict[tuple[int, int], int]:
        """Frames by what the system knows their files by."""
        found = {}
        for frame, path in self.by_frame.items():
            with suppress(OSError):
                status = os.stat(path)
                found[status.st_dev, status.st_ino] = frame
        return found

    def gaps(self) -> tuple[int, ...]:
        """Frames that have no file: of the range after the name, else between first and last.

        Raises:
            SequenceError: when first and last lie too far apart for one shot.
        """
        if self.still:
            return ()
        if self.named is not None:
            return tuple(frame for frame in self.named if frame not in self.by_frame)
        there = tuple(self.by_frame)
        if there[-1] - there[0] >= MOST_FRAMES:
            raise SequenceError(
                f"the frames of {self.text!r} run from {there[0]} to {there[-1]}, too far for one "
                "shot",
                "name those that are meant after it, as 1001-1100, or with --frames",
            )
        return gaps(there)

    def select(
        self, frames: Iterable[int] | None = None, missing: str = "error"
    ) -> tuple[dict[int, Path], tuple[int, ...]]:
        """A file for each frame that is meant, ascending, and the frames that have none.

        frames: None means the range after the name, else all from the first to the last on disk.
        missing: what is done about frames without a file: ``error``; ``skip`` leaves them out;
        any other has the nearest earlier frame's file stand in for them, else the nearest later
        one's.

        Raises:
            SequenceError: when frames are missing and that is an error, when all are, when none is
                asked for, or when the range after the name does not hold those that are.
        """
        wanted = self._wanted(frames)
        lacking = () if self.still else tuple(f for f in wanted if f not in self.by_frame)
        if lacking and (missing == "error" or len(lacking) == len(wanted)):
            there = short_frames(self.by_frame)
            take = "change the range" if frames or self.named else f"say --frames {there}"
            choose = ", or choose --missing hold, skip or black" if missing == "error" else ""
            raise SequenceError(
                f"{self.text!r} lacks frames {short_frames(lacking)}",
                f"it has {there}; render them, {take}{choose}",
            )
        left_out, known = set(lacking) if missing == "skip" else set(), list(self.by_frame)
        return {
            f: self.by_frame.get(f) or self.by_frame[_nearest(known, f)]
            for f in wanted
            if f not in left_out
        }, lacking

    def _wanted(self, frames: Iterable[int] | None) -> tuple[int, ...]:
        if frames is None:
            return self.named or tuple(sorted({*self.by_frame, *self.gaps()}))
        wanted, named = tuple(sorted(set(frames))), set(self.named or ())
        if not wanted:
            raise SequenceError(f"no frame of {self.text!r} is asked for", "name at least one")
        beyond = [frame for frame in wanted if named and frame not in named]
        if beyond:
            raise SequenceError(
                f"frames {short_frames(beyond)} are asked for, and the range in {self.text!r} "
                "leaves them out",
                "take the range off the name, or ask for a part of it",
            )
        return wanted


def _nearest(known: list[int], frame: int) -> int:
    """The last of ascending frames before ``frame``, else the first of them."""
    return known[max(bisect.bisect_right(known, frame) - 1, 0)]


def _parse(name: str) -> Pattern:
    if name.endswith(("/", os.sep)):
        raise SequenceError(f"there is no folder {name!r}", "check the path")
    return Pattern.parse(name)


def _not_there(name: str, pattern: Pattern) -> SequenceError:
    near = "" if wants_view(name) else nearest_name(name)
    kind = "file" if pattern.is_still else "sequence"
    hint = f"did you mean {near!r}?" if near else "check the path and the pattern"
    if wants_view(name):
        hint = "say with --view what %V and %v stand for, such as left"
    return SequenceError(f"there is no {kind} {name!r}", hint)

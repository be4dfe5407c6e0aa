"""Whole sequences: opened once and checked, read anywhere, and written frame by frame, whole.

A frame is written to a hidden temporary in its folder, checked, synced and renamed: whoever looks
sees the old frame or the new one, never a part of one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Names
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import JobError, SequenceError
from infusion_ofx.sequence.atomic import sweep, whole_file
from infusion_ofx.sequence.files import Files
from infusion_ofx.sequence.formats import (
    check_extension,
    check_rewrite,
    read_header,
    read_pixels,
    strips,
    write_file,
)
from infusion_ofx.sequence.frame import Box, Channel, Edit, Header, Picked
from infusion_ofx.sequence.pattern import wants_view
from infusion_ofx.sequence.queues import WriteBehind, read_ahead
from infusion_ofx.sequence.ranges import format_frames, short_frames
from infusion_ofx.sequence.source import is_same_file

__all__ = ["Sequence", "WriteBehind", "read_ahead", "sweep"]

Array = npt.NDArray[Any]

_STOOD_IN = {
    "hold": "the nearest frame stands in",
    "black": "they count as black",
    "skip": "they are left out",
}


class Sequence:
    """The frames of one picture sequence; or one still file, which serves every frame.

    As ``open`` gives it, it knows files and headers; ``choose`` gives one that reads and writes.
    """

    def __init__(self, files: Files, frames: Iterable[int] | None, missing: str, view: str) -> None:
        """Finds a file for each frame; ``open`` says what it takes, and looks into them too."""
        served, self.missing = files.select(frames, missing)
        """Frames that are meant and have no file."""
        self.text = files.text
        """What was opened, as it was written."""
        self.frames = tuple(served)
        """Frame numbers, ascending."""
        self.still = files.still
        """Whether one file serves every frame."""
        self.view = view
        """The eye that is looked for within the files."""
        self.channels: tuple[Channel, ...] = ()
        """What is chosen of the first frame."""
        self._files, self._served, self._how = files, served, missing
        self._headers: dict[Path, Header] = {}
        self._picked: dict[Path, Picked] = {}

    @classmethod
    def open(
        cls,
        text: str,
        frames: tuple[int, ...] | None = None,
        *,
        view: str = "",
        missing: str = "error",
    ) -> Sequence:
        """Finds the files of a pattern, a folder that holds one sequence, or a still.

        frames: those that are needed; None takes all from the first to the last on disk. view: what
        ``%V`` stands for, and the eye within the files. missing: what is done about frames that are
        not there: ``error``; ``skip`` leaves them out, ``hold`` has the nearest earlier frame stand
        in, else the nearest later one, and ``black`` has it stand in with black pixels. All headers
        are read.

        Raises:
            SequenceError: when there is no such sequence, frames are missing, or frames differ in
                format or display size.
        """
        sequence = cls(Files.find(text, view), frames, missing, view)
        sequence._check_agreement()
        return sequence

    def choose(self, names: Names[str], layer: str = "") -> Sequence:
        """This sequence with the channels that ``read`` and ``write`` are about, by name.

        layer: goes before each name. They are looked for in every frame, whatever its parts.

        Raises:
            SequenceError: naming the first file that lacks one, and the channels that it has.
        """
        chosen = copy.copy(self)
        chosen._picked = {}
        for frame in self.frames:
            header = self.header(frame)
            if header.path not in chosen._picked:
                chosen._picked[header.path] = header.pick(names, layer, self._view_in(header))
        first = self.header(self.frames[0])
        picked = chosen._picked[first.path]
        kinds = {channel.name: channel for channel in first.parts[picked.part].channels}
        chosen.channels = tuple(kinds[name] for name in picked.names)
        return chosen

    def choose_matte(self, name: str = "") -> Sequence:
        """This sequence with the one channel that a matte is in: ``name``, else A, else the only
        channel, else R; one and the same in every frame.

        Raises:
            SequenceError: naming the first file that has none, or another than the frames before.
        """
        for frame in self.frames if not name else ():
            header = self.header(frame)
            found = header.matte_channel(self._view_in(header))
            if not found or name not in ("", found):
                raise SequenceError(
                    f"the matte {str(header.path)!r} has no channel {name or 'A or R'}; it has "
                    f"{header.listed(self._view_in(header))}",
                    "name one with --matte-channel",
                )
            name = found
        return self.choose([name])

    def path(self, frame: int) -> Path:
        """The file that a frame is read from, under its original name.

        Raises:
            SequenceError: when the sequence has no such frame.
        """
        if self.still:
            return self._served[self.frames[0]]
        if frame not in self._served:
            raise SequenceError(
                f"{self.text!r} has no frame {frame}", f"it has {short_frames(self.frames)}"
            )
        return self._served[frame]

    def name(self, frame: int) -> str:
        """The name of a frame's file, also where there is none and another stands in."""
        return self._files.name(frame)

    def frame_at(self, path: Path) -> int | None:
        """The frame that a file is of, or would be once it is written, asked for or not."""
        return self._files.frame_at(path)

    @property
    def note(self) -> str:
        """A sentence about the frames that are missing; empty where none is."""
        if not self.missing:
            return ""
        listed = format_frames(self.missing)
        return f"frames {listed} of {self.text!r} are missing: {_STOOD_IN[self._how]}"

    def header(self, frame: int) -> Header:
        """The header of a frame, read once.

        Raises:
            SequenceError: when it cannot be read.
        """
        path = self.path(frame)
        if path not in self._headers:
            self._headers[path] = read_header(path)
        return self._headers[path]

    def data(self, frame: int) -> Box:
        """The data window of the part that the chosen channels are in."""
        return self._pick(frame).data

    def read(self, frame: int, box: Box) -> Array:
        """Reads a box of a frame: (box.height, box.width, chosen channels), 0 outside the data.

        EXR comes in the channels' own type; integer codes come as float32, over the greatest code.

        Raises:
            SequenceError: when the frame is damaged.
        """
        header, picked = self.header(frame), self._pick(frame)
        if not self._is_black(frame):
            return read_pixels(header, picked, box)
        none = read_pixels(header, picked, Box(0, 0, 0, 0))
        return np.zeros((box.height, box.width, none.shape[2]), none.dtype)

    def strips(self, frame: int, box: Box) -> Iterator[Box]:
        """Boxes that cover ``box`` from top to bottom, to be read one by one, so that a large frame
        takes no more memory than a small one where its format allows it."""
        return strips(self.header(frame), box)

    def read_written(self, frame: int, target: Path, box: Box) -> Array:
        """Reads a box of what ``write`` has made of a frame, as ``read`` does.

        Raises:
            SequenceError: when it is damaged.
        """
        return read_pixels(read_header(target), self._pick(frame), box)

    def check_rewrite(self, keep_lossy: bool = False) -> None:
        """Looks in every header whether ``write`` could keep all that the frame holds.

        Worth asking of a plate before hours of work.

        Raises:
            SequenceError: naming the first file with something that would be damaged.
        """
        for path, picked in self._picked.items():
            check_rewrite(self._headers[path], picked, keep_lossy)

    def changes(self, frame: int, keep_lossy: bool = False) -> str:
        """What ``write`` changes of a frame besides samples, as its compression; else empty."""
        return check_rewrite(self.header(frame), self._pick(frame), keep_lossy)

    def write(
        self,
        frame: int,
        target: Path,
        box: Box,
        pixels: Array,
        where: npt.NDArray[np.bool_],
        *,
        in_place: bool = False,
        keep_lossy: bool = False,
    ) -> None:
        """Writes a frame with ``pixels`` in the chosen channels where ``where`` is True.

        pixels: (box.height, box.width, chosen channels), as ``read`` gives them; where:
        (box.height, box.width), boolean. Where nothing changes the file is copied byte for byte.
        ``target`` appears whole or not at all. keep_lossy: a lossy file keeps its compression.

        Raises:
            SequenceError: when the frame cannot be read or kept exactly, or ``target`` has another
                format's extension.
            JobError: when ``target`` is the frame's file and not ``in_place``, or may not be
                written.
            TryAgainError: when the storage fails.
        """
        header, source = self.header(frame), self.path(frame)
        edit = Edit(self._pick(frame), box, pixels, where)
        check_extension(source, target)
        if not in_place and is_same_file(source, target):
            raise JobError(
                f"{str(target)!r} is the plate itself",
                "write elsewhere, or allow it with --in-place",
            )
        if self._is_black(frame):
            edit = _on_black(edit)
        with whole_file(target) as path:
            write_file(header, path, edit, keep_lossy)

    def _pick(self, frame: int) -> Picked:
        if not self._picked:
            raise ValueError(f"no channels of {self.text!r} are chosen")  # this program's fault
        return self._picked[self.path(frame)]

    def _is_black(self, frame: int) -> bool:
        return self._how == "black" and not self.still and frame in self.missing

    def _view_in(self, header: Header) -> str:
        """The view to look for within a file: none where the file's name has told it already."""
        return "" if wants_view(self.text) and len(header.views) < 2 else self.view

    def _check_agreement(self) -> None:
        first = self.header(self.frames[0])
        for frame in self.frames:
            here = self.header(frame)
            if here.format != first.format or here.display != first.display:
                raise SequenceError(
                    f"frame {frame} of {self.text!r} is {_size(here)}, frame {self.frames[0]} is "
                    f"{_size(first)}",
                    "render it at the size and format of the others",
                )


def _size(header: Header) -> str:
    box = header.display
    origin = f" at ({box.left}, {box.top})" if (box.left, box.top) != (0, 0) else ""
    return f"{header.format} {box.width} x {box.height}{origin}"


def _on_black(edit: Edit) -> Edit:
    """An edit on a data window that is black elsewhere: all of it changes."""
    data, pixels = edit.picked.data, edit.pixels
    whole = np.zeros((data.height, data.width, pixels.shape[2]), pixels.dtype)
    inner = edit.box.intersect(data)
    here = edit.box.slices(inner)
    whole[data.slices(inner)] = np.where(edit.where[here][..., None], pixels[here], 0)
    return Edit(edit.picked, data, whole, np.ones((data.height, data.width), np.bool_))

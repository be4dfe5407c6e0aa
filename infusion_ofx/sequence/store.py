"""Whole sequences: opened once and checked, read anywhere, and written frame by frame, whole.

A frame is written to a hidden temporary in its folder, checked, synced and renamed: whoever looks
sees the old frame or the new one, never a part of one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence as Names
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import JobError, SequenceError
from infusion_ofx.sequence import dpx, exr
from infusion_ofx.sequence.atomic import sweep, whole_file
from infusion_ofx.sequence.frame import Box, Header, check_file
from infusion_ofx.sequence.pattern import Pattern, format_frames, list_folder, nearest_name
from infusion_ofx.sequence.queues import WriteBehind, read_ahead

__all__ = [
    "Sequence",
    "WriteBehind",
    "check_extension",
    "is_same_file",
    "read_ahead",
    "read_header",
    "sweep",
    "write_frame",
]

Array = npt.NDArray[Any]

_FORMATS: dict[str, ModuleType] = {"openexr": exr, "dpx": dpx}
_EXTENSIONS = {".exr": "openexr", ".dpx": "dpx"}
_LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)


def read_header(path: Path) -> Header:
    """The header of one file, by its extension.

    Raises:
        SequenceError: when it is neither EXR nor DPX, or cannot be read.
    """
    return _header_by(_format(path), path)


def _format(path: Path) -> str:
    check_file(path)
    extension = path.suffix.lower()
    if extension not in _EXTENSIONS:
        raise SequenceError(
            f"{str(path)!r} is neither .exr nor .dpx", "convert it to OpenEXR or DPX"
        )
    return _EXTENSIONS[extension]


def _header_by(format: str, path: Path) -> Header:
    header: Header = _FORMATS[format].header(path)
    return header


class Sequence:
    """The frames of one picture sequence; or one still file, which serves every frame."""

    def __init__(self, text: str, files: dict[int, Path], still: bool) -> None:
        """Takes files by frame as they are; ``open`` finds and checks them."""
        self.text = text
        """What was opened, as it was written."""
        self.frames = tuple(files)
        """Frame numbers, ascending."""
        self.still = still
        """Whether one file serves every frame."""
        self._files = files
        self._headers: dict[Path, Header] = {}

    @classmethod
    def open(cls, text: str, frames: tuple[int, ...] | None = None) -> Sequence:
        """Finds the files of a pattern, a folder that holds one sequence, or a still file.

        frames: those that are needed, ascending; None takes all on disk. All headers are read.

        Raises:
            SequenceError: when there is no such sequence, frames are missing, or frames differ in
                format or display size.
        """
        files, still = _find(text)
        if still and frames is not None:
            files = dict.fromkeys(frames, next(iter(files.values())))
        missing = [frame for frame in frames or () if frame not in files]
        if missing:
            raise SequenceError(
                f"{text!r} lacks frames {format_frames(missing)}",
                f"it has {format_frames(files)}; render them or narrow the range",
            )
        if frames is not None:
            files = {frame: files[frame] for frame in sorted(set(frames))}
        if not files:
            raise SequenceError(f"no frame of {text!r} is asked for", "name at least one frame")
        sequence = cls(text, files, still)
        sequence._check_agreement()
        return sequence

    def path(self, frame: int) -> Path:
        """The file of a frame, under its original name.

        Raises:
            SequenceError: when the sequence has no such frame.
        """
        if self.still:
            return self._files[self.frames[0]]
        if frame not in self._files:
            raise SequenceError(
                f"{self.text!r} has no frame {frame}", f"it has {format_frames(self.frames)}"
            )
        return self._files[frame]

    def header(self, frame: int) -> Header:
        """The header of a frame, read once.

        Raises:
            SequenceError: when it cannot be read.
        """
        path = self.path(frame)
        if path not in self._headers:
            self._headers[path] = read_header(path)
        return self._headers[path]

    def read(self, frame: int, channels: Names[str], box: Box) -> Array:
        """Reads a box of a frame: (box.height, box.width, len(channels)), 0 outside the data.

        EXR comes in the channels' own type, DPX as float32, code over the greatest code.

        Raises:
            SequenceError: when the frame is damaged or lacks a channel.
        """
        pixels: Array = _FORMATS[self.header(frame).format].read(self.path(frame), channels, box)
        return pixels

    def check_channels(self, names: Names[str]) -> None:
        """Looks in every frame for the channels.

        Raises:
            SequenceError: naming the first file that lacks one, and the channels that it has.
        """
        for frame in self.frames:
            self.header(frame).check_channels(names)

    def check_rewrite(self) -> None:
        """Looks in every header whether ``write_frame`` could keep all that the frame holds.

        Worth asking of a plate before hours of work.

        Raises:
            SequenceError: naming the first file with something that would be damaged.
        """
        for frame in self.frames[:1] if self.still else self.frames:
            _FORMATS[self.header(frame).format].check_rewrite(self.path(frame))

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


def _find(text: str) -> tuple[dict[int, Path], bool]:
    """The files of a text by frame, and whether they are one still file."""
    if os.path.isdir(text):
        return _find_in_folder(text)
    pattern = Pattern.parse(text) if not os.path.lexists(text) else None
    if pattern is None:
        return _still(Path(text)), True
    files = {} if pattern.is_still else pattern.find()
    if not files:
        near = nearest_name(text)
        kind = "file" if pattern.is_still else "sequence"
        raise SequenceError(
            f"there is no {kind} {text!r}",
            f"did you mean {near!r}?" if near else "check the path and the pattern",
        )
    return files, False


def _still(path: Path) -> dict[int, Path]:
    """A still file under the last number of its name, so that a lone frame keeps its own."""
    match = _LAST_NUMBER.fullmatch(path.stem)
    return {int(match[2]) if match and len(match[2]) < 10 else 1: path}


def _find_in_folder(folder: str) -> tuple[dict[int, Path], bool]:
    """The one sequence or still of EXR or DPX files in a folder."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in list_folder(folder):
        stem, extension = os.path.splitext(name)
        match = _LAST_NUMBER.fullmatch(stem)
        if extension.lower() in _EXTENSIONS and not name.startswith("."):
            key = (match[1], match[3] + extension) if match else (name, "")
            groups.setdefault(key, []).append(name)
    if len(groups) != 1:
        listed = ", ".join(repr(_group_name(*group)) for group in sorted(groups.items())[:8])
        raise SequenceError(
            f"the folder {folder!r} holds {len(groups)} EXR or DPX sequences"
            + (f": {listed}" if listed else ""),
            "name one, as plate.####.exr",
        )
    (head, tail), names = next(iter(groups.items()))
    if len(names) == 1:
        return _still(Path(folder) / names[0]), True
    width = min(len(name) - len(head) - len(tail) for name in names)
    pattern = Pattern(folder, head, width, tail, os.path.join(folder, f"{head}{'#' * width}{tail}"))
    return pattern.find(), False


def _group_name(key: tuple[str, str], names: list[str]) -> str:
    width = min(len(name) - len(key[0]) - len(key[1]) for name in names)
    return f"{key[0]}{'#' * width}{key[1]}" if len(names) > 1 else names[0]


def check_extension(source: Path, target: Path) -> str:
    """The format of ``source``, which ``target`` must have too: formats are not converted.

    Raises:
        SequenceError: when the target's extension is another format's.
    """
    format = _format(source)
    if _EXTENSIONS.get(target.suffix.lower()) != format:
        raise SequenceError(
            f"{str(target)!r} is to be written from {str(source)!r}",
            f"give it the extension {source.suffix!r}; formats are not converted",
        )
    return format


def write_frame(
    source: Path,
    target: Path,
    channels: Names[str],
    box: Box,
    pixels: Array,
    where: npt.NDArray[np.bool_],
    *,
    in_place: bool = False,
) -> None:
    """Writes a frame: the source, with ``pixels`` in ``channels`` where ``where`` is True.

    pixels: (box.height, box.width, len(channels)); where: (box.height, box.width), boolean. Where
    nothing is True the file is copied byte for byte. ``target`` appears whole or not at all.

    Raises:
        SequenceError: when the source cannot be read or kept exactly, or ``target`` has another
            format's extension.
        JobError: when ``target`` is the source and not ``in_place``, or may not be written.
        TryAgainError: when the storage fails.
    """
    format = check_extension(source, target)
    if not in_place and is_same_file(source, target):
        raise JobError(
            f"{str(target)!r} is the plate itself", "write elsewhere, or allow it with --in-place"
        )
    with whole_file(target) as path:
        if where.any():
            _FORMATS[format].rewrite(source, path, channels, box, pixels, where)
        else:
            shutil.copyfile(source, path)
        _FORMATS[format].verify(path)


def is_same_file(source: Path, target: Path) -> bool:
    """Whether two paths are one file, by whatever names; False where one is not there."""
    try:
        return os.path.samefile(source, target)
    except OSError:
        return False

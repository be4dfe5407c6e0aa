"""Where a job's frames go, and why an output is refused before any work is done."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from infusion_ofx.errors import JobError
from infusion_ofx.job import Job
from infusion_ofx.paths import is_folder, take_output
from infusion_ofx.sequence.formats import check_extension, output_name
from infusion_ofx.sequence.pattern import Pattern, expand_view, wants_view
from infusion_ofx.sequence.source import is_same_file
from infusion_ofx.sequence.store import Sequence

__all__ = ["check_output", "matte_target", "target"]

LONGEST_NAME = 255
"""Bytes of a file's name, on every file system in use."""


def target(job: Job, plate: Sequence, frame: int, take: int = 1) -> Path:
    """A frame's output: from the pattern, or in the output's folder under the plate's own name."""
    output = take_output(expand_view(job.output, job.view), take)
    if is_folder(output):
        return Path(output) / output_name(plate.name(frame))
    return Pattern.parse(output).path(frame)


def matte_target(job: Job, frame: int) -> Path | None:
    """Where the matte of a frame goes as it was used; None where nobody asks for it."""
    pattern = expand_view(job.matte_output, job.view)
    return Pattern.parse(pattern).path(frame) if pattern else None


def check_output(job: Job, plate: Sequence | None, matte: Sequence | None) -> None:
    """Refuses an output that has no place for the frame number, that lies on the input, or that
    cannot be written.

    Raises:
        JobError: when it does.
    """
    if wants_view(job.output) and not job.view:
        raise JobError(f"the output {job.output!r} has a place for the view", "say it with --view")
    if plate is None:
        return
    if job.in_place and plate.missing and job.missing != "skip":
        raise JobError(
            f"frames of {job.plate!r} are missing, and in place those that stand in for them would "
            "change as they are read",
            "choose another output, or --missing skip",
        )
    frames = matte.frames if matte else plate.frames
    targets = [target(job, plate, frame) for frame in frames]
    if len(set(targets)) < len(targets):
        raise JobError(
            f"the output {job.output!r} names one file for {len(targets)} frames",
            "write a pattern such as fill.####.exr, or a folder",
        )
    _check_folders(targets)
    inputs = {each.path(frame) for each in (plate, matte) if each for frame in frames}
    _check_matte_output(job, frames, inputs | set(targets))
    for frame, take in product(frames, range(1, job.takes + 1)):
        path = target(job, plate, frame, take)
        check_extension(plate.path(frame), path)
        if matte is not None and matte.frame_at(path) is not None:
            raise JobError(f"the output {str(path)!r} is the matte itself", "choose another output")
        _check_beside(plate, frame, path, job.in_place and take == 1)


def _check_folders(targets: Iterable[Path]) -> None:
    """Refuses, before hours of work, what could not be written after them."""
    for path in targets:
        if not _is_name(path):
            raise JobError(
                f"the output {str(path)!r} is no name that a file can have",
                f"write UTF-8 text, at most {LONGEST_NAME} bytes between two slashes",
            )
    for folder in {path.parent for path in targets}:
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
        if not os.path.isdir(there) or not os.access(there, os.W_OK | os.X_OK):
            raise JobError(
                f"the output folder {str(folder)!r} cannot be made or written, because of "
                f"{str(there)!r}",
                "check its permissions, or choose another --output",
            )


def _is_name(path: Path) -> bool:
    try:
        return all(len(part.encode()) <= LONGEST_NAME and "\0" not in part for part in path.parts)
    except UnicodeEncodeError:
        return False


def _check_beside(plate: Sequence, frame: int, path: Path, in_place: bool) -> None:
    """Refuses a frame's output that is a file of the plate, or would be taken for one."""
    other = plate.frame_at(path)
    if is_same_file(path, plate.path(frame)):
        if not in_place:
            raise JobError(
                f"the output {str(path)!r} is the plate itself",
                "choose another output, or say --in-place",
            )
    elif other is not None:
        raise JobError(
            f"the output {str(path)!r} would count as frame {other} of the plate",
            "choose another output; a folder keeps the plate's names",
        )


def _check_matte_output(job: Job, frames: Iterable[int], taken: set[Path]) -> None:
    """Refuses a place for the used matte that is no EXR sequence, or where other files lie."""
    if not job.matte_output:
        return
    targets = [path for frame in frames if (path := matte_target(job, frame))]
    if targets[0].suffix.lower() != ".exr" or len(set(targets)) < len(targets):
        raise JobError(
            f"the matte output {job.matte_output!r} is no sequence of EXR files",
            "write a pattern such as used.####.exr",
        )
    if taken.intersection(targets):
        raise JobError(
            f"the matte output {job.matte_output!r} is taken by the plate, the matte or the output",
            "give it a name of its own",
        )

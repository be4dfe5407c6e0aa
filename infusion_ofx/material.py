"""What a job works on: its sequences, found on disk and in agreement, and each frame's hole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from infusion_ofx.composite import clean_matte, hole_box, shape_matte
from infusion_ofx.engine.recipe import Recipe, choose
from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.job import Job
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.pattern import Pattern, parse_frames
from infusion_ofx.sequence.store import Sequence, check_extension, is_same_file

__all__ = ["Hole", "Material", "is_folder", "open_material"]

Array = npt.NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Hole:
    """What is to be filled of one frame."""

    box: Box
    """Round all of it; empty where there is nothing to fill."""
    alpha: Array
    """(height, width) of the box: how much of the fill each pixel takes, float32 in [0, 1]; from
    ``plan_work`` whether it takes any, boolean."""


@dataclass(frozen=True)
class Material:
    """The sequences of a job, found on disk and in agreement with each other and with the job."""

    job: Job
    plate: Sequence
    matte: Sequence
    channels: tuple[str, ...]
    matte_channel: str

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames to be worked on, ascending."""
        return self.plate.frames

    @cached_property
    def recipe(self) -> Recipe:
        """The job's recipe, with the artist's own numbers."""
        job = self.job
        return choose(
            job.recipe,
            intervals=job.intervals,
            steps=job.steps,
            sampling_steps=job.sampling_steps,
        )

    @cached_property
    def area(self) -> Box:
        """All pixels that any frame of the plate has: what can be worked on."""
        area = self.plate.header(self.frames[0]).data
        for frame in self.frames[1:]:
            area = area.union(self.plate.header(frame).data)
        return area

    def target(self, frame: int) -> Path:
        """Where a frame of the result goes."""
        return _target(self.job.output, self.plate.path(frame), frame)

    def hole(self, frame: int) -> Hole:
        """Reads a frame's matte and shapes it as the job asks; nothing outside the plate's data
        window.

        Raises:
            SequenceError: when the matte cannot be read.
        """
        window = self.matte.header(frame).data
        matte = clean_matte(self.matte.read(frame, [self.matte_channel], window)[:, :, 0])
        box = hole_box(matte, window)
        if box.empty:
            return Hole(box, np.zeros((0, 0), np.float32))
        grow = self.job.grow
        roomy = box.grow(grow + 1)
        padded = np.zeros((roomy.height, roomy.width), np.float32)
        padded[roomy.slices(box)] = matte[window.slices(box)]
        return self._shaped(padded, roomy, frame)

    def _shaped(self, matte: Array, box: Box, frame: int) -> Hole:
        """Grown and feathered within the frame's own pixels, and cut to what is left."""
        inside = box.intersect(self.plate.header(frame).data)
        grown = shape_matte(matte, grow=self.job.grow, feather=0)[box.slices(inside)]
        alpha = shape_matte(grown, grow=0, feather=self.job.feather)
        tight = hole_box(alpha, inside)
        return Hole(tight, np.ascontiguousarray(alpha[inside.slices(tight)]))

    def digest(self) -> str:
        """Names the input files by name, size and time of change; equal for untouched input."""
        total = hashlib.blake2b(digest_size=16)
        for sequence in (self.plate, self.matte):
            for frame in self.frames:
                path = sequence.path(frame)
                status = os.stat(path)
                total.update(
                    f"{frame} {path.name} {status.st_size} {status.st_mtime_ns}\n".encode()
                )
        return total.hexdigest()


def open_material(job: Job) -> Material:
    """Finds the job's sequences and holds them against each other and the job.

    Raises:
        JobError: naming every fault at once.
    """
    faults: list[InfusionError] = []
    job.check()
    frames = _try(faults, lambda: parse_frames(job.frames) if job.frames else None)
    plate = _try(faults, lambda: Sequence.open(job.plate, frames))
    wanted = plate.frames if plate else frames
    matte = _try(faults, lambda: Sequence.open(job.matte, wanted))
    channels = tuple(name.strip() for name in job.channels.split(","))
    _try(faults, lambda: _check_output(job, plate, matte))
    if plate:
        _try(faults, lambda: plate.check_channels(channels))
        _try(faults, plate.check_rewrite)
    matte_channel = _try(faults, lambda: _matte_channel(job, matte)) if matte else ""
    if plate and matte:
        _try(faults, lambda: _check_sizes(plate, matte))
    if faults or not plate or not matte:
        raise faults[0] if len(faults) == 1 else JobError("; ".join(map(str, faults)))
    return Material(job, plate, matte, channels, matte_channel or "")


def _try(faults: list[InfusionError], action: Callable[[], T]) -> T | None:
    try:
        return action()
    except InfusionError as error:
        faults.append(error)
        return None


def _matte_channel(job: Job, matte: Sequence) -> str:
    """The channel that is asked for, else the one that the header suggests."""
    if job.matte_channel:
        matte.check_channels([job.matte_channel])
        return job.matte_channel
    header = matte.header(matte.frames[0])
    if not header.matte_channel:
        names = ", ".join(channel.name for channel in header.channels)
        raise SequenceError(
            f"the matte {job.matte!r} has no channel A or R; it has {names}",
            "name one with --matte-channel",
        )
    return header.matte_channel


def _check_sizes(plate: Sequence, matte: Sequence) -> None:
    for frame in plate.frames:
        ours, theirs = plate.header(frame).display, matte.header(frame).display
        if ours != theirs:
            raise SequenceError(
                f"the matte {str(matte.path(frame))!r} is {theirs.width}x{theirs.height}, "
                f"the plate is {ours.width}x{ours.height}",
                "render the matte in the plate's format",
            )


def _check_output(job: Job, plate: Sequence | None, matte: Sequence | None) -> None:
    """Refuses an output that has no place for the frame number, or that lies on the input."""
    if plate is None:
        return
    targets = [_target(job.output, plate.path(frame), frame) for frame in plate.frames]
    if len(set(targets)) < len(targets):
        raise JobError(
            f"the output {job.output!r} names one file for {len(targets)} frames",
            "write a pattern such as fill.####.exr, or a folder",
        )
    for frame, target in zip(plate.frames, targets, strict=True):
        check_extension(plate.path(frame), target)
        if matte is not None and is_same_file(target, matte.path(frame)):
            raise JobError(
                f"the output {str(target)!r} is the matte itself", "choose another output"
            )
        if is_same_file(target, plate.path(frame)) and not job.in_place:
            raise JobError(
                f"the output {str(target)!r} is the plate itself",
                "choose another output, or say --in-place",
            )


def is_folder(output: str) -> bool:
    """Whether an output names a folder, where frames keep the plate's names, and no pattern."""
    return output.endswith(("/", os.sep)) or not Path(output).suffix or Path(output).is_dir()


def _target(output: str, source: Path, frame: int) -> Path:
    """A frame's output: from the pattern, or in the output's folder under the plate's own name."""
    if is_folder(output):
        return Path(output) / source.name
    return Pattern.parse(output).path(frame)

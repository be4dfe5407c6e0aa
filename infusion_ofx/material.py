"""What a job works on: its sequences, found on disk and in agreement, and each frame's hole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from infusion_ofx.colour import Encoding, encoding
from infusion_ofx.composite import clean_matte, hole_box, shape_matte
from infusion_ofx.engine.recipe import PATCHES, Recipe, choose
from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.job import Job
from infusion_ofx.patch import BYTES
from infusion_ofx.paths import is_folder, take_output
from infusion_ofx.sequence.formats import check_extension, output_name
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.pattern import Pattern, expand_view, wants_view
from infusion_ofx.sequence.ranges import parse_frames
from infusion_ofx.sequence.source import is_same_file
from infusion_ofx.sequence.store import Sequence

__all__ = ["Hole", "Material", "open_material", "recipe_of"]

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

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return int(self.alpha.nbytes)


@dataclass(frozen=True)
class Material:
    """The sequences of a job, found on disk and in agreement with each other and with the job."""

    job: Job
    plate: Sequence
    """With the channels chosen that are to be filled."""
    matte: Sequence
    """With its one channel chosen."""

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames to be worked on, ascending: those that both sequences serve."""
        return self.matte.frames

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the plate's channels that are to be filled, as the first frame has them."""
        return tuple(channel.name for channel in self.plate.channels)

    @property
    def matte_channel(self) -> str:
        """Name of the matte's channel, as its first frame has it."""
        return self.matte.channels[0].name

    @property
    def notes(self) -> list[str]:
        """Choices that were made and that the log should hold, a sentence each."""
        notes = [sequence.note for sequence in (self.plate, self.matte) if sequence.note]
        notes.append(f"the plate's colours are {self.colour.name}")
        if not self.job.matte_channel:
            notes.append(f"the matte is channel {self.matte_channel} of {self.job.matte!r}")
        return notes

    @cached_property
    def recipe(self) -> Recipe:
        """The job's recipe, with the artist's own numbers."""
        return recipe_of(self.job)

    @cached_property
    def colour(self) -> Encoding:
        """The encoding of the plate's chosen channels: the way to light and back."""
        return encoding(self.job.colorspace, self.plate.header(self.frames[0]))

    @cached_property
    def area(self) -> Box:
        """All pixels that any frame of the plate has: what can be worked on."""
        area = self.plate.data(self.frames[0])
        for frame in self.frames[1:]:
            area = area.union(self.plate.data(frame))
        return area

    def target(self, frame: int, take: int = 1) -> Path:
        """Where a frame of a take goes."""
        return _target(self.job, self.plate, frame, take)

    def matte_target(self, frame: int) -> Path | None:
        """Where the matte of a frame goes as it was used; None where nobody asks for it."""
        pattern = expand_view(self.job.matte_output, self.job.view)
        return Pattern.parse(pattern).path(frame) if pattern else None

    def hole(self, frame: int) -> Hole:
        """Reads a frame's matte and shapes it as the job asks; nothing outside the plate's data
        window.

        Raises:
            SequenceError: when the matte cannot be read.
        """
        window = self.matte.data(frame)
        matte = self.matte.read(frame, window)[:, :, 0]
        box = hole_box(matte > 0, window)
        if box.empty:
            return Hole(box, np.zeros((0, 0), np.float32))
        roomy = box.grow(self.job.grow + 1)
        padded = np.zeros((roomy.height, roomy.width), np.float32)
        padded[roomy.slices(box)] = clean_matte(matte[window.slices(box)])
        return self._shaped(padded, roomy, frame)

    def _shaped(self, matte: Array, box: Box, frame: int) -> Hole:
        """Grown and feathered within the frame's own pixels, and cut to what is left."""
        inside = box.intersect(self.plate.data(frame))
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


def recipe_of(job: Job) -> Recipe:
    """A job's recipe, with the artist's own numbers."""
    if job.method == "patch":
        block = min(PATCHES.block, int(job.memory * 2**30 / 2 / BYTES))
        return replace(PATCHES, takes=job.takes, block=block)
    recipe = choose(
        job.recipe,
        intervals=job.intervals,
        steps=job.steps,
        sampling_steps=job.sampling_steps,
    )
    return replace(recipe, takes=job.takes, takes_train=job.takes_train)


def open_material(job: Job) -> Material:
    """Finds the job's sequences and holds them against each other and the job.

    Raises:
        JobError: naming every fault at once.
    """
    job.check()
    faults: list[InfusionError] = []
    frames = _try(faults, lambda: parse_frames(job.frames) if job.frames else None)
    plate = _try(faults, lambda: _open(job, job.plate, frames))
    matte = _try(faults, lambda: _open(job, job.matte, plate.frames if plate else frames))
    _try(faults, lambda: _check_output(job, plate, matte))
    chosen = _try(faults, lambda: _choose(job, plate)) if plate else None
    shaped = _try(faults, lambda: matte.choose_matte(job.matte_channel)) if matte else None
    if plate and matte:
        _try(faults, lambda: _check_sizes(plate, matte))
    if chosen:
        first = chosen.header(chosen.frames[0])
        _try(faults, lambda: encoding(job.colorspace, first).check(len(chosen.channels)))
    if faults or not chosen or not shaped:
        raise faults[0] if len(faults) == 1 else JobError("; ".join(map(str, faults)))
    return Material(job, chosen, shaped)


def _open(job: Job, text: str, frames: tuple[int, ...] | None) -> Sequence:
    return Sequence.open(text, frames, view=job.view, missing=job.missing)


def _choose(job: Job, plate: Sequence) -> Sequence:
    """The plate with its channels, when it has them and all of it could be kept."""
    first = plate.header(plate.frames[0])
    if job.view and not first.views and not wants_view(job.plate):
        raise SequenceError(
            f"{str(first.path)!r} tells no views apart, and --view is {job.view!r}",
            "name the plate with %V or %v, or leave out --view",
        )
    chosen = plate.choose([name.strip() for name in job.channels.split(",")], job.layer)
    chosen.check_rewrite(job.compression == "keep")
    return chosen


def _try(faults: list[InfusionError], action: Callable[[], T]) -> T | None:
    try:
        return action()
    except InfusionError as error:
        faults.append(error)
        return None


def _check_sizes(plate: Sequence, matte: Sequence) -> None:
    for frame in matte.frames:
        ours, theirs = plate.header(frame).display, matte.header(frame).display
        if ours != theirs:
            raise SequenceError(
                f"the matte {str(matte.path(frame))!r} is {theirs.width}x{theirs.height}, "
                f"the plate is {ours.width}x{ours.height}",
                "render the matte in the plate's format",
            )


def _check_output(job: Job, plate: Sequence | None, matte: Sequence | None) -> None:
    """Refuses an output that has no place for the frame number, or that lies on the input."""
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
    targets = [_target(job, plate, frame, 1) for frame in frames]
    if len(set(targets)) < len(targets):
        raise JobError(
            f"the output {job.output!r} names one file for {len(targets)} frames",
            "write a pattern such as fill.####.exr, or a folder",
        )
    inputs = {each.path(frame) for each in (plate, matte) if each for frame in frames}
    _check_matte_output(job, frames, inputs | set(targets))
    for frame, take in product(frames, range(1, job.takes + 1)):
        target = _target(job, plate, frame, take)
        check_extension(plate.path(frame), target)
        if matte is not None and matte.frame_at(target) is not None:
            raise JobError(
                f"the output {str(target)!r} is the matte itself", "choose another output"
            )
        _check_beside(plate, frame, target, job.in_place and take == 1)


def _check_beside(plate: Sequence, frame: int, target: Path, in_place: bool) -> None:
    """Refuses a frame's output that is a file of the plate, or would be taken for one."""
    other = plate.frame_at(target)
    if is_same_file(target, plate.path(frame)):
        if not in_place:
            raise JobError(
                f"the output {str(target)!r} is the plate itself",
                "choose another output, or say --in-place",
            )
    elif other is not None:
        raise JobError(
            f"the output {str(target)!r} would count as frame {other} of the plate",
            "choose another output; a folder keeps the plate's names",
        )


def _check_matte_output(job: Job, frames: Iterable[int], taken: set[Path]) -> None:
    """Refuses a place for the used matte that is no EXR sequence, or where other files lie."""
    if not job.matte_output:
        return
    pattern = Pattern.parse(expand_view(job.matte_output, job.view))
    targets = [pattern.path(frame) for frame in frames]
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


def _target(job: Job, plate: Sequence, frame: int, take: int) -> Path:
    """A frame's output: from the pattern, or in the output's folder under the plate's own name."""
    output = take_output(expand_view(job.output, job.view), take)
    if is_folder(output):
        return Path(output) / output_name(plate.name(frame))
    return Pattern.parse(output).path(frame)

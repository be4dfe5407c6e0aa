"""What a job works on: its sequences, found on disk and in agreement, and each frame's hole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from infusion_ofx import outputs
from infusion_ofx.colour import Encoding, encoding
from infusion_ofx.composite import clean_matte, shape_matte
from infusion_ofx.engine.recipe import PATCHES, Recipe, choose
from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.job import Job
from infusion_ofx.patch import BYTES
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.pattern import wants_view
from infusion_ofx.sequence.ranges import parse_frames
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
    """(height, width) of the box: how much of the fill each pixel takes, float32 in [0, 1]."""

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
        changes = self.plate.changes(self.frames[0], self.job.compression == "keep")
        if changes:
            notes.append(f"where the plate is filled, its {changes}")
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

    @property
    def shown_only(self) -> bool:
        """Whether nothing is to be made up."""
        return self.job.prior == "only" or self.job.method == "prior"

    @cached_property
    def area(self) -> Box:
        """All pixels that any frame of the plate has: what can be worked on."""
        area = self.plate.data(self.frames[0])
        for frame in self.frames[1:]:
            area = area.union(self.plate.data(frame))
        return area

    def target(self, frame: int, take: int = 1) -> Path:
        """Where a frame of a take goes."""
        return outputs.target(self.job, self.plate, frame, take)

    def matte_target(self, frame: int) -> Path | None:
        """Where the matte of a frame goes as it was used; None where nobody asks for it."""
        return outputs.matte_target(self.job, frame)

    def hole(self, frame: int) -> Hole:
        """Reads a frame's matte and shapes it as the job asks; nothing outside the plate's data
        window.

        Raises:
            SequenceError: when the matte cannot be read.
        """
        box = self._marked(frame)
        if box.empty:
            return Hole(box, np.zeros((0, 0), np.float32))
        matte = self.matte.read(frame, box)[:, :, 0]
        roomy = box.grow(self.job.grow + 1)
        padded = np.zeros((roomy.height, roomy.width), np.float32)
        padded[roomy.slices(box)] = clean_matte(matte)
        return self._shaped(padded, roomy, frame)

    def _marked(self, frame: int) -> Box:
        """Round all that a frame's matte marks."""
        marked = Box(0, 0, 0, 0)
        for strip in self.matte.strips(frame, self.matte.data(frame)):
            marked = marked.union(strip.tight(self.matte.read(frame, strip)[:, :, 0] > 0))
        return marked

    def _shaped(self, matte: Array, box: Box, frame: int) -> Hole:
        """Grown and feathered within the frame's own pixels, and cut to what is left."""
        inside = box.intersect(self.plate.data(frame))
        grown = shape_matte(matte, grow=self.job.grow, feather=0)[box.slices(inside)]
        alpha = shape_matte(grown, grow=0, feather=self.job.feather)
        tight = inside.tight(alpha)
        return Hole(tight, np.ascontiguousarray(alpha[inside.slices(tight)]))

    def digest(self) -> str:
        """Names the input files by name, size and time of change; equal for untouched input.

        The time to the microsecond: Windows and some file servers tell it no finer.
        """
        total = hashlib.blake2b(digest_size=16)
        for sequence in (self.plate, self.matte):
            for frame in self.frames:
                path = sequence.path(frame)
                status = os.stat(path)
                total.update(
                    f"{frame} {path.name} {status.st_size} {status.st_mtime_ns // 1000}\n".encode()
                )
        return total.hexdigest()


def recipe_of(job: Job) -> Recipe:
    """A job's recipe, with the artist's own numbers."""
    block = min(PATCHES.block, int(job.memory * 2**30 / 2 / BYTES))
    if job.method == "patch":
        return replace(PATCHES, takes=job.takes, block=block)
    recipe = choose(
        job.recipe,
        intervals=job.intervals,
        steps=job.steps,
        sampling_steps=job.sampling_steps,
    )
    return replace(
        recipe,
        patches=job.method == "auto",
        block=block,
        takes=job.takes,
        takes_train=job.takes_train,
    )


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
    _try(faults, lambda: outputs.check_output(job, plate, matte))
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

"""From a job to what the engine needs: the sequences agreed, the hole found, the work planned,
light read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from infusion_ofx import plan
from infusion_ofx.composite import clean_matte, hole_box, shape_matte
from infusion_ofx.engine.recipe import Recipe, choose
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.estimate import REGION_BYTES, largest_tile, memory
from infusion_ofx.job import Job
from infusion_ofx.plan import Plan
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.pattern import Pattern, parse_frames
from infusion_ofx.sequence.store import Sequence, check_extension, read_ahead
from infusion_ofx.working import Working

__all__ = ["Hole", "Material", "Prepared", "open_material", "plan_work", "prepare"]

Array = npt.NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Hole:
    """What is to be filled of one frame."""

    box: Box
    """Round all of it; empty where there is nothing to fill."""
    alpha: Array
    """(height, width) of the box, float32: how much of the fill each pixel takes."""


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


@dataclass(frozen=True)
class Prepared:
    """Everything that the engine needs, and the way back to light."""

    plan: Plan
    shot: Shot
    working: Working


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


def plan_work(material: Material) -> tuple[list[Hole], Plan]:
    """Reads every matte and lays out the work; touches no pixel of the plate.

    Raises:
        JobError: when the work does not fit into the job's memory.
        SequenceError: when a matte cannot be read.
    """
    recipe, budget = material.recipe, int(material.job.memory * 2**30)
    holes = [_hard(hole, frame, material) for frame, hole in _holes(material)]
    layout = plan.make(
        [hole.box for hole in holes],
        material.area,
        frames=recipe.frames,
        overlap=recipe.overlap,
        context=recipe.context,
        reach=recipe.reach,
        tile=largest_tile(recipe, budget),
        voxels=budget // 4 // REGION_BYTES,
    )
    needed = memory(recipe, layout) if layout.windows else 0
    if needed > budget:
        raise JobError(
            f"this job needs {needed / 2**30:.1f} GiB, and --memory allows {budget / 2**30:.1f}",
            "raise --memory, narrow the frame range, or make the matte smaller",
        )
    return holes, layout


def _holes(material: Material) -> Iterator[tuple[int, Hole]]:
    return ((frame, material.hole(frame)) for frame in material.frames)


def _hard(hole: Hole, frame: int, material: Material) -> Hole:
    """The hole with a yes or no for each pixel, which is all that the engine wants to know."""
    if material.job.in_place and ((hole.alpha > 0) & (hole.alpha < 1)).any():
        raise JobError(
            f"frame {frame}: the matte has soft pixels, and in place they would be mixed again by "
            "every later run",
            "write to another --output, or use a hard matte without --feather",
        )
    return Hole(hole.box, hole.alpha > 0)


def prepare(
    material: Material, holes: list[Hole], layout: Plan, on_frame: Callable[[int], None]
) -> Prepared:
    """Reads the planned region of the plate and takes it to the working range.

    Plate pixels that are not finite count as hole: the network never sees them.

    Raises:
        JobError: when nothing of the region is known.
        SequenceError: when a frame cannot be read.
    """
    unknown, light = [], []
    for i, (frame, pixels) in enumerate(_read_region(material, layout)):
        plate = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        data = material.plate.header(frame).data
        bad = _unknown(plate, holes[i], layout.region[i], data)
        unknown.append(bad)
        light.append(torch.where(bad > 0, torch.zeros((), dtype=plate.dtype), plate))
        on_frame(i + 1)
    clean, hole = Volume(layout.region, light), Volume(layout.region, unknown)
    known = _known(clean, hole, layout.sampled)
    if not known.shape[1]:
        known = _known(clean, hole, layout.region)
    if not known.shape[1]:
        raise JobError(
            f"the matte {material.job.matte!r} covers every pixel of every frame",
            "the shot itself is what is learnt from: leave some of it, or check --matte-channel",
        )
    working = Working.fit(known, decorrelate=material.recipe.decorrelate)
    for i, linear in enumerate(light):
        light[i] = working.encode(linear) * (1 - unknown[i])
    coded = working.encode(known)
    shot = Shot(material.frames, clean, hole, coded.amin(1), coded.amax(1))
    return Prepared(layout, shot, working)


def _read_region(material: Material, layout: Plan) -> Iterator[tuple[int, Array]]:
    boxes = dict(zip(material.frames, layout.region, strict=True))

    def load(frame: int) -> Array:
        return material.plate.read(frame, list(material.channels), boxes[frame])

    budget = int(material.job.memory * 2**30 / 8)
    return read_ahead(material.frames, load, budget=budget, threads=4)


def _unknown(plate: Tensor, hole: Hole, box: Box, data: Box) -> Tensor:
    """(1, height, width) of the box, float32: 1 in the hole, where the plate is not finite, and
    outside the frame's data window."""
    unknown = (~torch.isfinite(plate).all(0, keepdim=True)).float()
    outside = torch.ones_like(unknown)
    rows, columns = box.slices(box.intersect(data))
    outside[:, rows, columns] = 0
    unknown = torch.maximum(unknown, outside)
    if not hole.box.empty:
        rows, columns = box.slices(hole.box)
        inside = torch.from_numpy(np.ascontiguousarray(hole.alpha)).float()
        unknown[0, rows, columns] = torch.maximum(unknown[0, rows, columns], inside)
    return unknown


def _known(light: Volume, unknown: Volume, boxes: Iterable[Box], most: int = 1_000_000) -> Tensor:
    """Known pixels within one box a frame, (C, N), float32: all, or an even choice of about
    ``most``."""
    held = [(i, box) for i, box in enumerate(boxes) if not box.empty]
    step = max(1, sum(box.height * box.width for _, box in held) // most)
    columns = [torch.zeros(light.data[0].shape[0], 0)]
    for i, box in held:
        chosen = unknown.view(i, box).flatten()[::step] == 0
        columns.append(light.view(i, box).flatten(1)[:, ::step][:, chosen].float())
    return torch.cat(columns, 1)


def _try(faults: list[InfusionError], action: Callable[[], T]) -> T | None:
    try:
        return action()
    except InfusionError as error:
        faults.append(error)
        return None


def _matte_channel(job: Job, matte: Sequence) -> str:
    """The channel that is asked for, else A, else the only one, else R."""
    names = [channel.name for channel in matte.header(matte.frames[0]).channels]
    if job.matte_channel:
        matte.check_channels([job.matte_channel])
        return job.matte_channel
    chosen = "A" if "A" in names else names[0] if len(names) == 1 else "R"
    if chosen not in names:
        raise SequenceError(
            f"the matte {job.matte!r} has no channel A or R; it has {', '.join(names)}",
            "name one with --matte-channel",
        )
    return chosen


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
        if matte is not None and _is_same(target, matte.path(frame)):
            raise JobError(
                f"the output {str(target)!r} is the matte itself", "choose another output"
            )
        if _is_same(target, plate.path(frame)) and not job.in_place:
            raise JobError(
                f"the output {str(target)!r} is the plate itself",
                "choose another output, or say --in-place",
            )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _target(output: str, source: Path, frame: int) -> Path:
    """A frame's output: from the pattern, or in the output's folder under the plate's own name."""
    if output.endswith(("/", os.sep)) or not Path(output).suffix or Path(output).is_dir():
        return Path(output) / source.name
    return Pattern.parse(output).path(frame)

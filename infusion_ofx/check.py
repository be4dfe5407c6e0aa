"""check(job): what a job would do and what it would need, and every fault, before anything is
written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from infusion_ofx import patch
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import build, weight_count
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.sample import first_fill, sample_step, start
from infusion_ofx.engine.scales import scales_of
from infusion_ofx.engine.stages import stages
from infusion_ofx.engine.train import Trainer, optimiser
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.estimate import block_voxels, held, memory, step_passes, window_voxels, work
from infusion_ofx.job import Job
from infusion_ofx.material import Material, open_material
from infusion_ofx.plan import Plan, Window
from infusion_ofx.planning import plan_work, prior_threads
from infusion_ofx.planting import foreseen
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.ranges import format_frames

__all__ = ["Report", "check"]

TIMED, CALLS = 1.0, 7
"""Steps of a kind are timed until so many seconds are spent, but at most so many."""


@dataclass(frozen=True)
class Report:
    """What a job would do. Sizes are pixels as ``width x height``, times seconds, memory bytes."""

    plate: str
    frames: str
    count: int
    size: str
    channels: str
    matte_channel: str
    output: str
    hole_pixels: list[int]
    """Pixels to fill in each frame."""
    empty_frames: str
    """Frames without a hole: they are copied byte for byte."""
    region: str
    """The largest part of a frame that is loaded."""
    regions: int
    """Holes, or groups of them, that lie far apart and are worked on apart."""
    scale: int
    """How many times smaller a deep hole is filled first; 1: it is filled at once."""
    windows: int
    """Blocks that each sampling step at the plate's own scale runs through the network."""
    method: str
    prior: str
    recipe: str
    weights: int
    intervals: int
    training_steps: int
    sampling_steps: int
    takes: int
    device: str
    precision: str
    memory_needed: int
    memory_allowed: int
    disk_needed: int
    """About what the result and the job folder will take."""
    disk_free: int
    seconds: float
    """Expected time, from steps timed on this machine."""
    notes: list[str]
    """Choices that were made for want of an option, and frames that are missing."""

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people, one fact a line."""
        held = [pixels for pixels in self.hole_pixels if pixels]
        hole = f"{min(held)} to {max(held)} pixels in {len(held)} frames" if held else "none"
        gib = 2**30
        return [
            f"plate     {self.plate}: {self.count} frames {self.frames}, {self.size}, "
            f"{self.channels}",
            f"matte     channel {self.matte_channel}; hole {hole}"
            + (f"; empty in {self.empty_frames}" if self.empty_frames else ""),
            f"output    {self.output}",
            f"region    up to {self.region} a frame, {self.windows} windows"
            + (f", {self.regions} regions" if self.regions > 1 else "")
            + (f", first {self.scale} times smaller" if self.scale > 1 else ""),
            f"method    {self.method}, prior {self.prior}",
            f"recipe    {self.recipe}: {self.weights:,} weights, {self.intervals} intervals, "
            f"{self.training_steps} training steps, {self.sampling_steps} sampling steps"
            + (f", {self.takes} takes" if self.takes > 1 else ""),
            f"device    {self.device}, {self.precision}",
            f"memory    {self.memory_needed / gib:.1f} GiB of {self.memory_allowed / gib:.1f}",
            f"disk      {self.disk_needed / gib:.2f} GiB of {self.disk_free / gib:.1f} free",
            f"time      about {_clock(self.seconds)} on this machine",
            *(f"note      {note}" for note in self.notes),
        ]


def check(job: Job) -> Report:
    """Says what ``run(job)`` would do. Reads headers and mattes, times a few steps, writes nothing.

    Raises:
        JobError: naming every fault at once.
    """
    material = open_material(job)
    compute = Compute.choose(job.device, job.precision, job.threads)
    holes, layout = plan_work(material)
    pixels = float(sum(hole.pixels for hole in holes))
    if job.method == "auto":
        plain, layout = window_voxels(layout), foreseen(layout)
        pixels *= window_voxels(layout) / max(plain, 1)
    recipe, frames = material.recipe, material.frames
    display = material.plate.header(frames[0]).display
    widest = max(layout.region, key=lambda box: box.height * box.width)
    steps = [(stage, cost) for stage, cost in work(recipe, layout)] if layout.windows else []
    seconds, needed, weights = 0.0, 0, 0
    if layout.windows:
        needed = memory(recipe, layout, prior=prior_threads(material, layout))
        with compute.enough_memory():
            seconds = _seconds(recipe, layout, compute, len(material.channels), pixels)
    if recipe.steps:
        weights = weight_count(build(recipe, _blank(1, 8, len(material.channels))[0]))
    return Report(
        plate=job.plate,
        frames=format_frames(frames),
        count=len(frames),
        size=f"{display.width} x {display.height}",
        channels=", ".join(f"{c.name} {c.type}" for c in material.plate.channels),
        matte_channel=material.matte_channel,
        output=str(material.target(frames[0])),
        hole_pixels=[hole.pixels for hole in holes],
        empty_frames=format_frames(n for n, h in zip(frames, holes, strict=True) if h.box.empty),
        region=f"{widest.width} x {widest.height}",
        regions=layout.regions,
        scale=layout.scale,
        windows=len(layout.windows),
        method=job.method,
        prior=job.prior,
        recipe=job.recipe,
        weights=weights,
        intervals=recipe.intervals,
        training_steps=sum(stage.steps for stage, _ in steps if stage.kind == "train"),
        sampling_steps=sum(stage.steps for stage, _ in steps if stage.kind == "sample"),
        takes=job.takes,
        device=compute.name,
        precision=compute.precision,
        memory_needed=needed,
        memory_allowed=int(job.memory * 2**30),
        disk_needed=_disk(material, layout, weights),
        disk_free=shutil.disk_usage(_existing(material.target(frames[0]).parent)).free,
        seconds=seconds,
        notes=material.notes,
    )


def _disk(material: Material, layout: Plan, weights: int) -> int:
    """The plate again, the fill, the region as it is read and as it is prepared, what is worked on,
    and of each scale three checkpoints of a clip, and those of weights: one for each training's
    end and two under way (one is being written), in bytes.

    A clip's holds it as it is, noisy, and its estimate; one of weights at most three float32 for
    each.
    """
    plate = sum(material.plate.path(frame).stat().st_size for frame in material.frames)
    sampled = sum(box.height * box.width for box in layout.sampled)
    clip, takes = 4 * sampled * len(material.channels), material.job.takes
    trainings = sum(stage.kind == "train" for stage in stages(material.recipe))
    region = 4 * layout.voxels * (len(material.channels) + 1)
    if layout.scale > 1:
        region *= 2
    scales = len(scales_of(material.recipe, layout))
    checkpoints = scales * (3 * 2 * clip + 12 * weights * (2 + trainings))
    return takes * (plate + clip) + region + held(material.recipe, layout) + checkpoints


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(f for f in (folder.absolute(), *folder.absolute().parents) if f.is_dir())


def _seconds(recipe: Recipe, layout: Plan, compute: Compute, channels: int, pixels: float) -> float:
    """Expected time for the whole work: a step of each kind, timed on a blank shot. pixels: of all
    frames' holes, planted ones too; what other frames show is among them, and takes less."""
    patches = _seconds_of_patches(recipe, compute, channels, pixels) if recipe.patches else 0.0
    if not recipe.steps:
        return patches
    frames = min(recipe.frames, layout.length)
    side = min(recipe.crop, *(min(b.height, b.width) for b in layout.trained if not b.empty))
    shot, small = _blank(frames, side, channels)
    shot = shot.to(compute.device)
    network = build(recipe, shot, compute.device)
    optimizer = optimiser(network, recipe)
    x, clean, first = (Volume.zeros(small.sampled, channels, compute.device) for _ in range(3))
    first_fill(first, network, shot, small)
    start(x, first, shot, recipe, seed=0)
    stage = next(stage for stage, _ in work(recipe, small) if stage.kind == "train")

    trainer = Trainer(network, optimizer, shot, recipe, stage, seed=0, compute=compute)

    def train() -> None:
        network.train()
        trainer.step(0)

    def sample() -> None:
        network.eval()
        sample_step(
            network, x=x, clean=clean, first=first, shot=shot, plan=small, recipe=recipe,
            places=(0.5, 0.4), call=0, seed=0, compute=compute,
        )  # fmt: skip

    passes = dict.fromkeys(("train", "sample", "patch"), 0.0)
    for part, cost in work(recipe, layout):
        passes[part.kind] += part.steps * cost
    return (
        patches
        + _timed(train, compute) * passes["train"] / (3 * block_voxels(recipe, small))
        + _timed(sample, compute) * passes["sample"] / (step_passes(recipe) * window_voxels(small))
    )


def _seconds_of_patches(recipe: Recipe, compute: Compute, channels: int, pixels: float) -> float:
    """The same for a fill of patches: a small one, timed, by the pixels of its hole. It is as large
    as lets it be halved, as the clips are that it stands for."""
    small = torch.rand(channels, 8, 96, 96, device=compute.device)
    hole = torch.zeros_like(small[:1])
    hole[:, :, 32:64, 32:64] = 1

    def fill() -> None:
        patch.fill(small, hole)

    return recipe.takes * _timed(fill, compute) * pixels / float(hole.sum())


def _blank(frames: int, side: int, channels: int) -> tuple[Shot, Plan]:
    """A shot of nothing, and a plan that samples all of it twice, since a network that sees one
    window alone may take another time."""
    boxes = [Box(0, 0, side, side)] * frames
    clean = Volume(boxes, [torch.zeros(channels, side, side) for _ in boxes])
    hole = Volume(boxes, [torch.zeros(1, side, side) for _ in boxes])
    limit = torch.ones(channels)
    shot = Shot(tuple(range(frames)), clean, hole, -limit, limit)
    whole = Window(0, frames, boxes[0])
    every = tuple(boxes)
    return shot, Plan((whole, whole), every, every, every, (whole,), every)


def _timed(action: Callable[[], None], compute: Compute) -> float:
    """Seconds of a call: the median of several, since other work on the machine comes and goes.

    After some that set things up: on a GPU a training step is recorded.
    """
    for _ in range(5 if compute.device.type == "cuda" else 1):
        action()
    times = list[float]()
    while sum(times) < TIMED and len(times) < CALLS:
        compute.wait()
        began = time.monotonic()
        action()
        compute.wait()
        times.append(time.monotonic() - began)
    return median(times)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"

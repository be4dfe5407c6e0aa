"""run(job): the main path, from a job to a repaired sequence on disk. Read this first.

Job -> sequences -> plan -> working range -> engine (train, sample) -> composite -> sequence. Each
step finds what an earlier run left in the job folder, so that the same command goes on after any
stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from infusion_ofx import __version__
from infusion_ofx.assemble import assemble, load_fill, save_fill
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.inpaint import inpaint
from infusion_ofx.errors import InfusionError, TryAgainError
from infusion_ofx.estimate import work
from infusion_ofx.folder import JobFolder
from infusion_ofx.job import Job
from infusion_ofx.material import Material, is_folder, open_material
from infusion_ofx.prepare import plan_work, prepare
from infusion_ofx.progress import OnProgress, ignore
from infusion_ofx.sequence.pattern import Pattern
from infusion_ofx.stopping import stopping
from infusion_ofx.watch import Watch

__all__ = ["Result", "run"]


@dataclass(frozen=True)
class Result:
    """What a finished job has done."""

    output: str
    """The job's output, as it was written."""
    frames: int
    """How many frames were written."""
    folder: str
    """The job folder."""
    seconds: float
    """How long this run took."""
    peak_memory: int
    """Most bytes held: on the GPU, or by the process on a CPU."""
    device: str
    """For people: the GPU's or the processor's name."""
    filled: int
    """Pixels that were filled, over all frames."""


def run(job: Job, on_progress: OnProgress = ignore) -> Result:
    """Repairs the shot that ``job`` describes, on this machine, and writes the result.

    on_progress: called with a report at most a few times a second; what it raises stops the job.

    Raises:
        JobError: when the job is wrong; it names every fault at once.
        Stopped: on INT, TERM or a ``cancel`` file in the job folder, with a checkpoint written.
        TryAgainError: when device memory ran out or the storage failed.
    """
    began = time.monotonic()
    with stopping() as signals:
        material = open_material(job)
        compute = Compute.choose(job.device, job.precision, job.threads)
        folder = JobFolder.adopt(
            job,
            job_root(job),
            version=__version__,
            inputs=material.digest(),
            arithmetic=compute.arithmetic,
        )
        watch = Watch(folder, compute, on_progress, signals, 60 * job.checkpoint_minutes)
        with watch.reporting():
            fill = load_fill(folder.work)
            if fill is None:
                solve(material, folder, compute, watch)
                fill = load_fill(folder.work)
            if fill is None:
                raise TryAgainError(
                    f"the fill that was just written to {str(folder.work)!r} cannot be read",
                    "look at the disk, and run the same command again",
                )
            filled = assemble(material, fill, watch.writing(len(material.frames)))
    return Result(
        output=job.output,
        frames=len(material.frames),
        folder=str(folder.path),
        seconds=time.monotonic() - began,
        peak_memory=compute.peak_memory(),
        device=compute.name,
        filled=filled,
    )


def solve(material: Material, folder: JobFolder, compute: Compute, watch: Watch) -> None:
    """Trains and samples from the newest checkpoint on, and keeps the fill in the job folder."""
    frames = len(material.frames)
    holes, layout = plan_work(material, watch.reading(frames, 0.0))
    if not layout.windows:
        watch.meter.say(f"the matte {material.job.matte!r} is empty: the plate is copied as it is")
        return save_fill(folder.work, {})
    recipe = material.recipe
    watch.expect(work(recipe, layout))
    prepared = prepare(material, holes, layout, watch.reading(frames, 0.5))
    with compute.enough_memory():
        fill = inpaint(
            prepared.shot.to(compute.device), layout, recipe, compute,
            seed=material.job.seed, folder=folder.work, on_step=watch.step,
        )  # fmt: skip
    light = {
        frame: (box, prepared.working.decode(x.cpu()))
        for frame, box, x in zip(material.frames, fill.boxes, fill.data, strict=True)
        if not box.empty
    }
    if not all(torch.isfinite(pixels).all() for _, pixels in light.values()):
        raise InfusionError(
            "the fill holds values that are not finite: training went astray",
            "try another --seed, or --precision float32",
        )
    save_fill(folder.work, light)


def job_root(job: Job) -> Path:
    """Where the versions of a job live: ``<data_dir>/<name>``, named after the output."""
    output = Path(job.output)
    folder = is_folder(job.output)
    pattern = Pattern.parse(job.plate.rstrip("/") if folder else job.output)
    name = Path(pattern.head).stem.strip(" ._-") or "shot"
    return Path(job.data_dir or (output if folder else output.parent) / "infusion") / name

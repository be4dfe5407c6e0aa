"""run(job): the main path, from a job to a repaired sequence on disk. Read this first.

Job -> sequences -> plan -> working range -> engine (train, sample) -> composite -> sequence. Each
step (steps.py) finds what an earlier run left in the job folder, so that the same command goes on
after any stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infusion_ofx.begin import begin
from infusion_ofx.job import Job
from infusion_ofx.progress import OnProgress, ignore

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
    takes: int
    """Results that there are; ``paths.take_output`` says where each lies."""


def run(
    job: Job,
    on_progress: OnProgress = ignore,
    on_folder: Callable[[Path], None] = lambda path: None,
) -> Result:
    """Repairs the shot that ``job`` describes, on this machine, and writes the result.

    on_progress: called with a report at most a few times a second; what it raises stops the job.
    on_folder: told the job folder once the job is found to be sound and has one.

    Raises:
        JobError: when the job is wrong; it names every fault at once.
        Stopped: on INT, TERM or a ``cancel`` file in the job folder, with a checkpoint written.
        TryAgainError: when device memory ran out or the storage failed.
    """
    began = time.monotonic()
    with begin(job, on_progress) as steps:
        on_folder(steps.folder.path)
        if not steps.is_filled():
            prepared = steps.prepare()
            if prepared is not None:
                steps.solve(prepared)
        filled = steps.assemble()
        return Result(
            output=job.output,
            frames=len(steps.material.frames),
            folder=str(steps.folder.path),
            seconds=time.monotonic() - began,
            peak_memory=steps.compute.peak_memory(),
            device=steps.compute.name,
            filled=filled,
            takes=job.takes,
        )

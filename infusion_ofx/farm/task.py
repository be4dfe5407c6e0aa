"""One task of a job in a process of its own: what a farm's machine is given to do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from infusion_ofx.begin import go_on
from infusion_ofx.paths import PathMap
from infusion_ofx.progress import OnProgress, ignore

__all__ = ["Outcome", "perform"]


@dataclass(frozen=True)
class Outcome:
    """What one farm task has done."""

    task: str
    done: str
    """In a few words."""
    folder: str
    seconds: float
    peak_memory: int
    """Most bytes held: on the GPU, or by the process on a CPU."""
    device: str
    """For people: the GPU's or the processor's name."""


def perform(
    path: Path,
    task: str,
    on_progress: OnProgress = ignore,
    paths: PathMap = PathMap(),  # noqa: B008, a frozen value
    *,
    force: bool = False,
) -> Outcome:
    """Does one task of the job in a folder, in this process; ``Steps.do`` lists the tasks.

    Raises:
        JobError: when there is no such job or task.
        MissingStepError: when an earlier task is not done.
        Stopped: on INT, TERM or a ``cancel`` file in the job folder, with a checkpoint written.
        TryAgainError: when memory ran out, the storage failed, or the device is not here.
    """
    began = time.monotonic()
    with go_on(path, task, on_progress, paths) as steps:
        done = steps.do(task, force)
        compute = steps.compute
        seconds = time.monotonic() - began
        folder = str(steps.folder.path)
        return Outcome(task, done, folder, seconds, compute.peak_memory(), compute.name)

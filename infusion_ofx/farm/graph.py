"""The steps of a job for a farm: one description, from which every exporter writes its own.

    prepare (cpu) -> [train shared] -> train, one task an interval (gpu)
            -> sample, one task a take (gpu) -> assemble (cpu)

Where a recipe trains over all noise levels first, its intervals do not wait for each other: they
are the tasks that spread. A recipe without that, as the published one, trains each interval from
the one before it, which is one chain and so one task. Takes are sampled each by itself; where they
are trained anew as well, a training's task does every take's. Where nothing is trained there is no
such step. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from infusion_ofx.folder import Record

__all__ = ["CPUS", "RETRIES", "Step", "graph"]

MIB = 2**20

CPUS = 4
"""Processors for a task of a job that names no number of threads."""

RETRIES = 3
"""How often a farm that counts may try a task that has failed again."""

CUDA_MIB = 3072
"""Host memory that the libraries of a GPU take beside the job's own."""


@dataclass(frozen=True)
class Step:
    """One task, or an array of tasks that are alike and do not wait for each other."""

    name: str
    """``prepare``, ``train-shared``, ``train``, ``sample`` or ``assemble``."""
    needs: tuple[str, ...]
    """Steps all of whose tasks must have ended well before any of this one begins."""
    gpu: bool
    cpus: int
    """Processors that a task needs."""
    memory: int
    """Host memory that a task needs, MiB."""
    gpu_memory: int = 0
    """Memory of the GPU that a task needs, MiB."""
    parts: tuple[int, ...] = ()
    """A task for each of these, intervals of ``train`` or takes of ``sample``; none: the step is
    one task."""

    @property
    def part(self) -> str:
        """What its parts are, as the verb's option: ``interval`` or ``take``."""
        return "take" if self.name == "sample" else "interval"

    @property
    def tasks(self) -> list[str]:
        """The names of the step's tasks, as their status and logs have them."""
        kind = "take" if self.part == "take" else ""
        return [f"{self.name}-{kind}{k:02d}" for k in self.parts] or [self.name]

    def argv(self, folder: str, part: str = "") -> list[str]:
        """The command of one task.

        folder: the job folder, or the farm's word for it. part: that of the task, or the farm's
        word for it; taken where the step is an array.
        """
        verb, _, which = self.name.partition("-")
        which = part if self.parts else which
        return ["infusion", verb, folder, *([f"--{self.part}", which] if which else [])]


def graph(record: Record, cpus: int = 0) -> list[Step]:
    """The steps of a job in an order that works.

    cpus: processors for each task; 0: as many as the job has threads, or CPUS.
    """
    cpus = cpus or record.job.threads or CPUS
    gpu = record.job.device != "cpu"
    budget = int(record.job.memory * 1024)
    needed = -(-record.memory // MIB) or budget
    steps = [Step("prepare", (), False, cpus, budget)]

    def add(name: str, parts: tuple[int, ...] = ()) -> None:
        host, device = (needed + CUDA_MIB, needed) if gpu else (needed, 0)
        steps.append(Step(name, (steps[-1].name,), gpu, cpus, host, device, parts))

    if "train-shared" in record.stages:
        add("train-shared")
        names = [name.removeprefix("train-") for name in record.stages]
        add("train", tuple(int(name) for name in names if name.isdecimal()))
    elif any(name.startswith("train-") for name in record.stages):
        add("train")
    takes = record.job.takes
    add("sample", tuple(range(1, takes + 1)) if takes > 1 else ())
    return [*steps, Step("assemble", ("sample",), False, cpus, budget)]

"""What the steps of a job leave in its folder, by task, and what of it may go."""

from __future__ import annotations

from pathlib import Path

from infusion_ofx.errors import JobError
from infusion_ofx.folder import JobFolder, Record, fill_name

__all__ = ["CPU_TASKS", "forget", "stages_of", "tidy"]

CPU_TASKS = ("prepare", "assemble")
"""Tasks that read and write frames and leave a GPU alone, on a machine that may have none."""


def forget(folder: JobFolder, record: Record, task: str) -> None:
    """Removes what a task and those that build upon it have left, so that it is done anew."""
    _remove(folder.path, folder.result.name)
    if task == "assemble":
        return
    names, work, order = stages_of(record, task), folder.work, list(record.stages)
    if task == "prepare":
        _remove(work, "prepared.safetensors")
    elif task.startswith("sample"):
        order = []
    elif "train-shared" in order and task not in ("train", "train-shared"):
        order = names  # no other training builds upon it
    else:
        order = order[order.index(names[0]) :]
    sampled = names if task.startswith("sample") else stages_of(record, "sample")
    for take in {_take_of(name) for name in sampled}:
        _remove(work, fill_name(take))
    for name in [*sampled, *order]:
        for stage in _at_every_scale(name):
            _remove(work, f"{stage}-[0-9]*.safetensors")
            _remove(folder.accounts, f"cost-{stage}.json")


def tidy(folder: JobFolder, record: Record) -> None:
    """Once the fill is there: removes the clips of sampling, which are large, and what twins have
    left of trainings; the trained networks stay. Once all is written: the prepared region as
    well."""
    for name in record.stages:
        end = "-end.safetensors" if name.startswith("train-") else None
        for stage in _at_every_scale(name):
            _remove(folder.work, f"{stage}-[0-9]*.safetensors", but=end)
    if folder.result.exists():
        _remove(folder.work, "prepared.safetensors")


def stages_of(record: Record, task: str) -> list[str]:
    """The engine's stages that a task stands for; none for a task that is not the engine's.

    Raises:
        JobError: when this job has no such task.
    """
    part, _, take = task.partition("-take")
    names = [name for name in record.stages if name == part or name.startswith(f"{part}-")]
    if take:
        names = [name for name in names if f"{_take_of(name):02d}" == take]
    if not names and task not in CPU_TASKS:
        known = ", ".join(n[6:] for n in record.stages if n.startswith("train-")) or "none"
        hint = f"its trainings are {known}; its takes are 1 to {record.job.takes}"
        raise JobError(f"this job has no task {task!r}", hint)
    return names


def _take_of(stage: str) -> int:
    """The take that a stage belongs to, from its name (engine/recipe.py)."""
    return int(stage.partition("-take")[2] or 1)


def _at_every_scale(name: str) -> tuple[str, str]:
    """Patterns of a stage's own name and of those at its smaller scales."""
    return name, f"{name}-x[0-9]*"


def _remove(folder: Path, pattern: str, but: str | None = None) -> None:
    for path in folder.glob(pattern):
        if but is None or not path.name.endswith(but):
            path.unlink(missing_ok=True)

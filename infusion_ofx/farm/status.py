"""How a job stands, from what its tasks have left in its folder. Standard library only.

What is done is told by results, never by what a process has said of itself: an orphan that still
writes its status changes nothing. Who is alive is told by how long ago the status file was touched,
by the file server's clock at both ends, so that no other machine's clock needs to be right.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infusion_ofx.attempt import HEARTBEAT_SECONDS
from infusion_ofx.farm.graph import graph
from infusion_ofx.folder import JobFolder, Record, fill_name, read_json
from infusion_ofx.job import Job
from infusion_ofx.paths import is_folder, take_output
from infusion_ofx.sequence.atomic import clock_of
from infusion_ofx.sequence.pattern import expand_view

__all__ = ["SILENT_SECONDS", "JobStatus", "TaskStatus", "status"]

SILENT_SECONDS = 9 * HEARTBEAT_SECONDS
"""A process whose status is older than this is lost: killed, or cut off from the storage."""


@dataclass(frozen=True)
class TaskStatus:
    """How one task stands."""

    task: str
    state: str
    """``waiting``, ``running``, ``lost`` (it was running, and nothing is heard of it), ``stopped``,
    ``failed`` or ``done``."""
    percent: float = 0.0
    said: str = ""
    """For people: where it runs, or why it ended."""
    host: str = ""
    pid: int = 0
    attempt: int = 0
    """The newest that has said anything; 0 where none has."""
    seconds_left: float | None = None
    silent: float = 0.0
    """Seconds since anything was heard of it."""


@dataclass(frozen=True)
class JobStatus:
    """How a job stands."""

    folder: str
    state: str
    """``done`` when every frame is written; else that of a run in one process, if nothing newer is
    heard of; else that of the tasks, the worst of them first."""
    percent: float
    """Of the tasks, each counting alike."""
    cancelled: bool
    tasks: list[TaskStatus]
    """In an order that works; ``run`` first where the job was run in one process."""

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return asdict(self)


def status(path: Path) -> JobStatus:
    """How the job in a folder stands.

    Raises:
        JobError: when there is no job.
    """
    folder = JobFolder(path.absolute())
    record = folder.read(paths=None)
    now = clock_of(folder.path)
    names = [task for step in graph(record) for task in step.tasks]
    tasks = [_task(folder, name, now, _is_done(folder, record, name)) for name in names]
    state = "done" if tasks[-1].state == "done" else _worst(tasks)
    percent = sum(task.percent for task in tasks) / len(tasks)
    if folder.status("run").exists():
        whole = _task(folder, "run", now, tasks[-1].state == "done")
        newest = all(whole.silent <= task.silent for task in tasks if task.attempt)
        if whole.state in ("running", "done") or (newest and whole.state != "waiting"):
            state = whole.state
        tasks, percent = [whole, *tasks], max(percent, whole.percent)
    return JobStatus(str(folder.path), state, round(percent, 2), folder.cancelled(), tasks)


def _is_done(folder: JobFolder, record: Record, task: str) -> bool:
    """Whether a task's result is there, or that of one after it, which has made it needless."""
    if task == "assemble":
        return _is_written(folder, record.job)
    if all((folder.work / fill_name(t)).exists() for t in range(1, record.job.takes + 1)):
        return True
    if task == "prepare":
        return (folder.work / "prepared.safetensors").exists()
    if task.startswith("sample-take"):
        return (folder.work / fill_name(int(task.removeprefix("sample-take")))).exists()
    names = [name for name in record.stages if name == task or name.startswith(f"{task}-")]
    return task != "sample" and all(
        any(folder.work.glob(f"{name}-[0-9]*-end.safetensors")) for name in names
    )


def _is_written(folder: JobFolder, job: Job) -> bool:
    """Whether every frame of every take is there, as large as it was written. Where this machine
    does not see the output's folder, the record of it is believed."""
    takes: Any = read_json(folder.result).get("takes")
    try:
        for take in range(1, job.takes + 1):
            output = take_output(expand_view(job.output, job.view), take)
            place = Path(output) if is_folder(output) else Path(output).parent
            files = [(place / name, size) for name, size, _ in takes[take - 1]]
            if place.is_dir() and any(os.stat(path).st_size != size for path, size in files):
                return False
    except (OSError, TypeError, ValueError, LookupError):  # gone, or no such record
        return False
    return True


def _task(folder: JobFolder, name: str, now: float, done: bool) -> TaskStatus:
    path = folder.status(name)
    facts = read_json(path)
    try:
        silent = max(0.0, now - os.stat(path).st_mtime)
    except OSError:
        silent = 0.0  # it is being replaced at this moment, or nothing was said yet
    try:
        return _told(name, facts, silent, done)
    except (LookupError, TypeError, ValueError, AttributeError):  # nothing, or none of ours
        return TaskStatus(name, "done" if done else "waiting", 100.0 * done)


def _told(name: str, facts: dict[str, Any], silent: float, done: bool) -> TaskStatus:
    """How a task stands by what it has said of itself, and by whether its result is there."""
    state = "done" if done else str(facts["state"])
    if state == "running" and silent > SILENT_SECONDS:
        state = "lost"
    elif state == "done" and not done:
        state = "waiting"  # what it made is gone again
    error = facts.get("error") or {}
    where = f"on {facts.get('host')}, attempt {facts.get('attempt')}"
    said = str(error.get("message", "")) if state in ("failed", "stopped") else where
    return TaskStatus(
        name, state, 100.0 if done else float(facts.get("percent") or 0), said,
        str(facts.get("host", "")), int(facts.get("pid") or 0), int(facts.get("attempt") or 0),
        None if done else facts.get("seconds_left"), round(silent, 1),
    )  # fmt: skip


def _worst(tasks: list[TaskStatus]) -> str:
    states = {task.state for task in tasks}
    order = ("failed", "lost", "running", "stopped", "waiting")
    return next((state for state in order if state in states), "waiting")

"""What a job's folder says: settings, attempts, losses, scores, and how to do it again."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from infusion_ofx.accounts import Verdict, costs, verdicts
from infusion_ofx.farm.status import JobStatus
from infusion_ofx.farm.status import status as status_of
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.job import Job
from infusion_ofx.losses import read_losses
from infusion_ofx.paths import PathMap

__all__ = ["Attempted", "Facts", "command", "gather"]

_LOG = re.compile(r"(.+)\.(\d+)\.log")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (.*)")
_TAIL = 65536  # bytes of a log's end that are looked at


@dataclass(frozen=True)
class Attempted:
    """One process that worked on the job, from its log."""

    task: str
    number: int
    began: str
    """UTC."""
    seconds: float
    first: str
    """The log's first line: version, Python, host, recipe, seed."""
    last: str
    """Its last: how it ended, after what time, with what peak memory."""


@dataclass(frozen=True)
class Facts:
    """All that the folder says."""

    folder: JobFolder
    record: Record
    status: JobStatus
    losses: list[dict[str, Any]]
    self_score: dict[int, list[Verdict]]
    """By take; accounts.py."""
    cost: dict[str, dict[str, float]]
    """By kind of stage; accounts.py."""
    attempts: list[Attempted]
    arithmetic: dict[str, Any]
    """Device and precision that the job was done in; empty where nothing was begun."""

    @property
    def job(self) -> Job:
        """The job, its paths as they are on this machine."""
        return self.record.job

    @property
    def name(self) -> str:
        """What people call it: the folder of its versions, and the version."""
        return f"{self.folder.path.parent.name} {self.folder.path.name}"


def gather(path: Path, paths: PathMap = PathMap()) -> Facts:  # noqa: B008, a frozen value
    """Reads a job's folder.

    paths: where the job's paths lie on this machine.

    Raises:
        JobError: when there is no job in it.
    """
    folder = JobFolder(path.absolute())
    record = folder.read(paths)
    return Facts(
        folder,
        record,
        status_of(folder.path),
        read_losses(folder, record.stages),
        verdicts(folder),
        costs(folder),
        _attempts(folder),
        folder.settled() or {},
    )


def command(job: Job) -> str:
    """The command that does a job again: every setting that is not the default, quoted for a
    shell."""
    return shlex.join(["infusion", "run", *job.to_options()])


def _attempts(folder: JobFolder) -> list[Attempted]:
    found = []
    for path in sorted((folder.path / "logs").glob("*.log")):
        name = _LOG.fullmatch(path.name)
        lines = [m for m in map(_STAMP.fullmatch, _ends(path)) if m]
        if name and lines:
            began, ended = (datetime.fromisoformat(m[1][:-1]) for m in (lines[0], lines[-1]))
            seconds = (ended - began).total_seconds()
            found.append(
                Attempted(name[1], int(name[2]), lines[0][1], seconds, lines[0][2], lines[-1][2])
            )
    return sorted(found, key=lambda attempt: attempt.began)


def _ends(path: Path) -> list[str]:
    """The first line of a log and its last ones; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            first = file.readline(_TAIL)
            file.seek(max(file.tell(), path.stat().st_size - _TAIL))
            rest = file.read()
    except OSError:
        return []
    return (first + rest).decode("utf-8", "replace").splitlines()

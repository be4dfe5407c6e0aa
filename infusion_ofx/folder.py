"""The job folder: what is written there is the truth about a job, for every front end and every
farm.

``<data_dir>/<name>/v003/``: ``job.json``, ``status.json`` and ``error.json`` of ``run``, ``tasks/``
(the same of each farm task), ``logs/``, ``work/`` (checkpoints, fill), ``report/`` (what people
look at), ``accounts/`` (what each stage took, what ``--method auto`` has chosen and why),
``result.json`` (what was written), ``cancel`` (its presence asks for a stop).
Every file is written under a temporary name and renamed. Standard library only.
"""

from __future__ import annotations

import errno
import json
import math
import re
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infusion_ofx.errors import JobError, TryAgainError
from infusion_ofx.job import Job
from infusion_ofx.paths import PATHS, PathMap, moved
from infusion_ofx.sequence.atomic import storage_error, sweep, temporary, whole_file

__all__ = ["JobFolder", "Record", "fill_name", "read_json", "write_json"]

_NOT_PIXELS = ("checkpoint_minutes", "data_dir", "in_place", "job_dir", "takes")
"""Settings that change no pixel of what is there: a job that differs in these alone goes on where
the other stopped. More takes are sampled from the training that there is."""

_VERSION = re.compile(r"v(\d{3,})")


@dataclass(frozen=True)
class Record:
    """What job.json says: the job, and what was known when it was made."""

    job: Job
    version: str
    """Infusion's."""
    inputs: str
    """Digest of the plate's and the matte's files."""
    stages: Mapping[str, int]
    """The engine's stages in order, ``train-03`` and the like, with the steps that the recipe gives
    each; where a deep hole is filled at several scales, each is done once at each."""
    memory: int = 0
    """Most bytes that the engine will hold; 0 where nobody has worked it out."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the job the same job: two that agree in it have the same pixels."""
        settings = {k: v for k, v in self.job.to_dict().items() if k not in _NOT_PIXELS}
        return {"version": self.version, "inputs": self.inputs, "settings": settings}


@dataclass(frozen=True)
class JobFolder:
    """One version of one job on disk."""

    path: Path

    @classmethod
    def adopt(
        cls, record: Record, root: Path, arithmetic: Mapping[str, Any] | None = None
    ) -> JobFolder:
        """The folder of this very job below ``root``, or the next free version for it.

        arithmetic: that of this process; None takes whichever the job was begun in. The job is the
        same when that and its identity are the same.

        Raises:
            JobError: when the folder may not be made.
            TryAgainError: when the storage fails.
        """
        while True:
            if found := cls.find(record, root, arithmetic):
                return found._ready(record)
            fresh = cls(root / f"v{max(_versions(root), default=0) + 1:03d}")
            if fresh._claim(record):
                return fresh._ready(record)

    @classmethod
    def find(
        cls, record: Record, root: Path, arithmetic: Mapping[str, Any] | None = None
    ) -> JobFolder | None:
        """The newest folder of this very job below ``root``, if there is one; changes nothing."""
        for path in reversed(_versions(root).values()):
            found = cls(path)
            if found.holds(record) and found._begun_in(arithmetic):
                return found
        return None

    def take(self, record: Record) -> JobFolder:
        """This very folder for the job, which begins here or goes on.

        Raises:
            JobError: when another job is there, or the folder may not be written.
            TryAgainError: when the storage fails.
        """
        # Of several jobs that want a new folder at once, one has it.
        made = not self.path.exists() and self._claim(record)
        if not made and (self.path / "job.json").exists() and not self.holds(record):
            raise JobError(
                f"another job, or this one with other input, has the folder {str(self.path)!r}",
                "choose another --job-dir",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / "job.json", self._facts(record))
        except OSError as error:
            raise storage_error(self.path, error) from error
        return self._ready(record)

    def read(self, paths: PathMap | None = PathMap()) -> Record:  # noqa: B008, a frozen value
        """What the folder's job.json says, its paths as they are on this machine.

        paths: asked first; then the folder's own move since it was made, if it was moved. None
        leaves the paths as they are on the machine that made the job.

        Raises:
            JobError: when there is none, or a path is another system's and no rule maps it.
        """
        facts = self._job_facts()
        try:
            job = Job.from_dict(facts["job"])
            stages = {str(name): int(steps) for name, steps in facts["stages"].items()}
            version, inputs = str(facts["version"]), str(facts["inputs"])
            was, memory = str(facts["folder"]), int(facts["memory"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise self._no_job() from error
        if paths is not None:
            job = replace(paths, last=moved(was, self.path)).job(job)
        return Record(job, version, inputs, stages, memory)

    def renew(self, inputs: str) -> None:
        """Says that the job's input is this from now on (``Material.digest``): it has changed it
        itself, in place. Raises what ``cancel`` does, or TryAgainError when the storage fails."""
        write_json(self.path / "job.json", {**self._job_facts(), "inputs": inputs})

    @property
    def work(self) -> Path:
        """Where the prepared region, checkpoints and the finished fill are kept."""
        return self.path / "work"

    @property
    def accounts(self) -> Path:
        """What the work says of itself; accounts.py."""
        return self.path / "accounts"

    @property
    def report(self) -> Path:
        """Where people look: the contact sheet, loss curves, the page of ``infusion report``."""
        return self.path / "report"

    @property
    def result(self) -> Path:
        """What says that every frame is written: ``filled``, pixels of the shot, and ``takes``, of
        each its frames' names, sizes and times of change (assemble.py)."""
        return self.path / "result.json"

    def status(self, task: str) -> Path:
        """Where a task says how it stands; ``run`` is all of them in one process."""
        return self.path / ("status.json" if task == "run" else f"tasks/{task}.json")

    def settle(self, arithmetic: Mapping[str, Any]) -> dict[str, Any]:
        """The arithmetic that this job is done in: the first that is told, by whichever process.

        Raises:
            JobError: when what an earlier one has told is damaged.
            TryAgainError: when the storage fails.
        """
        if self.settled() is None:
            _publish(self.work / "arithmetic", "arithmetic.json", arithmetic)
        settled, path = self.settled(), self.work / "arithmetic" / "arithmetic.json"
        if settled is None:
            try:
                path.read_bytes()
            except OSError as error:
                message = f"{str(path)!r} cannot be read: {error.strerror}"
                raise TryAgainError(message, "run the command again") from error
            raise JobError(
                f"{str(path)!r} is damaged: in which arithmetic this job was begun, nobody knows",
                "remove the job folder, or choose another --job-dir, and run the command again",
            )
        return settled

    def settled(self) -> dict[str, Any] | None:
        """What ``settle`` has kept; None where nothing was begun yet."""
        return read_json(self.work / "arithmetic" / "arithmetic.json") or None

    def sweep(self) -> None:
        """Removes what killed processes have left of the files that they were writing."""
        own = (self.path, self.work, self.path / "tasks", self.report, self.accounts)
        for folder in (self.path.parent, *own):
            sweep(folder)

    def cancelled(self) -> bool:
        """Whether somebody asked this job to stop by leaving a file named ``cancel``."""
        return (self.path / "cancel").exists()

    def cancel(self, wanted: bool = True) -> None:
        """Asks every task of the job to stop, and later ones not to start; or takes that back.

        Raises:
            JobError: when there is no job, or the folder may not be written.
        """
        self._job_facts()
        try:
            if wanted:
                (self.path / "cancel").touch()
            else:
                (self.path / "cancel").unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(self.path / "cancel", error) from error

    def _job_facts(self) -> dict[str, Any]:
        facts = read_json(self.path / "job.json")
        if not facts:
            raise self._no_job()
        return facts

    def _no_job(self) -> JobError:
        return JobError(
            f"{str(self.path)!r} is no job folder: its job.json cannot be read",
            "give the folder that `infusion run` or `infusion farm export` has named",
        )

    def holds(self, record: Record) -> bool:
        """Whether the job here is this very job; one that cannot be read is not."""
        facts = read_json(self.path / "job.json")
        try:
            rule = moved(facts["folder"], self.path)
            settings = {
                name: (rule.apply(value) or value) if rule and name in PATHS and value else value
                for name, value in facts["settings"].items()
            }
        except (KeyError, TypeError, AttributeError):
            return False
        kept = {**facts, "settings": settings}
        plain = json.loads(json.dumps(record.identity))
        return all(kept.get(key) == value for key, value in plain.items())

    def _begun_in(self, arithmetic: Mapping[str, Any] | None) -> bool:
        """Whether a process of this arithmetic can go on with what is there."""
        begun = self.settled()
        return arithmetic is None or begun is None or begun == dict(arithmetic)

    def _facts(self, record: Record) -> dict[str, Any]:
        """job.json: the identity, and all else that ``read`` asks for."""
        more = {"job": record.job.to_dict(), "stages": dict(record.stages)}
        where = {"memory": record.memory, "folder": str(self.path), "host": socket.gethostname()}
        return {**record.identity, **more, **where}

    def _claim(self, record: Record) -> bool:
        """Makes this version's folder, job.json in it; False when another job was quicker."""
        return _publish(self.path, "job.json", self._facts(record))

    def _ready(self, record: Record) -> JobFolder:
        """Makes what is missing, clears what an earlier run asked or complained about, and that all
        is written where more takes are wanted now."""
        try:
            for name in ("work", "tasks", "logs", "report", "accounts"):
                (self.path / name).mkdir(exist_ok=True)
            (self.path / "error.json").unlink(missing_ok=True)
            if len(read_json(self.result).get("takes") or ()) < record.job.takes:
                self.result.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(self.path, error) from error
        self.cancel(False)
        write_json(self.path / "job.json", self._facts(record))
        self.sweep()
        return self


def _publish(folder: Path, name: str, facts: Mapping[str, Any]) -> bool:
    """Makes a folder with one JSON file in it, at once; False where it is there already.

    A folder that is not empty is never replaced by a rename, on any file system: so the first of
    several processes has its way, and links are not needed.

    Raises:
        JobError: when it may not be made.
        TryAgainError: when the storage fails.
    """
    making = temporary(folder)
    try:
        making.mkdir(parents=True)
        write_json(making / name, facts)
        return _renamed(making, folder)
    except OSError as error:
        raise storage_error(folder, error) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _renamed(making: Path, folder: Path) -> bool:
    """Gives a folder its name; False where another has it."""
    try:
        making.rename(folder)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    return True


def fill_name(take: int) -> str:
    """The file, in a job's ``work``, that holds the finished fill of a take."""
    return "fill.safetensors" if take == 1 else f"fill-take{take:02d}.safetensors"


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty when it is missing, damaged or none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes JSON so that it appears whole or not at all.

    Raises:
        TryAgainError: when the storage fails.
    """
    with whole_file(path) as temporary:
        text = json.dumps(_plain(facts), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _plain(found: Any) -> Any:
    """JSON has no word for NaN and infinity: null."""
    if isinstance(found, Mapping):
        return {name: _plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _versions(root: Path) -> dict[int, Path]:
    """The versions there are by number, ascending."""
    if not root.is_dir():
        return {}
    found = {int(m[1]): path for path in root.iterdir() if (m := _VERSION.fullmatch(path.name))}
    return dict(sorted(found.items()))

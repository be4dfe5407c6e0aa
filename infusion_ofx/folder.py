"""The job folder: what is written there is the truth about a job, for every front end and every
farm.

``<data_dir>/<name>/v003/``: job.json, status.json, error.json, ``work/`` (checkpoints, fill),
``cancel`` (its presence asks for a stop). Every file is written under a temporary name and
renamed.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infusion_ofx.errors import InfusionError, exit_code_of
from infusion_ofx.job import Job
from infusion_ofx.progress import Progress
from infusion_ofx.sequence.atomic import storage_error, sweep, whole_file

__all__ = ["JobFolder"]

_NOT_PIXELS = ("checkpoint_minutes", "data_dir", "in_place")
"""Settings that change no pixel: a job that differs in these alone goes on where the other
stopped."""

_VERSION = re.compile(r"v(\d{3,})")


@dataclass(frozen=True)
class JobFolder:
    """One version of one job on disk."""

    path: Path

    @classmethod
    def adopt(
        cls, job: Job, root: Path, *, version: str, inputs: str, arithmetic: str = ""
    ) -> JobFolder:
        """The folder of this very job below ``root``, or the next free version for it.

        version: Infusion's. inputs: a digest of the plate's and the matte's files. The job is the
        same when version, inputs and every setting that can change a pixel are the same.

        Raises:
            JobError: when the folder may not be made.
            TryAgainError: when the storage fails.
        """
        settings = {k: v for k, v in job.to_dict().items() if k not in _NOT_PIXELS}
        identity: dict[str, Any] = {"version": version, "inputs": inputs}
        identity |= {"arithmetic": arithmetic, "settings": settings}
        record = {**identity, "job": job.to_dict(), "host": socket.gethostname()}
        while True:
            versions = _versions(root)
            for path in reversed(versions.values()):
                if _same(path / "job.json", identity):
                    return cls(path)._ready(record)
            fresh = cls(root / f"v{max(versions, default=0) + 1:03d}")
            if fresh._claim(record):
                return fresh._ready(record)

    @property
    def work(self) -> Path:
        """Where checkpoints and the finished fill are kept."""
        return self.path / "work"

    def cancelled(self) -> bool:
        """Whether somebody asked this job to stop by leaving a file named ``cancel``."""
        return (self.path / "cancel").exists()

    def status(self, state: str, progress: Progress | None = None, **more: Any) -> None:
        """Says how the job stands: ``running``, ``stopped``, ``failed`` or ``done``."""
        facts: dict[str, Any] = {"state": state, "heartbeat": time.time()}
        facts |= {"host": socket.gethostname(), "pid": os.getpid(), **more}
        if progress is not None:
            facts |= {
                "stage": progress.stage,
                "step": progress.step,
                "steps": progress.steps,
                "percent": round(100 * progress.fraction, 2),
                "seconds_left": progress.seconds_left,
                "loss": progress.loss,
                "peak_memory": progress.memory,
            }
        write_json(self.path / "status.json", facts)

    def error(self, error: BaseException) -> None:
        """Leaves the error's code, message and hint for whoever opens the folder."""
        message = Exception.__str__(error) if isinstance(error, InfusionError) else repr(error)
        hint = error.hint if isinstance(error, InfusionError) else ""
        facts = {"code": exit_code_of(error), "message": message, "hint": hint}
        write_json(self.path / "error.json", facts)

    def _claim(self, record: Mapping[str, Any]) -> bool:
        """Makes this version's folder, job.json in it; False when another job was quicker."""
        making = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}")
        try:
            making.mkdir(parents=True)
            write_json(making / "job.json", record)
            return _renamed(making, self.path)
        except OSError as error:
            raise storage_error(self.path, error) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _ready(self, record: Mapping[str, Any]) -> JobFolder:
        """Makes what is missing, clears what an earlier run asked or complained about."""
        try:
            self.work.mkdir(exist_ok=True)
            for leftover in ("cancel", "error.json"):
                (self.path / leftover).unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(self.path, error) from error
        write_json(self.path / "job.json", record)
        sweep(self.path)
        sweep(self.work)
        return self


def _renamed(making: Path, path: Path) -> bool:
    """Gives a folder its name; False where another job's folder has it."""
    try:
        making.rename(path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    return True


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes JSON so that it appears whole or not at all.

    Raises:
        TryAgainError: when the storage fails.
    """
    with whole_file(path) as temporary:
        text = json.dumps(_plain(facts), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no word for NaN and infinity: null."""
    odd = {k for k, v in facts.items() if isinstance(v, float) and not math.isfinite(v)}
    return {k: None if k in odd else v for k, v in facts.items()}


def _versions(root: Path) -> dict[int, Path]:
    """The versions there are by number, ascending."""
    if not root.is_dir():
        return {}
    found = {int(m[1]): path for path in root.iterdir() if (m := _VERSION.fullmatch(path.name))}
    return dict(sorted(found.items()))


def _same(record: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a job.json was written for the same job; one that cannot be read was not."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        return all(kept[key] == value for key, value in json.loads(json.dumps(identity)).items())
    except (OSError, ValueError, KeyError, TypeError):
        return False

"""One attempt at one task of a job: what it leaves in the job folder for whoever looks.

A status file that says how the task stands, kept alive by a heartbeat, and a log of its own. What
a job's result depends on is not here: a full disk or a vanished mount that keeps a status from
being written stops nothing.
"""

from __future__ import annotations

import os
import platform
import shlex
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from infusion_ofx import __version__
from infusion_ofx.errors import InfusionError, JobError, Stopped, TryAgainError, facts_of
from infusion_ofx.folder import JobFolder, write_json
from infusion_ofx.job import Job
from infusion_ofx.progress import Progress, clock_text, one_line, size_text, status_text
from infusion_ofx.sequence.atomic import storage_error

__all__ = ["HEARTBEAT_SECONDS", "Attempt", "attempting", "header"]

HEARTBEAT_SECONDS = 10.0
"""The status file's time of change is renewed this often, by the file server's clock."""

STATUS_SECONDS, LOG_SECONDS = 1.0, 10.0
"""The status is written no more often than this; a line of progress in the log likewise."""


class Attempt:
    """A process at one task. Call it with each report."""

    def __init__(self, folder: JobFolder, task: str) -> None:
        self.folder = folder
        self.task = task
        self.number, self._log = _open_log(folder, task)
        self._began = time.monotonic()
        self._last = Progress("read", 0, 0, 0.0)
        self._told: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        """Takes a report to the status file and to the log, as often as each wants one."""
        fresh = progress.stage != self._last.stage
        self._last = progress
        if self._due("status", STATUS_SECONDS) or fresh:
            with suppress(InfusionError):
                self.status("running")
        if self._due("log", LOG_SECONDS) or fresh or progress.message:
            self.log(f"{progress.percent:5.1f}%  {status_text(progress)}")

    def status(self, state: str, **more: Any) -> None:
        """Says how the task stands: ``running``, ``stopped``, ``failed`` or ``done``.

        Raises:
            JobError: when the folder may not be written.
            TryAgainError: when the storage fails.
        """
        last = self._last
        facts = {
            "state": state,
            "task": self.task,
            "attempt": self.number,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "heartbeat": time.time(),
            "stage": last.stage,
            "step": last.step,
            "steps": last.steps,
            "percent": round(last.percent, 2),
            "seconds_left": last.seconds_left,
            "loss": last.loss,
            "peak_memory": last.memory,
            **more,
        }
        write_json(self.folder.status(self.task), facts)

    def log(self, text: str) -> None:
        """Writes lines to the log, each with the time in UTC."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with suppress(OSError, ValueError):
            for line in text.splitlines():
                self._log.write(f"{stamp} {line}\n")

    def beat(self) -> None:
        """Renews the status file's time of change."""
        with suppress(OSError):
            os.utime(self.folder.status(self.task))

    def end(self, state: str, error: BaseException | None = None) -> None:
        """Leaves the last word in the status and in the log; an error with its code and hint."""
        facts = facts_of(error) if error is not None else None
        self._tell_end(state, facts)
        if error is not None and not isinstance(error, InfusionError):
            self.log("".join(traceback.format_exception(error)))
        said = f": {error}" if error is not None else ""
        seconds = clock_text(time.monotonic() - self._began)
        self.log(f"{state} after {seconds}, peak memory {size_text(self._last.memory)}{said}")
        with suppress(OSError):
            self._log.close()

    def _tell_end(self, state: str, error: dict[str, Any] | None) -> None:
        with suppress(InfusionError):
            self.status(state, error=error)
            if error is not None and self.task == "run":
                write_json(self.folder.path / "error.json", error)

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        due = now - self._told.get(what, -seconds) >= seconds
        if due:
            self._told[what] = now
        return due


@contextmanager
def attempting(folder: JobFolder, task: str, job: Job) -> Iterator[Attempt]:
    """Leaves the task's status as running; then as done, stopped or failed, with the error.

    Raises:
        JobError: when the folder may not be written.
        TryAgainError: when the storage fails, or the job folder is gone in the end.
    """
    attempt = Attempt(folder, task)
    attempt.log(header(job))
    attempt.log(f"{task}, attempt {attempt.number}, process {os.getpid()} in {os.getcwd()!r}")
    attempt.status("running")
    over = threading.Event()
    heart = threading.Thread(target=_beat, args=(attempt, over), daemon=True)
    heart.start()
    try:
        yield attempt
    except BaseException as error:
        stopped = isinstance(error, (Stopped, KeyboardInterrupt))
        attempt.end("stopped" if stopped else "failed", error)
        if isinstance(error, (OSError, JobError)) and not folder.path.is_dir():
            raise TryAgainError(
                f"the job folder {str(folder.path)!r} is gone",
                "look at the storage, then run the same command again",
            ) from error
        raise
    else:
        attempt.end("done")
    finally:
        over.set()
        heart.join()


def header(job: Job) -> str:
    """What the head of a log says: program, machine, command and job."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = f", CUDA_VISIBLE_DEVICES={visible}" if visible is not None else ""
    return (
        f"infusion {__version__}, python {platform.python_version()}, on {socket.gethostname()}"
        f"{gpus}: recipe {job.recipe}, seed {job.seed}, {job.plate!r} to {job.output!r}\n"
        f"command: {one_line(shlex.join(sys.argv))}"
    )


def _beat(attempt: Attempt, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT_SECONDS):
        attempt.beat()


def _open_log(folder: JobFolder, task: str) -> tuple[int, TextIO]:
    """The first number that no other attempt has taken, and a log of that name."""
    logs = folder.path / "logs"
    number = 1
    try:
        logs.mkdir(exist_ok=True)
        folder.status(task).parent.mkdir(exist_ok=True)
        while True:
            try:
                path = logs / f"{task}.{number}.log"
                return number, path.open("x", buffering=1, encoding="utf-8", errors="replace")
            except FileExistsError:
                number += 1
    except OSError as error:
        raise storage_error(logs, error) from error

"""Many jobs on this machine: a queue over its devices, and one process a device.

Each job is an ``infusion run`` of its own, so that whatever becomes of it stops no other, and a GPU
is given back between two. Standard library only, but for asking torch how many GPUs there are.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from infusion_ofx.job import Job

__all__ = ["Began", "Ended", "Event", "Pool", "Told", "command", "visible_gpus"]

PROCESSOR = "cpu"
"""The place for jobs without a GPU: one at a time, since each takes all cores."""

_POLL_SECONDS = 0.2
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class Began:
    """A job's process has begun."""

    index: int
    place: str
    """``cpu``, or the GPU as CUDA_VISIBLE_DEVICES names it."""


@dataclass(frozen=True)
class Told:
    """A job has said something: a line of ``--progress jsonl``."""

    index: int
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """A job's process has ended."""

    index: int
    code: int
    """Exit code, or minus the signal that ended it."""
    seconds: float
    said: str
    """The last of what it wrote to stderr."""


Event = Began | Told | Ended


def command(job: Job) -> list[str]:
    """The process that does a job, and tells how it goes as JSON lines."""
    return [sys.executable, "-m", "infusion_cli", "run", *job.to_options(), "--progress=jsonl"]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(index) for index in range(count)]
    return [name.strip() for name in named.split(",")][:count]


def fits(device: str, place: str, gpus: Sequence[str]) -> bool:
    """Whether a job for a device is done at a place. One for a device that is not there goes to the
    processor's place, where it says so itself."""
    kind, _, index = device.partition(":")
    known = int(index or 0) < len(gpus)
    if kind == PROCESSOR or not known:
        return place == PROCESSOR
    return place == gpus[int(index)] if index else place in gpus


def environment(device: str, place: str) -> dict[str, str]:
    """What a job's process finds in its environment: the one GPU of its place, unless the job names
    a GPU by its number among those of this process."""
    own = dict(os.environ, PYTHONSAFEPATH="1")
    if place != PROCESSOR and ":" not in device:
        own["CUDA_VISIBLE_DEVICES"] = place
    return own


class Pool:
    """Jobs at work on this machine. ``events`` does them; ``stop`` ends that early."""

    def __init__(
        self,
        jobs: Mapping[int, Job],
        gpus: Sequence[str],
        command: Callable[[Job], list[str]] = command,
    ) -> None:
        """Takes the jobs by any number; begins nothing."""
        self._jobs = jobs
        self._gpus = gpus
        self._command = command
        self._waiting = list(jobs)
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def events(self) -> Iterator[Event | None]:
        """Begins the jobs, and yields what becomes of them until all have ended; None a few times a
        second when there is nothing to tell."""
        threads = [
            threading.Thread(target=self._work, args=(place,), daemon=True)
            for place in (PROCESSOR, *self._gpus)
        ]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads) or not self._events.empty():
                try:
                    yield self._events.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    yield None
        finally:
            self.stop()
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Begins no more jobs and asks those at work to write a checkpoint and end."""
        # TERM, not INT: a terminal's Ctrl-C has reached them as well, and a second INT would end
        # them without a checkpoint.
        with self._lock:
            self._waiting.clear()
            for process in self._running.values():
                process.terminate()

    def _work(self, place: str) -> None:
        """Does the jobs of one place, one after the other."""
        with tempfile.TemporaryFile() as errors:
            while (index := self._begin(place, errors)) is not None:
                began = time.monotonic()
                code = self._listen(index)
                self._events.put(Ended(index, code, time.monotonic() - began, _tail(errors)))

    def _begin(self, place: str, errors: IO[bytes]) -> int | None:
        """Begins the next job that fits a place; None when there is no more."""
        with self._lock:  # held until the process is known, so that ``stop`` finds it
            for index in list(self._waiting):
                job = self._jobs[index]
                if not fits(job.device, place, self._gpus):
                    continue
                self._waiting.remove(index)
                self._events.put(Began(index, place))
                errors.seek(0)
                errors.truncate()
                try:
                    self._running[index] = self._start(job, place, errors)
                except OSError as error:
                    self._events.put(Ended(index, 75, 0.0, f"it cannot be begun: {error}"))
                    continue
                return index
        return None

    def _start(self, job: Job, place: str, errors: IO[bytes]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command(job), env=environment(job.device, place), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=errors, encoding="utf-8", errors="replace",
        )  # fmt: skip

    def _listen(self, index: int) -> int:
        """Hands on what a job says until it ends; returns how."""
        process = self._running[index]
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if facts := _facts(line):
                    self._events.put(Told(index, facts))
        code = process.wait()
        with self._lock:
            del self._running[index]
        return code


def _facts(line: str) -> dict[str, Any]:
    """The JSON object of a line; empty when it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _tail(file: IO[bytes]) -> str:
    """The end of a file as text."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return file.read().decode("utf-8", "replace").strip()

"""What a running job says about itself: one value that every front end prints in its own way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

__all__ = [
    "Meter",
    "OnProgress",
    "Progress",
    "clock_text",
    "ignore",
    "one_line",
    "short_text",
    "size_text",
    "status_text",
    "visible",
]


@dataclass(frozen=True)
class Progress:
    """One report from a running job."""

    stage: str
    """What is being done: ``read``, ``prior``, ``train``, ``sample``, ``write`` or ``done``."""
    step: int
    """Steps of this stage that are done."""
    steps: int
    """Steps that this stage has."""
    fraction: float
    """How much of the whole job is done, 0 to 1, weighted by the expected time of the stages."""
    seconds_left: float | None = None
    """Expected time until the whole job is done; None while there is nothing to tell it from."""
    loss: float | None = None
    """Training loss, a running mean, in working units; None outside training."""
    memory: int = 0
    """Peak memory of this process so far: device memory on a GPU, else resident host memory.
    Bytes."""
    message: str = ""
    """A sentence for the log, such as a choice that was made; empty for a plain step."""

    @property
    def percent(self) -> float:
        """Percent of the whole job, 0 to 100 whatever comes: OpenJD refuses anything outside."""
        if not math.isfinite(self.fraction):
            return 0.0
        return 100 * min(max(self.fraction, 0.0), 1.0)


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


@dataclass
class Meter:
    """Turns the share of a job that is done into reports with a time left."""

    on_progress: OnProgress
    memory: Callable[[], int]
    """Asked for the peak memory at each report."""
    last: Progress = Progress("read", 0, 0, 0.0)
    """The newest report."""
    _start: tuple[float, float] | None = None

    def tell(
        self, stage: str, step: int, steps: int, fraction: float, loss: float | None = None
    ) -> None:
        """Reports that ``fraction`` of the job is done, by this run and those before it."""
        now = time.monotonic()
        if self._start is None or stage in ("read", "prior"):
            # What an earlier run did says nothing about this machine's speed, nor does reading.
            self._start = (now, fraction)
        began, first = self._start
        here = fraction - first
        left = (now - began) * (1 - fraction) / here if here > 0.003 else None
        self.last = Progress(stage, step, steps, min(fraction, 1.0), left, loss, self.memory())
        self.on_progress(self.last)

    def say(self, message: str) -> None:
        """Reports a sentence for the log."""
        self.on_progress(replace(self.last, message=message, memory=self.memory()))


def status_text(progress: Progress) -> str:
    """One report in words: stage, steps, time left, loss, memory, then its message."""
    text = short_text(progress)
    return f"{text}: {one_line(progress.message)}" if progress.message else text


def short_text(progress: Progress) -> str:
    """One report in words, without its message."""
    parts = [progress.stage]
    if progress.steps:
        parts[0] += f" {progress.step}/{progress.steps}"
    if progress.seconds_left is not None and math.isfinite(progress.seconds_left):
        parts.append(f"{clock_text(progress.seconds_left)} left")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4g}")
    if progress.memory:
        parts.append(size_text(progress.memory))
    return ", ".join(parts)


def one_line(text: str) -> str:
    """The text without line ends, so that no part of it can pose as a line of its own, and without
    the codes that a terminal obeys."""
    return visible(" ".join(part.strip() for part in text.splitlines() if part.strip()))


def visible(text: str) -> str:
    """The text with a question mark for each letter that cannot be seen, but for spaces."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def clock_text(seconds: float) -> str:
    """A time as ``1:23`` or ``2:03:04``."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size_text(count: float) -> str:
    """Bytes as ``312 MiB`` or ``1.2 GiB``."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"

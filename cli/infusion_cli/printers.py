"""How a running job is shown: one small function a format, and one rule for how often.

Each format turns a report into lines. OpenJD's are those of its specification 2023-09 ("How Jobs
Are Run", messages); Deadline 10's is what its CommandLine plug-in looks for, a whole number;
``ALF_PROGRESS`` is what Tractor and the renderers print. No line carries colour or a carriage
return: only ``rich`` draws, and ``auto`` takes it only on a terminal.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol, TextIO

from infusion_ofx.errors import facts_of
from infusion_ofx.progress import (
    Progress,
    clock_text,
    one_line,
    short_text,
    size_text,
    status_text,
)

__all__ = [
    "FORMATS",
    "LinePrinter",
    "Printer",
    "choose",
    "clock_text",
    "finite",
    "one_line",
    "printer",
    "size_text",
    "status_text",
]

Lines = Callable[[Progress], list[str]]


class Printer(Protocol):
    """What a verb needs of a printer; call it with each report."""

    def __call__(self, progress: Progress) -> None:
        """Shows one report."""

    def say(self, text: str) -> None:
        """Shows a line that is no report."""

    def fail(self, error: BaseException) -> None:
        """Tells the farm, where the format has a word for it, why the job failed."""

    def close(self) -> None:
        """Shows what was held back, and leaves the terminal as it was."""


def plain(progress: Progress) -> list[str]:
    """A line for a person or a log: ``  42.5%  train 120/400, 1:23 left, loss 0.0123``."""
    return [f"{progress.percent:5.1f}%  {status_text(progress)}"]


def openjd(progress: Progress) -> list[str]:
    """Open Job Description: the percentage is a bare number between 0.0 and 100.0."""
    return [f"openjd_progress: {progress.percent:.1f}", f"openjd_status: {status_text(progress)}"]


def deadline(progress: Progress) -> list[str]:
    """Deadline 10: a whole number, since its plug-in does not match a fraction."""
    return [f"Progress: {int(progress.percent)}%", status_text(progress)]


def alf(progress: Progress) -> list[str]:
    """Tractor, and what else reads ``ALF_PROGRESS``."""
    return [f"ALF_PROGRESS {int(progress.percent)}%", status_text(progress)]


def jsonl(progress: Progress) -> list[str]:
    """One JSON object a line, with the fields of Progress; a number that is not finite is null."""
    return [json.dumps({name: finite(value) for name, value in asdict(progress).items()})]


LINES: Mapping[str, Lines] = {
    "plain": plain,
    "openjd": openjd,
    "deadline": deadline,
    "alf": alf,
    "jsonl": jsonl,
}

FORMATS = ("auto", "plain", "rich", "openjd", "deadline", "alf", "jsonl")
"""What ``--progress`` takes."""


class LinePrinter:
    """Prints reports as lines: the first, the last, every stage and message, else one a second."""

    def __init__(
        self, form: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._form = form
        self._stream = stream
        self._clock = clock
        self._shown: tuple[str, float] | None = None
        self._held: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Shows one report, or holds it back until ``close`` when one was shown a moment ago."""
        if self._is_due(progress):
            self._show(progress)
        else:
            self._held = progress

    def say(self, text: str) -> None:
        """Shows a line that is no report; among JSON lines it is an object with a message."""
        line = one_line(text)
        if self._form == "jsonl":
            line = json.dumps({"message": line})
        elif self._form == "openjd":
            line = f"openjd_status: {line}"
        self._write([line])

    def fail(self, error: BaseException) -> None:
        """Gives OpenJD its reason of failure, JSON lines an object with code, message and hint; the
        other formats read the last line of the log."""
        if self._form == "openjd":
            self._write([f"openjd_fail: {one_line(str(error)) or type(error).__name__}"])
        elif self._form == "jsonl":
            self._write([json.dumps({"error": facts_of(error)})])

    def close(self) -> None:
        """Shows the report that was held back, if it is the newest."""
        if self._held is not None:
            self._show(self._held)

    def _is_due(self, progress: Progress) -> bool:
        if self._shown is None or progress.message or progress.fraction >= 1:
            return True
        stage, when = self._shown
        return progress.stage != stage or self._clock() - when >= 1.0

    def _show(self, progress: Progress) -> None:
        self._shown = (progress.stage, self._clock())
        self._held = None
        self._write(LINES[self._form](progress))

    def _write(self, lines: list[str]) -> None:
        self._stream.write("".join(line + "\n" for line in lines))
        self._stream.flush()


class RichPrinter:
    """Draws a bar on a terminal, with the messages scrolling by above it."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self._console = Console(file=stream, highlight=False, soft_wrap=True, markup=False)
        self._bars = Bars(
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:5.1f}%"),
            TextColumn("{task.fields[status]}", markup=False),
            console=self._console,
            refresh_per_second=4,
        )
        self._task = self._bars.add_task("", total=100.0, status="")

    def __call__(self, progress: Progress) -> None:
        """Moves the bar; a message is printed above it."""
        self._bars.start()
        if progress.message:
            self._console.print(one_line(progress.message))
        self._bars.update(self._task, completed=progress.percent, status=short_text(progress))

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(one_line(text))

    def fail(self, error: BaseException) -> None:
        """Nothing more: the error itself is printed after the bar is gone."""

    def close(self) -> None:
        """Leaves the terminal as it was."""
        self._bars.stop()


def choose(form: str, stream: TextIO, environment: Mapping[str, str] | None = None) -> str:
    """The format that ``auto`` stands for here; any other stands for itself."""
    if form != "auto":
        return form
    if "OPENJD_SESSION_WORKING_DIR" in (os.environ if environment is None else environment):
        return "openjd"
    return "rich" if stream.isatty() else "plain"


def printer(form: str, stream: TextIO) -> Printer:
    """The printer for one of FORMATS."""
    chosen = choose(form, stream)
    return RichPrinter(stream) if chosen == "rich" else LinePrinter(chosen, stream)


def finite(value: Any) -> Any:
    """The value, or None for a float that strict JSON has no word for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

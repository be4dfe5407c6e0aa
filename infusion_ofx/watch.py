"""Watch: what goes on round the engine's steps. Progress, checkpoints by time, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from infusion_ofx.engine.inpaint import Step
from infusion_ofx.engine.stages import Stage
from infusion_ofx.errors import InfusionError
from infusion_ofx.folder import JobFolder
from infusion_ofx.losses import Losses
from infusion_ofx.progress import Meter
from infusion_ofx.stopping import Signals

__all__ = ["Watch"]

REPORT_SECONDS = 0.5
"""Reports are no closer than this: reading the loss waits for the device."""

SHARES = {"run": (0.02, 0.03), "prepare": (1.0, 0.0), "assemble": (0.0, 1.0)}
"""Shares of a task's progress that reading and writing are given; the engine has the rest."""


class Watch:
    """Stands beside one process of a job and knows how far it is and when it must stop."""

    def __init__(
        self,
        folder: JobFolder,
        task: str,
        meter: Meter,
        signals: Signals,
        checkpoint_seconds: float,
    ) -> None:
        self.folder = folder
        self.meter = meter
        self.signals = signals
        self.checkpoint_seconds = checkpoint_seconds
        self._read, self._write = SHARES.get(task, (0.0, 0.0))
        self._work: Sequence[tuple[Stage, float]] = ()
        self._reported = 0.0
        self._saved = time.monotonic()
        self._loss: float | None = None
        self._losses = Losses(folder)

    def expect(self, work: Sequence[tuple[Stage, float]]) -> None:
        """Takes the engine's stages, each with the cost of one of its steps in any one unit."""
        self._work = work
        self._saved = time.monotonic()

    def reading(self, frames: int, part: int = 0) -> Callable[[int], None]:
        """A callback that is told how many frames are done of a part of all reading.

        part: 0 the mattes, 1 the plate, 2 the search for what other frames show; a third each.
        """
        stage, share = ("read", "read", "prior")[part], self._read / 3
        return lambda done: self._frame(stage, done, frames, part * share, share)

    def writing(self, frames: int) -> Callable[[int], None]:
        """A callback that is told how many frames are written."""
        return lambda done: self._frame("write", done, frames, 1 - self._write, self._write)

    def step(self, step: Step) -> None:
        """Told after each step of the engine: reports, saves a checkpoint when it is time, stops.

        Raises:
            Stopped: when a signal or a ``cancel`` file asks for it; a checkpoint is written then.
        """
        now = time.monotonic()
        last = step.done == step.stage.steps
        due = last or now - self._reported >= REPORT_SECONDS
        asked = self.signals.received is not None or (due and self.folder.cancelled())
        if asked or self.signals.checkpoint or now - self._saved >= self.checkpoint_seconds:
            self.signals.checkpoint = False
            step.save()
            self._saved = time.monotonic()
        if asked:
            self._stop("a checkpoint is written")
        if due:
            self._reported = now
            self._report(step)

    def _report(self, step: Step) -> None:
        stage = step.stage
        if step.loss is not None:
            fresh = step.loss.item()
            if not math.isfinite(fresh):
                raise InfusionError(
                    f"training went astray at step {step.done}: the loss is {fresh}",
                    "try another --seed, or --precision float32",
                )
            self._losses.note(stage.name, stage.steps, step.done, fresh, step.held_out)
            self._loss = fresh if self._loss is None else 0.9 * self._loss + 0.1 * fresh
        earlier = self._work[: [s for s, _ in self._work].index(stage)]
        done = sum(s.steps * cost for s, cost in earlier)
        done += step.done * dict(self._work)[stage]
        total = sum(s.steps * cost for s, cost in self._work)
        fraction = self._read + (1 - self._read - self._write) * done / total
        shown = self._loss if stage.kind == "train" else None
        kind = "train" if stage.kind == "train" else "sample"
        self.meter.tell(kind, step.done, stage.steps, fraction, shown)

    def _frame(self, stage: str, done: int, frames: int, start: float, share: float) -> None:
        now = time.monotonic()
        due = done in (1, frames) or now - self._reported >= REPORT_SECONDS
        if self.signals.received is not None or (due and self.folder.cancelled()):
            self._stop("what is done is kept")
        if due:
            self._reported = now
            self.meter.tell(stage, done, frames, start + share * done / frames)

    def _stop(self, kept: str) -> None:
        raise self.signals.stopped(kept)

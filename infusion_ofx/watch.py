"""Watch: what goes on round the engine's steps. Progress, status file, checkpoints by time,
stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.inpaint import State
from infusion_ofx.engine.recipe import Stage
from infusion_ofx.errors import InfusionError, Stopped
from infusion_ofx.folder import JobFolder
from infusion_ofx.progress import Meter, OnProgress
from infusion_ofx.stopping import Signals

__all__ = ["Watch"]

REPORT_SECONDS = 0.5
"""Reports are no closer than this: reading the loss waits for the device."""

READ, WRITE = 0.02, 0.03
"""Shares of a job's progress that reading and writing are given."""


class Watch:
    """Stands beside one run of a job and keeps its folder's status true."""

    def __init__(
        self,
        folder: JobFolder,
        compute: Compute,
        on_progress: OnProgress,
        signals: Signals,
        checkpoint_seconds: float,
    ) -> None:
        self.folder = folder
        self.meter = Meter(on_progress, compute.peak_memory)
        self.signals = signals
        self.checkpoint_seconds = checkpoint_seconds
        self._work: Sequence[tuple[Stage, float]] = ()
        self._reported = 0.0
        self._saved = time.monotonic()
        self._loss: float | None = None

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Leaves the folder's status as running; then as done, stopped or failed, with the
        error."""
        self.folder.status("running")
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, (Stopped, KeyboardInterrupt))
            self.folder.status("stopped" if stopped else "failed", self.meter.last)
            self.folder.error(error)
            raise
        self.meter.tell("done", 1, 1, 1.0)
        self.folder.status("done", self.meter.last)

    def expect(self, work: Sequence[tuple[Stage, float]]) -> None:
        """Takes the engine's stages, each with the cost of one of its steps in any one unit."""
        self._work = work

    def reading(self, frames: int, after: float = 0.0) -> Callable[[int], None]:
        """A callback that is told how many frames are read.

        after: the share of all reading that is done before; mattes and plate are a half each.
        """
        return lambda done: self._frame("read", done, frames, READ * after, READ / 2)

    def writing(self, frames: int) -> Callable[[int], None]:
        """A callback that is told how many frames are written."""
        return lambda done: self._frame("write", done, frames, 1 - WRITE, WRITE)

    def step(self, state: State, stage: Stage, loss: Tensor | None) -> None:
        """Told after each step of the engine: reports, saves a checkpoint when it is time, stops.

        Raises:
            Stopped: when a signal or a ``cancel`` file asks for it; the checkpoint is written
            first.
        """
        now = time.monotonic()
        last = state.step == stage.steps
        due = last or now - self._reported >= REPORT_SECONDS
        asked = self.signals.received is not None or (due and self.folder.cancelled())
        if asked or now - self._saved >= self.checkpoint_seconds:
            state.save(self.folder.work)
            self._saved = time.monotonic()
        if asked:
            self._stop("a checkpoint is written")
        if due:
            self._reported = now
            self._report(state, stage, loss)

    def _report(self, state: State, stage: Stage, loss: Tensor | None) -> None:
        if loss is not None:
            fresh = loss.item()
            if not math.isfinite(fresh):
                raise InfusionError(
                    f"training went astray at step {state.step}: the loss is {fresh}",
                    "try another --seed, or --precision float32",
                )
            self._loss = fresh if self._loss is None else 0.9 * self._loss + 0.1 * fresh
        done = sum(s.steps * cost for s, cost in self._work[: state.stage])
        done += state.step * self._work[state.stage][1]
        total = sum(s.steps * cost for s, cost in self._work)
        fraction = READ + (1 - READ - WRITE) * done / total
        shown = self._loss if stage.kind == "train" else None
        self.meter.tell(stage.kind, state.step, stage.steps, fraction, shown)
        self.folder.status("running", self.meter.last)

    def _frame(self, stage: str, done: int, frames: int, start: float, share: float) -> None:
        now = time.monotonic()
        due = done in (1, frames) or now - self._reported >= REPORT_SECONDS
        if self.signals.received is not None or (due and self.folder.cancelled()):
            self._stop("what is done is kept")
        if due:
            self._reported = now
            self.meter.tell(stage, done, frames, start + share * done / frames)
            self.folder.status("running", self.meter.last)

    def _stop(self, kept: str) -> None:
        raise self.signals.stopped(kept)

"""Signals: noted at once, obeyed where nothing is half done. Standard library only."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from infusion_ofx.errors import Stopped

__all__ = ["Signals", "loading", "stopping"]


class Signals:
    """Which signal has asked for a stop, if any."""

    received: int | None = None
    checkpoint: bool = False
    """Whether USR1 has asked for a checkpoint that is not written yet."""

    def stopped(self, kept: str) -> Stopped:
        """The error that a stop ends with; without a signal, a ``cancel`` file has asked for it."""
        if self.received is None:
            by = "by the job folder's cancel file"
        else:
            by = f"by {signal.Signals(self.received).name}"
        code = 143 if self.received == signal.SIGTERM else 130
        return Stopped(f"stopped {by}; {kept}", "the same command goes on from there", code)


@contextmanager
def stopping() -> Iterator[Signals]:
    """While inside, INT and TERM are noted instead of ending the process; a second INT ends it.

    USR1 asks for a checkpoint and no stop. Only the main thread can take signals; in another
    nothing is changed.
    """
    signals = Signals()

    def note(number: int, frame: FrameType | None) -> None:
        if signals.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        signals.received = number

    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def ask(number: int, frame: FrameType | None) -> None:
        signals.checkpoint = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGUSR1"):  # not on Windows
        before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, ask)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def loading() -> Iterator[None]:
    """For imports of numpy or torch, which end in a riddle when a signal interrupts them.

    Raises:
        Stopped: after them, when INT or TERM came meanwhile.
    """
    with stopping() as signals:
        yield
    if signals.received is not None:
        raise signals.stopped("nothing has begun")

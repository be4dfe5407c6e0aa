"""Every error that Infusion raises on purpose, and the exit code each one ends with.

::

    InfusionError            1    something failed here
    ├── JobError             2    the job or the command is wrong: never retry
    │   └── SequenceError    2    frames are missing, unreadable, or do not agree
    ├── MissingStepError     3    an earlier step's result is not there
    ├── IncompleteError      4    some outputs are not there
    ├── TryAgainError       75    the storage failed: a retry may help
    │   └── NoMemoryError   75    the device's or the processor's memory ran out
    └── Stopped        130/143    stopped by a signal or by ``cancel``, with a checkpoint written

Codes as in DESIGN section 6; 33 is left free because OpenCue reads it as "out of memory".
"""

from __future__ import annotations

import errno
from typing import Any

__all__ = [
    "TRANSIENT",
    "IncompleteError",
    "InfusionError",
    "JobError",
    "MissingStepError",
    "NoMemoryError",
    "SequenceError",
    "Stopped",
    "TryAgainError",
    "exit_code_of",
    "facts_of",
]

TRANSIENT = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""Faults of the storage or the machine, not of the job: a retry, or more room, may mend them."""


class InfusionError(Exception):
    """Base of every error that is raised on purpose.

    The message is one line that says what and where. ``hint`` says what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}; {self.hint}" if self.hint else message


class JobError(InfusionError):
    """The job cannot run as it is written."""

    exit_code = 2


class SequenceError(JobError):
    """Frames are missing, unreadable, or do not agree with each other."""


class MissingStepError(InfusionError):
    """A step was asked for whose input an earlier step has not written."""

    exit_code = 3


class IncompleteError(InfusionError):
    """The job ended, and some of its frames are not there."""

    exit_code = 4


class TryAgainError(InfusionError):
    """Nothing is wrong with the job: device memory ran out, or the storage failed."""

    exit_code = 75


class NoMemoryError(TryAgainError):
    """The memory of the device, or of the processor, ran out."""


class Stopped(InfusionError):
    """The job was asked to stop; a checkpoint was written, and the same command goes on."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 130) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


def exit_code_of(error: BaseException) -> int:
    """The exit code that a process ends with on an error: ours, the system's or anything else."""
    if isinstance(error, InfusionError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, MemoryError):
        return 75
    return 75 if isinstance(error, OSError) and error.errno in TRANSIENT else 1


def facts_of(error: BaseException) -> dict[str, Any]:
    """An error as what is kept of it: ``code``, ``message`` and ``hint``."""
    if isinstance(error, InfusionError):
        message, hint = Exception.__str__(error), error.hint
    else:
        message, hint = repr(error), ""
    return {"code": exit_code_of(error), "message": message, "hint": hint}

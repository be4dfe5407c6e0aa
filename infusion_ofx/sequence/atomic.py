"""Files that appear whole or not at all: a hidden temporary beside them, synced and renamed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infusion_ofx.errors import TRANSIENT, InfusionError, JobError, TryAgainError
from infusion_ofx.sequence.pattern import list_folder

__all__ = ["clock_of", "storage_error", "sweep", "temporary", "whole_file"]

_TEMPORARY = re.compile(r"\..+\.([^.]+)\.([0-9]+)\.[0-9a-f]{32}\.tmp", re.DOTALL)
_STALE_SECONDS = 24 * 3600


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A hidden, empty file beside the target; it becomes the target when the block ends well.

    On an error it is removed and the target is left as it was.

    Raises:
        TryAgainError: when the storage fails.
        JobError: when the target may not be written.
    """
    path = temporary(target)
    try:
        # Made here, since an error of the system says more than one of a codec.
        path.open("xb").close()
        yield path
        _sync(path)
        os.replace(path, target)
        _sync_folder(target.parent)
    except BaseException as error:
        _remove(path)
        if isinstance(error, OSError):
            raise storage_error(target, error) from error
        if isinstance(error, TryAgainError):
            message = str(error.args[0]).replace(path.name, target.name)
            raise TryAgainError(message, error.hint) from error
        raise


def temporary(target: Path) -> Path:
    """A hidden name beside the target for what is to become it, file or folder; ``sweep`` knows
    whose it is."""
    name = target.name[:32]  # as long as names may be, no more than 255 bytes come of it
    return target.with_name(f".{name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex}.tmp")


def storage_error(target: Path, error: OSError) -> InfusionError:
    """What a failed write means: a storage that may recover, or a target that may not be
    written."""
    reason = error.strerror or str(error)
    message = f"cannot write {str(target)!r}: {reason}"
    if error.errno in TRANSIENT:
        return TryAgainError(message, "make room, then run the same command again")
    return JobError(message, "check that its folder exists and may be written")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder; there the rename is as lasting as the file system makes it.
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Removes what has a name of ``temporary`` in a folder and that nobody writes any more: that of
    this machine's dead processes, and whatever has lain there for more than 24 hours."""
    if not folder.is_dir():
        return
    found = [match for name in list_folder(str(folder)) if (match := _TEMPORARY.fullmatch(name))]
    oldest = clock_of(folder) - _STALE_SECONDS if found else 0.0
    for match in found:
        path = folder / match[0]
        with suppress(FileNotFoundError):  # whoever writes it has just finished
            if _is_dead(match[1], int(match[2])) or path.lstat().st_mtime < oldest:
                _remove(path)


def _host() -> str:
    """This machine and its numbering of processes, of which a container has its own."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"
    try:
        return f"{name}-{os.stat('/proc/self/ns/pid').st_ino:x}"
    except OSError:
        return name


def _is_dead(host: str, process: int) -> bool:
    """Whether a process was one of this machine and is no more."""
    if host != _host() or os.name != "posix":  # on Windows, to ask is to kill
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def clock_of(folder: Path) -> float:
    """The time by the clock that stamps the files of a folder, which on shared storage is the file
    server's; where no file may be made, this machine's."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".now.") as probe:
            probe.write(b" ")
            probe.flush()
            os.fsync(probe.fileno())
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return time.time()

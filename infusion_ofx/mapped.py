"""Tensors that lie in a file without a name: there may be more of them than memory holds.

What is looked at is read by the system, page by page; ``rest`` lets go of it. The file belongs to
one process, nobody else can find, change or remove it, and it is gone when that process is.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from infusion_ofx.sequence.atomic import storage_error

__all__ = ["Mapped", "size_of"]

_ALIGNED = 64
"""Bytes: where tensors begin, so that processors load them well."""


class Mapped:
    """A file's room for tensors, given out piece by piece."""

    def __init__(self, folder: Path, size: int) -> None:
        """Takes ``size`` bytes of the disk that ``folder`` is on, all 0.

        Raises:
            TryAgainError: when the disk has not that much room.
            JobError: when nothing may be written there.
        """
        self._taken = 0
        size = max(size, 1)  # nothing cannot be mapped
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                if hasattr(os, "posix_fallocate"):  # else a full disk would be a crash later
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
                self._map = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise storage_error(folder / "a temporary file", error) from error

    def tensor(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """The next piece of the room, a tensor of zeros; what is written to it goes to the file."""
        count, start = math.prod(shape), self._taken
        self._taken += size_of(shape, dtype)
        assert self._taken <= max(len(self._map), _ALIGNED), "more than was asked for"
        if not count:
            return torch.zeros(shape, dtype=dtype)
        return torch.frombuffer(self._map, dtype=dtype, count=count, offset=start).reshape(shape)

    def rest(self) -> None:
        """Gives back the memory of all that was looked at. Nothing of it is lost."""
        if hasattr(self._map, "madvise"):  # not on Windows, which sees to it by itself
            self._map.madvise(mmap.MADV_DONTNEED)


def size_of(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> int:
    """Bytes of the room that a tensor takes."""
    return -(-math.prod(shape) * dtype.itemsize // _ALIGNED) * _ALIGNED

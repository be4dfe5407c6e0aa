"""Laws of tensors that lie in a file."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from infusion_ofx.errors import InfusionError, TryAgainError
from infusion_ofx.mapped import Mapped, size_of

SHAPES = [(3, 5, 7), (0, 4), (), (2, 2)]


def _room(folder: Path) -> tuple[Mapped, list[torch.Tensor]]:
    held = Mapped(folder, sum(map(size_of, SHAPES)))
    return held, [held.tensor(*shape) for shape in SHAPES]


def test_tensors_are_zero_hold_what_is_written_and_lose_nothing_by_resting(tmp_path: Path) -> None:
    held, tensors = _room(tmp_path)
    assert [tuple(tensor.shape) for tensor in tensors] == SHAPES
    assert all((tensor == 0).all() for tensor in tensors)
    wanted = [torch.randn(shape) for shape in SHAPES]
    for tensor, values in zip(tensors, wanted, strict=True):
        tensor.copy_(values)
        held.rest()
    assert all(map(torch.equal, tensors, wanted))


def test_the_file_has_no_name_and_a_tensor_outlives_its_room(tmp_path: Path) -> None:
    held, tensors = _room(tmp_path)
    assert list(tmp_path.iterdir()) == []
    del held
    gc.collect()
    tensors[0].fill_(2.0)
    assert tensors[0].sum().item() == 2.0 * tensors[0].numel()


def test_any_type_of_number_has_its_room(tmp_path: Path) -> None:
    types = (torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    held = Mapped(tmp_path, sum(size_of((3, 5), dtype) for dtype in types))
    for dtype in types:
        tensor = held.tensor(3, 5, dtype=dtype)
        tensor.fill_(1)
        assert tensor.dtype == dtype and tensor.sum() == 15


def test_a_full_disk_is_known_before_it_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(TryAgainError, match="No space left"):
        Mapped(tmp_path, 10)


def test_a_folder_that_is_gone_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(InfusionError, match="cannot write"):
        Mapped(tmp_path / "gone", 10)


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read from /proc")
def test_what_rests_takes_no_memory(tmp_path: Path) -> None:
    # In a process of its own, so that nothing else comes and goes.
    code = """
import sys, torch
from pathlib import Path
from infusion_ofx.mapped import Mapped
def pages(): return int(Path("/proc/self/statm").read_text().split()[1])
held = Mapped(Path(sys.argv[1]), 2**26)
tensor = held.tensor(2**24)
before = pages()
tensor.fill_(1.0)
full = pages()
held.rest()
print(before, full, pages(), tensor[-1].item())
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    before, full, rested, last = run.stdout.split()
    room = 2**26 // os.sysconf("SC_PAGE_SIZE")
    assert int(full) - int(before) > 0.9 * room
    assert int(rested) - int(before) < 0.1 * room
    assert float(last) == 1.0

"""Laws of the choice of device and precision."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from infusion_ofx.engine.compute import Compute, resident_peak
from infusion_ofx.errors import JobError


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Choosing a device sets things for the whole process: they are put back."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


def test_a_processor_is_always_there() -> None:
    compute = Compute.choose("cpu", "float32")
    assert compute.device == torch.device("cpu")
    assert compute.precision == "float32"
    assert "threads" in compute.name
    compute.wait()


def test_auto_takes_a_device_that_is_there_and_a_precision() -> None:
    compute = Compute.choose()
    assert compute.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert compute.precision in ("float32", "bfloat16")


@pytest.mark.parametrize("number", [7000, 127, 128, 256, 99999999999999])
def test_a_device_that_is_not_there_is_the_jobs_fault(number: int) -> None:
    with pytest.raises(JobError, match=f"cuda:{number} is not there"):
        Compute.choose(f"cuda:{number}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_gpu_is_refused_where_there_is_none() -> None:
    with pytest.raises(JobError, match="--device cpu"):
        Compute.choose("cuda")


def test_arithmetic_is_asked_to_be_repeatable() -> None:
    torch.use_deterministic_algorithms(False)
    Compute.choose("cpu")
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark


def test_the_number_of_threads_is_the_jobs_or_the_farms(monkeypatch: pytest.MonkeyPatch) -> None:
    Compute.choose("cpu", threads=3)
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    Compute.choose("cpu")
    assert torch.get_num_threads() == 2
    Compute.choose("cpu", threads=1)
    assert torch.get_num_threads() == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    Compute.choose("cpu")
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    Compute.choose("cpu")
    assert torch.get_num_threads() == len(os.sched_getaffinity(0))
    torch.set_num_threads(1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_runs_in_the_precision_that_was_chosen(precision: str, device: str) -> None:
    compute = Compute(torch.device(device), precision)
    matrix = torch.ones(2, 2, device=device)
    with compute.autocast():
        assert (matrix @ matrix).dtype == getattr(torch, precision)
    assert (matrix @ matrix).dtype == torch.float32


@pytest.mark.parametrize(
    ("frames", "side", "sound"),
    [(1, 32, True), (2, 32, False), (3, 32, True), (12, 48, True), (12, 49, False), (4, 64, False)],
)
def test_what_torch_gets_wrong_in_bfloat16_on_a_cpu_is_trained_in_float32(
    frames: int, side: int, sound: bool
) -> None:
    matrix = torch.ones(2, 2)
    with Compute(torch.device("cpu"), "bfloat16").autocast(frames, side * side):
        assert (matrix @ matrix).dtype == (torch.bfloat16 if sound else torch.float32)


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    before = resident_peak()
    assert 2**24 < before < 2**44
    block = torch.ones(2**22)
    assert resident_peak() >= before
    assert block[0] == 1
    assert Compute(torch.device("cpu"), "float32").peak_memory() >= before

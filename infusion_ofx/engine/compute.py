"""The only place that chooses device and precision. Everything else follows its tensors."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from infusion_ofx.errors import JobError, NoMemoryError

__all__ = ["Compute", "processor", "resident_peak"]


NO_MEMORY = ("can't allocate memory", "ALLOC_FAILED")
"""What torch says when the processor's memory, or a library's on the GPU, runs out."""

MOST_PIXELS = 48 * 48
"""Largest frame that a CPU trains on in bfloat16. Seen on an Intel Xeon with AMX: no fault from 1
to 12 frames of up to 32x32 and 4 of 48x48; NaN for 1 to 5 of 64x64, a torn heap for 4 of 100x128
and 12 of 288x288."""


@dataclass(frozen=True)
class Compute:
    """Where the network runs, and in which arithmetic."""

    device: torch.device
    precision: str
    """``float32`` or ``bfloat16``: the network's; all else is float32."""

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto", threads: int = 0) -> Compute:
        """What is asked for, or the best there is. Also asks torch for repeatable arithmetic.

        threads: of the processor; 0 takes the farm's share, or all cores. On a CPU they decide the
        order of sums, so that the same pixels need the same number of threads.

        Raises:
            JobError: when the device is not there.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        name, _, index = device.partition(":")
        if name == "cuda" and int(index or 0) >= torch.cuda.device_count():
            raise JobError(
                f"device {device} is not there, there are {torch.cuda.device_count()} CUDA devices",
                "check CUDA_VISIBLE_DEVICES, or use --device cpu",
            )
        where = torch.device(device)
        torch.set_num_threads(threads or _default_threads())
        if os.environ.get("CUBLAS_WORKSPACE_CONFIG") not in (":4096:8", ":16:8"):
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # what repeatable sums ask for
        torch.use_deterministic_algorithms(True)
        fill = "fill_uninitialized_memory"  # a debugging aid that takes time
        setattr(torch.utils.deterministic, fill, False)
        torch.backends.cudnn.benchmark = False
        if precision == "auto":
            precision = "bfloat16" if _has_bfloat16(where) else "float32"
        torch.backends.cudnn.allow_tf32 = precision != "float32"
        return cls(where, precision)

    @property
    def name(self) -> str:
        """For people: the processor's or the GPU's name."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{processor()}, {torch.get_num_threads()} threads"

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What decides the last bits of a sum, JSON-ready: the same pixels need the same of it."""
        kind = {"device": self.device.type, "precision": self.precision}
        return kind if self.device.type == "cuda" else {**kind, "threads": torch.get_num_threads()}

    def like(self, arithmetic: Mapping[str, Any]) -> Compute:
        """This place with another's arithmetic, so that a job goes on as it was begun.

        Raises:
            JobError: when that takes another kind of device.
        """
        if dict(arithmetic) == self.arithmetic:
            return self
        if arithmetic["device"] != self.device.type:
            raise JobError(
                f"this job was begun on a {arithmetic['device']} device and would go on here on "
                f"{self.device.type}",
                "run it where it was begun, or begin it anew in another --data-dir",
            )
        threads = int(arithmetic.get("threads", 0))
        return Compute.choose(str(self.device), str(arithmetic["precision"]), threads)

    def autocast(self, frames: int = 0, pixels: int = 0) -> AbstractContextManager[object]:
        """Inside it, the network's matrix work runs in the chosen precision.

        frames, pixels: of the clip that is trained on, as convolutions see it. torch 2.13 on a CPU
        gets the weight gradient of a bfloat16 convolution wrong over exactly two frames, and over
        large ones writes past the end of its memory; those are trained in float32.
        """
        sound = frames != 2 and pixels <= MOST_PIXELS
        enabled = self.precision == "bfloat16" and (self.device.type != "cpu" or sound)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    @contextmanager
    def enough_memory(self) -> Iterator[None]:
        """Tells every way in which memory can run out as one error.

        Raises:
            NoMemoryError: when it does.
        """
        try:
            yield
        except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
            known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
            if not known and not any(sign in str(error) for sign in NO_MEMORY):
                raise
            raise NoMemoryError(
                f"memory ran out on {self.name}",
                "lower --memory, free the device, or use --device cpu",
            ) from error

    def wait(self) -> None:
        """Returns when the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak_memory(self) -> int:
        """Most bytes held so far: on the GPU, or by this process on a CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return resident_peak()


def resident_peak() -> int:
    """Most host memory that this process has held, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _default_threads() -> int:
    """What Slurm gave this task, or the environment all that computes; else the cores that this
    process may use."""
    for name in ("SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"):
        given = os.environ.get(name, "")
        if given.isdecimal() and int(given):
            return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is done by the hardware; elsewhere it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    cpu = torch.cpu
    return any(
        getattr(cpu, name, lambda: False)()
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            return next(s.split(":", 1)[1].strip() for s in lines if s.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

"""What a run takes: a fresh process, measured; and how much arithmetic it does a second."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from infusion_ofx.accounts import costs, verdicts
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import build
from infusion_ofx.engine.objective import denoise
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import make
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.errors import InfusionError, JobError
from infusion_ofx.folder import JobFolder
from infusion_ofx.job import Job
from infusion_ofx.material import recipe_of
from infusion_ofx.sequence.frame import Box
from infusion_ofx.stopping import stopping

__all__ = ["arithmetic", "ceiling", "measured"]

Row = dict[str, Any]

# A child of a small process of its own: what Linux counts as a child's peak memory starts at the
# peak of the process that forked it, and ours holds torch and a whole clip.
_LAUNCHER = """
import json, os, sys, subprocess
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as file:
    json.dump([child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss], file)
"""

BLOCK = (4, 32, 32)
"""Frames, height and width of the block that arithmetic is counted on."""

MATRIX = {"cpu": 2048, "cuda": 8192}
"""Side of the square matrices whose product is the ceiling: large enough to fill the device."""


def measured(job: Job, scratch: Path) -> Row:
    """Runs the real command on a job, in a fresh process, and returns what it took.

    ``cpu_seconds``, ``wall_seconds`` and ``peak_memory`` in bytes of the whole process;
    ``choices``, what the self-score has said of each region (accounts.py), where the method is
    auto; the rest is from ``arithmetic``. scratch: an empty folder that it may use.

    Raises:
        InfusionError: when the run fails, with the last line that it said.
        Stopped: when INT or TERM asks for it; the run is stopped first.
        JobError: on a system that cannot measure a child process.
    """
    if not hasattr(os, "wait4"):
        raise JobError("this system cannot measure a child process", "run bench on Linux or macOS")
    usage, log, file = scratch / "usage.json", scratch / "log.txt", scratch / "job.json"
    file.write_text(job.to_json(), encoding="utf-8")
    program = [sys.executable, "-m", "infusion_cli", "run"]
    command = [*program, "--job", str(file), "--progress", "plain"]
    # The child finds the package where we did, installed or not.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as said, stopping() as signals:
        launcher = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(usage), *command],
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        while launcher.poll() is None:
            if signals.received is not None:
                os.killpg(launcher.pid, signal.SIGKILL)  # it works in a scratch folder of ours
                launcher.wait()
                raise signals.stopped("the run that was measured is gone")
            time.sleep(0.05)
    seconds = time.monotonic() - started
    code, cpu, memory = json.loads(usage.read_text()) if usage.exists() else (1, 0.0, 0)
    if code != 0:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise InfusionError(f"code {code}: {last[0] if last else 'it said nothing'}")
    unit = 1 if sys.platform == "darwin" else 1024
    row: Row = {"cpu_seconds": cpu, "wall_seconds": seconds, "peak_memory": memory * unit}
    folder = JobFolder(next(Path(job.data_dir).rglob("job.json")).parent)
    row["choices"] = verdicts(folder).get(1, [])
    return {**row, **arithmetic(job, costs(folder))}


def arithmetic(job: Job, cost: Mapping[str, Any]) -> Row:
    """``train_seconds``, ``sample_seconds``, ``patch_seconds``, on the device; ``tflops``, the rate
    of the first two together in 10^12 operations a second; ``ceiling_share``, that rate over the
    ``ceiling``.

    cost: by kind, seconds and voxels passed forward (accounts.py). None of what it does not say; a
    fill of patches does no arithmetic that could be held against a matrix product.
    """
    kinds = {kind: cost.get(kind, {}) for kind in ("train", "sample")}
    row: Row = {f"{kind}_seconds": said.get("seconds") for kind, said in kinds.items()}
    row |= {"patch_seconds": cost.get("patch", {}).get("seconds")}
    row |= {"tflops": None, "ceiling_share": None}
    recipe = recipe_of(job)
    seconds = sum(said.get("seconds", 0.0) for said in kinds.values())
    if recipe.steps and seconds:
        compute = Compute.choose(job.device, job.precision, job.threads)
        voxels = sum(said.get("voxels", 0.0) for said in kinds.values())
        row["tflops"] = operations(recipe, len(job.channels.split(","))) * voxels / seconds / 1e12
        row["ceiling_share"] = row["tflops"] / ceiling(str(compute.device), compute.precision)
    return row


@lru_cache(None)
def operations(recipe: Recipe, channels: int) -> float:
    """Operations of one forward pass through one network for each voxel; a multiplication and an
    addition are two."""
    frames, height, width = BLOCK
    boxes = [Box(0, 0, height, width)] * frames
    clean = Volume(boxes, [torch.zeros(channels, height, width) for _ in boxes])
    hole = Volume(boxes, [torch.zeros(1, height, width) for _ in boxes])
    limit = torch.ones(channels)
    shot = Shot(tuple(range(frames)), clean, hole, -limit, limit)
    network = build(replace(recipe, ensemble=1), shot)
    known, unseen = (volume.cut(0, frames, boxes[0])[None] for volume in (clean, hole))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        denoise(network, make(recipe), known, known, unseen, torch.tensor([0.5]))
    return float(counter.get_total_flops()) / (frames * height * width)


@lru_cache(None)
def ceiling(device: str, precision: str) -> float:
    """10^12 operations a second of the best of ten products of two large square matrices."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    compute = Compute(torch.device(device), precision)
    rows = MATRIX[compute.device.type]
    a = torch.randn(rows, rows, device=device).to(kind)
    best = float("inf")
    for _ in range(10):
        compute.wait()
        began = time.perf_counter()
        a @ a
        compute.wait()
        best = min(best, time.perf_counter() - began)
    return 2 * rows**3 / best / 1e12

"""How fast the engine is on this machine, and how much it holds: docs/benchmarks/engine.json.

    python docs/benchmarks/engine.py [--device cuda] [--recipe standard] [--cap 30] [-o engine.json]

Each case is a shot that is made here, of waves that move, in the working range: no file is read, so
that what is timed is the fill of patches, the training and the sampling. A stage that takes longer
than ``--cap`` seconds is left there, and its time for all steps is worked out from those that were
done; the row says how many. Of stages of one kind, as the intervals of ``paper``, the first is
timed and the others are taken to be like it. Floors: the best matrix product of the device, and its
copy of memory.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infusion_ofx.bench_cost import ceiling, operations
from infusion_ofx.bench_table import machine
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.inpaint import Engine, Step, by_scale
from infusion_ofx.engine.recipe import PATCHES, RECIPES, Recipe
from infusion_ofx.engine.scales import margin, scale_of
from infusion_ofx.engine.stages import Stage
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.estimate import largest_tile, work
from infusion_ofx.plan import Plan, make
from infusion_ofx.planning import MOST_LOADED
from infusion_ofx.sequence.frame import Box

CASES = {
    "small": (432, 240, 80, 80),
    "2K": (2048, 1152, 100, 400),
    "4K": (4096, 2304, 100, 800),
}
"""Width, height, frames, and the side of the hole, which stands still in the middle."""

MEMORY = 16 * 2**30

WARM = 10
"""Training steps that are not timed."""


class Enough(Exception):
    """A stage has taken as long as it may."""


def _shot(case: str, recipe: Recipe, device: torch.device) -> tuple[Shot, Plan]:
    width, height, frames, side = CASES[case]
    top, left = (height - side) // 2, (width - side) // 2
    hole = Box(top, left, top + side, left + side)
    scale = scale_of(recipe, side / 2)
    plan = make(
        [hole] * frames,
        Box(0, 0, height, width),
        frames=recipe.frames,
        overlap=recipe.overlap,
        context=recipe.context,
        reach=recipe.reach,
        near=recipe.near,
        tile=largest_tile(recipe, MEMORY),
        voxels=MOST_LOADED,
        block=recipe.block if recipe.patches else MOST_LOADED,
        around=margin(recipe, scale),
    )

    def mask(i: int, box: Box) -> Tensor:
        found = torch.zeros(1, box.height, box.width, device=device)
        rows, columns = box.slices(hole)
        found[:, rows, columns] = 1
        return found

    def waves(i: int, box: Box) -> Tensor:
        y = torch.arange(box.top, box.bottom, device=device)[:, None]
        x = torch.arange(box.left, box.right, device=device)
        parts = [
            torch.sin(0.21 * y * c + 0.13 * x + 0.5 * i) * torch.sin(0.07 * x * c - 0.3 * i)
            for c in (1, 2, 3)
        ]
        generator = torch.Generator(device).manual_seed(i)
        grain = torch.randn(3, box.height, box.width, generator=generator, device=device)
        return (torch.stack(parts) / 2 + 0.05 * grain) * (1 - mask(i, box))

    clean, unknown = Volume.make(plan.region, waves), Volume.make(plan.region, mask)
    limit = torch.ones(3, device=device)
    shot = Shot(tuple(range(frames)), clean, unknown, -limit, limit)
    return shot, replace(plan, scale=scale)


def _timed(engine: Engine, stage: Stage, cap: float) -> dict[str, float]:
    """Seconds of a stage, as measured or worked out from the steps that were ``done``, of which the
    first few, in which libraries choose and a graph is recorded, are left out."""
    began, done, warm = time.monotonic(), 0, 0.0
    first = WARM if stage.kind == "train" else 1

    def on_step(step: Step) -> None:
        nonlocal done, warm
        done = step.done
        if done == first:
            engine.compute.wait()
            warm = time.monotonic()
        if time.monotonic() - began > cap and done > 2 * first:
            raise Enough

    try:
        engine.run(stage, on_step)
    except Enough:
        pass
    engine.compute.wait()
    ended = time.monotonic()
    row = {"seconds": ended - began, "done": done, "steps": stage.steps}
    if done > first:
        each = (ended - warm) / (done - first)
        row["milliseconds_a_step"] = each * 1e3
        if done < stage.steps:
            row["seconds"] = warm - began + each * (stage.steps - first)
    return row


def measure(case: str, name: str, compute: Compute, cap: float) -> dict[str, Any]:
    """A row of figures of one case and recipe."""
    recipe = {**RECIPES, "patches": PATCHES}[name]
    shot, plan = _shot(case, recipe, compute.device)
    if compute.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    parts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        cost = {stage.name: passes for stage, passes in work(recipe, plan)}
        for engine in by_scale(shot, plan, recipe, compute, seed=0, folder=Path(folder)).values():
            parts |= _parts(replace(engine, coarser=None), cost, cap)  # nor needs a call its fill
    tflops = max(part.get("tflops", 0.0) for part in parts.values())
    return {
        "case": case,
        "recipe": name,
        "parts": parts,
        "seconds": sum(part["seconds"] for part in parts.values()),
        "peak_memory": compute.peak_memory(),
        "ceiling_share": tflops / ceiling(str(compute.device), compute.precision),
        "scale": plan.scale,
        "windows": len(plan.windows),
        "voxels": plan.voxels,
    }


def _parts(engine: Engine, cost: dict[str, float], cap: float) -> dict[str, Any]:
    """The stages of one scale. cost: voxels that a step of each passes forward."""
    parts, alike = dict[str, Any](), dict[str, float]()
    for stage in engine.stages:
        if stage.kind in alike:  # as long a step as in the first stage of its kind
            each = alike[stage.kind]
            parts[stage.name] = {"seconds": each * stage.steps, "done": 0, "steps": stage.steps}
            continue
        if stage.kind == "sample" and not engine.is_done(engine.stages[0]):
            engine = _untrained(engine, engine.folder)  # a call takes as long, trained or not
        found = _timed(engine, stage, cap)
        if stage.kind != "patch":
            voxels = cost[stage.name] * stage.steps
            found["tflops"] = operations(engine.recipe, 3) * voxels / found["seconds"] / 1e12
        alike[stage.kind] = found["seconds"] / stage.steps
        parts[stage.name] = found
    return parts


def _untrained(engine: Engine, folder: Path) -> Engine:
    """The same engine with a training of one step."""
    recipe = replace(engine.recipe, steps=1)
    short = Engine(engine.shot, engine.plan, recipe, engine.compute, 0, folder / "short")
    (folder / "short").mkdir(exist_ok=True)
    short.run(short.stages[0])
    return short


def copy_rate(device: torch.device) -> float:
    """Bytes a second of a large copy, read and written."""
    a = torch.empty(2**28, dtype=torch.uint8, device=device).random_()
    b, compute, best = torch.empty_like(a), Compute(device, "float32"), math.inf
    for _ in range(5):
        compute.wait()
        began = time.perf_counter()
        b.copy_(a)
        compute.wait()
        best = min(best, time.perf_counter() - began)
    return 2 * a.numel() / best


def main() -> None:
    """Measures and writes."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="auto")
    options.add_argument(
        "--recipe", default="standard", help="recipes, or patches; with commas between"
    )
    options.add_argument("--cases", default="small", help="several with commas between")
    options.add_argument("--cap", type=float, default=30.0, help="seconds of a stage, at most")
    options.add_argument("-o", "--output", type=Path, default=Path("engine.json"))
    given = options.parse_args()
    compute = Compute.choose(given.device)
    facts = {
        "machine": machine(),
        "command": sys.argv,
        "precision": compute.precision,
        "matmul_tflops": ceiling(str(compute.device), compute.precision),
        "copy_bytes_a_second": copy_rate(compute.device),
        "rows": [],
    }
    for case in given.cases.split(","):
        for name in given.recipe.split(","):
            row = measure(case, name, compute, given.cap)
            facts["rows"].append(row)
            print(json.dumps(row), flush=True)
            given.output.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

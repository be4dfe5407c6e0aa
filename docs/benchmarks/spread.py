"""What it costs, or gains, that the intervals of a recipe can be trained side by side.

    python docs/benchmarks/spread.py /work/shared/clips/flame_hole -o docs/benchmarks/spread.json

fills the first frames of a clip whose truth is known with a small relative of recipe ``final``,
built in three ways that take equally many training steps: one network for all noise levels; a
chain, in which each interval goes on from the one before it, as published; and a shared training
from which every interval goes on by itself, as ``final`` is. ``in_a_row`` counts the training steps
that have to wait for each other: the wall time of a farm that has a machine for each interval.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from infusion_ofx.bench_table import machine
from infusion_ofx.engine.recipe import RECIPES, Recipe
from infusion_ofx.job import Job
from infusion_ofx.run import run
from infusion_ofx.score import peak_of, scores
from infusion_ofx.sequence.store import Sequence

FRAMES = 8
FINAL = replace(
    RECIPES["final"], width=32, crop=32, sampling_steps=17, shared_steps=160, intervals=4, steps=60
)
ALL = FINAL.shared_steps + FINAL.intervals * FINAL.steps
WAYS = {
    "one": replace(FINAL, shared_steps=0, intervals=1, steps=ALL),
    "chain": replace(FINAL, shared_steps=0, steps=round(ALL / FINAL.intervals)),
    "spread": FINAL,
}
SAID = ("psnr", "swd", "swd_texture", "frame_difference", "spectrum", "sharpness", "seam")


def main() -> None:
    """Fills the clip in each way and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--fills", type=int, help="end after so many; the next run goes on")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    first = Sequence.open(f"{arguments.clip}/plate.####.exr").frames[0]
    frames = range(first, first + FRAMES)
    rows = json.loads(arguments.output.read_text())["rows"] if arguments.output.exists() else []
    done = {(row["way"], row["seed"]) for row in rows}
    wanted = [(way, seed) for seed in range(arguments.seeds) for way in WAYS]
    for way, seed in [each for each in wanted if each not in done][: arguments.fills]:
        found = measure(arguments.clip, frames, WAYS[way], seed)
        rows.append({"way": way, "seed": seed, **found})
        facts = {"machine": machine(), "clip": arguments.clip.name, "frames": FRAMES, "rows": rows}
        arguments.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def measure(clip: Path, frames: range, recipe: Recipe, seed: int) -> dict[str, Any]:
    """One fill: its scores, its processor seconds, and its training steps, all and in a row."""
    RECIPES["final"] = recipe
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run(
            Job(
                f"{clip}/plate.####.exr", f"{clip}/matte.####.exr", f"{folder}/",
                frames=f"{frames[0]}-{frames[-1]}", recipe="final", seed=seed, device="cpu",
                threads=1, prior="off",
            )
        )  # fmt: skip
        seconds = time.process_time() - began
        fill = light(f"{folder}/plate.####.exr", frames)
    plate, truth = (light(f"{clip}/{name}.####.exr", frames) for name in ("plate", "clean"))
    matte = Sequence.open(f"{clip}/matte.####.exr").choose_matte()
    hole = np.stack([matte.read(n, matte.header(n).display)[..., 0] > 0 for n in frames])
    found = scores(fill, truth, hole, peak=peak_of(plate[~hole]))
    total = recipe.shared_steps + recipe.intervals * recipe.steps
    in_a_row = recipe.shared_steps + recipe.steps if recipe.shared_steps else total
    return {
        **{name: round(found[name], 4) for name in SAID},
        "training_steps": total, "in_a_row": in_a_row, "cpu_seconds": round(seconds, 1),
    }  # fmt: skip


def light(pattern: str, frames: range) -> Any:
    """The clip in linear light, (T, H, W, 3)."""
    sequence = Sequence.open(pattern).choose(("R", "G", "B"))
    return np.stack([sequence.read(n, sequence.header(n).display) for n in frames])


if __name__ == "__main__":
    main()

"""What each piece of recipe ``draft`` brings: the recipe with one thing changed at a time.

    python docs/benchmarks/ablation.py --seeds 2 -o docs/benchmarks/ablation.json
    python docs/benchmarks/ablation.py /work/shared/clips/flame_hole --steps 3000 -o flame.json

fills a clip whose truth is known, the shot of ``infusion demo`` where none is given, in each way of
``CHANGES`` and scores it as ``infusion bench`` does, without the prior and without grain, so that
nothing but the engine is looked at. Figures are written after each fill, and the next run goes on
from them; the table of docs/method.md is printed at the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infusion_ofx.bench_case import Case
from infusion_ofx.bench_table import machine, number
from infusion_ofx.demo import make_shot
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.job import Job
from infusion_ofx.run import run
from infusion_ofx.score import scores

DRAFT = RECIPES["draft"]
CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "the linear guess, and a network that has learnt nothing": {"steps": 1},
    "Adam instead of Muon, weights stay": {"muon": False, "weight_decay": 0.0},
    "trained from a noise of 3": {"noise": (0.045, 3.0)},
    "trained on 96 pixels beyond what sampling sees, and anywhere": {"near": 96, "close": False},
    "no look at the estimate before": {"extrapolate": False},
    "all noise counts as published": {"low_weight": 0.0},
    "range fitted within 24 pixels": {"surround": 24},
    "RGB instead of principal components": {"decorrelate": False},
    "four intervals": {"intervals": 4},
    "not stirred": {"stir": 1.0},
    "starts from a noise of 12": {"start": 12.0},
    "known pixels count as much as hidden ones": {"known_weight": 1.0},
    "weights stay": {"weight_decay": 0.0},
    "three networks": {"ensemble": 3},
}
"""By what is different from ``draft``. Intervals share its training steps among them."""

SAID = {
    "psnr": "PSNR dB", "ssim": "SSIM", "swd": "SWD", "swd_texture": "texture",
    "frame_difference": "frame difference", "spectrum": "spectrum dB", "sharpness": "sharpness",
    "seam": "seam", "cpu_seconds": "CPU s",
}  # fmt: skip


def main() -> None:
    """Fills the clip in each way and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1000, help="of training, over all intervals")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = json.loads(arguments.output.read_text())["rows"] if arguments.output.exists() else []
    done = {(row["change"], row["seed"]) for row in rows}
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.case
        if folder is None:
            make_shot(folder := Path(scratch) / "demo")
        case = Case.open(folder)
        wanted = [(change, seed) for seed in range(arguments.seeds) for change in CHANGES]
        for change, seed in [each for each in wanted if each not in done]:
            found = measure(case, change, arguments.steps, seed)
            rows.append({"change": change, "seed": seed, **found})
            facts = {"machine": machine(), "clip": case.name, "steps": arguments.steps}
            text = json.dumps({**facts, "rows": rows}, indent=1)
            arguments.output.write_text(text + "\n", encoding="utf-8")
    print(table(rows))


def measure(case: Case, change: str, steps: int, seed: int) -> dict[str, float]:
    """One fill: its scores against the truth and its processor seconds."""
    if case.truth is None:
        raise SystemExit(f"{case.folder} has no clean.####.exr: there is nothing to score against")
    changed = replace(DRAFT, **{"steps": steps, **CHANGES[change]})
    RECIPES["draft"] = replace(changed, steps=changed.steps // changed.intervals)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        pattern = f"{case.folder}/{{}}.####.exr"
        run(
            Job(
                pattern.format("plate"), pattern.format("matte"), f"{folder}/", recipe="draft",
                seed=seed, device="cpu", threads=1, prior="off", grain="off",
            )
        )  # fmt: skip
        seconds = time.process_time() - began
        found = scores(case.read(Path(folder)), case.truth, case.hole, peak=case.peak)
    found["cpu_seconds"] = seconds
    return {name: round(found[name], 4) for name in SAID}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table, a line for each change: means over its seeds."""
    lines = ["| | " + " | ".join(SAID.values()) + " |", "|---" * (1 + len(SAID)) + "|"]
    for change in CHANGES:
        group = [row for row in rows if row["change"] == change]
        if group:
            cells = [number(statistics.fmean(row[name] for row in group)) for name in SAID]
            lines.append(f"| {change} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

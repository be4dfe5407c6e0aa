"""Measures recipes on shots: a fresh process each, law 1 checked, the fill scored.

``telea`` is taken beside the recipes of job.py: OpenCV's inpainting of each frame by itself, the
cheapest thing that fills a hole, as a floor to stand on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infusion_ofx.bench_table import number
from infusion_ofx.errors import InfusionError, JobError
from infusion_ofx.law import bits, law_one
from infusion_ofx.score import logarithm, peak_of, scores, scores_without_truth
from infusion_ofx.sequence.store import Sequence as Frames
from infusion_ofx.sheet import clip_sheet

__all__ = ["bench", "telea"]

BASELINE = "telea"
SAID = ("psnr", "swd", "frame_difference", "sharpness", "cpu_seconds", "outside_differ")
TELEA_RADIUS = 5  # pixels

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

Clip = NDArray[Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class _Case:
    """A shot with what every measurement of it needs."""

    folder: Path
    plate: Frames
    light: Clip
    """(T, H, W, 3) over the display window, the plate's own type."""
    matte: Clip
    """(T, H, W)."""
    truth: Clip | None
    peak: float

    @classmethod
    def open(cls, folder: Path) -> _Case:
        plate = Frames.open(str(folder / "plate.####.exr"))
        matte = Frames.open(str(folder / "matte.####.exr"), plate.frames).choose_matte()
        light = _read(plate)
        truth = None
        if (folder / f"clean.{plate.frames[0]:04d}.exr").is_file():
            truth = _read(Frames.open(str(folder / "clean.####.exr"), plate.frames))
        covered = np.stack([matte.read(n, plate.header(n).display)[..., 0] for n in plate.frames])
        return cls(folder, plate, light, covered, truth, peak_of(light[covered == 0]))


def bench(
    cases: Sequence[Path],
    recipes: Sequence[str],
    seeds: int,
    device: str,
    report: Callable[[str], None],
    *,
    keep: Path | None = None,
) -> list[Row]:
    """Runs each recipe on each case with seeds 0, 1, ... and returns a row of figures for each run.

    cases: folders with plate.####.exr, matte.####.exr and, where the truth is known,
    clean.####.exr, each of which must fit into memory. keep: a folder that gets the results and a
    contact sheet a case; without it they are measured and dropped.

    A row: ``clip``, ``recipe``, ``seed``; ``psnr``, ``swd``, ``frame_difference``, ``sharpness``
    (see score.py; against the truth, or where ``truth`` is False against the hole's surroundings,
    without PSNR); ``cpu_seconds``, ``wall_seconds``, ``peak_memory`` in bytes of the whole process;
    ``outside_differ``, samples that differ where the matte is 0; ``non_finite``, fill samples that
    are no numbers; ``names_kept``, ``header_kept``; ``fill_max``, the fill's brightest sample.

    Raises:
        SequenceError: when a case cannot be read.
        InfusionError: when a run fails, with the last line that it said.
        JobError: on a system that cannot measure a child process.
    """
    if not hasattr(os, "wait4"):
        raise JobError("this system cannot measure a child process", "run bench on Linux or macOS")
    rows: list[Row] = []
    for folder in cases:
        case = _Case.open(folder)
        shown: dict[str, Clip] = {}
        for recipe in recipes:
            for seed in range(1 if recipe == BASELINE else seeds):
                report(f"{folder.name}: {recipe}, seed {seed}")
                row, fill = _measure(case, recipe, seed, device, keep)
                rows.append(row)
                shown.setdefault(recipe, fill)
                report("  " + ", ".join(f"{key} {number(row[key])}" for key in SAID))
        if keep is not None:
            _sheet(keep / f"{folder.name}.png", case, shown)
    return rows


def _measure(
    case: _Case, recipe: str, seed: int, device: str, keep: Path | None
) -> tuple[Row, Clip]:
    """One run, its row, and its fill (T, H, W, 3)."""
    with tempfile.TemporaryDirectory(prefix="infusion-bench-") as scratch:
        name = f"{case.folder.name}-{recipe}-{seed}"
        output = (keep or Path(scratch)) / name
        if recipe == BASELINE:
            started, before = time.monotonic(), time.process_time()
            fill = telea(case.light, case.matte, case.peak)
            cost: Row = {
                "cpu_seconds": time.process_time() - before,
                "wall_seconds": time.monotonic() - started,
                "peak_memory": None,
            }
            law: Row = {
                "outside_differ": int((bits(fill) != bits(case.light))[case.matte == 0].sum()),
                "names_kept": True,
                "header_kept": True,
            }
        else:
            cost = _run(case, recipe, seed, device, output, Path(scratch))
            result = Frames.open(str(output))
            law = law_one(case.plate, result, case.matte)
            fill = _read(result)
    hole = case.matte > 0
    filled = fill[hole]
    found = (
        scores_without_truth(fill, hole, case.light)
        if case.truth is None
        else scores(fill, case.truth, hole, peak=case.peak)
    )
    finite = filled[np.isfinite(filled)]
    row = {
        "clip": case.folder.name,
        "recipe": recipe,
        "seed": seed,
        "psnr": None,
        **found,
        "truth": case.truth is not None,
        **cost,
        **law,
        "non_finite": int(filled.size - finite.size),
        "fill_max": float(finite.max()) if finite.size else None,
    }
    return row, fill


def _run(case: _Case, recipe: str, seed: int, device: str, output: Path, scratch: Path) -> Row:
    """Runs the real command in a fresh process; returns what it cost."""
    arguments = [
        sys.executable,
        "-m",
        "infusion_cli",
        "run",
        "--plate",
        case.plate.text,
        "--matte",
        str(case.folder / "matte.####.exr"),
        "--output",
        f"{output}{os.sep}",
        "--recipe",
        recipe,
        "--seed",
        str(seed),
        "--device",
        device,
        "--data-dir",
        str(scratch / "jobs"),
        "--progress",
        "plain",
    ]
    output.mkdir(parents=True, exist_ok=True)
    usage, log = scratch / "usage.json", scratch / "log.txt"
    # The child finds the package where we did, installed or not.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as said:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(usage), *arguments],
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    seconds = time.monotonic() - started
    code, cpu, memory = json.loads(usage.read_text()) if usage.exists() else (1, 0.0, 0)
    if code != 0:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise InfusionError(
            f"{recipe} on {case.folder.name} ended with code {code}: "
            f"{last[0] if last else 'it said nothing'}"
        )
    unit = 1 if sys.platform == "darwin" else 1024
    return {"cpu_seconds": cpu, "wall_seconds": seconds, "peak_memory": memory * unit}


def telea(light: Clip, matte: Clip, peak: float) -> Clip:
    """Fills each frame by itself with cv2.inpaint (Telea 2004), through the matte.

    light: (T, H, W, 3). matte: (T, H, W) in 0..1. OpenCV takes 8 bit, so that the frame is coded on
    score.py's log scale first: 256 steps from 0 to ``peak``; light above it comes back as ``peak``.
    """
    import cv2  # here, since the engine's measurements do not need it

    ratio = 1 + peak * 64
    filled: Clip = light.copy()
    for picture, cover in zip(filled, matte, strict=True):
        coded = (np.clip(logarithm(picture, peak), 0, 1) * 255 + 0.5).astype(np.uint8)
        hole = (cover > 0).astype(np.uint8)
        painted = cv2.inpaint(coded, hole, TELEA_RADIUS, cv2.INPAINT_TELEA)
        fill = (ratio ** (np.asarray(painted, np.float32) / 255) - 1) / 64
        part = cover[..., None].astype(np.float32)
        kept = np.where(part == 1, 0, picture.astype(np.float32))  # what is replaced may be Inf
        mixed = kept * (1 - part) + fill * part
        picture[hole > 0] = mixed[hole > 0].astype(picture.dtype)
    return filled


def _read(frames: Frames) -> Clip:
    chosen = frames.choose(("R", "G", "B"))
    return np.stack([chosen.read(n, frames.header(n).display) for n in frames.frames])


def _sheet(path: Path, case: _Case, shown: Mapping[str, Clip]) -> None:
    truth = {} if case.truth is None else {"truth": case.truth}
    clips = {"plate": case.light, "matte": case.matte, **shown, **truth}
    clip_sheet(path, clips, case.plate.frames)

"""Peak memory of whole jobs as shots grow: by frames, and by the size of the plate.

    python docs/benchmarks/memory.py [--lengths 50,200,1000] [--plates 2K,4K,8K] [--ways draft]

writes memory.json beside this file, after each job. A hole of 64x64 stands still in a plate of
moving waves, half float, ZIP. By length the plate has 320x256 pixels; by plate the shot has 12
frames. Each job is a process of its own, with few steps, which cost time and no memory; its peak is
the most resident memory that Linux has seen (VmHWM), the pages of files that it looked at among it.
``estimate`` is what ``infusion check`` says beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from infusion_ofx.bench_table import machine
from infusion_ofx.check import check
from infusion_ofx.job import Job

HOLE = 64
SMALL = (320, 256)
SHORT = 12
PLATES = {"2K": (2048, 1080), "4K": (4096, 2160), "8K": (8192, 4320)}
WAYS: dict[str, dict[str, Any]] = {
    "draft": {"method": "diffusion"},
    "draft, no prior": {"method": "diffusion", "prior": "off"},
    "patch": {"method": "patch", "prior": "off"},
    "prior": {"method": "prior"},
}
FEW = {"recipe": "draft", "steps": 10, "sampling_steps": 3, "device": "cpu", "threads": 1}
RUN = """
import json, sys
from pathlib import Path
from infusion_ofx.job import Job
from infusion_ofx.run import run
run(Job.from_dict(json.loads(sys.argv[1])))
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) * 1024)
"""


def shot(folder: Path, width: int, height: int, frames: int) -> None:
    """Writes the plate, and one matte that all frames share."""
    tile = 256
    y, x = np.mgrid[:tile, :tile].astype(np.float32) * (2 * np.pi / tile)
    grain = np.random.default_rng(0).normal(0, 0.05, (tile, tile, 3))
    rows, columns = -(-height // tile), -(-width // tile)
    for i in range(frames):
        wave = np.sin(5 * x + 3 * y + 0.4 * i) + np.cos(2 * x - 6 * y + 0.2 * i)
        light = np.exp(wave[..., None] * (1.0, 0.7, 0.4) + np.roll(grain, 7 * i, 0))
        plate = np.tile(light, (rows, columns, 1))[:height, :width]
        _write(folder / f"plate.{1001 + i}.exr", plate.astype(np.float16), ["R", "G", "B"])
    matte = np.zeros((height, width, 1), np.float16)
    top, left = (height - HOLE) // 2, (width - HOLE) // 2
    matte[top : top + HOLE, left : left + HOLE] = 1
    _write(folder / "matte.1001.exr", matte, ["A"])
    for i in range(1, frames):
        os.link(folder / "matte.1001.exr", folder / f"matte.{1001 + i}.exr")


def _write(path: Path, pixels: np.ndarray[Any, Any], names: list[str]) -> None:
    height, width, channels = pixels.shape
    spec = oiio.ImageSpec(width, height, channels, oiio.HALF)
    spec.channelnames, spec["compression"] = names, "zip"
    file = oiio.ImageOutput.create(str(path))
    if not (file.open(str(path), spec) and file.write_image(pixels) and file.close()):
        raise OSError(file.geterror())


def measure(width: int, height: int, frames: int, ways: list[str]) -> list[dict[str, Any]]:
    """A row for each way to fill one shot."""
    rows = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        shot(folder, width, height, frames)
        for way in ways:
            output = f"{text}/{way.replace(', ', '-').replace(' ', '-')}/"
            job = Job(
                f"{text}/plate.####.exr", f"{text}/matte.####.exr", output, **FEW, **WAYS[way]
            )
            estimate, began = check(job).memory_needed, time.monotonic()
            command = [sys.executable, "-c", RUN, json.dumps(job.to_dict())]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(
                {
                    "way": way,
                    "width": width,
                    "height": height,
                    "frames": frames,
                    "peak": int(done.stdout.split()[-1]),
                    "estimate": estimate,
                    "seconds": round(time.monotonic() - began),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Measures and writes."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lengths", default="50,200,1000", help="frames, with commas between")
    options.add_argument("--plates", default="2K,4K,8K")
    options.add_argument("--ways", default=";".join(WAYS), help="with semicolons between")
    options.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".json"))
    given = options.parse_args()
    cases = [(*SMALL, int(length)) for length in given.lengths.split(",") if length]
    cases += [(*PLATES[name], SHORT) for name in given.plates.split(",") if name]
    facts: dict[str, Any] = {"machine": machine(), "command": sys.argv, "rows": []}
    for case in cases:
        facts["rows"] += measure(*case, given.ways.split(";"))
        given.output.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

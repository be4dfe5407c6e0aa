"""Size of a report, the time to make it, and the time until its first frame is seen.

    python docs/benchmarks/report.py FOLDER [WIDTH HEIGHT FRAMES] > docs/benchmarks/report.json

Writes eight frames of grain over a moving texture, and names them again and again: the figures
are those of a shot without two frames alike, the disk holds eight. The hole is all of the frame but
a rim. Needs chromium on the path.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright

from infusion_ofx.begin import submit
from infusion_ofx.bench_table import machine
from infusion_ofx.job import Job
from infusion_ofx.report.build import build

ALIKE = 8


def shot(folder: Path, width: int, height: int, frames: int) -> Job:
    """A plate, a matte and what is taken for a result."""
    rng = np.random.default_rng(0)
    matte = np.zeros((height, width, 1), np.float32)
    matte[8:-8, 8:-8] = 1
    write(folder / "matte.exr", matte, "A")
    (folder / "out").mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        for name, wave in (("plate", 1.0), ("out/plate", 1.3)):
            path = folder / f"{name}.{frame:04d}.exr"
            path.unlink(missing_ok=True)
            if frame < ALIKE:
                write(path, light(rng, width, height, frame, wave), "RGB")
            else:
                os.link(folder / f"{name}.{frame % ALIKE:04d}.exr", path)
    return Job(f"{folder}/plate.####.exr", f"{folder}/matte.exr", f"{folder}/out/", memory=64.0)


def light(
    rng: np.random.Generator, width: int, height: int, frame: int, wave: float
) -> NDArray[np.float32]:
    """A moving texture under grain, (height, width, 3)."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / 40
    texture = 0.3 * np.exp(np.sin(wave * x + 0.2 * frame) + np.cos(y + np.sin(0.7 * x)))
    grain = rng.standard_normal((height, width, 3), np.float32)
    return np.asarray(texture[..., None] * (1 + 0.03 * grain), np.float32)


def write(path: Path, pixels: NDArray[np.float32], channels: str) -> None:
    """Writes a half float EXR."""
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], oiio.HALF)
    spec.channelnames = tuple(channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    assert output.write_image(pixels) and output.close(), output.geterror()


def opening(page_file: Path) -> float:
    """Seconds until the page shows its first frame, in headless Chromium."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        page = browser.new_page()
        began = time.monotonic()
        page.goto(page_file.as_uri())
        page.wait_for_selector("canvas[data-shown]")
        took = time.monotonic() - began
        browser.close()
    return took


def main(folder: Path, width: int = 4096, height: int = 2160, frames: int = 200) -> None:
    """Makes the shot and its report, and prints the figures as JSON."""
    job = submit(shot(folder, width, height, frames))
    began, cpu = time.monotonic(), time.process_time()
    page = build(job.path)
    figures = {
        "width": width,
        "height": height,
        "frames": frames,
        "megabytes": page.stat().st_size / 1e6,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "opened_after": [opening(page) for _ in range(3)],
        "load": os.getloadavg()[0],
        "machine": machine(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

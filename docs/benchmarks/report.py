"""Size of a report, the time to make it, and the time until its first picture is seen.

    python docs/benchmarks/report.py FOLDER [WIDTH HEIGHT FRAMES]

makes a shot and its job's folder in FOLDER, writes its report, opens it in headless Chromium, and
writes the figures to report.json beside this file. The shot is the worst for size: grain all over,
and a hole that leaves a rim of the frame alone. Eight frames are written, and named again and
again: the figures are those of a shot without two frames alike, the disk holds eight. What the
engine would have filled is made here; the product writes it through the matte, as it writes any
fill. Needs chromium on the path.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import psutil
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, sync_playwright

from infusion_ofx.begin import submit
from infusion_ofx.bench_table import machine
from infusion_ofx.job import Job
from infusion_ofx.losses import Losses
from infusion_ofx.material import Material, open_material
from infusion_ofx.preview import Sheets
from infusion_ofx.report.build import build

ALIKE = 8
RIM = 8  # pixels
MEMORY = 256.0  # GiB: what such a hole would take to fill; looking at it takes no such thing
LIMITS = {"megabytes": 50, "seconds_to_first_picture": 2}
OPENINGS = 7
ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WATCH = """new MutationObserver((_, watching) => {
  watching.disconnect();
  const tell = () => { document.documentElement.dataset.seen = performance.now(); };
  requestAnimationFrame(() => requestAnimationFrame(tell));
}).observe(document, { subtree: true, attributeFilter: ["data-shown"] });"""
"""Notes when the browser begins the frame after the one that the canvas was first drawn for."""

Picture = NDArray[np.float32]


def main(folder: Path, width: int = 4096, height: int = 2160, frames: int = 200) -> None:
    """Makes the shot and its report, and writes the figures."""
    job = shot(folder, width, height, frames)
    done = submit(job)
    material = open_material(job)
    fill(material)
    draw(Sheets(done, print), material)
    losses = Losses(done)
    for stage, steps in done.read().stages.items():
        for step in range(1, steps + 1) if stage.startswith("train-") else ():
            losses.note(stage, steps, step, 1 / step)
    began, cpu = time.monotonic(), time.process_time()
    page = build(done.path)
    found = {
        "machine": {**machine(), "load_average": os.getloadavg()},
        "shot": {"width": width, "height": height, "frames": frames},
        "limits": LIMITS,
        "megabytes": round(page.stat().st_size / 1e6, 1),
        "holds": holds(page),
        "made": {
            "seconds": round(time.monotonic() - began),
            "processor_seconds": round(time.process_time() - cpu),
            "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        },
        "opened": openings(page),
    }
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def shot(folder: Path, width: int, height: int, frames: int) -> Job:
    """A plate and a matte."""
    matte = np.zeros((height, width, 1), np.float32)
    matte[RIM:-RIM, RIM:-RIM] = 1
    write(folder / "matte.exr", matte, "A")
    for frame in range(frames):
        path = folder / f"plate.{frame:04d}.exr"
        if not again(path, frame):
            write(path, light(width, height, frame, wave=1.0), "RGB")
    plate, out = f"{folder}/plate.####.exr", f"{folder}/out/"
    return Job(plate, f"{folder}/matte.exr", out, memory=MEMORY, device="cpu")


def fill(material: Material) -> None:
    """Writes what is taken for a result, through the matte."""
    for frame in material.frames:
        target = material.target(frame)
        if not again(target, frame):
            target.parent.mkdir(parents=True, exist_ok=True)
            hole = material.hole(frame)
            material.plate.write(frame, target, hole.box, filled(material, frame), hole.alpha > 0)


def filled(material: Material, frame: int) -> Picture:
    """Light for the box of a frame's hole, (height, width, 3)."""
    display = material.plate.header(frame).display
    pixels = light(display.width, display.height, frame % ALIKE, wave=1.3)
    return pixels[display.slices(material.hole(frame).box)]


def draw(sheets: Sheets, material: Material) -> None:
    """Draws the contact sheet as a job at its end does."""
    boxes = {frame: material.hole(frame).box for frame in material.frames}
    sheets.begin(material, list(boxes.values()), ())
    sheets.draw(
        lambda frames: {
            frame: [(boxes[frame], torch.from_numpy(filled(material, frame).transpose(2, 0, 1)))]
            for frame in frames
        },
        "the fill",
    )


def again(path: Path, frame: int) -> bool:
    """Gives the frame a file that is there already, if it is not among the first."""
    path.unlink(missing_ok=True)
    if frame < ALIKE:
        return False
    os.link(path.with_name(path.name.replace(f"{frame:04d}", f"{frame % ALIKE:04d}")), path)
    return True


def light(width: int, height: int, frame: int, *, wave: float) -> Picture:
    """A moving texture under grain, (height, width, 3)."""
    rng = np.random.default_rng([frame, int(10 * wave)])
    y, x = np.mgrid[:height, :width].astype(np.float32) / 40
    texture = 0.3 * np.exp(np.sin(wave * x + 0.2 * frame) + np.cos(y + np.sin(0.7 * x)))
    grain = rng.standard_normal((height, width, 3), np.float32)
    return np.asarray(texture[..., None] * (1 + 0.03 * grain), np.float32)


def write(path: Path, pixels: Picture, channels: str) -> None:
    """Writes a half float EXR."""
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], oiio.HALF)
    spec.channelnames = tuple(channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    assert output.write_image(pixels) and output.close(), output.geterror()


def holds(page_file: Path) -> dict[str, Any]:
    """What the page has room for: the size of the whole frame in small, and frames at 1:1."""
    found = re.search(r'id="manifest">(.*?)</script>', page_file.read_text(encoding="utf-8"))
    assert found is not None, page_file
    shot, region = (json.loads(found[1])["layers"][name] for name in ("shot", "region"))
    return {"proxy": [shot["width"], shot["height"]], "frames_1_to_1": len(region["frames"])}


def openings(page_file: Path) -> dict[str, Any]:
    """Seconds from the start of the navigation until a frame of the browser has the first picture
    in it, by the page's own clock, several times, each in a browser that was just started."""
    with chromium() as browser:
        version = browser.version
    took, busy = [], []
    for _ in range(OPENINGS):
        with chromium() as browser:
            page, before = browser.new_page(), processor_seconds()
            page.add_init_script(WATCH)
            page.goto(page_file.as_uri(), wait_until="commit")
            page.wait_for_selector("html[data-seen]")
            busy.append(round(processor_seconds() - before, 2))
            took.append(round(float(page.get_attribute("html", "data-seen") or "nan") / 1000, 2))
    return {
        "browser": f"headless Chromium {version}, WebGL drawn by SwiftShader, no GPU",
        "load_average": os.getloadavg(),
        "seconds_to_first_picture": took,
        "processor_seconds_to_first_picture": busy,
        "median_seconds": statistics.median(took),
    }


def processor_seconds() -> float:
    """What the browser has used so far, all its processes together."""
    times = (each.cpu_times() for each in psutil.Process().children(recursive=True))
    return float(sum(each.user + each.system for each in times))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        yield browser
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

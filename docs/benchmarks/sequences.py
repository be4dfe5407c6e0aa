"""What reading and writing sequences costs, against OpenImageIO alone on the same files.

    python docs/benchmarks/sequences.py

writes sequences.json beside this file. Times are processor seconds of one frame, one thread, the
least of several passes, so that what else the machine does counts for little; ours and
OpenImageIO's passes take turns. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio

from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence, WriteBehind, read_ahead

Row = dict[str, Any]

SIZES = {"2K": (2048, 1080), "4K": (4096, 2160)}
TARGET = 1.3
"""Reading and writing a whole frame may take this many times what OpenImageIO takes."""
SHOTS = (20, 500)
"""Frames of the shots whose memory is measured."""
BUDGET = 64 << 20
"""Bytes that may wait to be read, and as many to be written: less than the shorter shot holds."""


def main() -> None:
    """Runs everything and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--memory-of", nargs=2, metavar=("PLATE", "FRAMES"), help="for itself")
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(peak_memory(arguments.memory_of[0], int(arguments.memory_of[1])))
        return
    from infusion_ofx.bench_table import machine  # not above: torch would count as memory

    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "machine": {**machine(), "openimageio": oiio.VERSION_STRING, "load_average": load},
            "target": TARGET,
            "frames": frame_rows(Path(folder), arguments.passes),
            "regions": region_rows(Path(folder), arguments.passes),
            "memory": memory_rows(Path(folder)),
        }
    target = Path(__file__).with_suffix(".json")
    target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{target} is written")


def frame_rows(folder: Path, passes: int) -> list[Row]:
    """A whole frame read and written, by what there is to fill in it."""
    kinds = [(size, "exr", "RGBA") for size in SIZES] + [("2K", "dpx", "RGB")]
    return [
        row
        for size, extension, channels in kinds
        for row in _rows_of(make(folder, size, extension, channels), size, channels, passes)
    ]


def _rows_of(source: Path, size: str, channels: str, passes: int) -> list[Row]:
    width, height = SIZES[size]
    top, left = (height - 400) // 2, (width - 400) // 2
    holes = {
        "whole frame": Box(0, 0, height, width),
        "all but a column": Box(0, 1, height, width),
        "400 x 400": Box(top, left, top + 400, left + 400),
        "none": Box(0, 0, 0, 0),
    }
    plate, target = Sequence.open(str(source)).choose(channels), source.with_stem("out")
    jobs: dict[str, Callable[[], object]] = {"": partial(bare, source, target)}
    for name, box in holes.items():
        jobs[name] = partial(refill, plate, 1, target, box)
    seconds = least(jobs, passes)
    return [
        {
            "size": size,
            "format": source.suffix[1:],
            "hole": name,
            "seconds": seconds[name],
            "openimageio": seconds[""],
            "ratio": seconds[name] / seconds[""],
        }
        for name in holes
    ]


def region_rows(folder: Path, passes: int) -> list[Row]:
    """What a band of rows costs to read, as a share of the whole frame."""
    rows = []
    for size, (width, height) in SIZES.items():
        plate = Sequence.open(str(make(folder, size, "exr", "RGBA"))).choose("RGBA")
        bands = {part: Box(0, 0, height // part, width) for part in (1, 2, 4, 16)}
        jobs: dict[str, Callable[[], object]] = {
            str(part): partial(plate.read, 1, box) for part, box in bands.items()
        }
        seconds = least(jobs, passes)
        rows += [
            {
                "size": size,
                "rows": box.height / height,
                "seconds": seconds[str(part)],
                "share": seconds[str(part)] / seconds["1"],
            }
            for part, box in bands.items()
        ]
    return rows


def memory_rows(folder: Path) -> list[Row]:
    """The peak memory of a process that takes a shot through both queues, by its length."""
    source = make(folder, "2K", "exr", "RGBA")
    for frame in range(max(SHOTS)):
        os.link(source, folder / f"shot.{frame:04d}.exr")
    rows = []
    for frames in SHOTS:
        command = [sys.executable, __file__, "--memory-of", str(folder / "shot.####.exr")]
        done = subprocess.run([*command, str(frames)], capture_output=True, text=True, check=True)
        rows.append({"frames": frames, "peak_memory": int(done.stdout)})
    return rows


def peak_memory(text: str, frames: int) -> int:
    """Reads frames ahead, writes them behind with a hole of 400 x 400, and says what it took."""
    plate, box = Sequence.open(text, tuple(range(frames))).choose("RGBA"), Box(340, 824, 740, 1224)
    folder = Path(text).parent

    def write(frame: int, pixels: npt.NDArray[Any]) -> None:
        target = folder / f"out.{frame:04d}.exr"
        plate.write(frame, target, box, pixels, np.ones((400, 400), np.bool_))
        target.unlink()

    with WriteBehind(budget=BUDGET, threads=2) as behind:
        for frame, pixels in read_ahead(
            plate.frames, lambda n: plate.read(n, plate.data(n)), budget=BUDGET, threads=2
        ):
            here = pixels[plate.data(frame).slices(box)]
            behind.submit(write, frame, here, size=pixels.nbytes)
    # Not getrusage, whose peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def make(folder: Path, size: str, extension: str, channels: str) -> Path:
    """A frame with the grain of a film plate: half zip OpenEXR or 10-bit DPX."""
    path = folder / f"{size}.1.{extension}"
    if path.exists():
        return path
    width, height = SIZES[size]
    spec = oiio.ImageSpec(width, height, len(channels), "half" if extension == "exr" else "uint16")
    spec.attribute("compression", "zip")
    spec.attribute("oiio:BitsPerSample", 10)
    random = np.random.default_rng(1)
    y, x = np.mgrid[:height, :width].astype(np.float32) / height
    light = 0.18 * np.exp(np.sin(7 * x) + np.cos(5 * y))[..., None]
    grain = 1 + 0.02 * random.standard_normal((height, width, len(channels)), np.float32)
    _write(path, spec, np.clip(light * grain, 0, 1 if extension == "dpx" else None))
    return path


def _write(path: Path, spec: oiio.ImageSpec, pixels: npt.NDArray[Any]) -> None:
    output = oiio.ImageOutput.create(str(path))
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    assert output.write_image(pixels) and output.close(), output.geterror()


def bare(source: Path, target: Path) -> None:
    """OpenImageIO alone: a frame read in its own type and written again."""
    file = oiio.ImageInput.open(str(source))
    assert file is not None, oiio.geterror()
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, spec.format)
    assert pixels is not None, file.geterror()
    file.close()
    _write(target, spec, pixels)


def refill(plate: Sequence, frame: int, target: Path, box: Box) -> None:
    """A frame read in a box and written with what was read."""
    where = np.ones((box.height, box.width), np.bool_)
    plate.write(frame, target, box, plate.read(frame, box), where)


def least(jobs: dict[str, Callable[[], object]], passes: int) -> dict[str, float]:
    """The least processor seconds of each job; they take turns."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(passes):
        for name, job in jobs.items():
            began = time.process_time()
            job()
            taken[name].append(time.process_time() - began)
    return {name: min(seconds) for name, seconds in taken.items()}


if __name__ == "__main__":
    main()

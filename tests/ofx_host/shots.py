"""What the plug-in's tests show it: the pictures of the host's clips, and what an engine leaves."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from infusion_ofx.ofx.plain import Fill, write_fill
from infusion_ofx.sequence.frame import Box
from ofx_host.objects import Array, Layout

HEIGHT, WIDTH = 12, 16
HOLE = Box(3, 4, 9, 11)
"""Of every frame; top row first, as in files."""
LAYOUTS = {
    "plain rows": Layout(),
    "padded rows": Layout(padding=48),
    "rows that begin where no float may": Layout(padding=7),
    "rows from the top down": Layout(negative=True),
    "padded rows from the top down": Layout(padding=32, negative=True),
    "more than the picture": Layout(padding=16, margin=3),
}

RUNNING: dict[str, Any] = {
    "state": "running",
    "stage": "train",
    "percent": 42.5,
    "seconds_left": 3723.4,
}


def plate(frame: float) -> Array:
    """RGBA of a frame with every kind of float in it, opaque."""
    random = np.random.default_rng([abs(int(frame)), frame < 0])
    pixels = random.normal(1, 2, (HEIGHT, WIDTH, 4)).astype(np.float32)
    pixels[..., 3] = 1
    pixels[0, :5, 0] = [np.nan, np.inf, -np.inf, -0.0, 1e-42]
    return pixels


def frames(name: str, time: float) -> Array | None:
    """What the host's clips show."""
    return plate(time) if name == "Source" else np.ones((HEIGHT, WIDTH, 1), np.float32) * 0.25


def finished(frame: float) -> Array:
    """A frame as the engine would have left it."""
    pixels = plate(frame)
    rows, columns = slice(HOLE.top, HOLE.bottom), slice(HOLE.left, HOLE.right)
    pixels[rows, columns, :3] = np.arange(3) + np.float32(frame) + plate(-frame)[rows, columns, :3]
    return pixels


def show(folder: Path, *frame_numbers: int, margin: int = 2) -> None:
    """Leaves finished fills in a job folder as the engine does."""
    (folder / "plate/v001/fills").mkdir(parents=True, exist_ok=True)
    box = HOLE.grow(margin)
    rows, columns = Box(0, 0, HEIGHT, WIDTH).slices(box)
    inside = np.zeros((box.height, box.width), np.uint8)
    inside[box.slices(HOLE)] = 7
    for frame in frame_numbers:
        fill = Fill(Box(0, 0, HEIGHT, WIDTH), box, finished(frame)[rows, columns], inside)
        write_fill(folder / f"plate/v001/fills/{frame}.fill", fill)
    (folder / "shown").write_text("plate/v001/fills\n")


def same(ours: Array, theirs: Array) -> bool:
    """Whether two pictures are the same to the last bit."""
    return ours.tobytes() == np.ascontiguousarray(theirs).tobytes()


def halved(pixels: Array) -> Array:
    """A picture as a host's proxy of half the size."""
    height, width, channels = pixels.shape
    blocks = pixels.astype(np.float64).reshape(height // 2, 2, width // 2, 2, channels)
    small: Array = blocks.mean(axis=(1, 3)).astype(np.float32)
    return small


def status(folder: Path, age: float = 0, **facts: Any) -> None:
    """Leaves a status as the engine does."""
    job = folder / "plate/v001"
    job.mkdir(parents=True, exist_ok=True)
    path = job / "status.json"
    path.write_text(json.dumps(facts, indent=2))
    os.utime(path, (time.time() - age, time.time() - age))
    (folder / "current").write_text("plate/v001\n")

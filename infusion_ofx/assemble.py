"""The last step: each frame of the plate with its fill through the matte, read, joined and written
in threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor

from infusion_ofx.composite import composite
from infusion_ofx.engine import checkpoint
from infusion_ofx.errors import IncompleteError, JobError, MissingStepError
from infusion_ofx.material import Material
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.pattern import format_frames
from infusion_ofx.sequence.store import WriteBehind, sweep, write_frame

__all__ = ["assemble", "load_fill", "save_fill"]

Fill = dict[int, tuple[Box, Tensor]]
"""By frame number: where the fill lies, and its light, (C, height, width) float32."""

FILE = "fill.safetensors"


def save_fill(folder: Path, fill: Fill) -> None:
    """Keeps the finished fill in ``folder``."""
    light = {f"frame.{n}": pixels for n, (_, pixels) in fill.items()}
    boxes = {str(n): [box.top, box.left, box.bottom, box.right] for n, (box, _) in fill.items()}
    checkpoint.save(folder / FILE, light, {"boxes": boxes})


def load_fill(folder: Path) -> Fill | None:
    """What ``save_fill`` kept; None when it is missing or damaged."""
    kept = checkpoint.load(folder / FILE)
    if kept is None:
        return None
    tensors, facts = kept
    return {int(n): (Box(*box), tensors[f"frame.{n}"]) for n, box in facts["boxes"].items()}


def assemble(material: Material, fill: Fill, on_frame: Callable[[int], None]) -> int:
    """Writes every frame of the result; returns how many pixels were filled.

    A frame whose matte is empty is copied byte for byte. Each appears whole or not at all.

    Raises:
        IncompleteError: when a frame is not there in the end.
        MissingStepError: when the fill does not cover the hole.
        TryAgainError: when the storage fails.
    """
    _make_folders(material)
    count, lock = Count(), threading.Lock()

    def write(frame: int) -> None:
        pixels = _write(material, frame, fill)
        with lock:
            count.pixels += pixels
            count.frames += 1
            on_frame(count.frames)

    threads = max(1, min(8, os.cpu_count() or 1))
    with WriteBehind(budget=int(material.job.memory * 2**30 / 4), threads=threads) as behind:
        for frame in material.frames:
            data = material.plate.header(frame).data
            behind.submit(write, frame, size=64 * data.height * data.width)
    missing = [frame for frame in material.frames if not material.target(frame).is_file()]
    if missing:
        raise IncompleteError(
            f"frames {format_frames(missing)} of {material.job.output!r} are gone again",
            "find out who removes them, and run the same command again",
        )
    return count.pixels


class Count:
    """What has been written so far."""

    frames = 0
    pixels = 0


def _write(material: Material, frame: int, fill: Fill) -> int:
    """Writes one frame and returns how many of its pixels were filled."""
    hole = material.hole(frame)
    box, channels = hole.box, list(material.channels)
    pixels = np.zeros((0, 0, len(channels)), np.float32)
    if not box.empty:
        covered, light = fill.get(frame, (Box(0, 0, 0, 0), None))
        if light is None or covered.intersect(box) != box:
            raise MissingStepError(
                f"the fill does not cover the hole of frame {frame}",
                "the matte has changed since: run the same command again",
            )
        rows, columns = covered.slices(box)
        plate = material.plate.read(frame, channels, box)
        pixels = composite(plate, light[:, rows, columns].permute(1, 2, 0).numpy(), hole.alpha)
    write_frame(
        material.plate.path(frame),
        material.target(frame),
        channels,
        box,
        pixels,
        hole.alpha > 0,
        in_place=material.job.in_place,
    )
    return int(np.count_nonzero(hole.alpha))


def _make_folders(material: Material) -> None:
    """Makes the output's folders and removes what killed runs have left there long ago."""
    for folder in {material.target(frame).parent for frame in material.frames}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(
                f"cannot make the output folder {str(folder)!r}: {error.strerror}",
                "check its permissions, or choose another --output",
            ) from error
        sweep(folder)

"""The last step: each frame of the plate with its fill through the matte, read, joined and written
in threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from infusion_ofx.composite import composite
from infusion_ofx.errors import IncompleteError, JobError, MissingStepError
from infusion_ofx.folder import JobFolder, read_json
from infusion_ofx.kept import Fill, laid
from infusion_ofx.material import Material
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.ranges import format_frames
from infusion_ofx.sequence.store import WriteBehind, sweep
from infusion_ofx.used_matte import missing_mattes, write_used_matte

__all__ = ["assemble", "finished", "written"]


def assemble(material: Material, fill: Fill, on_frame: Callable[[int], None], take: int = 1) -> int:
    """Writes every frame of a take; returns how many pixels were filled.

    A frame whose matte is empty is copied byte for byte. Each appears whole or not at all.

    Raises:
        IncompleteError: when a frame is not there in the end.
        MissingStepError: when the fill does not cover the hole.
        TryAgainError: when the storage fails.
    """
    _make_folders(material, take)
    count, lock = Count(), threading.Lock()

    def write(frame: int) -> None:
        pixels = _write(material, frame, fill, take)
        fill.light.rest()
        with lock:
            count.pixels += pixels
            count.frames += 1
            on_frame(count.frames)

    threads = max(1, min(8, os.cpu_count() or 1))
    with WriteBehind(budget=int(material.job.memory * 2**30 / 4), threads=threads) as behind:
        for frame in material.frames:
            behind.submit(write, frame, size=_bytes(material, fill, frame))
    missing = [frame for frame in material.frames if not material.target(frame, take).is_file()]
    if missing:
        raise IncompleteError(
            f"frames {format_frames(missing)} of {material.job.output!r} are gone again",
            "find out who removes them, and run the same command again",
        )
    return count.pixels


def written(material: Material) -> list[list[list[Any]]] | None:
    """Of each take name, size and time of change in microseconds of each frame; None when one is
    missing."""
    if missing_mattes(material):
        return None
    takes = range(1, material.job.takes + 1)
    try:
        return [[_facts(material.target(f, take)) for f in material.frames] for take in takes]
    except OSError:
        return None


def _facts(path: Path) -> list[Any]:
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns // 1000]


def finished(folder: JobFolder, material: Material) -> int | None:
    """How many pixels were filled, where every frame is there as it was written; else None."""
    kept = read_json(folder.result)
    filled, takes = kept.get("filled"), kept.get("takes")
    return filled if isinstance(filled, int) and takes and takes == written(material) else None


def _bytes(material: Material, fill: Fill, frame: int) -> int:
    """About what writing a frame holds: the file's own samples, its matte, and the hole as float32
    a few times over."""
    covered = reduce(Box.union, (box for box, _ in fill.parts(frame)), Box(0, 0, 0, 0))
    held = sum(part.nbytes for part in material.plate.header(frame).parts)
    matte = material.matte.data(frame)
    return (
        held
        + 8 * matte.height * matte.width
        + 24 * covered.height * covered.width * len(material.channels)
    )


class Count:
    """What has been written so far."""

    frames = 0
    pixels = 0


def _write(material: Material, frame: int, fill: Fill, take: int) -> int:
    """Writes one frame and returns how many of its pixels were filled."""
    hole = material.hole(frame)
    box, job = hole.box, material.job
    pixels = np.zeros((0, 0, len(material.channels)), np.float32)
    if not box.empty:
        light, there = laid(fill.parts(frame), box, len(material.channels))
        if (hole.alpha > 0)[~there].any():
            raise MissingStepError(
                f"the fill does not cover the hole of frame {frame}",
                "the matte has changed since: run the same command again",
            )
        plate_light = material.colour.to_light(material.plate.read(frame, box))
        pixels = material.colour.from_light(composite(plate_light, light, hole.alpha))
    material.plate.write(
        frame,
        material.target(frame, take),
        box,
        pixels,
        hole.alpha > 0,
        in_place=job.in_place,
        keep_lossy=job.compression == "keep",
    )
    if take == 1:  # it is the same for all
        write_used_matte(material, frame, hole)
    return int(np.count_nonzero(hole.alpha))


def _make_folders(material: Material, take: int) -> None:
    """Makes the output's folders and removes what killed runs have left there long ago."""
    for folder in {material.target(frame, take).parent for frame in material.frames}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(
                f"cannot make the output folder {str(folder)!r}: {error.strerror}",
                "check its permissions, or choose another --output",
            ) from error
        sweep(folder)

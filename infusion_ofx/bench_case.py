"""A shot that fills are measured on: its hole and what lies round it, of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infusion_ofx.errors import JobError
from infusion_ofx.score import peak_of
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence as Frames

__all__ = ["Case"]

MOST = 2**26
"""Pixels times frames that are scored. Of a longer shot it is the frames in the middle."""

MARGIN = 48
"""Pixels round the hole that are looked at, or half of its longest side if that is more."""

SAMPLE = 2_000_000  # known pixels that the peak is taken from, about

Clip = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A folder with plate.####.exr, matte.####.exr and, where the truth is known, clean.####.exr.

    Arrays cover ``box`` of ``frames`` in the files' own types.
    """

    folder: Path
    name: str
    """What it is called among those that are measured."""
    plate: Frames
    matte: Frames
    frames: tuple[int, ...]
    """Those that are scored."""
    box: Box
    light: Clip
    """(T, h, w, 3)"""
    cover: Clip
    """(T, h, w)"""
    truth: Clip | None
    """(T, h, w, 3)"""
    peak: float
    """The plate's, of whole frames; score.py."""

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> Case:
        """Finds the sequences and reads what is scored. name: None is the folder's own.

        Raises:
            JobError: when the matte is empty.
            SequenceError: when one of them is not there or cannot be read.
        """
        plate = Frames.open(str(folder / "plate.####.exr")).choose(("R", "G", "B"))
        matte = Frames.open(str(folder / "matte.####.exr"), plate.frames).choose_matte()
        hole, peak = _survey(plate, matte)
        if hole.empty:
            raise JobError(f"the matte in {str(folder)!r} is empty: there is nothing to measure")
        room = max(MARGIN, max(hole.height, hole.width) // 2)
        box = hole.grow(room).intersect(plate.header(plate.frames[0]).display)
        frames = _middle(plate.frames, max(1, MOST // (box.height * box.width)))
        truth = None
        if (folder / f"clean.{plate.frames[0]:04d}.exr").is_file():
            truth = _read(Frames.open(str(folder / "clean.####.exr"), plate.frames), frames, box)
        cover = np.stack([matte.read(frame, box)[..., 0] for frame in frames])
        light = _read(plate, frames, box)
        name = name or folder.resolve().name
        return cls(folder, name, plate, matte, frames, box, light, cover, truth, peak)

    @property
    def hole(self) -> NDArray[np.bool_]:
        """(T, h, w): what is filled."""
        return np.asarray(self.cover > 0)

    def covers(self) -> Iterator[Clip]:
        """Each frame's whole matte over its display window, (H, W), one after the other."""
        for frame in self.plate.frames:
            yield self.matte.read(frame, self.plate.header(frame).display)[..., 0]

    def read(self, result: Path) -> Clip:
        """What is scored of a result in a folder, (T, h, w, 3)."""
        return _read(Frames.open(str(result)), self.frames, self.box)


def _survey(plate: Frames, matte: Frames) -> tuple[Box, float]:
    """The box round the hole of all frames, and the peak of what is known, frame by frame."""
    hole, known = Box(0, 0, 0, 0), []
    for frame in plate.frames:
        display = plate.header(frame).display
        cover = matte.read(frame, display)[..., 0]
        here = display.tight(cover > 0)
        hole = here if hole.empty else hole if here.empty else hole.union(here)
        every = max(1, cover.size * len(plate.frames) // SAMPLE)
        known.append(plate.read(frame, display)[cover == 0][::every])
    return hole, peak_of(np.concatenate(known))


def _middle(frames: tuple[int, ...], most: int) -> tuple[int, ...]:
    start = max(0, (len(frames) - most) // 2)
    return frames[start : start + most]


def _read(frames: Frames, numbers: tuple[int, ...], box: Box) -> Clip:
    chosen = frames.choose(("R", "G", "B"))
    return np.stack([chosen.read(number, box) for number in numbers])

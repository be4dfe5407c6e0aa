"""Volume: a stretch of frames, each with its own box of pixels. What the engine holds in memory.

The boxes follow the hole through the shot, so that memory and work go with the hole and not with
the plate. Coordinates are the plate's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from infusion_ofx.mapped import Mapped, size_of
from infusion_ofx.plan import Window
from infusion_ofx.sequence.frame import Box

__all__ = ["Shot", "Volume", "cut", "rest"]


@dataclass(frozen=True)
class Volume:
    """One box of pixels a frame."""

    boxes: Sequence[Box]
    data: list[Tensor]
    """One (C, height, width) tensor a frame, as large as its box."""
    held: Mapped | None = None
    """The file that they lie in; None where they are in memory."""

    @classmethod
    def scratch(cls, boxes: Sequence[Box], channels: int, folder: Path) -> Volume:
        """A volume of zeros, float32, in a file on the disk of ``folder``.

        Raises:
            TryAgainError: when the disk is full.
        """
        shapes = [(channels, box.height, box.width) for box in boxes]
        held = Mapped(folder, sum(map(size_of, shapes)))
        return cls(boxes, [held.tensor(*shape) for shape in shapes], held)

    @classmethod
    def zeros(cls, boxes: Sequence[Box], channels: int, device: torch.device) -> Volume:
        """A volume of zeros, float32, in the memory of a device."""
        return cls.make(
            boxes, lambda i, box: torch.zeros(channels, box.height, box.width, device=device)
        )

    @classmethod
    def of(
        cls, boxes: Sequence[Box], tensors: Mapping[str, Tensor], name: str, held: Mapped
    ) -> Volume:
        """What ``named`` made of a volume; of fewer frames where there are fewer tensors."""
        keys = [f"{name}.{i}" for i in range(len(boxes))]
        data = [tensors[key] for key in keys if key in tensors]
        return cls(boxes[: len(data)], data, held)

    @classmethod
    def make(cls, boxes: Sequence[Box], fill: Callable[[int, Box], Tensor]) -> Volume:
        """A volume whose frame i is ``fill(i, box)``."""
        return cls(boxes, [fill(i, box) for i, box in enumerate(boxes)])

    def __getitem__(self, frames: slice) -> Volume:
        """Some of its frames."""
        return replace(self, boxes=self.boxes[frames], data=self.data[frames])

    def cut(self, start: int, stop: int, box: Box) -> Tensor:
        """Copies ``box`` out of frames start .. stop - 1: (C, T, height, width).

        The box must lie inside those frames' boxes.
        """
        return torch.stack([self.view(i, box) for i in range(start, stop)], 1)

    def view(self, i: int, box: Box) -> Tensor:
        """The pixels of ``box`` in frame i, (C, height, width), not copied."""
        own = self.boxes[i]
        assert own.intersect(box) == box, (own, box)
        rows = slice(box.top - own.top, box.bottom - own.top)
        return self.data[i][:, rows, box.left - own.left : box.right - own.left]

    def within(self, boxes: Sequence[Box]) -> Volume:
        """What lies within a box of each frame, not copied; of an empty one nothing."""
        nothing = self.data[0][:, :0, :0]
        data = [nothing if box.empty else self.view(i, box) for i, box in enumerate(boxes)]
        return replace(self, boxes=boxes, data=data)

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.data[0].device

    def named(self, name: str) -> dict[str, Tensor]:
        """Its frames as tensors with names, for a checkpoint."""
        return {f"{name}.{i}": frame for i, frame in enumerate(self.data)}

    def to(self, device: torch.device) -> Volume:
        """The same volume in the memory of a device; itself where it is on the CPU and so is
        that."""
        if device.type == "cpu":
            return self
        moved = Volume(self.boxes, [frame.to(device) for frame in self.data])
        self.rest()
        return moved

    def rest(self) -> None:
        """Lets go of the memory of what was looked at, where it lies in a file."""
        if self.held is not None:
            self.held.rest()


@dataclass(frozen=True)
class Shot:
    """What the engine is given: the shot in the working range, and where it is unknown."""

    numbers: tuple[int, ...]
    """Frame numbers, one a frame; they address the sampling noise. Where the shot has several
    regions, all of them once for each; see plan.Plan."""
    clean: Volume
    """(C, height, width) a frame; 0 where unknown."""
    hole: Volume
    """(1, height, width) a frame, float32; 1 = unknown, 0 = known."""
    low: Tensor
    """(C,): the least known value of each channel; the fill stays above it."""
    high: Tensor
    """(C,): the greatest."""

    @property
    def length(self) -> int:
        """Frames of the shot."""
        return len(set(self.numbers))

    @property
    def device(self) -> torch.device:
        """Where it is worked on."""
        return self.low.device

    def to(self, device: torch.device, *, resident: bool = True) -> Shot:
        """The same shot, worked on on another device. resident: all of it is kept there, and not
        only what is cut out."""
        shot = replace(self, low=self.low.to(device), high=self.high.to(device))
        if not resident:
            return shot
        return replace(shot, clean=self.clean.to(device), hole=self.hole.to(device))

    def within(self, boxes: Sequence[Box]) -> Shot:
        """What lies within a box of each frame, not copied; of an empty one nothing."""
        return replace(self, clean=self.clean.within(boxes), hole=self.hole.within(boxes))

    def cut(self, windows: Sequence[Window]) -> tuple[Tensor, Tensor]:
        """Copies windows of one size out of it, to where it is worked on: the clip, (N, C, T,
        height, width), and the hole, (N, 1, T, height, width)."""
        clean, hole = (cut(volume, windows, self.device) for volume in (self.clean, self.hole))
        self.rest()
        return clean, hole

    def rest(self) -> None:
        """Lets go of the memory of what was looked at."""
        rest(self.clean, self.hole)


def rest(*volumes: Volume) -> None:
    """Lets go of the memory of what was looked at of several volumes."""
    for volume in volumes:
        volume.rest()


def cut(volume: Volume, windows: Sequence[Window], device: torch.device) -> Tensor:
    """Copies windows of one size out of a volume to a device: (N, C, T, height, width)."""
    return torch.stack([volume.cut(w.start, w.stop, w.box) for w in windows]).to(device)

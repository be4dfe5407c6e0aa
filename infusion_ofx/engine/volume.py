"""Volume: a stretch of frames, each with its own box of pixels. What the engine holds in memory.

The boxes follow the hole through the shot, so that memory and work go with the hole and not with
the plate. Coordinates are the plate's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from infusion_ofx.sequence.frame import Box

__all__ = ["Shot", "Volume"]


@dataclass(frozen=True)
class Volume:
    """One box of pixels a frame."""

    boxes: Sequence[Box]
    data: list[Tensor]
    """One (C, height, width) tensor a frame, as large as its box."""

    @classmethod
    def make(cls, boxes: Sequence[Box], fill: Callable[[int, Box], Tensor]) -> Volume:
        """A volume whose frame i is ``fill(i, box)``."""
        return cls(boxes, [fill(i, box) for i, box in enumerate(boxes)])

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

    def to(self, device: torch.device) -> Volume:
        """The same volume on another device."""
        return Volume(self.boxes, [frame.to(device) for frame in self.data])


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

    def to(self, device: torch.device) -> Shot:
        """The same shot on another device."""
        return Shot(
            self.numbers,
            self.clean.to(device),
            self.hole.to(device),
            self.low.to(device),
            self.high.to(device),
        )

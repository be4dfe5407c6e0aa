"""Training holes: large random shapes, half of them moving, as the paper's authors draw them.

Each is a closed smooth outline round a centre, half to all of the crop high and wide, that stands
still or wanders a few pixels a frame (arXiv 2311.01090, section 4.3; shape and motion family of
Kim et al., *Deep Video Inpainting*, CVPR 2019). Drawn on the device as one formula per pixel.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["training_holes"]


def training_holes(
    draw: random.Random,
    count: int,
    frames: int,
    height: int,
    width: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Random moving holes: (count, 1, frames, height, width), float32, 1 inside. None is empty."""
    shapes = [_Shape.random(draw, frames, height, width) for _ in range(count)]
    numbers = torch.tensor([shape.numbers() for shape in shapes], device=device)
    half, path, radii = torch.split(numbers, [2, 2 * frames, _Shape.SIZE], 1)
    path = path.reshape(count, 2, frames, 1, 1)
    y = torch.arange(height, device=device)[:, None] + 0.5 - path[:, 0]
    x = torch.arange(width, device=device) + 0.5 - path[:, 1]
    centre = (y.abs() <= 0.5) & (x.abs() <= 0.5)  # so that the smallest crop has one too
    y, x = y / half[:, 0, None, None, None], x / half[:, 1, None, None, None]
    inside = centre | (torch.hypot(y, x) <= _radius(radii, torch.atan2(y, x)))
    return inside.float()[:, None]


@dataclass(frozen=True)
class _Shape:
    """An outline and where it goes, all in pixels but ``radii``."""

    SIZE = 10

    half: tuple[float, float]
    """Half of its height and width."""
    path: list[tuple[float, float]]
    """Its centre in each frame: row, column."""
    radii: list[float]
    """In (0, 1], at each of six to eight corners."""

    @classmethod
    def random(cls, draw: random.Random, frames: int, height: int, width: int) -> _Shape:
        tall = draw.uniform(height / 2, height)
        wide = draw.uniform(width / 2, width)
        path = _path(draw, frames, height - tall, width - wide)
        corners, rough = draw.randint(6, 8), draw.uniform(0.6, 0.8)
        radii = [1 - rough * draw.random() for _ in range(corners)]
        most = max(radii)
        return cls(
            (tall / 2, wide / 2),
            [(y + tall / 2, x + wide / 2) for y, x in path],
            [radius / most for radius in radii],
        )

    def numbers(self) -> list[float]:
        """All of it: half sizes, rows, columns, count of corners, radii from the last one round to
        the first."""
        ys, xs = zip(*self.path, strict=True)
        corners = len(self.radii)
        closed = [*self.radii, self.radii[0]]
        closed += [0.0] * (_Shape.SIZE - 1 - len(closed))
        return [*self.half, *ys, *xs, float(corners), *closed]


def _radius(radii: Tensor, angle: Tensor) -> Tensor:
    """A smooth closed outline, in (0, 1], at angles (N, ...). radii: (N, SIZE), count first."""
    corners, outline = radii[:, :1], radii[:, 1:]
    shape = angle.shape
    place = (angle.flatten(1) / (2 * math.pi) + 0.5) * corners
    before = place.floor().clamp_max(corners - 1)
    blend = (1 - torch.cos((place - before) * math.pi)) / 2
    first = before.long()
    low, high = outline.gather(1, first), outline.gather(1, first + 1)
    return torch.lerp(low, high, blend).reshape(shape)


def _path(
    draw: random.Random, frames: int, free_y: float, free_x: float
) -> list[tuple[float, float]]:
    """Top-left corner in each frame, within the free room; half of all holes stand still."""
    y, x = draw.uniform(0, free_y), draw.uniform(0, free_x)
    if draw.random() < 0.5:
        return [(y, x)] * frames
    speed, angle = draw.uniform(0, 2), draw.uniform(0, 2 * math.pi)
    path = []
    for _ in range(frames):
        path.append((y, x))
        y, x = y + speed * math.sin(angle), x + speed * math.cos(angle)
        speed, angle = speed + draw.gauss(0, 1), angle + draw.gauss(0, 0.25)
        if not (0 <= y <= free_y and 0 <= x <= free_x):  # turn away from the border
            speed, angle = abs(draw.gauss(0, 1.5)), draw.uniform(0, 2 * math.pi)
        y, x = min(max(y, 0), free_y), min(max(x, 0), free_x)
    return path

"""Training holes: large random shapes, half of them moving, as the paper's authors draw them.

Each is a closed smooth outline round a centre, half to all of the crop high and wide, that stands
still or wanders a few pixels a frame (arXiv 2311.01090, section 4.3; shape and motion family of
Kim et al., *Deep Video Inpainting*, CVPR 2019). Drawn on the device as one formula per pixel.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

__all__ = ["training_hole"]


def training_hole(
    draw: random.Random, frames: int, height: int, width: int, device: torch.device | str = "cpu"
) -> Tensor:
    """One random moving hole: (1, frames, height, width), float32, 1 inside. Never empty."""
    tall = draw.uniform(height / 2, height)
    wide = draw.uniform(width / 2, width)
    path = _path(draw, frames, height - tall, width - wide)
    centres = torch.tensor(path, device=device) + torch.tensor([tall / 2, wide / 2], device=device)
    y = (torch.arange(height, device=device) + 0.5)[None, :, None] - centres[:, 0, None, None]
    x = (torch.arange(width, device=device) + 0.5)[None, None, :] - centres[:, 1, None, None]
    centre = (y.abs() <= 0.5) & (x.abs() <= 0.5)  # so that the smallest crop has one too
    y, x = y / (tall / 2), x / (wide / 2)
    inside = centre | (torch.hypot(y, x) <= _radius(draw, torch.atan2(y, x)))
    return inside.float()[None]


def _radius(draw: random.Random, angle: Tensor) -> Tensor:
    """A smooth closed outline, in (0, 1], from a random radius at each of six to eight corners."""
    corners, rough = draw.randint(6, 8), draw.uniform(0.6, 0.8)
    radii = torch.tensor([1 - rough * draw.random() for _ in range(corners)], device=angle.device)
    radii = radii / radii.max()
    place = (angle / (2 * math.pi) + 0.5) * corners
    before = place.floor()
    blend = (1 - torch.cos((place - before) * math.pi)) / 2
    first = before.long() % corners
    return radii[first] * (1 - blend) + radii[(first + 1) % corners] * blend


def _path(draw: random.Random, frames: int, free_y: float, free_x: float) -> list[list[float]]:
    """Top-left corner in each frame, within the free room; half of all holes stand still."""
    y, x = draw.uniform(0, free_y), draw.uniform(0, free_x)
    if draw.random() < 0.5:
        return [[y, x]] * frames
    speed, angle = draw.uniform(0, 2), draw.uniform(0, 2 * math.pi)
    path = []
    for _ in range(frames):
        path.append([y, x])
        y, x = y + speed * math.sin(angle), x + speed * math.cos(angle)
        speed, angle = speed + draw.gauss(0, 1), angle + draw.gauss(0, 0.25)
        if not (0 <= y <= free_y and 0 <= x <= free_x):  # turn away from the border
            speed, angle = abs(draw.gauss(0, 1.5)), draw.uniform(0, 2 * math.pi)
        y, x = min(max(y, 0), free_y), min(max(x, 0), free_x)
    return path

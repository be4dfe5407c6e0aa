"""Mirror: whether a shot looks like its mirror image, so that training may see both.

Fire and smoke that rise straight do, and twice as much to learn from is learnt less by heart. What
flows or pans to one side, lies in light from one side or on a slope does not, and would get ripples
and shadows that are not its own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.volume import Shot

__all__ = ["symmetric"]

SIZES = (1, 2, 4)
"""Pixels that are averaged, so that fine and coarse detail are both looked at."""

MOST_FRAMES = 64

LEAN = 0.08
"""Most by which brightness may rise to one side, over the spread of its slopes, and most that the
slopes may tell of the next frame, as a correlation, which is movement to one side."""

SKEW = 0.75
"""Most skewness of the slopes: steep on one side and gentle on the other is light from a side."""


def symmetric(shot: Shot) -> bool:
    """Whether the shot's known pixels are alike to the left and to the right, as far as the slopes
    of their brightness and the next frame tell. No, where there is nothing to tell it by."""
    starts = [i for i in range(len(shot.clean.boxes)) if i % shot.length + 1 < shot.length]
    starts = starts[:: max(1, -(-len(starts) // MOST_FRAMES))]
    for size in SIZES:
        sums = torch.zeros(7, dtype=torch.float64, device=shot.device)
        for i in starts:
            slope, change = _slopes(shot, i, size)
            terms = [slope**0, slope, slope**2, slope**3, change, change**2, slope * change]
            sums += torch.stack([term.sum() for term in terms])
            shot.rest()
        if not _balanced(sums.tolist()):
            return False
    return True


def _balanced(sums: list[float]) -> bool:
    count, first, second, third, change, changes, both = sums
    if count < 2:
        return False
    mean, drift = first / count, change / count
    spread = second / count - mean**2
    unrest = changes / count - drift**2
    if spread <= 0:  # nothing but one even colour
        return True
    lean = mean / spread**0.5
    skew = (third / count - 3 * mean * second / count + 2 * mean**3) / spread**1.5
    motion = (both / count - mean * drift) / (spread * unrest) ** 0.5 if unrest > 0 else 0.0
    return bool(abs(lean) <= LEAN and abs(motion) <= LEAN and abs(skew) <= SKEW)


def _slopes(shot: Shot, i: int, size: int) -> tuple[Tensor, Tensor]:
    """How brightness rises to the right in a frame, and how it changes to the next, where both are
    known: (N,) each, float64."""
    box = shot.clean.boxes[i].intersect(shot.clean.boxes[i + 1])
    if min(box.height, box.width) < 3 * size:
        return (torch.zeros(0, dtype=torch.float64, device=shot.device),) * 2
    now, then = (
        (shot.clean.view(j, box)[:1].to(shot.device), shot.hole.view(j, box).to(shot.device))
        for j in (i, i + 1)
    )
    (bright, hole), (later, covered) = (
        [functional.avg_pool2d(part.double(), size) for part in parts] for parts in (now, then)
    )
    slope = (bright[..., 2:] - bright[..., :-2]) / 2
    unknown = hole[..., 2:] + hole[..., 1:-1] + hole[..., :-2] + covered[..., 1:-1]
    change = (later - bright)[..., 1:-1]
    known = unknown == 0
    return slope[known], change[known]

"""The smoothest fill: what a hole looks like from far away. Our first fill starts from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["push_pull"]

STILL_LEVELS = 3
"""Levels that pool in space alone: a moving texture agrees with its neighbour frames when
coarse."""


def _wide(small: Tensor, size: Sequence[int]) -> Tensor:
    """A clip (B, C, T, H, W) enlarged to a size (T, H, W), trilinear between pixels' centres.

    torch's operator itself: its ``interpolate`` gives way to a slower one where sums must be
    repeatable, for the sake of the backward pass, which is never taken here.
    """
    larger: Tensor = torch.ops.aten.upsample_trilinear3d(small, list(size), False)
    return larger


@torch.no_grad()
def push_pull(known: Tensor, hole: Tensor) -> Tensor:
    """Fills the hole smoothly from its surroundings in space and, further in, in time.

    known: (B, C, T, H, W). hole: (B, 1, T, H, W), 1 = unknown. Known pixels come back as they are.
    Averages of known pixels at twice the size each, down to one, then back up into what the finer
    level does not know: the pull-push of Gortler et al., *The Lumigraph*, SIGGRAPH 1996.
    """
    with torch.autocast(known.device.type, enabled=False):
        value, weight = known.float(), 1 - hole.float()
        finer: list[tuple[Tensor, Tensor]] = []
        while max(value.shape[2:]) > 1:
            still = len(finer) < STILL_LEVELS and max(value.shape[3:]) > 1
            finer.append((value, weight))
            pools = (1 if still else 2, 2, 2)
            size = [min(pool, side) for pool, side in zip(pools, value.shape[2:], strict=True)]
            share = functional.avg_pool3d(weight, size, ceil_mode=True)
            value = functional.avg_pool3d(value * weight, size, ceil_mode=True)
            value = value / share.clamp_min(1e-8)
            weight = (share * size[0] * size[1] * size[2]).clamp_max(1)
        for above, sure in reversed(finer):
            value = torch.lerp(_wide(value, above.shape[2:]), above, sure)
        return value

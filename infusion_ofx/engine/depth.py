"""Depth: how far a place is from the hole's border."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["DEPTHS", "RINGS", "depths", "grown"]

RINGS = 1, 2, 4, 8, 16
"""Pixels from what is known: where one depth ends and the next begins."""

DEPTHS = len(RINGS) + 1


def grown(mask: Tensor, by: int) -> Tensor:
    """Where a mask (B, 1, T, H, W) is, or at most so many pixels off, sidewise, up or down, or
    both."""
    rows, columns = mask.shape[3:]
    held = _within(by, rows, mask.device) @ mask @ _within(by, columns, mask.device)
    return (held > 0).to(mask.dtype)


def depths(hole: Tensor) -> Tensor:
    """How deep in a hole (B, 1, T, H, W) each place is, 0 to ``DEPTHS`` - 1, in its frame; 0
    outside. Numbers of the same shape, that can be pooled."""
    return torch.stack([1 - grown(1 - hole, by) for by in RINGS]).sum(0)


@lru_cache(maxsize=64)
def _within(by: int, size: int, device: torch.device) -> Tensor:
    """1 where two of a row's places are no more than so many apart: (size, size)."""
    place = torch.arange(size, device=device)
    return ((place[:, None] - place).abs() <= by).float()

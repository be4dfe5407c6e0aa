"""Random numbers that have an address instead of a history.

Sampling noise belongs to (seed, stage, step, frame, row, column, channel): it does not matter which
window or tile asks for it, in which order, or on which machine. It is a hash of the address (the
finaliser of SplitMix64: Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014)
turned into a normal number by Box and Muller (1958).
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from infusion_ofx.sequence.frame import Box

__all__ = ["key", "normal"]

_MASK = (1 << 64) - 1


def key(*address: int | str) -> int:
    """A 63-bit number that depends on every part of the address, and on their order."""
    text = "/".join(map(str, address)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def normal(
    key: int, frame: int, box: Box, channels: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Standard normal noise for the pixels of one frame: (channels, height, width), float32.

    Pixels keep their value whatever box asks for them. Coordinates within +-2^19, frames +-2^20.
    """
    y = torch.arange(box.top, box.bottom, device=device) + (1 << 19)
    x = torch.arange(box.left, box.right, device=device) + (1 << 19)
    plane = (torch.arange(channels, device=device) + (frame + (1 << 20)) * channels) << 40
    bits = _mix(_mix(plane[:, None, None] + (y << 20)[:, None] + x) ^ key)
    high, low = _shift(bits, 40), bits & 0xFFFFFF  # 24 bits each: all that a float32 can hold
    radius = torch.sqrt(-2 * torch.log((high + 1).float() / (1 << 24)))
    return radius * torch.cos(low.float() * (2 * math.pi / (1 << 24)))


def _mix(bits: Tensor) -> Tensor:
    bits = (bits ^ _shift(bits, 30)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ _shift(bits, 27)) * _signed(0x94D049BB133111EB)
    return bits ^ _shift(bits, 31)


def _shift(bits: Tensor, count: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift of int64 repeats the sign."""
    return (bits >> count) & (_MASK >> count)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value

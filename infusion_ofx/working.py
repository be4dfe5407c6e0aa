"""Scene-linear light to the range that the network sees, and back.

Light is unbounded and uneven; a network wants numbers of about one size. Per shot: an exposure
gain, an arcsinh (close to a line in the shadows, to a logarithm in the highlights, odd, so that
negative light needs no special case; ../shared/research/io.md section 5 has the comparison), then
per component an offset and a scale, for our recipes after turning RGB to the principal components
of the shot's own colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["KNEE", "Working", "curve", "uncurve"]

KNEE = 50.0
"""k of ``asinh(k x) / asinh(k)``: light above about 1/k is in the logarithmic part."""

LEAST_SPREAD = 1e-4
"""Curved values that differ by less than this are noise: a flat plate is not blown up."""


def curve(linear: Tensor) -> Tensor:
    """``asinh(k x) / asinh(k)``: 0 to 0, 1 to 1, odd. Inf and NaN stay what they are."""
    return torch.asinh(KNEE * linear) / math.asinh(KNEE)


def uncurve(curved: Tensor) -> Tensor:
    """The inverse of ``curve``."""
    return torch.sinh(curved * math.asinh(KNEE)) / KNEE


@dataclass(frozen=True)
class Working:
    """One shot's mapping, fitted to its known pixels. C is the number of channels."""

    gain: float
    """Multiplies light before the curve."""
    centre: Tensor
    """(C,): the curved value that maps to 0."""
    turn: Tensor
    """(C, C), orthogonal: rows are the components."""
    scale: Tensor
    """(C,): the curved spread that maps to 1."""
    least: Tensor
    """(C,): the least known light of each channel."""
    most: Tensor
    """(C,): the greatest."""

    @classmethod
    def fit(cls, known: Tensor, *, decorrelate: bool, limits: Tensor | None = None) -> Working:
        """Fits the mapping to finite known pixels, (C, N), scene-linear; N at least 1.

        What is to be filled looks like what is close to it: water in a dark kitchen, or a flame
        before the night, has little in common with the plate as a whole. So ``known`` are pixels
        beside the hole, and ``limits`` more of them, (C, M), to whose range light is held; left
        out, the same.

        decorrelate: principal components with a spread of one half each (small ones by less, so
        that noise is not blown up); else one affine map for all channels that takes the known
        range to [-1, 1], as the published method has it for display values.
        """
        known = known.double()
        gain = 1 / (KNEE * _knee(known))
        centre, turn, scale = (_components if decorrelate else _range)(curve(known * gain))
        lights = known if limits is None else limits.double()
        return cls(gain, centre, turn, scale, lights.amin(1), lights.amax(1))

    def encode(self, linear: Tensor) -> Tensor:
        """Light (C, ...) to the network's range, float32, about [-1, 1] and without bounds."""
        curved = curve(linear.double() * self.gain)
        turned = torch.tensordot(self.turn, curved - _column(self.centre, linear), 1)
        scaled: Tensor = turned / _column(self.scale, linear)
        return scaled.float()

    def decode(self, working: Tensor) -> Tensor:
        """The network's range (C, ...) to light, float32, held to the range of the known pixels."""
        turned = working.double() * _column(self.scale, working)
        curved = torch.tensordot(self.turn.T, turned, 1) + _column(self.centre, working)
        light = uncurve(curved) / self.gain
        return torch.clamp(light, _column(self.least, light), _column(self.most, light)).float()


def _knee(known: Tensor) -> float:
    """The light at which the curve turns: the shot's shadows, well below its lights.

    A fire's dark surroundings are a thousandth of its core, and the eye sees both: an error that
    is small beside the core must not be large beside the shadows.
    """
    size = _thin(known).abs().amax(0)
    dark, bright = torch.quantile(size, size.new_tensor([0.1, 0.98])).tolist()
    knee: float = min(max(dark, bright / 2000), bright / 50)
    return max(knee, 1e-8)


def _components(curved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centre, turn and scale of the principal components of (C, N)."""
    centre = curved.mean(1)
    apart = curved - centre[:, None]
    values, vectors = torch.linalg.eigh(apart @ apart.T / apart.shape[1])
    order = values.argsort(descending=True)
    turn = vectors[:, order].T
    turn = torch.where(turn.sum(1, keepdim=True) < 0, -turn, turn)  # an eigenvector's sign is free
    spread = values[order].clamp_min(0).sqrt()
    return centre, turn, 2 * spread.clamp_min(0.2 * spread[0].item()).clamp_min(LEAST_SPREAD)


def _range(curved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centre, turn and scale of one affine map that takes all of (C, N) to [-1, 1]."""
    low, high = curved.min().item(), curved.max().item()
    ones = torch.ones(len(curved), dtype=curved.dtype)
    return (
        ones * (low + high) / 2,
        torch.diag(ones),
        ones * max((high - low) / 2, LEAST_SPREAD),
    )


def _column(values: Tensor, like: Tensor) -> Tensor:
    column: Tensor = values.reshape(-1, *[1] * (like.ndim - 1))
    return column


def _thin(known: Tensor, most: int = 1_000_000) -> Tensor:
    """Every n-th pixel, so that at most ``most`` are left: torch.quantile has a limit."""
    return known[:, :: -(-known.shape[1] // most)]

"""Noise levels: which there are, how they are cut into intervals, where training draws and
sampling stops.

A level is a place ``u`` in [0, 1), 0 = nearly clean, 1 = the most noise that is trained. Noise is
measured as the ratio ``sigma`` of noise to signal. The published variance-preserving chain is the
same chain in these terms: ``x_vp = x / sqrt(1 + sigma^2)`` and ``sigma = sqrt((1 - alpha_bar) /
alpha_bar)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from infusion_ofx.engine.recipe import Recipe

__all__ = [
    "LinearBeta",
    "LogUniform",
    "Schedule",
    "ancestral",
    "calls_by_interval",
    "make",
    "noise_share",
]


@dataclass(frozen=True)
class LogUniform:
    """Noise levels drawn evenly in the logarithm of sigma.

    From ``high``, a noise that hides all but coarse shapes, to ``low``, one of about grain's size:
    what is finer than it is lost. Sampling starts at ``start``, which hides those shapes too; its
    place is above 1.
    """

    low: float
    high: float
    start: float

    def sigma(self, u: Tensor) -> Tensor:
        """Noise-to-signal ratio at u; above ``high`` where u is above 1."""
        return self.low * (self.high / self.low) ** u

    def level(self, u: Tensor) -> Tensor:
        """What the network is told: ln(sigma) / 4, within [-0.78, 0.63] for our recipes."""
        return self.sigma(u).log() / 4

    def grid(self, calls: int) -> Tensor:
        """The places u that sampling steps from, noisiest first: (calls,). Below 1 each calls the
        network; a single one does."""
        first = math.log(self.start / self.low) / math.log(self.high / self.low)
        return (
            torch.linspace(first, 0, calls, dtype=torch.float64)
            if calls > 1
            else torch.ones(1).double()
        )


@dataclass(frozen=True)
class LinearBeta:
    """The 1000 levels of Ho et al. (arXiv 2006.11239) as published: beta from 1e-4 to 0.02."""

    count: int = 1000
    first: float = 1e-4
    last: float = 0.02

    def index(self, u: Tensor) -> Tensor:
        """The level's number t in 0 .. count - 1."""
        return (u * self.count).floor().clamp(0, self.count - 1).long()

    def alpha_bar(self) -> Tensor:
        """Share of the signal's power that is left at each t: (count,), float64."""
        betas = torch.linspace(self.first, self.last, self.count, dtype=torch.float64)
        return torch.cumprod(1 - betas, 0)

    def sigma(self, u: Tensor) -> Tensor:
        """Noise-to-signal ratio at u in [0, 1]."""
        kept = _alpha_bar(self, u.device)[self.index(u)]
        return ((1 - kept) / kept).sqrt().to(u.dtype)

    def level(self, u: Tensor) -> Tensor:
        """What the network is told: t itself."""
        return self.index(u).to(u.dtype)

    def grid(self, calls: int) -> Tensor:
        """The places u at which sampling calls the network, noisiest first: (calls,).

        With fewer calls than levels they are spread evenly over the levels, both ends included.
        """
        calls = min(calls, self.count)
        numbers = torch.linspace(self.count - 1, 0, calls, dtype=torch.float64).round()
        return (numbers + 0.5) / self.count


@lru_cache(maxsize=4)
def _alpha_bar(schedule: LinearBeta, device: torch.device) -> Tensor:
    """Kept on the device: a CUDA graph may not copy it there."""
    return schedule.alpha_bar().to(device)


Schedule = LogUniform | LinearBeta


def make(recipe: Recipe) -> Schedule:
    """The schedule that a recipe names."""
    return LinearBeta() if recipe.noise is None else LogUniform(*recipe.noise, recipe.start)


def noise_share(sigma: Tensor) -> Tensor:
    """The noise's share of the spread of a clip that is clean + sigma n: in (0, 1)."""
    return sigma / (1 + sigma.square()).sqrt()


def span(interval: int | None, intervals: int) -> tuple[float, float]:
    """The places u that an interval covers, from (included) to (left out); None is all of them."""
    if interval is None:
        return 0.0, 1.0
    return 1 - (interval + 1) / intervals, 1 - interval / intervals


def calls_by_interval(recipe: Recipe) -> list[int]:
    """How many of a recipe's sampling steps fall into each interval, noisiest first; those above
    all that is trained are the first one's."""
    grid, count = make(recipe).grid(recipe.sampling_steps), recipe.intervals
    place = ((1 - grid) * count).ceil().long().sub(1).clamp(0, count - 1)
    return torch.bincount(place, minlength=count).tolist()


def ancestral(now: float, then: float) -> tuple[float, float]:
    """One step of the chain from sigma = now down to sigma = then: (keep, spread).

    ``x_then = keep * x_now + (1 - keep) * clean + spread * n`` with n normal is a draw from
    q(x_then | x_now, clean), equations 6 and 7 of Ho et al. 2020, written for ``x = clean + sigma
    n``. The last step, then = 0, gives the clean estimate itself.
    """
    keep = (then / now) ** 2
    return keep, then * math.sqrt(1 - keep)

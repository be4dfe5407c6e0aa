"""What training has never seen: how well the network takes the noise off there, as it learns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import Network
from infusion_ofx.engine.noise import key, normal
from infusion_ofx.engine.objective import denoise
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import make, span
from infusion_ofx.engine.stages import Stage
from infusion_ofx.engine.volume import Shot
from infusion_ofx.plan import Window

__all__ = ["HeldOut"]

LEVELS = 4
"""Noise levels at which it is tried, spread evenly over those of a stage."""


@dataclass(frozen=True)
class HeldOut:
    """A part of the shot's hole behind which the truth is known (score_self.py)."""

    window: Window
    """It and its surroundings, as one window of the network."""
    mask: Tensor
    """(1, T, height, width) of the window: 1 where the truth was held out."""
    truth: Tensor
    """(C, T, height, width) of the window, in the working range: the truth under the mask."""

    @torch.no_grad()
    def error(
        self, network: Network, shot: Shot, recipe: Recipe, stage: Stage, compute: Compute
    ) -> float:
        """Mean squared error over what is held out, of the clean estimates at noise levels of a
        training stage; working units. The noise is always the same, and the network is asked as
        sampling asks it (``eval``)."""
        clean, hole = shot.cut([self.window])
        known = clean * (1 - hole)
        mask, truth = self.mask.to(hole.device)[None], self.truth.to(hole.device)[None]
        clean = torch.where(mask > 0, truth, known)
        schedule = make(recipe)
        low, high = span(stage.interval, recipe.intervals)
        u = low + (high - low) * (torch.arange(LEVELS, device=hole.device) + 0.5) / LEVELS
        address = key("held out")
        numbers = shot.numbers[self.window.start : self.window.stop]
        frames = [normal(address, n, self.window.box, len(shot.low), hole.device) for n in numbers]
        noisy = clean + schedule.sigma(u)[:, None, None, None, None] * torch.stack(frames, 1)[None]
        training = network.training
        network.eval()
        with compute.autocast():
            estimate = denoise(
                network, schedule, noisy, network.first_fill(known, hole).expand_as(noisy),
                hole.expand(LEVELS, -1, -1, -1, -1), u,
            )  # fmt: skip
        network.train(training)
        wrong = (estimate - clean).square() * mask
        return (wrong.sum() / (mask.sum() * LEVELS * len(shot.low))).item()

"""The engine's main path: train on an interval of noise levels, sample through it, go on to the
next.

The whole work is a flat list of stages (recipe.py), and a place in it is (stage, step). A
checkpoint is that place, the network, its optimiser and the noisy clip; nothing else carries over
from step to step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from infusion_ofx.engine import checkpoint
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import build
from infusion_ofx.engine.noise import key
from infusion_ofx.engine.recipe import Recipe, Stage, stages
from infusion_ofx.engine.sample import sample_step, start
from infusion_ofx.engine.schedule import calls_by_interval, make
from infusion_ofx.engine.train import optimiser, train_step
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.plan import Plan
from infusion_ofx.sequence.frame import Box

__all__ = ["OnStep", "State", "inpaint"]


@dataclass
class State:
    """Where the engine is, and all that it needs to go on from there."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    x: Volume
    """The clip at the noise level that sampling has reached; in the end, the fill."""
    clean: Volume | None = None
    """The newest estimate of the clean clip; None before the first sampling step."""
    stage: int = 0
    step: int = 0

    def save(self, folder: Path) -> None:
        """Writes a checkpoint; its name sorts by progress."""
        name = f"checkpoint-{self.stage:04d}-{self.step:07d}.safetensors"
        checkpoint.save(folder / name, self._tensors(), {"stage": self.stage, "step": self.step})
        checkpoint.prune(folder)

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Takes over what ``save`` wrote."""
        device = self.x.data[0].device if self.x.data else torch.device("cpu")
        weights = dict(self.network.named_parameters())
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(tensors[f"network.{name}"])
        for name, weight in weights.items():
            self.optimizer.state[weight] = {
                part: _laid_out(tensors[f"optimizer.{name}.{part}"], weight)
                for part in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{name}.{part}" in tensors
            }
        self.x = _volume(tensors, "x", self.x.boxes, device)
        if "clean.0" in tensors:
            self.clean = _volume(tensors, "clean", self.x.boxes, device)
        self.stage, self.step = facts["stage"], facts["step"]

    def _tensors(self) -> dict[str, Tensor]:
        found = {f"x.{i}": frame for i, frame in enumerate(self.x.data)}
        if self.clean is not None:
            found |= {f"clean.{i}": frame for i, frame in enumerate(self.clean.data)}
        for name, weight in self.network.named_parameters():
            found[f"network.{name}"] = weight
            for part, tensor in self.optimizer.state.get(weight, {}).items():
                found[f"optimizer.{name}.{part}"] = tensor
        return found


def _volume(
    tensors: dict[str, Tensor], name: str, boxes: Sequence[Box], device: torch.device
) -> Volume:
    return Volume(boxes, [tensors[f"{name}.{i}"].to(device) for i in range(len(boxes))])


def _laid_out(tensor: Tensor, weight: Tensor) -> Tensor:
    """A tensor in its weight's memory layout, which the fused optimiser takes for granted."""
    return torch.empty_like(weight).copy_(tensor) if tensor.ndim else tensor.to(weight.device)


OnStep = Callable[[State, Stage, "Tensor | None"], None]
"""Called after each step with the state, the stage and the training loss. Raise in it to stop."""


def inpaint(
    shot: Shot,
    plan: Plan,
    recipe: Recipe,
    compute: Compute,
    *,
    seed: int,
    folder: Path,
    on_step: OnStep = lambda state, stage, loss: None,
) -> Volume:
    """Fills the hole: the working-range picture of ``plan.sampled``, the hole generated, the rest
    as it was.

    Goes on from the newest checkpoint in ``folder``; ``on_step`` decides when to write one.
    """
    grid = make(recipe.schedule).grid(recipe.sampling_steps).tolist()
    calls = calls_by_interval(torch.tensor(grid), recipe.intervals)
    state = _begin(shot, plan, recipe, compute, seed)
    kept = checkpoint.newest(folder)
    if kept is not None:
        state.restore(*kept)
    work = stages(recipe, calls)
    for number in range(state.stage, len(work)):
        stage = work[number]
        while state.step < stage.steps:
            loss = None
            if stage.kind == "train":
                loss = train_step(
                    state.network, state.optimizer, shot, recipe, stage, state.step,
                    seed=seed, compute=compute,
                )  # fmt: skip
            else:
                call = sum(calls[: stage.interval]) + state.step
                places = (grid[call], grid[call + 1] if call + 1 < len(grid) else None)
                state.x, state.clean = sample_step(
                    state.network, state.x, state.clean, shot, plan, recipe, places, call,
                    seed=seed, compute=compute,
                )  # fmt: skip
            state.step += 1
            on_step(state, stage, loss)
        state.stage, state.step = number + 1, 0
    return state.x


def _begin(shot: Shot, plan: Plan, recipe: Recipe, compute: Compute, seed: int) -> State:
    """The state before the first step; the network's first weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "weights"))
        network = build(recipe, shot, compute.device)
    return State(network, optimiser(network, recipe), start(shot, plan, recipe, seed=seed))

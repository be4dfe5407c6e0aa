"""Fit: a network in training, as checkpoints keep it and as it is opened from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from infusion_ofx.engine.checkpoint import Kept
from infusion_ofx.engine.network import Network, build
from infusion_ofx.engine.noise import key
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.texture import Texture
from infusion_ofx.engine.train import optimiser
from infusion_ofx.engine.volume import Shot
from infusion_ofx.errors import JobError

__all__ = ["Fit"]


@dataclass
class Fit:
    """A training under way."""

    network: Network
    optimizer: torch.optim.Optimizer
    step: int = 0

    @classmethod
    def opened(
        cls, recipe: Recipe, shot: Shot, seed: int, device: torch.device, kept: Kept | None
    ) -> Fit:
        """A network as it was kept, or one whose first weights depend on the seed alone, and its
        optimiser; not the step that was kept with it.

        The shot's texture is measured once, and kept from then on: another machine's would differ
        in its last bits.

        Raises:
            JobError: when what was kept is another network's.
        """
        texture = None if kept is None else _texture(kept.tensors)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key(seed, "weights"))
            network = build(recipe, shot, device, texture)
        fit = cls(network, optimiser(network, recipe))
        if kept is not None:
            fit._restore(kept.tensors)
        return fit

    def tensors(self) -> dict[str, Tensor]:
        """All that it takes to go on."""
        found = {f"network.{name}": part for name, part in self.network.state_dict().items()}
        for name, weight in self.network.named_parameters():
            for part, tensor in self.optimizer.state.get(weight, {}).items():
                found[f"optimizer.{name}.{part}"] = tensor
        return found

    def facts(self) -> dict[str, int]:
        """What goes with it."""
        return {"step": self.step}

    def rest(self) -> None:
        """There is nothing to let go of."""

    def _restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over the network's numbers and the optimiser's memory."""
        own = {f"network.{name}": part for name, part in self.network.state_dict().items()}
        if any(name not in tensors or tensors[name].shape != own[name].shape for name in own):
            raise JobError(
                "a training that was kept is of another network than this job's recipe has",
                "it is of another recipe or version: remove the job folder and begin anew",
            )
        for name, part in own.items():
            part.copy_(tensors[name])
        for name, weight in self.network.named_parameters():
            self.optimizer.state[weight] = {
                part: _laid_out(tensors[f"optimizer.{name}.{part}"], weight)
                for part in ("step", "exp_avg", "exp_avg_sq", "momentum")
                if f"optimizer.{name}.{part}" in tensors
            }


def _texture(tensors: Mapping[str, Tensor]) -> Texture | None:
    """The texture that was kept, in memory of its own, or None where the network has none."""
    names = {field.name: f"network.{field.name}" for field in fields(Texture)}
    if not tensors.keys() >= {*names.values()}:
        return None
    return Texture(**{field: tensors[name].clone() for field, name in names.items()})


def _laid_out(tensor: Tensor, weight: Tensor) -> Tensor:
    """A tensor in its weight's memory layout, which the fused optimiser takes for granted."""
    return torch.empty_like(weight).copy_(tensor) if tensor.ndim else tensor.to(weight.device)

"""One training step: random blocks of the shot, random holes, random noise levels."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from infusion_ofx.engine.blocks import Blocks
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.holes import training_holes
from infusion_ofx.engine.muon import Muon
from infusion_ofx.engine.network import Network
from infusion_ofx.engine.noise import key
from infusion_ofx.engine.objective import denoise, known_loss, level_weight
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import make, span
from infusion_ofx.engine.stages import Stage
from infusion_ofx.engine.volume import Shot

__all__ = ["Trainer", "learning_rate", "optimiser"]


def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe; ``Trainer`` sets its learning rate. Only the weights of
    convolutions decay. Without that AdamW is Adam (Loshchilov and Hutter, arXiv 1711.05101)."""
    device = next(network.parameters()).device
    kind = Muon if recipe.muon else torch.optim.AdamW
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": recipe.weight_decay},
        {"params": [], "weight_decay": 0.0},
    ]
    for weight in network.parameters():
        groups[weight.ndim != 5]["params"].append(weight)
    return kind(
        groups,
        lr=torch.tensor(recipe.learning_rate, device=device),
        betas=recipe.betas,
        fused=True,
        capturable=device.type == "cuda",
    )


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate at a step of a stage: a tenth of the steps up, then a cosine down to 5 %."""
    if not recipe.decay:
        return recipe.learning_rate
    rise = max(1, steps // 10)
    if step < rise:
        return recipe.learning_rate * (step + 1) / rise
    fall = (step - rise) / max(1, steps - rise)
    return recipe.learning_rate * (0.05 + 0.95 * (1 + math.cos(math.pi * fall)) / 2)


@dataclass(frozen=True)
class Batch:
    """B blocks of the shot as one step trains on them."""

    clean: Tensor
    """(B, C, T, height, width); 0 where nothing is known."""
    hole: Tensor
    """(B, 1, T, height, width): 1 = nothing is known."""
    unseen: Tensor
    """The same with the training holes: 1 = not shown to the network."""
    noisy: Tensor
    """(B, C, T, height, width): clean + sigma n."""
    u: Tensor
    """(B,): the noise levels' places in the schedule."""

    @classmethod
    def draw(cls, shot: Shot, blocks: Blocks, recipe: Recipe, stage: Stage, address: int) -> Batch:
        """Random blocks, holes and noise, which depend on the address alone."""
        draw, device = random.Random(address), shot.device
        windows = [blocks.draw(draw) for _ in range(recipe.batch * recipe.ensemble)]
        clean, hole = shot.cut(windows)
        frames, height, width = clean.shape[2:]
        extra = training_holes(draw, len(windows), frames, height, width, device)
        low, high = span(stage.interval, recipe.intervals)
        u = torch.tensor([draw.uniform(low, high) for _ in windows], device=device)
        sigma = make(recipe).sigma(u)[:, None, None, None, None]
        generator = torch.Generator(device).manual_seed(address)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        return cls(clean, hole, torch.maximum(hole, extra), clean + sigma * noise, u)

    @property
    def shown(self) -> Tensor:
        """(B, 1, T, height, width): 1 = the network sees it."""
        return 1 - self.unseen

    @property
    def known(self) -> Tensor:
        """(B, C, T, height, width): what the network is shown of the clean clips; the rest is 0."""
        return self.clean * self.shown

    def tensors(self) -> list[Tensor]:
        """All of it, in one order."""
        return [getattr(self, field.name) for field in fields(self)]


class Trainer:
    """Takes the training steps of one stage."""

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        shot: Shot,
        recipe: Recipe,
        stage: Stage,
        *,
        seed: int,
        compute: Compute,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.shot, self.recipe, self.stage = shot, recipe, stage
        self.blocks = Blocks(shot, recipe)
        self.seed, self.compute = seed, compute
        self.schedule = make(recipe)
        self.fit: Callable[[Batch], Tensor] = self.fit_now
        if compute.device.type == "cuda":
            self.fit = _Replay(self.fit_now, compute.device)

    def step(self, step: int) -> Tensor:
        """Fits the network to the blocks of one step, 0 for the first. Returns the loss, a scalar
        still on the device.

        Every draw is addressed by (seed, interval, step): a resumed job draws what the unbroken
        one drew.
        """
        address = key(self.seed, "train", str(self.stage.interval), step)
        batch = Batch.draw(self.shot, self.blocks, self.recipe, self.stage, address)
        for group in self.optimizer.param_groups:
            group["lr"].fill_(learning_rate(self.recipe, step, self.stage.steps))
        return self.fit(batch)

    def estimate(self, batch: Batch, first: Tensor) -> Tensor:
        """The network's clean clips of a batch, in the precision that suits its size. first: what
        its ``first_fill`` makes of the batch."""
        frames, height, width = batch.clean.shape[2:]
        across = 1 if self.recipe.network == "paper" else 2  # of the finest convolution's pixels
        with self.compute.autocast(frames, -(-height // across) * -(-width // across)):
            return denoise(self.network, self.schedule, batch.noisy, first, batch.unseen, batch.u)

    def fit_now(self, batch: Batch) -> Tensor:
        """The part of a step that is the same work each time, with nothing from the host in it."""
        estimate = self.estimate(batch, self.network.first_fill(batch.known, batch.unseen))
        errors = known_loss(
            estimate, batch.clean, batch.hole, batch.shown, self.recipe.known_weight
        )
        loss = (errors * level_weight(self.schedule, batch.u, self.recipe.low_weight)).mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if self.recipe.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        return loss.detach()


class _Replay:
    """The same work, recorded after its first few runs as a CUDA graph and replayed from then on.

    A small network is hundreds of kernels of a few microseconds each: started one by one they keep
    the host busy and the GPU waiting. The kernels and their order are the same, so are the bits.
    """

    WARM = 3
    """Runs before the recording, in which libraries make what may not be made while recording."""

    def __init__(self, work: Callable[[Batch], Tensor], device: torch.device) -> None:
        self.work, self.device = work, device
        self.runs = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch) -> Tensor:
        with torch.cuda.device(self.device):
            if self.graph is None and self.runs < self.WARM:
                self.runs += 1
                return self._beside(batch)
            if self.graph is None:
                self._record(batch)
                return self.loss.clone()
            torch._foreach_copy_(self.batch.tensors(), batch.tensors())
            self.graph.replay()
            return self.loss.clone()

    def _beside(self, batch: Batch) -> Tensor:
        """Runs the work on a stream of its own, as recording wants it."""
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            loss = self.work(batch)
        torch.cuda.current_stream().wait_stream(side)
        return loss

    def _record(self, batch: Batch) -> None:
        self.batch = Batch(*(tensor.clone() for tensor in batch.tensors()))
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = self.work(self.batch)
        self.graph.replay()

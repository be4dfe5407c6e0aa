"""One training step: a random block of the shot, a random hole, a random noise level."""

from __future__ import annotations

import math
import random
from functools import lru_cache, reduce

import torch
from torch import Tensor, nn

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.holes import training_hole
from infusion_ofx.engine.noise import key
from infusion_ofx.engine.objective import denoise, known_loss
from infusion_ofx.engine.recipe import Recipe, Stage
from infusion_ofx.engine.schedule import make, span
from infusion_ofx.engine.volume import Shot
from infusion_ofx.plan import Window
from infusion_ofx.sequence.frame import Box

__all__ = ["learning_rate", "optimiser", "train_step"]


def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe; ``train_step`` sets its learning rate. Without weight decay, AdamW
    is Adam (Loshchilov and Hutter, arXiv 1711.05101)."""
    return torch.optim.AdamW(
        network.parameters(),
        lr=recipe.learning_rate,
        betas=recipe.betas,
        weight_decay=0,
        fused=True,
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


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    shot: Shot,
    recipe: Recipe,
    stage: Stage,
    step: int,
    *,
    seed: int,
    compute: Compute,
) -> Tensor:
    """Fits the network to one block of the shot. Returns the loss, a scalar still on the device.

    Every draw is addressed by (seed, interval, step): a resumed job draws what the unbroken one
    drew.
    """
    address = key(seed, "train", str(stage.interval), step)
    draw = random.Random(address)
    device = shot.low.device
    window = _block(draw, shot, recipe)
    clean = shot.clean.cut(window.start, window.stop, window.box)[None]
    hole = shot.hole.cut(window.start, window.stop, window.box)[None]
    frames, height, width = clean.shape[2:]
    extra = training_hole(draw, frames, height, width, device)[None]
    unseen = torch.maximum(hole, extra)
    low, high = span(stage.interval, recipe.intervals)
    u = torch.tensor([draw.uniform(low, high)], device=device)
    generator = torch.Generator(device).manual_seed(address)
    noise = torch.randn(clean.shape, generator=generator, device=device)
    schedule = make(recipe.schedule)
    noisy = clean + schedule.sigma(u)[:, None, None, None, None] * noise
    with compute.autocast(frames):
        estimate = denoise(network, schedule, noisy, clean * (1 - unseen), unseen, u)
    loss = known_loss(estimate, clean, hole, 1 - unseen, recipe.known_weight)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    if recipe.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(recipe, step, stage.steps)
    optimizer.step()
    return loss.detach()


def _block(draw: random.Random, shot: Shot, recipe: Recipe) -> Window:
    """A random block of the shot, as long as a window and as large as a crop where there is
    room."""
    frames = min(recipe.frames, len(shot.numbers))
    start, room = draw.choice(_rooms(tuple(shot.clean.boxes), frames, recipe.crop))
    height, width = (min(recipe.crop, side) for side in (room.height, room.width))
    top = draw.randint(room.top, room.bottom - height)
    left = draw.randint(room.left, room.right - width)
    return Window(start, start + frames, Box(top, left, top + height, left + width))


@lru_cache(maxsize=4)
def _rooms(boxes: tuple[Box, ...], frames: int, crop: int) -> list[tuple[int, Box]]:
    """Where a block may start, and the pixels that all of its frames have.

    Where the hole leaves on one side and comes back on the other there are few, or none: starts
    with less than half of the best room for a crop are left out.
    """
    starts = range(len(boxes) - frames + 1)
    rooms = [(start, reduce(Box.intersect, boxes[start : start + frames])) for start in starts]
    sizes = [min(crop, room.height) * min(crop, room.width) for _, room in rooms]
    return [room for room, size in zip(rooms, sizes, strict=True) if 2 * size >= max(sizes)]

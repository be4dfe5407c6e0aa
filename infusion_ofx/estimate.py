"""What a job will take, before it starts: work in voxel passes, memory and room in bytes."""

from __future__ import annotations

from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.sample import AT_ONCE
from infusion_ofx.engine.scales import scales_of
from infusion_ofx.engine.schedule import make
from infusion_ofx.engine.stages import PER_CENT, Stage, stages
from infusion_ofx.patch import BYTES
from infusion_ofx.plan import Plan
from infusion_ofx.prior.sources import VIEWS

__all__ = [
    "block_voxels",
    "held",
    "largest_tile",
    "memory",
    "on_device",
    "step_passes",
    "window_voxels",
    "work",
]

RUNTIME_BYTES = 550 * 2**20
"""What torch and the libraries take before any frame is loaded, and keep to themselves later."""

REGION_BYTES = 20
"""For each loaded pixel of each frame: up to four float32 of colour and one of hole. They are in a
file (mapped.py), or in the memory of a GPU."""

SAMPLED_BYTES = 48
"""The same for each pixel of each frame that is sampled: the noisy clip, its estimate and the
first fill."""

FRAME_BYTES = 300_000
"""For each frame of the shot: headers, names, where the hole is. Measured: 0.28 MB from 200 to 1000
frames (docs/benchmarks/memory.json)."""

VIEW_BYTES = 16
"""For each loaded pixel of a frame that the prior looks at: what is known, and pyramids."""

LOOK_BYTES = 900
"""For each pixel of a frame's hole and its surroundings that a thread of the prior works on: what
all of its sources show."""

JOINED_BYTES = 80
"""For each pixel of a frame that is being joined: the sums, their weight, and what becomes of
them."""

NETWORK_BYTES = {"light": (1750, 500), "paper": (2000, 1100)}
"""For each voxel that the network sees at once, in training and in sampling. Measured: resident
memory of torch 2.13 on CPUs of Intel, where convolutions take more, and AMD, the greater of float32
and bfloat16 at two sizes; for a GPU they are a guess until they are measured there."""

DENSE_BYTES = 40
"""For each voxel of a fill of patches: the clip twice, up to four float32, and the hole."""

SCALE_BYTES = 100 * 2**20
"""What each smaller scale leaves behind. Measured: 0.17 GB for two, of a hole of 500 pixels."""

GUESS_PASSES = 0.5
"""What the linear guess takes, in passes of one network, of which it is a part. Measured: 0.48 and
0.58 in ``draft``, on an Intel Xeon with AMX."""

PATCH_PASSES = 8.0
"""What a fill of patches takes, in passes of the network over what is sampled: for the progress
only."""

FIT_BYTES = 300 * 2**20
"""Held while the working range is fitted to known pixels, or the texture near the hole measured."""


def block_voxels(recipe: Recipe, plan: Plan) -> int:
    """Pixels times frames that a training step runs through the network, at most."""
    frames = min(recipe.frames, plan.length)
    height = max(box.height for box in plan.trained)
    width = max(box.width for box in plan.trained)
    blocks = recipe.batch * recipe.ensemble
    return blocks * frames * min(recipe.crop, height) * min(recipe.crop, width)


def window_voxels(plan: Plan) -> int:
    """Pixels times frames that one sampling call runs through the network."""
    return sum(window.voxels for window in plan.windows)


def step_passes(recipe: Recipe) -> float:
    """Passes of one network that a sampling step takes: of an ensemble every network looks at every
    window, and the linear guess is made once for all."""
    return GUESS_PASSES + recipe.ensemble * (1 - GUESS_PASSES)


def work(recipe: Recipe, plan: Plan) -> list[tuple[Stage, float]]:
    """The engine's stages, those of a smaller scale first, each with the cost of one of its steps
    in voxels passed forward through one network.

    A training step costs three passes: forward, and twice as much back. A sampling step above the
    noise that is trained costs the linear guess alone, any other ``step_passes``; what is told is
    the mean over the stage's steps.
    """
    return [each for own, layout in scales_of(recipe, plan) for each in _work(own, layout)]


def _work(recipe: Recipe, plan: Plan) -> list[tuple[Stage, float]]:
    """The same at one scale."""
    sampled = float(window_voxels(plan))
    guessed = int((make(recipe).grid(recipe.sampling_steps) > 1).sum())

    def cost(stage: Stage) -> float:
        if stage.kind == "train":
            return 3.0 * block_voxels(recipe, plan)
        if stage.kind == "patch":
            return PATCH_PASSES * sampled / PER_CENT
        full = step_passes(recipe)
        spared = guessed * (full - GUESS_PASSES) if stage.interval == 0 else 0.0
        return (full - spared / stage.steps) * sampled

    return [(stage, cost(stage)) for stage in stages(recipe)]


def memory(recipe: Recipe, plan: Plan, *, prior: int) -> int:
    """Most bytes that the job will hold in memory, on a CPU: the runtime, and what one of its steps
    works on. The pixels of the shot are not in it, however long it is.

    prior: threads that look at other frames; 0 where nobody does.
    """
    steps = [FIT_BYTES]
    if prior:
        region = max((box.height * box.width for box in plan.reached), default=0)
        views = min(VIEWS, plan.length)
        steps.append((VIEW_BYTES * views + LOOK_BYTES * prior) * region)
    if recipe.patches:
        block = max((block.voxels for block in plan.blocks), default=0)
        steps.append(DENSE_BYTES * block + BYTES * min(block, recipe.block))
    scales = scales_of(recipe, plan)
    if recipe.steps:
        steps += [_network_bytes(own, layout) for own, layout in scales]
    kept = SCALE_BYTES * (len(scales) - 1)
    return RUNTIME_BYTES + FRAME_BYTES * plan.length + kept + max(steps)


def _network_bytes(recipe: Recipe, plan: Plan) -> int:
    """The same of a network's steps at one scale, beside the runtime."""
    training, sampling = NETWORK_BYTES[recipe.network]
    largest = max([min(AT_ONCE, window_voxels(plan)), *(w.voxels for w in plan.windows)])
    areas = [box.height * box.width for box in plan.sampled]
    joined = JOINED_BYTES * max(areas, default=0) * min(2 * recipe.frames, len(areas))
    return max(training * block_voxels(recipe, plan), sampling * largest + joined)


def on_device(recipe: Recipe, plan: Plan, budget: int) -> tuple[int, bool]:
    """Most bytes that the engine will hold on a GPU, and whether the whole shot is among them,
    which it is where the budget, in bytes, allows it."""
    needed = memory(recipe, plan, prior=0)
    whole = needed + held(recipe, plan)
    return (whole, True) if whole <= budget else (needed, False)


def held(recipe: Recipe, plan: Plan) -> int:
    """Bytes of what is worked on of the shot, and of what is made of it in sampling, at all scales:
    in a file, or on a GPU."""
    bytes_ = 0
    for own, layout in scales_of(recipe, plan):
        worked_on = layout.reached if own.scale == 1 else layout.region
        for each, boxes in ((REGION_BYTES, worked_on), (SAMPLED_BYTES, layout.sampled)):
            bytes_ += each * sum(box.height * box.width for box in boxes)
    return bytes_


def largest_tile(recipe: Recipe, budget: int) -> int:
    """The longest side of a sampling tile that a third of a memory budget, in bytes, allows."""
    if not recipe.steps:
        return recipe.tile
    voxels = budget / 3 / NETWORK_BYTES[recipe.network][1]
    side = int((voxels / recipe.frames) ** 0.5) // 32 * 32
    return max(2 * recipe.context + 32, min(recipe.tile, side))

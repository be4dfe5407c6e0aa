"""One sampling step: the whole hole, one noise level down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.noise import key, normal
from infusion_ofx.engine.objective import denoise
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import Schedule, ancestral, make
from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.plan import Plan, Window
from infusion_ofx.sequence.frame import Box

__all__ = ["AT_ONCE", "batches", "sample_step", "start"]

AT_ONCE = 2**20
"""Most pixels times frames of several windows together; a single one may be larger."""


@torch.no_grad()
def start(shot: Shot, plan: Plan, recipe: Recipe, *, seed: int) -> Volume:
    """The noisiest clip, over all that the sampling windows cover.

    Noise alone, as published, where the chain starts so high that nothing shows through it; else
    noise over the smooth fill, which is what a clip looks like from there.
    """
    sigma = _sigma(make(recipe.schedule), 1.0)
    if recipe.network == "paper":
        return Volume.make(
            plan.sampled, lambda i, box: _noise(shot, i, box, seed, 0) * (1 + sigma**2) ** 0.5
        )
    smooth, _ = _joined(shot, plan, lambda known, hole, windows: push_pull(known, hole))
    return Volume.make(
        plan.sampled, lambda i, box: smooth.data[i] + _noise(shot, i, box, seed, 0) * sigma
    )


@torch.no_grad()
def sample_step(
    network: nn.Module,
    x: Volume,
    before: Volume | None,
    shot: Shot,
    plan: Plan,
    recipe: Recipe,
    places: tuple[float, float | None],
    call: int,
    *,
    seed: int,
    compute: Compute,
) -> tuple[Volume, Volume]:
    """Takes the clip from one noise level to the next. Returns the new x and its clean estimate.

    before: the estimate of the step before this one; None at the first. places: where in the
    schedule x is, and where it goes; None is the clean clip. call: the number of this step in the
    whole chain. At every step the overlapping windows' estimates are joined into one, held to the
    range of the known pixels, and known pixels are put back (Algorithm 1 of arXiv 2311.01090).

    A chain of few calls loses contrast, since each step takes its estimate for the whole stretch;
    with ``recipe.extrapolate`` it goes on half a step the way the estimate was going, which is the
    stochastic DPM-Solver++(2M) of Lu et al. (arXiv 2211.01095) for even steps in log sigma.
    """
    schedule = make(recipe.schedule)
    now = _sigma(schedule, places[0])
    then = 0.0 if places[1] is None else _sigma(schedule, places[1])
    keep, spread = ancestral(now, then)

    def estimate(known: Tensor, hole: Tensor, windows: Sequence[Window]) -> Tensor:
        u = torch.full([len(windows)], places[0], device=hole.device)
        with compute.autocast():
            return denoise(network, schedule, _cut(x, windows), known, hole, u)

    found, weight = _joined(shot, plan, estimate)
    clean = Volume.make(x.boxes, lambda i, box: _held(shot, i, box, found, weight))

    def step(i: int, box: Box) -> Tensor:
        ahead = clean.data[i]
        if recipe.extrapolate and before is not None and places[1] is not None:
            ahead = _clamped(shot, ahead + (ahead - before.data[i]) / 2)
        moved = keep * x.data[i] + (1 - keep) * ahead
        return moved + spread * _noise(shot, i, box, seed, call + 1) if spread else moved

    return Volume.make(x.boxes, step), clean


def _joined(
    shot: Shot, plan: Plan, look: Callable[[Tensor, Tensor, Sequence[Window]], Tensor]
) -> tuple[Volume, Volume]:
    """What ``look`` sees in the windows, as one volume, and how much was seen at each pixel."""
    channels, device = len(shot.low), shot.low.device
    total = Volume.make(plan.sampled, lambda i, box: _zeros(channels, box, device))
    weight = Volume.make(plan.sampled, lambda i, box: _zeros(1, box, device))
    for windows in batches(plan.windows):
        hole = _cut(shot.hole, windows)
        seen = look(_cut(shot.clean, windows) * (1 - hole), hole, windows)
        for window, estimate in zip(windows, seen, strict=True):
            share = taper(window, device)
            for i in range(window.start, window.stop):
                part = share[i - window.start]
                total.view(i, window.box).add_(estimate[:, i - window.start] * part)
                weight.view(i, window.box).add_(part)
    for sums, shares in zip(total.data, weight.data, strict=True):
        sums.div_(shares.clamp_min(1e-12))
    return total, weight


def batches(windows: Sequence[Window]) -> Iterator[Sequence[Window]]:
    """Neighbours of one size, to go through the network together: shared out evenly, a batch as
    large as ``AT_ONCE`` allows.

    On a GPU small windows leave most of it idle. On a CPU torch gives a single clip of this size to
    a convolution that is several times slower than the one that it has for two.
    """
    for _, group in groupby(windows, lambda w: w.size):
        alike = list(group)
        count = -(-len(alike) // max(AT_ONCE // alike[0].voxels, 1))
        for i in range(count):
            yield alike[len(alike) * i // count : len(alike) * (i + 1) // count]


def _cut(volume: Volume, windows: Sequence[Window]) -> Tensor:
    return torch.stack([volume.cut(w.start, w.stop, w.box) for w in windows])


def _held(shot: Shot, i: int, box: Box, found: Volume, weight: Volume) -> Tensor:
    """The estimate of one frame where the hole is, held to the known range; the truth elsewhere."""
    if box.empty:
        return found.data[i]
    free = shot.hole.view(i, box) * (weight.data[i] > 0)
    return torch.where(free > 0, _clamped(shot, found.data[i]), shot.clean.view(i, box))


def _clamped(shot: Shot, estimate: Tensor) -> Tensor:
    return torch.clamp(estimate, shot.low[:, None, None], shot.high[:, None, None])


def taper(window: Window, device: torch.device | str = "cpu") -> Tensor:
    """How much each place of a window counts where windows overlap: (T, 1, height, width), above 0.

    Highest in the middle and falling to the borders on every axis, so that joins show no edge.
    """
    t, y, x = (
        torch.minimum(r := torch.arange(1.0, n + 1, device=device), r.flip(0)) for n in window.size
    )
    return (t / t.max())[:, None, None, None] * (y / y.max())[:, None] * (x / x.max())


def _noise(shot: Shot, i: int, box: Box, seed: int, call: int) -> Tensor:
    """The chain's noise for one frame; call 0 is the start."""
    address = key(seed, "noise", call)
    return normal(address, shot.numbers[i], box, len(shot.low), shot.low.device)


def _sigma(schedule: Schedule, place: float) -> float:
    return schedule.sigma(torch.tensor([place], dtype=torch.float64)).item()


def _zeros(channels: int, box: Box, device: torch.device) -> Tensor:
    return torch.zeros(channels, box.height, box.width, device=device)

"""One sampling step: the whole hole, one noise level down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import LightNetwork, Network
from infusion_ofx.engine.noise import key, normal
from infusion_ofx.engine.objective import denoise
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import Schedule, ancestral, make, noise_share
from infusion_ofx.engine.volume import Shot, Volume, cut, rest
from infusion_ofx.plan import Plan, Window
from infusion_ofx.sequence.frame import Box

__all__ = ["AT_ONCE", "batches", "first_fill", "sample_step", "start"]

AT_ONCE = 2**20
"""Most pixels times frames of several windows together; a single one may be larger."""


@torch.no_grad()
def first_fill(first: Volume, network: Network, shot: Shot, plan: Plan) -> None:
    """Makes of ``first``, of ``plan.sampled``, what the network is shown of the clean clip at every
    step: what is known, and its first fill of the hole."""

    def look(hole: Tensor, windows: Sequence[Window]) -> Tensor:
        return network.first_fill(cut(shot.clean, windows, shot.device) * (1 - hole), hole)

    for i, found, _ in _joined(shot, plan, look):
        clean, hole = _within(shot, i, first.boxes[i])
        first.data[i].copy_(torch.where(hole > 0, found, clean))
        rest(first)


@torch.no_grad()
def start(x: Volume, over: Volume, shot: Shot, recipe: Recipe, *, seed: int) -> None:
    """Makes of ``x``, of the same boxes as ``over``, the noisiest clip.

    Noise alone, as published, where nothing else can show through it; else noise over a fill, which
    is what a clip looks like from there: the first fill, or one that shows more (scales.py), which
    may be ``x`` itself.
    """
    schedule = make(recipe)
    sigma = _sigma(schedule, schedule.grid(recipe.sampling_steps)[0].item())
    for i, box in enumerate(x.boxes):
        noise = _noise(shot, i, box, seed, 0)
        if recipe.network == "paper":
            x.data[i].copy_(noise * (1 + sigma**2) ** 0.5)
        else:
            x.data[i].copy_(over.data[i].to(shot.device) + noise * sigma)
        rest(x, over)


@torch.no_grad()
def sample_step(
    network: Network,
    *,
    x: Volume,
    clean: Volume,
    first: Volume,
    shot: Shot,
    plan: Plan,
    recipe: Recipe,
    places: tuple[float, float | None],
    call: int,
    seed: int,
    compute: Compute,
) -> None:
    """Takes the clip from one noise level to the next.

    x, clean: the clip and the newest estimate of the clean clip, both of ``plan.sampled``. Each
    frame of them changes as soon as no window is left that looks at it, so that no more than the
    two is held, whatever the shot's length. first: what ``first_fill`` made.

    places: where in the schedule x is, and where it goes; None is the clean clip. Above 1, where
    the network was not trained, its linear guess stands for it. call: the number of this step in
    the whole chain; at the first, 0, there is no estimate yet. At every step the
    overlapping windows' estimates are joined into one, held to the range of the known pixels, and
    known pixels are put back (Algorithm 1 of arXiv 2311.01090).

    A chain of few calls loses contrast, since each step takes its estimate for the whole stretch;
    with ``recipe.extrapolate`` it goes on half a step the way the estimate was going, which is the
    stochastic DPM-Solver++(2M) of Lu et al. (arXiv 2211.01095) for even steps in log sigma.
    """
    schedule = make(recipe)
    now = _sigma(schedule, places[0])
    then = 0.0 if places[1] is None else _sigma(schedule, places[1])
    keep, spread = ancestral(now, then)
    if places[0] <= 1:
        spread *= 1 + (recipe.stir - 1) * noise_share(torch.tensor(now)).item()

    def estimate(hole: Tensor, windows: Sequence[Window]) -> Tensor:
        noisy, given = (cut(volume, windows, shot.device) for volume in (x, first))
        u = torch.full([len(windows)], places[0], device=hole.device)
        if places[0] > 1 and isinstance(network, LightNetwork):
            return network.guess(noisy, given, hole, schedule.sigma(u)[:, None, None, None, None])
        with compute.autocast():
            return denoise(network, schedule, noisy, given, hole, u)

    for i, found, weight in _joined(shot, plan, estimate):
        ahead = held = _held(shot, i, x.boxes[i], found, weight)
        if recipe.extrapolate and call and places[1] is not None:
            ahead = _clamped(shot, held + (held - clean.data[i].to(shot.device)) / 2)
        moved = keep * x.data[i].to(shot.device) + (1 - keep) * ahead
        if spread:
            moved += spread * _noise(shot, i, x.boxes[i], seed, call + 1)
        x.data[i].copy_(moved)
        clean.data[i].copy_(held)
        rest(x, clean, first)


def _joined(
    shot: Shot, plan: Plan, look: Callable[[Tensor, Sequence[Window]], Tensor]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """What ``look`` sees in windows, given their holes, joined: frame by frame, as soon as no
    window is left that shows it, its place in the plan's lists, its picture, and how much was seen
    of each pixel."""
    channels, device = len(shot.low), shot.device
    order = list(batches(plan.windows))
    last = {i: n for n, windows in enumerate(order) for w in windows for i in w.frames}
    open_: dict[int, tuple[Volume, Volume]] = {}
    for n, windows in enumerate(order):
        hole = cut(shot.hole, windows, device)
        seen = look(hole, windows)
        shot.rest()
        for window, estimate in zip(windows, seen, strict=True):
            share = taper(window, device)
            for i in window.frames:
                if i not in open_:
                    box = plan.sampled[i]
                    blank = _zeros(channels, box, device), _zeros(1, box, device)
                    open_[i] = Volume([box], [blank[0]]), Volume([box], [blank[1]])
                total, weight = open_[i]
                part = share[i - window.start]
                total.view(0, window.box).add_(estimate[:, i - window.start] * part)
                weight.view(0, window.box).add_(part)
        for i in [i for i in open_ if last[i] == n]:
            total, weight = open_.pop(i)
            yield i, total.data[0].div_(weight.data[0].clamp_min(1e-12)), weight.data[0]


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


def _held(shot: Shot, i: int, box: Box, found: Tensor, weight: Tensor) -> Tensor:
    """The estimate of one frame where the hole is, held to the known range; the truth elsewhere."""
    clean, hole = _within(shot, i, box)
    free = hole * (weight > 0)
    return torch.where(free > 0, _clamped(shot, found), clean)


def _within(shot: Shot, i: int, box: Box) -> tuple[Tensor, Tensor]:
    """The clean clip and the hole of one frame, within a box of it."""
    clean, hole = (volume.view(i, box).to(shot.device) for volume in (shot.clean, shot.hole))
    return clean, hole


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
    return normal(address, shot.numbers[i], box, len(shot.low), shot.device)


def _sigma(schedule: Schedule, place: float) -> float:
    return schedule.sigma(torch.tensor([place], dtype=torch.float64)).item()


def _zeros(channels: int, box: Box, device: torch.device) -> Tensor:
    return torch.zeros(channels, box.height, box.width, device=device)

"""One sampling step: the whole hole, one noise level down."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.noise import key, normal
from infusion_ofx.engine.objective import denoise
from infusion_ofx.engine.schedule import Schedule, ancestral
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.plan import Plan, Window
from infusion_ofx.sequence.frame import Box

__all__ = ["sample_step", "start"]


def start(shot: Shot, plan: Plan, schedule: Schedule, *, seed: int) -> Volume:
    """Noise alone, over all that the sampling windows cover: unit variance in the network's
    scale."""
    sigma = schedule.sigma(torch.ones(1, dtype=torch.float64)).item()
    return Volume.make(
        plan.sampled, lambda i, box: _noise(shot, i, box, seed, 0) * (1 + sigma**2) ** 0.5
    )


@torch.no_grad()
def sample_step(
    network: nn.Module,
    x: Volume,
    shot: Shot,
    plan: Plan,
    schedule: Schedule,
    places: tuple[float, float | None],
    call: int,
    *,
    seed: int,
    compute: Compute,
) -> Volume:
    """Takes the clip from one noise level to the next. Returns the new x; the old one is not
    changed.

    places: where in the schedule x is, and where it goes; None is the clean clip. call: the number
    of this step in the whole chain. At every step the overlapping windows' estimates are joined
    into one, held to the range of the known pixels, and known pixels are put back (Algorithm 1 of
    arXiv 2311.01090).
    """
    now = schedule.sigma(_place(places[0])).item()
    then = 0.0 if places[1] is None else schedule.sigma(_place(places[1])).item()
    keep, spread = ancestral(now, then)
    total = Volume.make(x.boxes, lambda i, box: torch.zeros_like(x.data[i]))
    weight = Volume.make(x.boxes, lambda i, box: torch.zeros_like(x.data[i][:1]))
    for window in plan.windows:
        with compute.autocast():
            estimate = _window_estimate(network, schedule, x, shot, window, places[0])
        share = taper(window, x.data[window.start].device)
        for i in range(window.start, window.stop):
            total.view(i, window.box).add_(estimate[:, i - window.start] * share[i - window.start])
            weight.view(i, window.box).add_(share[i - window.start])

    def step(i: int, box: Box) -> Tensor:
        low, high = shot.low[:, None, None], shot.high[:, None, None]
        free = shot.hole.view(i, box) * (weight.data[i] > 0)
        estimate = torch.clamp(total.data[i] / weight.data[i].clamp_min(1e-12), low, high)
        clean = torch.where(free > 0, estimate, shot.clean.view(i, box))
        if not spread:
            return keep * x.data[i] + (1 - keep) * clean
        return keep * x.data[i] + (1 - keep) * clean + spread * _noise(shot, i, box, seed, call + 1)

    return Volume.make(x.boxes, step)


def _window_estimate(
    network: nn.Module, schedule: Schedule, x: Volume, shot: Shot, window: Window, place: float
) -> Tensor:
    """The network's clean clip for one window: (C, T, height, width)."""
    span = (window.start, window.stop, window.box)
    hole = shot.hole.cut(*span)
    known = shot.clean.cut(*span) * (1 - hole)
    u = _place(place).float().to(hole.device)
    return denoise(network, schedule, x.cut(*span)[None], known[None], hole[None], u)[0]


def taper(window: Window, device: torch.device | str = "cpu") -> Tensor:
    """How much each place of a window counts where windows overlap: (T, 1, height, width), above 0.

    Highest in the middle and falling to the borders on every axis, so that joins show no edge.
    """
    sides = (window.stop - window.start, window.box.height, window.box.width)
    t, y, x = (
        torch.minimum(r := torch.arange(1.0, n + 1, device=device), r.flip(0)) for n in sides
    )
    return (t / t.max())[:, None, None, None] * (y / y.max())[:, None] * (x / x.max())


def _noise(shot: Shot, i: int, box: Box, seed: int, call: int) -> Tensor:
    """The chain's noise for one frame; call 0 is the start."""
    address = key(seed, "noise", call)
    return normal(address, shot.numbers[i], box, len(shot.low), shot.low.device)


def _place(u: float) -> Tensor:
    return torch.tensor([u], dtype=torch.float64)

"""The best linear guess at a noisy clip: what our network starts from and mends.

A network that has to bring the picture through from its noisy input spends its first hundreds of
steps on learning to. A Wiener filter does it at once: cut the difference from the smooth fill into
bands of detail and rates of change, and keep of each the share that is likely to be picture, given
the noise level and what the shot's own are like (Wiener 1949; by bands: Donoho and Johnstone 1994).
The network adds what a linear filter cannot know.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.bands import by_rate, enlarged, join, noise, paced, row, split
from infusion_ofx.engine.texture import Texture

__all__ = ["wiener"]

RIM = 4
"""Pixels of the hole along its border in which the smooth fill is more and more believed."""


@torch.no_grad()  # and pooling and interpolation have no repeatable backward pass on a GPU
def wiener(x: Tensor, smooth: Tensor, hole: Tensor, sigma: Tensor, texture: Texture) -> Tensor:
    """The linear estimate of the clean clip in the hole; outside it ``smooth`` as it is.

    x: (B, C, T, H, W), clean + sigma n. smooth: the same shape, equal to the clean clip outside the
    hole. hole: (B, 1, T, H, W). sigma: (B, 1, 1, 1, 1). From the coarsest band to the finest, since
    the coarser ones say how bright it is.
    """
    with torch.autocast(x.device.type, enabled=False):
        below = split(smooth)
        for i, band in enumerate(below):
            below[i] = paced(band, texture.believed[row(i, len(below))])
        base = torch.lerp(smooth, join(below), _deep(hole))
        bands = split((x - base) * hole)
        even = noise(*x.shape[2:], x.device)
        levels = even[..., None] * sigma.flatten().square()  # band, rate, clip
        estimate, shown = torch.zeros_like(bands[-1]), torch.zeros_like(below[-1])
        for i in reversed(range(len(bands))):
            last = i == len(bands) - 1
            own = row(i, len(bands))
            estimate, shown = enlarged(estimate, bands[i]), enlarged(shown, bands[i])
            shades = texture.shades(below[-1] if last else estimate + shown)
            kept = texture.kept(own, levels[own])
            estimate = estimate + _through(kept, shades, by_rate(bands[i]))
            shown = shown + below[i]
        return base + estimate * hole


def _deep(hole: Tensor) -> Tensor:
    """0 outside a hole (B, 1, T, H, W), and 1 from about ``RIM`` pixels inside on: beside what is
    known, what it does is done too, or the border would show."""
    size = 2 * RIM + 1
    around = functional.pad(hole, (RIM, RIM, RIM, RIM, 0, 0), mode="replicate")
    inside = functional.avg_pool3d(around, (1, size, size), 1)
    return hole * (2 * inside - 1).clamp_min(0)


def _through(kept: Tensor, shades: Tensor, rates: Tensor) -> Tensor:
    """The sum of a band's rates (RATES, B, C, T, H, W), each pixel times the matrix of its rate and
    shade; shades: (B, T, H, W)."""
    first = kept.shape[2] * torch.arange(len(shades), device=shades.device)[:, None, None, None]
    kind = (first + shades).flatten()
    matrices = kept.permute(0, 4, 3, 1, 2).flatten(3)  # rate, column, row, kind
    total = torch.zeros_like(rates[0].transpose(0, 1))
    for columns, rate in zip(matrices, rates, strict=True):
        for column, values in zip(columns, rate.unbind(1), strict=True):
            total.addcmul_(column.index_select(1, kind).view_as(total), values)
    return total.transpose(0, 1)

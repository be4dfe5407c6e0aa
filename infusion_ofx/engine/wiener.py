"""The best linear guess at a noisy clip: what our network starts from and mends.

A network that has to bring the picture through from its noisy input spends its first hundreds of
steps on learning to. A Wiener filter does it at once: cut the difference from the first fill into
bands of detail and rates of change, and keep of each the share that is likely to be picture, given
the noise level and what the shot's own are like (Wiener 1949; by bands: Donoho and Johnstone 1994).
The network adds what a linear filter cannot know.
"""

from __future__ import annotations

import torch
from torch import Tensor

from infusion_ofx.engine.bands import at_each, by_rate, enlarged, noise, row, split
from infusion_ofx.engine.depth import depths
from infusion_ofx.engine.texture import Texture

__all__ = ["wiener"]


@torch.no_grad()  # and pooling and interpolation have no repeatable backward pass on a GPU
def wiener(x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, texture: Texture) -> Tensor:
    """The linear estimate of the clean clip in the hole; outside it ``first`` as it is.

    x: (B, C, T, H, W), clean + sigma n. first: the same shape, equal to the clean clip outside the
    hole. hole: (B, 1, T, H, W). sigma: (B, 1, 1, 1, 1). From the coarsest band to the finest, since
    the coarser ones say how bright it is.
    """
    with torch.autocast(x.device.type, enabled=False):
        below, bands = split(first), split((x - first) * hole)
        even = noise(*x.shape[2:], x.device)
        levels = even[..., None] * sigma.flatten().square()  # band, rate, clip
        deep = [depth[:, 0].round().long() for depth in at_each(depths(hole), bands)]
        estimate, shown = torch.zeros_like(bands[-1]), torch.zeros_like(below[-1])
        for i in reversed(range(len(bands))):
            last = i == len(bands) - 1
            own = row(i, len(bands))
            estimate, shown = enlarged(estimate, bands[i]), enlarged(shown, bands[i])
            shades = texture.shades(below[-1] if last else estimate + shown)
            kept = texture.kept(own, levels[own])
            estimate = estimate + _through(kept, deep[i], shades, by_rate(bands[i]))
            shown = shown + below[i]
        return first + estimate * hole


def _through(kept: Tensor, depth: Tensor, shades: Tensor, rates: Tensor) -> Tensor:
    """The sum of a band's rates (RATES, B, C, T, H, W), each pixel times the matrix of its rate,
    depth and shade; depth, shades: (B, T, H, W)."""
    clips, deepest, count = kept.shape[1:4]
    clip = torch.arange(clips, device=shades.device)[:, None, None, None]
    kind = ((clip * deepest + depth) * count + shades).flatten()
    matrices = kept.permute(0, 5, 4, 1, 2, 3).flatten(3)  # rate, column, row, kind
    total = torch.zeros_like(rates[0].transpose(0, 1))
    for columns, rate in zip(matrices, rates, strict=True):
        for column, values in zip(columns, rate.unbind(1), strict=True):
            total.addcmul_(column.index_select(1, kind).view_as(total), values)
    return total.transpose(0, 1)

"""The best linear guess at a noisy clip: what our network starts from and mends.

A network that has to bring the picture through from its noisy input spends its first hundreds of
steps on learning to. A Wiener filter does it at once: cut the difference from the smooth fill into
bands, and keep of each the share that is likely to be picture, given the noise level and what the
shot's own bands are like (Wiener 1949; by bands: Donoho and Johnstone 1994). The network adds what
a linear filter cannot know.
"""

from __future__ import annotations

import torch
from torch import Tensor

from infusion_ofx.engine.bands import BANDS, enlarged, split
from infusion_ofx.engine.texture import Texture

__all__ = ["wiener"]


@torch.no_grad()  # and pooling and interpolation have no repeatable backward pass on a GPU
def wiener(x: Tensor, smooth: Tensor, hole: Tensor, sigma: Tensor, texture: Texture) -> Tensor:
    """The linear estimate of the clean clip in the hole; outside it ``smooth`` as it is.

    x: (B, C, T, H, W), clean + sigma n. smooth: the same shape, equal to the clean clip outside the
    hole. hole: (B, 1, T, H, W). sigma: (B, 1, 1, 1, 1). From the coarsest band to the finest, since
    the coarser ones say how bright it is.
    """
    with torch.autocast(x.device.type, enabled=False):
        bands, below = split((x - smooth) * hole), split(smooth)
        estimate, shown = torch.zeros_like(bands[-1]), torch.zeros_like(below[-1])
        for i in reversed(range(len(bands))):
            last = i == len(bands) - 1
            row = BANDS if last else i
            estimate, shown = enlarged(estimate, bands[i]), enlarged(shown, bands[i])
            shades = texture.shades(below[-1] if last else estimate + shown)
            estimate = estimate + _through(texture.kept(row, sigma), shades, bands[i])
            shown = shown + below[i]
        return smooth + estimate * hole


def _through(kept: Tensor, shades: Tensor, band: Tensor) -> Tensor:
    """A band (B, C, T, H, W), each pixel times the matrix of its shade; shades: (B, T, H, W)."""
    first = kept.shape[1] * torch.arange(len(band), device=band.device)[:, None, None, None]
    columns = kept.permute(3, 2, 0, 1).flatten(2)  # column, row, kind
    total = torch.zeros_like(band.transpose(0, 1))
    for column, values in zip(columns, band.unbind(1), strict=True):
        total += column[:, first + shades] * values
    return total.transpose(0, 1)

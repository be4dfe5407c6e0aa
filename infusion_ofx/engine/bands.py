"""Bands: a clip cut into half octaves of detail, and put together again."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.smooth import wide

__all__ = ["BANDS", "NOISE", "enlarged", "join", "pooled", "split"]

BANDS = 10
"""Bands, two an octave, apart from what is left below them."""

NOISE = (0.641, 0.0443, 0.0421, 0.00674, 0.00755, 0.00152, 0.00176, 3.8e-4, 4.5e-4, 9.8e-5, 3.3e-4)
"""Variance of white noise of variance 1 in each band, finest first, and in what is left. It holds
for pictures that are more than 16 pixels wide or high, which have all bands."""


def split(clip: Tensor) -> list[Tensor]:
    """Bands of (B, C, T, H, W) in space, finest first, and last the average that is left.

    After each two the picture is half as large; there are fewer than ``BANDS`` where it is small.
    Two an octave, since the finer half of what a camera records is hardly more than noise.
    """
    bands: list[Tensor] = []
    while len(bands) < BANDS and max(clip.shape[3:]) > 1:
        soft = _soft(clip)
        small = pooled(soft)
        bands += [clip - soft, soft - enlarged(small, soft)]
        clip = small
    return [*bands, clip]


def join(bands: list[Tensor]) -> Tensor:
    """Undoes ``split``."""
    clip = bands[-1]
    for band in reversed(bands[:-1]):
        clip = enlarged(clip, band) + band
    return clip


def pooled(clip: Tensor) -> Tensor:
    """Averages of two by two pixels of (B, C, T, H, W); of what there is at the borders."""
    size = [1, *(min(2, side) for side in clip.shape[3:])]
    return functional.avg_pool3d(clip, size, ceil_mode=True)


def enlarged(small: Tensor, like: Tensor) -> Tensor:
    """A clip at the size of another one."""
    return small if small.shape[2:] == like.shape[2:] else wide(small, like.shape[2:])


def _soft(clip: Tensor) -> Tensor:
    """Blurred a little: 1-2-1 across and down."""
    x = functional.pad(clip, (1, 1, 1, 1, 0, 0), mode="replicate")
    x = (x[..., :-2, :] + x[..., 2:, :]) / 4 + x[..., 1:-1, :] / 2
    return (x[..., :-2] + x[..., 2:]) / 4 + x[..., 1:-1] / 2

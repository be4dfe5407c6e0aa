"""Kriging: a smooth fill made to go on what its surroundings do, at the border and from frame to
frame."""

from __future__ import annotations

import torch
from torch import Tensor

from infusion_ofx.engine.bands import from_waves, spectrum, to_waves
from infusion_ofx.engine.depth import grown
from infusion_ofx.engine.smooth import push_pull

__all__ = ["krige"]

STEPS = 8
"""Of conjugate gradients. More do not pay: what few steps leave as it was is what the surroundings
say least of, and there the smooth fill is safer."""

TRUST = 0.04
"""Variance, over the texture's, by which a known pixel may be missed: a shot is no even texture."""

NEAR = 2, 4, 8, 16
"""Pixels round the hole; what is within all of them counts fully."""

LEAST_VARIANCE = 1e-7
"""Of a wave, over that of the strongest one."""


@torch.no_grad()
def krige(known: Tensor, hole: Tensor, power: Tensor) -> Tensor:
    """The likeliest fill of a hole in a texture, given what is known close to it.

    known: (B, C, T, H, W), 0 in the hole. hole: (B, 1, T, H, W), 1 = unknown. power: (BANDS + 1,
    RATES, C), the variance of each channel's bands. Known pixels come back as they are.

    The mean of a Gaussian texture under the condition of its known pixels (kriging: Matheron,
    *Principles of geostatistics*, Economic Geology 58, 1963; for inpainting: Galerne and Leclaire,
    SIAM Journal on Imaging Sciences 10(3), 2017), by conjugate gradients on the waves of the cosine
    transform, in which the texture's own part is a product. Pixels far from the hole count less and
    less: elsewhere the shot may be something else.
    """
    with torch.autocast(known.device.type, enabled=False):
        smooth = push_pull(known, hole)
        variance = spectrum(power, *known.shape[2:])
        total = variance.mean((1, 2, 3), keepdim=True)
        most = variance.amax((1, 2, 3), keepdim=True)
        stiff = 1 / variance.clamp_min(LEAST_VARIANCE * most)
        stiff[:, 0, 0, 0].zero_()  # how bright all is, is anyone's guess
        pull = _close(hole) / (TRUST * total).clamp_min(1e-30)
        like = 1 / (stiff + pull.mean((2, 3, 4), keepdim=True)).clamp_min(1e-30)

        def applied(waves: Tensor) -> Tensor:
            return torch.addcmul(to_waves(pull * from_waves(waves)), stiff, waves)

        def dot(one: Tensor, other: Tensor) -> Tensor:
            return (one * other).sum((2, 3, 4), keepdim=True)

        found = to_waves(smooth)
        left = to_waves(pull * known) - applied(found)
        eased = like * left
        way, rest = eased.clone(), dot(left, eased)
        for _ in range(STEPS):
            change = applied(way)
            stride = rest / dot(way, change).clamp_min(1e-30)
            found.addcmul_(stride, way)
            left.addcmul_(stride, change, value=-1)
            torch.mul(like, left, out=eased)
            before, rest = rest, dot(left, eased)
            way = torch.addcmul(eased, rest / before.clamp_min(1e-30), way)
        return torch.where(hole > 0, from_waves(found), smooth)


def _close(hole: Tensor) -> Tensor:
    """How much each known pixel counts: 1 at most two pixels from where the hole is in any frame, 0
    more than 16 from there, and 0 in it."""
    anywhere = hole.amax(2, keepdim=True)
    return torch.stack([grown(anywhere, by) for by in NEAR]).mean(0) * (1 - hole)

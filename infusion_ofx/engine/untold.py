"""Untold: what of a texture's bands the smooth fill of a hole does not tell already.

The linear guess looks for what is missing between the smooth fill and the picture, not for the
picture's own bands: of shapes as wide as the hole its surroundings tell most, and a guess that
expected all of them anew would make the fill too bright here and too dark there. How much is told
depends on the shape of the hole, on how it moves and on how fast the texture changes, and on
nothing else; so it is measured on a texture that is made up, with the shot's strength in each band
and at each rate, behind the shot's own hole.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from infusion_ofx.engine.bands import by_rate, join, noise, paced, pooled, row, split
from infusion_ofx.engine.noise import key
from infusion_ofx.engine.smooth import push_pull

__all__ = ["untold"]

DRAWS = 4
"""Made-up textures for each hole."""

PLACE = 1e-30
"""Below it there is no texture."""


def untold(holes: Sequence[Tensor], power: Tensor) -> tuple[Tensor, Tensor]:
    """How much of the smooth fill to believe, and the share of the texture's variance that is left
    to be found then: (BANDS + 1, RATES) each, both in [0, 1], and 1 where nothing is known of a
    band.

    What stays in the fill is always believed, for brightness is in it; of what changes, the factor
    is that which leaves the least squared error.

    holes: (1, 1, T, H, W) each, 1 = unknown, all of the same length. power: (BANDS + 1, RATES), the
    texture's variance. It is made up of the same numbers each time.
    """
    true, both, told = torch.zeros(3, *power.shape, device=power.device)
    generator = torch.Generator().manual_seed(key("untold"))
    for hole in holes:
        for _ in range(DRAWS):
            plain = torch.randn(hole.shape, generator=generator).to(power.device)
            clip = _coloured(plain, power)
            share = hole
            bands = list(zip(split(clip), split(push_pull(clip * (1 - hole), hole)), strict=True))
            for i, pair in enumerate(bands):
                if pair[0].shape[2:] != share.shape[2:]:
                    share = pooled(share)
                own = row(i, len(bands))
                clean, smooth = (by_rate(band) * (share > 0.5) for band in pair)
                true[own] += (clean * clean).sum((1, 2, 3, 4, 5))
                both[own] += (clean * smooth).sum((1, 2, 3, 4, 5))
                told[own] += (smooth * smooth).sum((1, 2, 3, 4, 5))
    believed = torch.where(told > PLACE, both / told.clamp_min(PLACE), 1.0).clamp(0, 1)
    believed[:, 0] = 1
    left = true - 2 * believed * both + believed.square() * told
    return believed, torch.where(true > PLACE, left / true.clamp_min(PLACE), 1.0).clamp(0, 1)


def _coloured(plain: Tensor, power: Tensor) -> Tensor:
    """White noise (1, 1, T, H, W) with each band and rate as strong as ``power`` says."""
    gain = (power / noise(*plain.shape[2:], plain.device).clamp_min(PLACE)).sqrt()
    bands = split(plain)
    return join([paced(band, gain[row(i, len(bands))]) for i, band in enumerate(bands)])

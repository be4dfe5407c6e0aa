"""Untold: what of a texture's bands the first fill of a hole does not tell already.

The linear guess looks for what is missing between the first fill and the picture, not for the
picture's own bands: of shapes as wide as the hole its surroundings tell most, and of what is beside
the border almost all, and a guess that expected all of that anew would make the fill too bright
here and too dark there. How much is told depends on the shape of the hole, on how it moves and on
how fast the texture changes, and on nothing else; so it is measured on a texture that is made up,
with the shot's strength in each band and at each rate, behind the shot's own hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from infusion_ofx.engine.bands import at_each, by_rate, from_waves, row, spectrum, split
from infusion_ofx.engine.depth import DEPTHS, depths
from infusion_ofx.engine.krige import krige
from infusion_ofx.engine.noise import key

__all__ = ["untold"]

DRAWS = 4
"""Made-up textures for each hole."""


def untold(holes: Sequence[Tensor], power: Tensor) -> Tensor:
    """The share of the texture's variance that the first fill leaves to be found: (BANDS + 1,
    RATES, DEPTHS), in [0, 1], and 1 where a band has none.

    holes: (1, 1, T, H, W) each, 1 = unknown, all of the same length. power: (BANDS + 1, RATES), the
    texture's variance. It is made up of the same numbers each time.
    """
    true, left = torch.zeros(2, *power.shape, DEPTHS, device=power.device)
    generator = torch.Generator().manual_seed(key("untold"))
    for hole in holes:
        strength = spectrum(power[..., None], *hole.shape[2:]).sqrt()
        places = _places(hole)
        for _ in range(DRAWS):
            clip = from_waves(
                strength * torch.randn(hole.shape, generator=generator).to(power.device)
            )
            off = clip - krige(clip * (1 - hole), hole, power[..., None])
            for total, part in ((true, clip), (left, off)):
                for i, (band, at) in enumerate(zip(split(part), places, strict=True)):
                    total[row(i, len(places))] += by_rate(band).square().flatten(1) @ at
    return _filled((left / true).clamp(0, 1))


def _places(hole: Tensor) -> list[Tensor]:
    """Which places of each band's picture are how deep in the hole: (places, DEPTHS), 1 or 0."""
    bands, found = split(hole), list[Tensor]()
    for share, depth in zip(at_each(hole, bands), at_each(depths(hole), bands), strict=True):
        at = depth.flatten().round()[:, None] == torch.arange(DEPTHS, device=hole.device)
        found.append((at & (share.flatten() > 0.5)[:, None]).float())
    return found


def _filled(shares: Tensor) -> Tensor:
    """Shares with those of depths that no hole has, NaN, taken from the nearest that one has."""
    shares = shares.clone()
    for way in (range(DEPTHS), reversed(range(DEPTHS))):
        for one, other in pairwise(way):
            none = shares[..., other].isnan()
            shares[..., other] = torch.where(none, shares[..., one], shares[..., other])
    return shares.nan_to_num(1.0)

"""Laws of what a hole's surroundings tell of a texture, and what they do not."""

from __future__ import annotations

import torch
from painted import even, square
from torch import Tensor

from infusion_ofx.engine.bands import BANDS, RATES, split
from infusion_ofx.engine.depth import DEPTHS
from infusion_ofx.engine.krige import krige
from infusion_ofx.engine.untold import untold

EVEN = torch.ones(BANDS + 1, RATES)


def _hole(size: int, step: int = 0) -> Tensor:
    """A square of so many pixels in 12 frames of 96 x 96 that moves ``step`` pixels a frame."""
    hole = torch.zeros(1, 1, 12, 96, 96)
    for i in range(12):
        hole[:, :, i, 30 : 30 + size, 4 + step * i : 4 + step * i + size] = 1
    return hole


def test_they_are_shares_and_the_same_each_time() -> None:
    found = untold([_hole(30)], EVEN)
    assert found.shape == (BANDS + 1, RATES, DEPTHS) and ((found >= 0) & (found <= 1)).all()
    assert torch.equal(found, untold([_hole(30)], EVEN))


def test_where_nothing_is_known_nothing_is_told() -> None:
    assert untold([torch.ones(1, 1, 12, 40, 40)], EVEN).min() > 0.99
    assert untold([], EVEN).min() == 1


def test_wide_shapes_are_told_and_fine_ones_are_not_the_less_the_deeper() -> None:
    found = untold([_hole(60)], EVEN)[..., 0, :]
    assert found[0].min() > 0.9 and found[8:10].mean() < 0.6
    assert (found[:5].diff(dim=1) > -0.03).all() and (found[1:5, -1] > found[1:5, 0] + 0.3).all()


def test_where_no_hole_is_so_deep_it_is_as_beside_it() -> None:
    found = untold([_hole(6)], EVEN)[0, 0]
    assert torch.equal(found[2:], found[2].expand(DEPTHS - 2))


def test_what_stands_still_is_told_by_frames_in_which_the_hole_is_elsewhere() -> None:
    still = EVEN * torch.tensor([1.0, 0.01, 0.01])
    here, away = (untold([_hole(16, step)], still)[4, 0].mean() for step in (0, 5))
    assert away < 0.8 * here


def test_it_foretells_what_the_fill_misses() -> None:
    clip, power = even(0, frames=12, side=96)
    hole = square(clip)
    left = untold([hole], power[..., 0])
    off = split(clip - krige(clip * (1 - hole), hole, power))
    for i, band in enumerate(split(clip)[:6]):
        inside = slice(34 >> i // 2, 62 >> i // 2)
        missed, whole = (each[..., inside, inside].square().mean() for each in (off[i], band))
        assert torch.allclose(missed / whole, left[i, :, 3:].mean(), atol=0.15)

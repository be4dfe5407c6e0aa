"""Laws of what a hole's surroundings tell of a texture, and what they do not."""

from __future__ import annotations

import torch
from painted import layers, square
from torch import Tensor

from infusion_ofx.engine.bands import BANDS, RATES, by_rate, join, paced, split
from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.untold import untold

EVEN = torch.ones(BANDS + 1, RATES)


def _hole(size: int, step: int = 0) -> Tensor:
    """A square of so many pixels in 12 frames of 96 x 96 that moves ``step`` pixels a frame."""
    hole = torch.zeros(1, 1, 12, 96, 96)
    for i in range(12):
        hole[:, :, i, 30 : 30 + size, 4 + step * i : 4 + step * i + size] = 1
    return hole


def _left(hole: Tensor, power: Tensor = EVEN) -> Tensor:
    return untold([hole], power)[1]


def test_they_are_shares_and_the_same_each_time() -> None:
    found = untold([_hole(30)], EVEN)
    for shares, again in zip(found, untold([_hole(30)], EVEN), strict=True):
        assert shares.shape == EVEN.shape and ((shares >= 0) & (shares <= 1)).all()
        assert torch.equal(shares, again)


def test_where_nothing_is_known_nothing_is_told() -> None:
    assert _left(torch.ones(1, 1, 12, 40, 40)).min() > 0.99
    assert all(torch.equal(shares, EVEN) for shares in untold([], EVEN))


def test_wide_shapes_are_told_and_fine_ones_are_not_the_less_the_larger_the_hole() -> None:
    small, large = (_left(_hole(size))[:, 0] for size in (16, 60))
    assert large[0] > 0.8 and small[8] < 0.4
    assert (small[:8] < large[:8] + 0.05).all() and small[4] < large[4]


def test_what_stands_still_is_told_by_frames_in_which_the_hole_is_elsewhere() -> None:
    still = EVEN * torch.tensor([1.0, 0.01, 0.01])
    here, away = (_left(_hole(16, step), still)[4, 0] for step in (0, 5))
    assert away < 0.8 * here


def test_a_fill_that_changes_because_the_hole_moves_is_not_believed_to() -> None:
    still = EVEN * torch.tensor([1.0, 1e-6, 1e-6])
    believed = untold([_hole(30, step=3)], still)[0]
    assert (believed[:, 0] == 1).all() and (believed[2:6, 2] < 0.2).all()


def test_it_mends_the_fill_and_foretells_what_is_left() -> None:
    clip = layers(0, frames=12)
    hole = square(clip)
    smooth = push_pull(clip * (1 - hole), hole)
    power = torch.zeros(BANDS + 1, RATES)
    bands, fill = split(clip), split(smooth)
    for i, band in enumerate(bands):
        power[i] = by_rate(band).square().mean((1, 2, 3, 4, 5))
    believed, left = untold([hole], power)
    mended = [paced(band, believed[i]) for i, band in enumerate(fill)]
    before, after = (((each - clip) * hole).square().sum() for each in (smooth, join(mended)))
    assert after < before
    for i in range(4):
        inside = slice(36 >> i // 2, 60 >> i // 2)
        found = (bands[i] - mended[i])[..., inside, inside].square().mean() / power[i].sum()
        expected = (left[i] * power[i]).sum() / power[i].sum()
        assert torch.allclose(found, expected, atol=0.2)

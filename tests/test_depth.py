"""Laws of how deep in a hole a place is."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import random

from infusion_ofx.engine.depth import DEPTHS, RINGS, depths, grown


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 20), st.integers(0, 99))
def test_a_grown_mask_is_where_one_of_its_places_is_near(
    height: int, width: int, by: int, seed: int
) -> None:
    mask = (random(seed, 1, 1, 2, height, width) > 2).float()
    expected = torch.zeros_like(mask)
    for t, y, x in mask[0, 0].nonzero().tolist():
        rows, columns = slice(max(y - by, 0), y + by + 1), slice(max(x - by, 0), x + by + 1)
        expected[0, 0, t, rows, columns] = 1
    assert torch.equal(grown(mask, by), expected)


def test_depths_are_told_apart_at_the_rings() -> None:
    hole = torch.zeros(1, 1, 1, 60, 80)
    hole[..., 20:] = 1
    row = depths(hole)[0, 0, 0, 30]
    starts = [int((row == depth).nonzero()[0]) - 19 for depth in range(1, DEPTHS)]
    assert starts == [ring + 1 for ring in RINGS]
    assert (row[:21] == 0).all() and row[-1] == DEPTHS - 1
    assert (depths(torch.ones(1, 1, 1, 3, 3)) == DEPTHS - 1).all(), "no border, no shallow place"

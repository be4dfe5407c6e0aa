"""Which chunks an edit touches, and how they are cut into bands."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from infusion_ofx.sequence.exr_part import Grid
from infusion_ofx.sequence.exr_recode import rectangles, touched
from infusion_ofx.sequence.frame import Box, Edit, Picked

Bools = npt.NDArray[np.bool_]
grids = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7))


@given(chunks=grids, most=st.integers(1, 20))
def test_rectangles_hold_each_touched_chunk_once_and_no_other(chunks: Bools, most: int) -> None:
    chunk_bytes = (16 << 20) // most
    found = np.zeros(chunks.shape, int)
    for (top, bottom), (left, right) in rectangles(chunks, chunk_bytes):
        assert 0 < (bottom - top) * (right - left) <= (16 << 20) // chunk_bytes
        found[top:bottom, left:right] += 1
    assert np.array_equal(found, chunks)


def test_scan_lines_are_cut_into_few_bands() -> None:
    assert list(rectangles(np.ones((60, 1), bool), 1 << 20)) == [
        ((at, min(at + 16, 60)), (0, 1)) for at in range(0, 60, 16)
    ]


@given(
    where=hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30)),
    top=st.integers(-30, 30),
    left=st.integers(-30, 30),
    wide=st.integers(1, 9),
    high=st.integers(1, 9),
)
def test_a_chunk_is_touched_if_a_changed_sample_lies_in_it(
    where: Bools, top: int, left: int, wide: int, high: int
) -> None:
    grid = Grid(Box(-4, -7, 16, 13), wide, high, 0, None)
    box = Box(top, left, top + where.shape[0], left + where.shape[1])
    edit = Edit(Picked(0, ("R",), grid.window), box, np.zeros((*where.shape, 1)), where)
    expected = np.zeros((grid.rows, grid.columns), bool)
    for y, x in np.argwhere(where):
        pixel = Box(top + y, left + x, top + y + 1, left + x + 1)
        if not pixel.intersect(grid.window).empty:
            expected[(top + y + 4) // high, (left + x + 7) // wide] = True
    assert np.array_equal(touched(edit, grid), expected)

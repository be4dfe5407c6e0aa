"""Boxes, samples, and the look at a file before it is opened."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.frame import Box, Channel, Header, check_file, check_pixels, samples

edges = st.integers(-20, 20)
boxes = st.builds(Box, edges, edges, edges, edges)


def pixels_of(box: Box) -> set[tuple[int, int]]:
    return {(y, x) for y in range(box.top, box.bottom) for x in range(box.left, box.right)}


@given(boxes, boxes)
def test_an_intersection_holds_the_common_pixels(a: Box, b: Box) -> None:
    assert pixels_of(a.intersect(b)) == pixels_of(a) & pixels_of(b)
    assert a.intersect(b).empty == (not pixels_of(a) & pixels_of(b))


@given(boxes, boxes)
def test_a_union_is_the_smallest_box_round_both(a: Box, b: Box) -> None:
    both, wanted = a.union(b), pixels_of(a) | pixels_of(b)
    assert wanted <= pixels_of(both)
    if wanted:
        assert both.height == max(y for y, _ in wanted) - min(y for y, _ in wanted) + 1
        assert both.width == max(x for _, x in wanted) - min(x for _, x in wanted) + 1


def test_growing_and_shrinking_undo_each_other_and_empty_stays_empty() -> None:
    box = Box(-3, 5, 10, 20)
    assert box.grow(4) == Box(-7, 1, 14, 24)
    assert box.grow(4).grow(-4) == box
    assert box.grow(-7).empty
    assert Box(3, 3, 3, 9).grow(5).empty


def test_slices_cut_the_inner_box_out_of_an_array_of_the_outer() -> None:
    outer, inner = Box(-2, -3, 4, 5), Box(0, 1, 2, 5)
    grid = np.array([[(y, x) for x in range(-3, 5)] for y in range(-2, 4)])
    assert {tuple(at) for at in grid[outer.slices(inner)].reshape(-1, 2)} == pixels_of(inner)


def test_samples_round_to_nearest_clamp_and_keep_infinities() -> None:
    values = np.array([1e9, -1e9, 65519.0, np.inf, -np.inf, -0.0, 1.0004, 1.0006], np.float32)
    half = samples(values, np.float16)
    wanted = [65504, -65504, 65504, np.inf, -np.inf, 0, 1, 1.0009765625]
    assert half.tolist() == wanted and np.signbit(half[5])
    assert np.isnan(samples(np.array([np.nan], np.float32), np.float16)[0])
    assert samples(np.array([1e300, -1e300]), np.float32).tolist() == [
        float(np.finfo(np.float32).max),
        -float(np.finfo(np.float32).max),
    ]
    ids = np.array([-1, 1.5, 2.0**40, np.nan, np.inf], np.float32)
    assert samples(ids, np.uint32).tolist() == [0, 2, 2**32 - 1, 0, 2**32 - 1]


def test_samples_of_the_same_type_pass_bit_for_bit() -> None:
    bits = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(samples(bits.view(np.float16), np.float16).view(np.uint16), bits)


def test_a_missing_channel_is_named_with_the_file_and_what_it_has() -> None:
    header = Header(
        Path("p.exr"),
        "openexr",
        Box(0, 0, 1, 1),
        Box(0, 0, 1, 1),
        (Channel("B", "half"), Channel("depth.Z", "float")),
    )
    assert header.check_channels(["depth.Z", "B"]) == (1, 0)
    with pytest.raises(SequenceError, match=r"'p.exr' has no channel 'R'; it has B, depth.Z"):
        header.check_channels(["B", "R"])
    with pytest.raises(SequenceError, match="different names"):
        header.check_channels(["B", "B"])


def test_only_plain_files_with_bytes_in_them_are_opened(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    for path in (
        tmp_path,
        *(tmp_path / name for name in ("empty", "link", "fifo", "none", "a\0b", "bad\udcff")),
    ):
        with pytest.raises(SequenceError) as caught:
            check_file(path)
        assert repr(str(path)) in str(caught.value) and caught.value.hint


def test_a_caller_with_the_wrong_shape_is_told_at_once() -> None:
    box, where = Box(0, 0, 2, 3), np.ones((2, 3), bool)
    check_pixels(["R"], box, np.zeros((2, 3, 1)), where)
    with pytest.raises(ValueError, match="do not fit"):
        check_pixels(["R"], box, np.zeros((2, 3)), where)
    with pytest.raises(ValueError, match="do not fit"):
        check_pixels(["R"], box, np.zeros((2, 3, 1)), where.astype(np.float32))

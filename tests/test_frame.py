"""Boxes, channels by name, and samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.frame import (
    Box,
    Channel,
    Edit,
    Header,
    Part,
    Picked,
    samples,
)

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


@given(st.integers(0, 999), edges, edges)
def test_the_tight_box_is_the_smallest_round_all_that_is_true(
    seed: int, top: int, left: int
) -> None:
    rng = np.random.default_rng(seed)
    where = rng.random((rng.integers(1, 9), rng.integers(1, 9))) < 0.05
    box = Box(top, left, top + where.shape[0], left + where.shape[1])
    there = {(top + int(y), left + int(x)) for y, x in np.argwhere(where)}
    wanted = (
        Box(
            min(y for y, _ in there),
            min(x for _, x in there),
            max(y for y, _ in there) + 1,
            max(x for _, x in there) + 1,
        )
        if there
        else Box(top, left, top, left)
    )
    assert box.tight(where) == wanted == box.tight(where.astype(np.float32))


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


def part(*names: str, **settings: Any) -> Part:
    return Part(Box(0, 0, 1, 1), tuple(Channel(name, "half") for name in names), **settings)


def header(*parts: Part, views: tuple[str, ...] = ()) -> Header:
    return Header(Path("p.exr"), "openexr", Box(0, 0, 1, 1), parts, views=views)


def test_a_channel_is_found_by_its_name_whatever_its_place() -> None:
    one = header(part("B", "G", "R", "depth.Z"))
    assert one.pick(["R", "depth.Z"]).names == ("R", "depth.Z")
    assert one.pick(["Z"], layer="depth").names == ("depth.Z",)
    assert one.names() == ("B", "G", "R", "depth.Z")


def test_the_first_part_that_holds_all_of_the_names_is_taken() -> None:
    both = header(part("Z"), part("R", "G", "B", name="rgb"), part("R", "A", name="matte"))
    assert both.pick(["G", "R"]).part == 1
    assert both.pick(["A"]).part == 2
    assert both.pick(["R"], layer="matte").part == 2
    assert both.pick(["rgb.R", "rgb.B"]).names == ("R", "B")
    with pytest.raises(SequenceError, match="'G,A' .* lie in several parts; name channels of one"):
        both.pick(["G", "A"])


def test_views_within_a_part_are_told_by_the_name_before_the_channel() -> None:
    eyes = header(part("R", "right.R", "id.right.R", "id.R"), views=("left", "right"))
    assert eyes.pick(["R"]).names == eyes.pick(["R"], view="left").names == ("R",)
    assert eyes.pick(["R", "id.R"], view="right").names == ("right.R", "id.right.R")
    with pytest.raises(SequenceError, match="has no view 'centre'; it has left, right"):
        eyes.pick(["R"], view="centre")


def test_views_in_parts_of_their_own_share_their_channels_names() -> None:
    eyes = header(
        part("R", name="rgba.left", view="left"),
        part("R", name="rgba.right", view="right"),
        part("Z", name="depth"),
        views=("left", "right"),
    )
    assert [eyes.pick(["R"], view=view).part for view in ("", "left", "right")] == [0, 0, 1]
    assert eyes.pick(["rgba.R"], view="right").part == 1
    assert eyes.pick(["Z"], view="right").part == 2
    assert set(eyes.names("right")) == {"R", "rgba.R", "Z", "depth.Z"}


def test_a_missing_channel_is_named_with_the_file_and_what_it_has() -> None:
    one = header(part("B", "depth.Z"), part("R", name="deep", unread="deep"))
    with pytest.raises(
        SequenceError, match=r"'p.exr' has no channel 'R'; it has B, depth.Z; deep is deep, which"
    ):
        one.pick(["B", "R"])
    for names in ([], ["B", "B"]):
        with pytest.raises(SequenceError, match="different names"):
            one.pick(names)


@pytest.mark.parametrize(
    ("parts", "channel"),
    [
        pytest.param([part("R", "G", "B", "A")], "A", id="alpha first"),
        pytest.param([part("Y")], "Y", id="the only channel"),
        pytest.param([part("R", "G", "B")], "R", id="red of a picture"),
        pytest.param([part("Z", "N"), part("A")], "A", id="in a later part"),
        pytest.param([part("matte", name="m")], "matte", id="the only one of a named part"),
        pytest.param([part("Z", "N")], "", id="none"),
        pytest.param([part("A", unread="deep")], "", id="none that is read"),
    ],
)
def test_a_matte_is_in_a_else_in_the_only_channel_else_in_r(
    parts: list[Part], channel: str
) -> None:
    assert header(*parts).matte_channel() == channel


def test_a_part_knows_what_its_samples_take() -> None:
    box = Box(0, 0, 3, 5)
    kinds = ("half", "float", "uint", "uint8", "uint10", "uint16")
    channels = tuple(Channel(kind, kind) for kind in kinds)
    assert Part(box, channels).nbytes == 15 * (2 + 4 + 4 + 1 + 2 + 2)


def test_a_caller_with_the_wrong_shape_is_told_at_once() -> None:
    box, where = Box(0, 0, 2, 3), np.ones((2, 3), bool)
    picked = Picked(0, ("R",), box)
    Edit(picked, box, np.zeros((2, 3, 1)), where)
    with pytest.raises(ValueError, match="do not fit"):
        Edit(picked, box, np.zeros((2, 3)), where)
    with pytest.raises(ValueError, match="do not fit"):
        Edit(picked, box, np.zeros((2, 3, 1)), np.asarray(where, np.uint8))

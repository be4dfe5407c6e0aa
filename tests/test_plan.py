"""Laws of the plan."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from infusion_ofx.plan import Plan, make, starts
from infusion_ofx.sequence.frame import Box

NONE = Box(0, 0, 0, 0)
PLAIN: dict[str, Any] = {
    "frames": 12,
    "overlap": 4,
    "context": 24,
    "reach": 64,
    "near": 4,
    "tile": 384,
    "voxels": 10**9,
    "block": 10**9,
}


@st.composite
def _work(draw: st.DrawFn) -> tuple[list[Box], Box, dict[str, Any]]:
    """Holes within a frame anywhere on the plane, and settings."""
    top, left = draw(st.integers(-30, 30)), draw(st.integers(-30, 30))
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))

    def box(places: tuple[int, int, int, int]) -> Box:
        rows = sorted(p % (height + 1) for p in places[:2])
        columns = sorted(p % (width + 1) for p in places[2:])
        return Box(top + rows[0], left + columns[0], top + rows[1], left + columns[1])

    holes = [
        NONE if draw(st.booleans()) else box(draw(st.tuples(*[st.integers(0, 60)] * 4)))
        for _ in range(draw(st.integers(1, 16)))
    ]
    frames, context = draw(st.integers(1, 6)), draw(st.integers(0, 8))
    given_settings = {
        "frames": frames,
        "overlap": draw(st.integers(0, frames - 1)),
        "context": context,
        "reach": draw(st.integers(0, 20)),
        "near": draw(st.integers(0, 20)),
        "tile": 2 * context + draw(st.integers(1, 40)),
        "voxels": draw(st.integers(0, 40_000)),
        "block": draw(st.sampled_from((0, 5_000, 10**9))),
        "around": draw(st.sampled_from((0, 30))),
    }
    return holes, Box(top, left, top + height, left + width), given_settings


def _covered(plan: Plan, i: int, frame: Box) -> NDArray[np.bool_]:
    found = np.zeros((frame.height, frame.width), bool)
    for window in plan.windows:
        if window.start <= i < window.stop:
            found[frame.slices(window.box)] = True
    return found


@given(_work())
def test_windows_cover_every_pixel_of_the_hole(work: tuple[list[Box], Box, dict[str, Any]]) -> None:
    holes, frame, settings = work
    plan = make(holes, frame, **settings)
    for i, hole in enumerate(holes):
        if not hole.empty:
            assert _covered(plan, i, frame)[frame.slices(hole)].all()


@given(_work())
def test_windows_lie_in_what_is_sampled_that_in_the_region_and_that_on_the_plate(
    work: tuple[list[Box], Box, dict[str, Any]],
) -> None:
    holes, frame, settings = work
    plan = make(holes, frame, **settings)
    assert len(plan.sampled) == len(plan.region) == len(plan.trained) == len(holes)
    for window in plan.windows:
        assert 0 <= window.start < window.stop <= len(holes)
        assert window.stop - window.start == min(settings["frames"], len(holes))
        assert not window.box.empty
        assert max(window.box.height, window.box.width) <= settings["tile"]
        for i in range(window.start, window.stop):
            assert plan.sampled[i].intersect(window.box) == window.box
    for sampled, trained, region in zip(plan.sampled, plan.trained, plan.region, strict=True):
        assert sampled.empty or trained.intersect(sampled) == sampled
        assert region.intersect(trained) == trained
        assert region.empty or frame.intersect(region) == region


@given(_work())
def test_what_is_loaded_keeps_to_the_budget_or_is_the_least_there_is(
    work: tuple[list[Box], Box, dict[str, Any]],
) -> None:
    holes, frame, settings = work
    plan, least = make(holes, frame, **settings), make(holes, frame, **{**settings, "voxels": 0})
    assert plan.voxels <= max(settings["voxels"], least.voxels)
    assert plan.voxels == sum(box.height * box.width for box in plan.region)
    for box, small in zip(plan.region, least.region, strict=True):
        wide = max(settings["reach"], settings["around"])
        assert small.empty or small.grow(wide).intersect(box) == box


@given(_work())
def test_every_frame_has_something_to_train_on_if_there_is_any_hole(
    work: tuple[list[Box], Box, dict[str, Any]],
) -> None:
    holes, frame, settings = work
    plan = make(holes, frame, **settings)
    if all(hole.empty for hole in holes):
        assert plan.windows == ()
        assert all(box.empty for box in plan.sampled + plan.region)
    else:
        assert not any(box.empty for box in plan.region)


@given(st.integers(1, 500), st.integers(1, 50), st.data())
def test_starts_cover_all_and_neighbours_overlap(
    length: int, size: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    found = starts(length, size, overlap)
    assert found[0] == 0
    assert found[-1] == max(length - size, 0)
    for one, following in zip(found, found[1:], strict=False):
        assert 0 < following - one <= size - overlap
    needed = 1 if length <= size else -(-(length - overlap) // (size - overlap))
    assert len(found) == needed, "and there are no more of them than that takes"


def test_the_same_hole_costs_the_same_on_a_plate_of_any_size() -> None:
    holes = [Box(500 + 3 * i, 700 + 5 * i, 560 + 3 * i, 790 + 5 * i) for i in range(30)]
    small = make(holes, Box(0, 0, 1152, 2048), **PLAIN)
    large = make(holes, Box(0, 0, 4608, 8192), **PLAIN)
    assert small == large


def test_the_region_follows_a_hole_that_crosses_the_shot() -> None:
    holes = [Box(500, 40 * i, 540, 40 * i + 40) for i in range(48)]
    plan = make(holes, Box(0, 0, 1080, 1920), **PLAIN)
    for hole, region in zip(holes, plan.region, strict=True):
        assert region.intersect(hole) == hole
        assert region.height <= 40 + 2 * (24 + 64)
        # A block holds two windows' worth of way here, and a frame is in two blocks at most.
        assert region.width <= 40 * 48 + 2 * (24 + 64)
    assert plan.voxels <= 2 * 48 * (40 * 12 + 2 * (24 + 64)) * (40 + 2 * (24 + 64))


def test_what_is_loaded_beyond_the_blocks_is_round_the_hole() -> None:
    settings = {**PLAIN, "reach": 10, "around": 50}
    plan = make([Box(500, 500, 520, 530)] * 3, Box(0, 0, 1000, 1000), **settings)
    assert plan.sampled == (Box(476, 476, 544, 554),) * 3
    assert plan.reached == (plan.sampled[0].grow(10),) * 3
    assert plan.region == (plan.sampled[0].grow(50),) * 3


def test_the_context_is_kept_round_the_hole_and_cut_at_the_border() -> None:
    plan = make([Box(0, 100, 10, 110)], Box(0, 0, 200, 200), **PLAIN)
    assert [window.box for window in plan.windows] == [Box(0, 76, 34, 134)]
    assert plan.region == (Box(0, 12, 98, 198),)


def test_the_smallest_holes_and_shots() -> None:
    plate = Box(0, 0, 50, 50)
    for count in (1, 2):
        plan = make([Box(7, 9, 8, 10)] * count, plate, **{**PLAIN, "context": 0, "reach": 0})
        assert [(w.start, w.stop, w.box) for w in plan.windows] == [(0, count, Box(7, 9, 8, 10))]
        assert plan.voxels == plan.windows[0].voxels == count
    one = make([Box(0, 0, 1, 1)], Box(0, 0, 1, 1), **PLAIN)
    assert (one.windows[0].box, one.region) == (Box(0, 0, 1, 1), (Box(0, 0, 1, 1),))


def test_a_hole_over_all_is_tiled_and_nothing_is_left_out() -> None:
    plate = Box(0, 0, 1080, 1920)
    plan = make([plate] * 3, plate, **PLAIN)
    assert len(plan.windows) > 1
    assert _covered(plan, 1, plate).all()
    assert plan.region == (plate,) * 3


def test_tiles_side_by_side_share_twice_the_context() -> None:
    plan = make([Box(0, 0, 100, 1920)], Box(0, 0, 100, 1920), **PLAIN)
    lefts = sorted(window.box.left for window in plan.windows)
    for one, following in zip(lefts, lefts[1:], strict=False):
        assert one + 384 - following >= 2 * 24


def test_no_work_is_planned_where_there_is_no_hole() -> None:
    holes = [Box(50, 50, 60, 60)] * 4 + [NONE] * 40 + [Box(50, 50, 60, 60)] * 4
    plan = make(holes, Box(0, 0, 100, 100), **PLAIN)
    assert all(box.empty for box in plan.sampled[14:34])
    assert all(window.stop <= 16 or window.start >= 32 for window in plan.windows)


@given(_work())
def test_blocks_are_loaded_and_hold_every_window(
    work: tuple[list[Box], Box, dict[str, Any]],
) -> None:
    plan = make(work[0], work[1], **work[2])
    for block in plan.blocks:
        for region in plan.region[block.start : block.stop]:
            assert region.intersect(block.box) == block.box
    for window in plan.windows:
        assert any(
            block.start <= window.start
            and window.stop <= block.stop
            and block.box.intersect(window.box) == window.box
            for block in plan.blocks
        )
    starts_and_stops = [(block.start, block.stop) for block in plan.blocks]
    assert starts_and_stops == sorted(starts_and_stops)


@given(_work())
def test_more_is_loaded_than_blocks_have_where_that_is_asked_for(
    work: tuple[list[Box], Box, dict[str, Any]],
) -> None:
    holes, frame, settings = work
    plan = make(holes, frame, **settings)
    for shown, region in zip(plan.reached, plan.region, strict=True):
        assert region.intersect(shown) == shown
    if settings["around"] <= settings["reach"]:
        assert plan.reached == plan.region
    twice = plan.then(plan)
    assert twice.reached == plan.reached * 2


def test_a_hole_that_stands_still_is_one_block_and_one_that_jumps_is_not() -> None:
    frame = Box(0, 0, 1080, 1920)
    still = make([Box(500, 600, 560, 660)] * 48, frame, **PLAIN)
    assert len(still.blocks) == 1 and len(set(still.region)) == 1
    jumping = [Box(0, 0, 60, 60)] * 18 + [NONE] * 12 + [Box(1000, 1800, 1060, 1860)] * 18
    most = 24 * still.region[0].height * still.region[0].width
    cut = make([Box(500, 600, 560, 660)] * 48, frame, **{**PLAIN, "block": most})
    assert len(cut.blocks) > 1 and max(block.voxels for block in cut.blocks) <= most
    assert cut.region == still.region
    blocks = make(jumping, frame, **PLAIN).blocks
    assert len(blocks) > 1
    assert sum(block.voxels for block in blocks) < 48 * 1080 * 1920 / 4


@given(_work(), _work())
def test_regions_one_after_the_other_share_no_frame(
    one: tuple[list[Box], Box, dict[str, Any]], two: tuple[list[Box], Box, dict[str, Any]]
) -> None:
    length = min(len(one[0]), len(two[0]))
    plans = [make(holes[:length], frame, **settings) for holes, frame, settings in (one, two)]
    both = plans[0].then(plans[1])
    assert (both.regions, both.length) == (2, length)
    assert both.parts == [slice(0, length), slice(length, 2 * length)]
    for name in ("sampled", "region", "trained", "holes"):
        assert getattr(both, name) == getattr(plans[0], name) + getattr(plans[1], name)
    for name in ("windows", "blocks"):
        for window in getattr(both, name):
            start = window.start // length * length
            assert window.stop <= start + length
            assert window.later(-start) in getattr(plans[window.start // length], name)
        assert len(getattr(both, name)) == sum(len(getattr(plan, name)) for plan in plans)


@given(_work(), _work())
def test_joined_plans_sample_what_each_of_them_samples(
    first: tuple[list[Box], Box, dict[str, Any]], second: tuple[list[Box], Box, dict[str, Any]]
) -> None:
    length = min(len(first[0]), len(second[0]))
    plans = [make(holes[:length], frame, **given) for holes, frame, given in (first, second)]
    joined = plans[0].joined(plans[1])
    assert joined.windows == plans[0].windows + plans[1].windows
    for i, sampled in enumerate(joined.sampled):
        for plan in plans:
            assert plan.sampled[i].empty or sampled.intersect(plan.sampled[i]) == plan.sampled[i]
        assert joined.trained[i].intersect(sampled) == sampled or sampled.empty

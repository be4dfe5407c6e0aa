"""Regions: holes far from each other are worked on apart, and nothing of them is lost."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.job import Job
from infusion_ofx.material import Hole, open_material
from infusion_ofx.planning import plan_work
from infusion_ofx.regions import MOST, Extent, split
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

HEIGHT, WIDTH, FRAMES = 24, 400, 6
"""Of the fixture ``two_holes``."""

SPOTS = st.lists(
    st.tuples(st.integers(-40, 400), st.integers(-40, 900), st.integers(1, 40), st.integers(1, 40)),
    max_size=5,
)


def _hole(spots: list[tuple[int, int, int, int]]) -> Extent:
    boxes = [Box(top, left, top + height, left + width) for top, left, height, width in spots]
    whole = Box(0, 0, 0, 0)
    for box in boxes:
        whole = whole.union(box)
    alpha = np.zeros((whole.height, whole.width), bool)
    for box in boxes:
        alpha[whole.slices(box)] = True
    return Extent.of(Hole(whole, alpha))


@given(st.integers(0, 9), st.integers(0, 9), st.randoms(use_true_random=False))
def test_an_extent_tells_every_pixel_that_takes_some_of_the_fill(
    height: int, width: int, random: Random
) -> None:
    alpha = np.array([[random.choice((0, 1e-6, 1)) for _ in range(width)] for _ in range(height)])
    hole = Hole(Box(3, -2, 3 + height, width - 2), alpha.reshape(height, width).astype(np.float32))
    found = Extent.of(hole)
    assert found.box == hole.box and found.pixels == np.count_nonzero(hole.alpha)
    assert np.array_equal(found.inside(), hole.alpha > 0)


@given(st.lists(SPOTS, min_size=1, max_size=4), st.integers(0, 120))
def test_every_pixel_of_a_hole_is_in_one_box_of_one_region(frames: Any, apart: int) -> None:
    holes = [_hole(spots) for spots in frames]
    regions = split(holes, apart)
    assert 1 <= len(regions) <= MOST
    for i, hole in enumerate(holes):
        boxes = [region[i] for region in regions]
        assert all(a.intersect(b).empty for a, b in combinations(boxes, 2))
        covered = np.zeros_like(hole.inside())
        for box in boxes:
            if not box.empty:
                assert hole.box.intersect(box) == box
                covered[hole.box.slices(box)] = True
        assert (covered >= hole.inside()).all()
    if any(hole.pixels for hole in holes):
        assert all(any(not box.empty for box in region) for region in regions)


def test_what_is_near_at_any_time_is_one_region_and_what_is_far_is_not() -> None:
    near = [_hole([(0, 0, 9, 9), (0, 60, 9, 9)]), _hole([(0, 0, 9, 9), (0, 30, 9, 9)])]
    assert len(split(near, 48)) == 1
    far = [_hole([(0, 0, 9, 9)]), _hole([(0, 200, 9, 9)])]  # never in the same frame
    one, two = split(far, 48)
    none = Box(0, 0, 0, 0)
    assert {tuple(b if not b.empty else none for b in region) for region in (one, two)} == {
        (Box(0, 0, 9, 9), none),
        (none, Box(0, 200, 9, 209)),
    }


def test_a_hole_in_the_bay_of_another_belongs_to_it() -> None:
    frame = [(0, 0, 4, 800), (0, 0, 400, 4), (300, 600, 9, 9)]
    assert len(split([_hole(frame)], 48)) == 1


def test_specks_all_over_the_plate_are_a_few_regions() -> None:
    spots = [(y, x, 2, 2) for y in range(0, 4000, 400) for x in range(0, 8000, 400)]
    assert len(split([_hole(spots)], 48)) <= MOST


def test_two_holes_at_the_ends_of_a_plate_load_no_pixel_between_them(two_holes: Job) -> None:
    _, layout = plan_work(open_material(two_holes))
    assert (layout.regions, layout.length) == (2, FRAMES)
    assert not any(a.intersect(Box(0, 180, HEIGHT, 200)).width for a in layout.sampled)
    assert layout.voxels < 0.8 * FRAMES * HEIGHT * WIDTH


@pytest.mark.parametrize("method", ["diffusion", "patch", "prior", "auto"])
def test_both_are_filled_and_nothing_else_changes(two_holes: Job, method: str) -> None:
    job = replace(two_holes, method=method, steps=4, sampling_steps=3, prior="auto")
    run(job)
    plate, out, matte = (Sequence.open(path) for path in (job.plate, job.output, job.matte))
    for frame in out.frames:
        hole = matte.choose_matte("").read(frame, Box(0, 0, HEIGHT, WIDTH))[..., 0] > 0
        before, after = (
            s.choose(["R", "G", "B"]).read(frame, Box(0, 0, HEIGHT, WIDTH)) for s in (plate, out)
        )
        assert np.array_equal(before[~hole], after[~hole])
        assert (after[hole] < 9).all() and np.isfinite(after).all()

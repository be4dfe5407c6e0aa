"""Laws of the training holes."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from infusion_ofx.engine.holes import training_holes


def training_hole(draw: random.Random, frames: int, height: int, width: int) -> Tensor:
    """One hole, (1, frames, height, width)."""
    return training_holes(draw, 1, frames, height, width)[0]


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 40), st.integers(1, 40))
def test_a_hole_is_zeros_and_ones_and_never_empty(
    seed: int, frames: int, height: int, width: int
) -> None:
    hole = training_hole(random.Random(seed), frames, height, width)
    assert hole.shape == (1, frames, height, width)
    assert hole.dtype == torch.float32
    assert ((hole == 0) | (hole == 1)).all()
    assert hole.amax((0, 2, 3)).min() == 1, "each frame has a hole"


@pytest.mark.parametrize("size", [(1, 1), (1, 16), (16, 1), (2, 2), (3, 3)])
def test_the_smallest_crops_have_a_hole(size: tuple[int, int]) -> None:
    for seed in range(100):
        assert training_hole(random.Random(seed), 1, *size).any(), seed


def test_the_same_draw_gives_the_same_hole_and_another_another() -> None:
    one, same, other = (training_hole(random.Random(seed), 8, 32, 48) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_half_of_all_holes_stand_still_and_the_rest_move() -> None:
    holes = [training_hole(random.Random(seed), 8, 32, 32) for seed in range(400)]
    still = sum(bool((hole == hole[:, :1]).all()) for hole in holes)
    assert 160 <= still <= 240


def test_holes_are_half_to_all_of_the_crop_high_and_wide() -> None:
    drawn = random.Random(0)
    tallest = 0
    for _ in range(200):
        hole = training_hole(drawn, 1, 64, 96)[0, 0] > 0
        rows, columns = hole.any(1).sum().item(), hole.any(0).sum().item()
        # The outline touches its own box in places only, so a hole can be smaller than the box.
        assert rows >= 64 / 8 and columns >= 96 / 8
        tallest = max(tallest, int(rows))
    assert tallest > 48


def test_a_hole_moves_by_a_few_pixels_a_frame() -> None:
    for seed in range(50):
        hole = training_hole(random.Random(seed), 6, 64, 64)[0]
        rows = torch.arange(64.0)[:, None]
        centre = (hole * rows).sum((1, 2)) / hole.sum((1, 2))
        assert centre.diff().abs().max() < 12


def test_all_but_the_crops_corners_are_covered_by_some_hole() -> None:
    covered = sum(training_hole(random.Random(seed), 1, 32, 32) for seed in range(200))
    assert isinstance(covered, torch.Tensor)
    assert (covered[0, 0, 6:-6, 6:-6] > 0).all()
    assert (covered < 200).all(), "and left open by some"


def test_several_holes_are_those_that_are_drawn_one_after_the_other() -> None:
    one, many = random.Random(5), random.Random(5)
    apart = torch.stack([training_hole(one, 4, 20, 30) for _ in range(6)])
    assert torch.equal(apart, training_holes(many, 6, 4, 20, 30))

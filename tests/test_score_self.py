"""The self-score: a hole like the real one, over what is known; and the right fill wins."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from infusion_ofx.score_self import GAP, STRETCH, judge, plant, stretch

Mask = NDArray[np.bool_]


def moving(frames: int = 24, height: int = 70, width: int = 90, size: int = 14) -> Mask:
    """A box that moves a pixel a frame."""
    hole = np.zeros((frames, height, width), bool)
    for i in range(frames):
        hole[i, 10 + i // 2 : 10 + i // 2 + size, 5 + i : 5 + i + size] = True
    return hole


def test_a_planted_hole_has_the_shape_and_the_motion_of_the_real_one() -> None:
    hole = moving(STRETCH)
    planting = plant(hole, hole)
    assert planting is not None and len(planting.mask) == STRETCH
    rows, columns = (np.flatnonzero(hole.any(axis=(0, axis))) for axis in (2, 1))
    shape = hole[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert planting.mask.shape == shape.shape
    assert not (planting.mask & ~shape).any()
    assert planting.mask.sum() >= 0.8 * shape.sum()


def test_it_keeps_away_from_all_that_is_unknown() -> None:
    hole = moving()
    unknown = hole.copy()
    unknown[:, 60:, :] = True
    planting = plant(hole, unknown)
    assert planting is not None and planting.mask.shape[1] < 40  # as high as the hole alone
    planted = np.zeros_like(hole)
    height, width = planting.mask.shape[1:]
    rows = slice(planting.top, planting.top + height)
    planted[:, rows, planting.left : planting.left + width] = planting.mask
    square = np.ones((2 * GAP + 1, 2 * GAP + 1), np.uint8)
    near = np.stack([cv2.dilate(frame.astype(np.uint8), square) for frame in unknown]) > 0
    assert planted.any() and not (planted & near).any()


def test_the_same_hole_gives_the_same_place() -> None:
    first, second = plant(moving(), moving()), plant(moving(), moving())
    assert first is not None and second is not None
    assert (first.top, first.left) == (second.top, second.left)


def test_it_lasts_the_frames_round_the_one_whose_hole_is_the_largest() -> None:
    for length in (3, STRETCH, 60):
        for largest in range(length):
            sizes = [5] * length
            sizes[largest] = 6
            frames = stretch(sizes)
            assert len(frames) == min(length, STRETCH)
            assert largest in frames and 0 <= frames.start and frames.stop <= length


@pytest.mark.parametrize("case", ["nothing unknown", "nothing known", "no room"])
def test_where_there_is_no_room_nothing_is_planted(case: str) -> None:
    hole = np.zeros((6, 40, 40), bool)
    hole[:, 3:37, 3:37] = case == "no room"
    hole |= case == "nothing known"
    assert plant(hole, hole) is None


def test_the_truth_has_no_fault_and_a_texture_beats_a_blur_and_noise() -> None:
    random = np.random.default_rng(0)

    def texture(seed: int) -> NDArray[np.float32]:
        grain = np.random.default_rng(seed).normal(0, 3, (10, 48, 48, 3))
        return np.exp([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in grain]).astype(np.float32)

    truth, hole = texture(0), np.zeros((10, 48, 48), bool)
    hole[:, 12:36, 12:36] = True
    inside = hole[..., None]
    flat = np.full_like(truth, np.median(truth))
    grain = random.exponential(1, truth.shape).astype(np.float32)
    found = judge(
        {
            "truth": truth,
            "other": np.where(inside, texture(1), truth),
            "smooth": np.where(inside, flat, truth),
            "grain": np.where(inside, grain, truth),
        },
        truth,
        hole,
        dict.fromkeys(("truth", "other", "smooth", "grain"), 1.0),
    )
    faults = {name: figures["fault"] for name, figures in found.items()}
    assert faults["truth"] < 0.01
    assert faults["truth"] < faults["other"] < min(faults["smooth"], faults["grain"])

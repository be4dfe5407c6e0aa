"""Laws of the score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from infusion_ofx.score import logarithm, peak_of, scores, scores_without_truth


def _clip(seed: int = 0, shape: tuple[int, ...] = (6, 24, 24, 3)) -> NDArray[np.float32]:
    return np.random.default_rng(seed).exponential(1.5, shape).astype(np.float32)


def _hole(shape: tuple[int, int, int] = (6, 24, 24)) -> NDArray[np.bool_]:
    hole = np.zeros(shape, bool)
    hole[:, 6:18, 6:18] = True
    return hole


def _blur(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    blurred: NDArray[np.float32] = np.mean([np.roll(clip, s, (1, 2)) for s in shifts], axis=0)
    return blurred


def test_the_truth_itself_scores_full_marks() -> None:
    found = scores(_clip(), _clip(), _hole())
    seam = found.pop("seam")  # the truth has steps of its own across the border
    assert found == {
        "psnr": math.inf, "ssim": 1, "flip": 0, "swd": 0, "swd_texture": 0,
        "frame_difference": 1, "spectrum": 0, "sharpness": 1,
    }  # fmt: skip
    assert seam == pytest.approx(1, abs=0.1)


def test_blur_lowers_sharpness_and_is_seen_by_the_patches() -> None:
    truth = _clip()
    found = scores(_blur(truth), truth, _hole())
    assert found["sharpness"] < 0.5
    assert found["swd"] > 1


def test_a_frozen_fill_has_no_frame_difference() -> None:
    truth = _clip()
    frozen = scores(np.repeat(truth[:1], 6, axis=0), truth, _hole())
    assert frozen["frame_difference"] < 0.01 and frozen["spectrum"] > 30


def test_noise_raises_every_figure_but_psnr() -> None:
    truth = _blur(_blur(_clip()))
    noisy = [scores(truth + amount * _clip(1), truth, _hole()) for amount in (0.0, 0.2, 0.8)]
    for name in ("swd", "frame_difference", "sharpness"):
        assert noisy[0][name] < noisy[1][name] < noisy[2][name]
    assert noisy[0]["psnr"] > noisy[1]["psnr"] > noisy[2]["psnr"]


def test_shuffled_pixels_keep_the_histogram_and_lose_the_texture() -> None:
    truth = _blur(_blur(_clip()))
    fill, hole = truth.copy(), _hole()
    fill[hole] = np.random.default_rng(3).permutation(truth[hole])
    assert scores(fill, truth, hole)["swd"] > 1


@settings(max_examples=20, deadline=None)
@given(value=st.floats(-1e4, 1e4, width=32), seed=st.integers(0, 99))
def test_the_score_cannot_see_pixels_outside_the_hole(value: float, seed: int) -> None:
    truth, fill, hole = _clip(seed), _clip(seed + 1), _hole()
    before = scores(fill, truth, hole)
    fill[~hole] = value
    assert scores(fill, truth, hole) == before
    truth[~hole] = value / 2
    before.pop("seam")  # what it measures is the step to what lies outside
    assert scores(fill, truth, hole).items() >= before.items()


def test_a_fill_that_is_too_bright_shows_at_the_seam_alone_of_two_alike() -> None:
    truth = _blur(_blur(_clip()))
    fill = truth + 3
    assert scores(fill, truth, _hole())["seam"] > 2 > scores(truth, truth, _hole())["seam"]


@settings(max_examples=20, deadline=None)
@given(light=st.lists(st.floats(0, 60000, width=32), min_size=2), peak=st.floats(0.1, 1e4))
def test_the_scale_keeps_the_order_of_light(light: list[float], peak: float) -> None:
    levels = logarithm(np.sort(np.array(light, np.float32)), peak)
    assert (np.diff(levels) >= 0).all()
    assert (levels >= 0).all()


def test_the_scale_runs_from_nothing_to_the_peak() -> None:
    levels = logarithm(np.array([-2.0, 0.0, 12.0, np.nan, np.inf]), 12.0)
    assert levels[:2].tolist() == [0, 0]
    assert levels[2] == pytest.approx(1)
    assert levels[3] == 0 and math.isfinite(levels[4])


def test_one_hot_pixel_does_not_set_the_peak() -> None:
    light = np.full((4, 100, 100), 2.0, np.float32)
    light[0, 0, 0], light[0, 0, 1] = 60000, np.inf
    assert peak_of(light) == 2


def test_half_float_and_float_score_alike() -> None:
    truth, fill = _clip().astype(np.float16), _clip(1).astype(np.float16)
    assert scores(fill, truth, _hole()) == scores(
        fill.astype(np.float32), truth.astype(np.float32), _hole()
    )


def test_the_same_fill_scores_the_same_twice() -> None:
    shape = (6, 64, 64)
    truth, fill, hole = _clip(0, (*shape, 3)), _clip(1, (*shape, 3)), np.ones(shape, bool)
    hole[:, :2] = False
    assert scores(fill, truth, hole) == scores(fill, truth, hole)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((1, 24, 24), id="one frame"),
        pytest.param((2, 3, 3), id="tiny frames"),
        pytest.param((1, 1, 1), id="one pixel"),
    ],
)
def test_a_small_hole_still_scores_what_it_can(shape: tuple[int, int, int]) -> None:
    truth, fill = _clip(0, (*shape, 3)), _clip(1, (*shape, 3))
    found = scores(fill, truth, np.ones(shape, bool))
    assert math.isfinite(found["psnr"]) and found["swd"] > 0
    assert math.isnan(found["frame_difference"]) == (shape[0] == 1)


def test_an_empty_hole_has_no_score() -> None:
    found = scores(_clip(), _clip(), np.zeros((6, 24, 24), bool))
    assert all(math.isnan(value) for value in found.values())
    found = scores_without_truth(_clip(), np.zeros((6, 24, 24), bool), _clip())
    assert all(math.isnan(value) for value in found.values())


def test_a_truth_that_is_not_finite_is_left_out() -> None:
    truth, hole = _clip(), _hole()
    truth[2, 8, 8] = np.nan
    assert scores(_clip(), truth, hole)["psnr"] == math.inf


def test_without_the_truth_the_same_texture_scores_near_the_ideal() -> None:
    shape = (6, 48, 48)
    plate, hole = _clip(0, (*shape, 3)), np.zeros(shape, bool)
    hole[:, 14:30, 14:30] = True
    found = scores_without_truth(plate, hole, plate)
    assert found["swd"] < 0.5 * scores_without_truth(_blur(plate), hole, plate)["swd"]
    assert found["frame_difference"] == pytest.approx(1, abs=0.1)
    assert found["sharpness"] == pytest.approx(1, abs=0.1)


def test_without_the_truth_blur_and_frost_are_told_from_the_surroundings() -> None:
    plate, hole = _clip(), _hole()
    blurred = scores_without_truth(_blur(plate), hole, plate)
    frozen = scores_without_truth(np.repeat(plate[:1], 6, axis=0), hole, plate)
    assert blurred["sharpness"] < 0.5
    assert frozen["frame_difference"] < 0.01


def test_without_the_truth_the_plate_inside_the_hole_is_not_seen() -> None:
    fill, plate, hole = _clip(1), _clip(), _hole()
    before = scores_without_truth(fill, hole, plate)
    plate[hole] = np.nan
    fill[~hole] = 5
    assert scores_without_truth(fill, hole, plate) == before


def test_without_the_truth_a_hole_that_covers_everything_has_nothing_to_compare() -> None:
    found = scores_without_truth(_clip(), np.ones((6, 24, 24), bool), _clip())
    assert all(math.isnan(value) for value in found.values())

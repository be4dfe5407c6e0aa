"""Laws of the composite."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion_ofx.composite import clean_matte, composite, shape_matte

Array = npt.NDArray[Any]
ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _picture(values: st.SearchStrategy[float]) -> st.SearchStrategy[Array]:
    return st.lists(values, min_size=24, max_size=24).map(
        lambda numbers: np.array(numbers, np.float32).reshape(2, 4, 3)
    )


def _matte(seed: int, height: int = 40, width: int = 50) -> Array:
    """A few soft and hard blobs with room round them."""
    random, matte = np.random.default_rng(seed), np.zeros((height, width), np.float32)
    for _ in range(random.integers(1, 4)):
        top, left = random.integers(12, height - 16), random.integers(12, width - 16)
        matte[top : top + 4, left : left + random.integers(1, 5)] = random.uniform(0.1, 1)
    return matte


@given(_picture(ANY), _picture(FINITE), st.lists(st.floats(0, 1, width=32), min_size=8, max_size=8))
def test_outside_the_matte_nothing_changes_and_inside_all_is_finite(
    plate: Array, fill: Array, alphas: list[float]
) -> None:
    alpha = np.array(alphas, np.float32).reshape(2, 4)
    before, result = plate.copy(), composite(plate, fill, alpha)
    assert result.dtype == np.float32
    outside, inside = alpha == 0, alpha > 0
    assert result[outside].tobytes() == plate[outside].tobytes(), "bit for bit: NaN, Inf, -0"
    assert np.isfinite(result[inside]).all()
    assert np.array_equal(result[alpha == 1], fill[alpha == 1])
    assert plate.tobytes() == before.tobytes(), "the plate itself is not written to"


def test_a_nan_keeps_its_payload_outside_the_matte() -> None:
    odd = np.array([0x7FC0_1234, 0xFFC0_0001, 0x8000_0000, 0xFF80_0000], np.uint32)
    plate = odd.view(np.float32).reshape(1, 4, 1)
    result = composite(plate, np.ones_like(plate), np.zeros((1, 4), np.float32))
    assert np.array_equal(result.view(np.uint32).ravel(), odd)


@given(st.floats(0, 1, width=32), st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32))
def test_a_soft_matte_mixes_in_proportion(alpha: float, plate: float, fill: float) -> None:
    shape = (1, 1, 3)
    result = composite(
        np.full(shape, plate, np.float32), np.full(shape, fill, np.float32), np.full((1, 1), alpha)
    )
    expected = (1 - alpha) * plate + alpha * fill
    assert result[0, 0, 0] == pytest.approx(expected, rel=1e-5, abs=1e-5 * (abs(plate) + abs(fill)))


def test_a_half_plate_is_mixed_in_float() -> None:
    plate = np.array([[[np.nan], [np.inf], [0.5], [65504]]], np.float16)
    fill = np.full((1, 4, 1), 0.25, np.float32)
    result = composite(plate, fill, np.array([[0, 0.5, 0.5, 1]], np.float32))
    assert np.isnan(result[0, 0, 0])
    assert result[0, 1:, 0].tolist() == [0.25, 0.375, 0.25]


def test_an_empty_hole_composites_to_nothing() -> None:
    nothing = np.zeros((0, 0, 3), np.float32)
    assert composite(nothing, nothing, np.zeros((0, 0), np.float32)).shape == (0, 0, 3)


def test_a_matte_is_cleaned_to_between_0_and_1() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 2, -1, 0.25, -0.0, 1], np.float16)
    clean = clean_matte(odd)
    assert clean.dtype == np.float32
    assert clean.tolist() == [0, 1, 0, 1, 0, 0.25, 0, 1]


@settings(max_examples=30)
@given(st.integers(0, 50), st.integers(0, 11))
def test_growing_reaches_as_far_as_a_disc_and_no_further(seed: int, grow: int) -> None:
    matte = _matte(seed)
    grown = shape_matte(matte, grow=grow, feather=0)
    y, x = np.mgrid[: matte.shape[0], : matte.shape[1]]
    held = np.argwhere(matte > 0)
    away = np.min([(y - p[0]) ** 2 + (x - p[1]) ** 2 for p in held], axis=0)
    assert np.array_equal(grown > 0, away <= grow * grow)
    assert (grown >= matte).all()
    assert set(np.unique(grown)) <= set(np.unique(matte))


@settings(max_examples=30)
@given(st.integers(0, 50), st.integers(0, 6), st.integers(0, 12))
def test_feathering_only_ever_takes_away_and_leaves_no_hole(
    seed: int, grow: int, feather: int
) -> None:
    grown = shape_matte(_matte(seed), grow=grow, feather=0)
    soft = shape_matte(_matte(seed), grow=grow, feather=feather)
    assert (soft <= grown).all()
    assert np.array_equal(soft > 0, grown > 0)
    assert soft.dtype == np.float32


def test_a_feather_rises_evenly_from_the_edge_inwards() -> None:
    matte = np.zeros((40, 40), np.float32)
    matte[10:30, 10:30] = 1
    soft = shape_matte(matte, grow=0, feather=4)
    assert soft[20, 9:16].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1], abs=0.02)
    assert np.array_equal(soft, soft.T) and np.array_equal(soft, soft[::-1])


def test_the_pictures_border_is_no_edge() -> None:
    matte = np.zeros((20, 20), np.float32)
    matte[:, :12] = 1
    soft = shape_matte(matte, grow=0, feather=3)
    assert (soft[:, :8] == 1).all()
    assert (soft[:, 11] < 0.5).all()
    everything = np.ones((5, 6), np.float32)
    assert np.array_equal(shape_matte(everything, grow=0, feather=9), everything)


def test_no_grow_and_no_feather_leave_a_matte_as_it_is() -> None:
    matte = _matte(0)
    assert np.array_equal(shape_matte(matte, grow=0, feather=0), matte)

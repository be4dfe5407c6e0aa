"""Laws of strangeness: scribble is like nothing, whatever its statistics; a texture that goes on is
like the rest of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from infusion_ofx.score_strange import strangeness

SIZE = 8, 56, 64


def _tiles() -> NDArray[np.float32]:
    """Paving that drifts: (T, H, W, 3), 0 .. 1."""
    t, y, x = np.mgrid[: SIZE[0], : SIZE[1], : SIZE[2]]
    tiles = ((y + t) % 9 > 1) & ((x + 5 * ((y + t) // 9)) % 13 > 1)
    return np.repeat(tiles[..., None], 3, -1).astype(np.float32)


def _hole() -> NDArray[np.bool_]:
    hole = np.zeros(SIZE, bool)
    hole[:, 18:38, 22:42] = True
    return hole


def _scribble(clip: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """The same power in each frequency, and no sense."""
    grain = np.random.default_rng(seed).standard_normal(SIZE)
    waves = np.fft.fftn(clip[..., 0] - clip.mean())
    drawn = np.fft.ifftn(np.abs(waves) * np.fft.fftn(grain) / np.abs(np.fft.fftn(grain))).real
    return np.repeat((drawn + clip.mean())[..., None], 3, -1).astype(np.float32)


def _of(fill: NDArray[np.float32]) -> float:
    return strangeness(fill, _tiles(), _hole(), ~_hole())


def test_what_is_there_is_like_the_rest_and_so_is_the_same_paving_laid_otherwise() -> None:
    assert _of(_tiles()) == pytest.approx(1, abs=0.3)
    assert _of(np.roll(_tiles(), (3, 5), (1, 2))) == pytest.approx(1, abs=0.3)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_scribble_of_the_same_power_is_strange(seed: int) -> None:
    assert _of(_scribble(_tiles(), seed)) > 3


def test_so_is_a_flat_fill() -> None:
    assert _of(np.full_like(_tiles(), 0.7)) > 3


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_only_the_fill_in_the_hole_and_the_plate_outside_of_it_are_looked_at(seed: int) -> None:
    grain = np.random.default_rng(seed).random((*SIZE, 3)).astype(np.float32)
    plate, hole = _tiles(), _hole()[..., None]
    fill = np.where(hole, _scribble(plate, 0), plate)
    one = strangeness(fill, plate, hole[..., 0], ~hole[..., 0])
    other = strangeness(
        np.where(hole, fill, grain), np.where(hole, grain, plate), hole[..., 0], ~hole[..., 0]
    )
    assert one == other


@pytest.mark.parametrize("what", ["nothing known", "no hole", "known beside the hole alone"])
def test_where_there_is_nothing_to_compare_it_is_no_number(what: str) -> None:
    hole, known = _hole(), ~_hole()
    if what == "nothing known":
        known[:] = False
    elif what == "no hole":
        hole[:] = False
    else:
        known[:, :12] = known[:, 44:] = known[:, :, :16] = known[:, :, 48:] = False
    assert np.isnan(strangeness(_tiles(), _tiles(), hole, known))

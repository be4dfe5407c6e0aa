"""Laws of the contact sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from infusion_ofx.sheet import contact_sheet, displayed, evenly

Rows = list[tuple[str, list[NDArray[np.float32]]]]


def _light(value: float, height: int = 12, width: int = 16) -> NDArray[np.float32]:
    return np.full((height, width, 3), value, np.float32)


def test_the_view_keeps_the_order_of_light_up_to_white() -> None:
    steps = displayed(np.linspace(0, 1, 60, dtype=np.float32)[None, :, None].repeat(3, axis=2))
    levels = steps[0, :, 0].astype(int)
    assert levels[0] == 0 and levels[-1] == 255
    assert (np.diff(levels) >= 0).all()
    assert levels[30] < 255


def test_darker_by_three_stops_shows_what_was_white() -> None:
    assert displayed(_light(7.0)).min() == 255
    assert displayed(_light(7.0), -3).max() < 255


def test_what_is_no_number_shows_magenta() -> None:
    picture = _light(0.5)
    picture[3, 4, 1] = np.nan
    assert displayed(picture)[3, 4].tolist() == [255, 0, 255]


def test_infinite_and_negative_light_have_a_display_value() -> None:
    for stops in (-3, 0, 2.5):
        assert displayed(_light(np.inf), stops).min() == 255
        assert displayed(_light(-np.inf), stops).max() == 0
    assert displayed(_light(-3.0)).max() == 0


def test_a_matte_is_shown_as_it_is() -> None:
    assert displayed(np.full((2, 2), 0.5, np.float16)).tolist() == [[[128] * 3] * 2] * 2


@pytest.mark.parametrize(
    ("height", "width"),
    [
        pytest.param(12, 16, id="tiny plates"),
        pytest.param(112, 144, id="the demo"),
        pytest.param(17, 1, id="one column"),
        pytest.param(100, 1920, id="wide plates"),
    ],
)
def test_a_sheet_of_five_frames_is_as_wide_as_a_screen(
    tmp_path: Path, height: int, width: int
) -> None:
    matte = np.ones((height, width), np.float32)
    rows: Rows = [("plate", [_light(1, height, width)] * 5), ("matte", [matte] * 5)]
    contact_sheet(tmp_path / "sheet.png", rows, range(1001, 1006))
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert 1200 <= sheet.width <= 2000


def test_each_further_exposure_repeats_the_rows_of_light_only(tmp_path: Path) -> None:
    rows: Rows = [("fill", [_light(1)] * 2), ("matte", [np.ones((12, 16), np.float32)] * 2)]
    heights = []
    for exposures in ((0.0,), (0.0, -3.0), (0.0, -3.0, 3.0)):
        contact_sheet(tmp_path / "sheet.png", rows, (1, 2), exposures=exposures)
        with Image.open(tmp_path / "sheet.png") as sheet:
            heights.append(sheet.height)
    assert heights[2] - heights[1] == heights[1] - heights[0] > 0
    assert heights[0] - 64 == 2 * (heights[1] - heights[0])


def test_a_viewer_set_to_srgb_shows_the_same() -> None:
    # 18 % grey and the toe of IEC 61966-2-1, worked out by hand.
    assert displayed(_light(0.18)).max() == 118
    assert displayed(_light(0.09), 1).max() == 118
    assert displayed(_light(0.002)).max() == 7


def test_only_the_rows_that_are_asked_for_come_again(tmp_path: Path) -> None:
    rows: Rows = [(name, [_light(1)]) for name in ("plate", "fill", "difference")]
    heights = []
    for again in ((), ("fill",), None):
        contact_sheet(tmp_path / "sheet.png", rows, (1,), exposures=(0, 3), again=again)
        with Image.open(tmp_path / "sheet.png") as sheet:
            heights.append(sheet.height)
    row = heights[1] - heights[0]
    assert heights[2] - heights[0] == 3 * row > 0


def test_the_pixels_of_a_small_plate_stay_whole_squares(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).random((4, 5, 3), np.float32)
    contact_sheet(tmp_path / "sheet.png", [("plate", [picture])], (7,))
    with Image.open(tmp_path / "sheet.png") as sheet:
        tile = np.asarray(sheet)[32:, 104:]
    side = (tile.shape[1] - 16) // 5
    assert (tile[: 4 * side : side, : 5 * side : side] == displayed(picture)).all()
    assert (
        tile[side - 1 : 4 * side : side, side - 1 : 5 * side : side] == displayed(picture)
    ).all()


def test_nothing_but_the_sheet_is_left_behind(tmp_path: Path) -> None:
    contact_sheet(tmp_path / "deep" / "sheet.png", [("plate", [_light(1)])], (1,))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("rows", "frames"),
    [
        pytest.param([], (1,), id="no rows"),
        pytest.param([("plate", [])], (), id="no frames"),
        pytest.param([("plate", [_light(1)])], (1, 2), id="a frame too few"),
        pytest.param(
            [("plate", [_light(1)]), ("fill", [_light(1, 9, 9)])], (1,), id="another size"
        ),
        pytest.param([("plate", [np.ones((4, 4, 2))])], (1,), id="two channels"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    tmp_path: Path, rows: Rows, frames: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError):
        contact_sheet(tmp_path / "sheet.png", rows, frames)
    assert not list(tmp_path.iterdir())


@given(count=st.integers(1, 300), wanted=st.integers(1, 9))
def test_evenly_takes_the_ends_and_no_frame_twice(count: int, wanted: int) -> None:
    frames = list(range(1001, 1001 + count))
    taken = evenly(frames, wanted)
    assert len(taken) == min(count, wanted)
    assert taken == sorted(set(taken)) and set(taken) <= set(frames)
    assert taken[0] == frames[0]
    assert wanted == 1 or taken[-1] == frames[-1]

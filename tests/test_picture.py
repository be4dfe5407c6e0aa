"""What PNG, TIFF and JPEG share: rounding to codes, and claims that are held to the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import picture, png
from infusion_ofx.sequence.frame import Box, Channel, Edit, Header, Part

Array = npt.NDArray[Any]
ONE = Box(0, 0, 1, 1)


def header(type: str, names: str = "RGB", box: Box = ONE) -> Header:
    part = Part(box, tuple(Channel(name, type) for name in names))
    return Header(Path("a.png"), "png", box, (part,))


@given(
    st.floats(width=32),
    st.sampled_from([("uint8", np.uint8, 255), ("uint16", np.uint16, 65535)]),
)
def test_a_number_becomes_the_nearest_code(value: float, kind: tuple[str, type, int]) -> None:
    name, dtype, most = kind
    head = header(name)
    codes: Array = np.full((1, 1, 3), 7, dtype)
    new = np.full((1, 1, 1), value, np.float32)
    picture.patch(codes, ONE, head, Edit(head.pick("G"), ONE, new, np.ones((1, 1), bool)))
    code = 0 if math.isnan(value) else round(min(max(value, 0), 1) * most)
    assert codes.ravel().tolist() == [7, code, 7]


@pytest.mark.parametrize(("name", "dtype"), [("half", np.float16), ("float", np.float32)])
def test_a_number_stays_itself_in_samples_that_hold_it(name: str, dtype: type) -> None:
    head = header(name, "Y", Box(0, 0, 1, 6))
    values = np.array([-2.5, 0.1, 1e9, np.inf, -np.inf, np.nan]).reshape(1, 6, 1)
    codes: Array = np.zeros((1, 6, 1), dtype)
    box = head.display
    picture.patch(codes, box, head, Edit(head.pick("Y"), box, values, np.ones((1, 6), bool)))
    wanted = np.clip(values, -np.finfo(dtype).max, np.finfo(dtype).max).astype(dtype)
    wanted[0, 3:, 0] = values[0, 3:, 0]
    assert np.array_equal(codes, wanted, equal_nan=True)


@given(st.integers(-4, 12), st.integers(-4, 12), st.integers(0, 9), st.integers(0, 9))
def test_pixels_outside_the_picture_are_nobodys(top: int, left: int, high: int, wide: int) -> None:
    whole, box = Box(0, 0, 8, 8), Box(top, left, top + high, left + wide)
    head, codes = header("uint8", "Y", whole), np.zeros((8, 8, 1), np.uint8)
    new, where = np.ones((high, wide, 1)), np.ones((high, wide), bool)
    picture.patch(codes, whole, head, Edit(head.pick("Y"), box, new, where))
    inner = box.intersect(whole)
    assert codes.sum() == 255 * inner.width * inner.height
    assert (codes[whole.slices(inner)] == 255).all()


def test_a_file_that_is_another_one_by_now_is_noticed(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    head = png.header(tmp_path / "a.png")
    Image.new("RGB", (9, 6)).save(tmp_path / "a.png")
    with pytest.raises(SequenceError, match="changed while it was read"):
        png.read(head, head.pick("R"), head.display)


@pytest.mark.parametrize(
    "name", ["a?b=1.png", "a#2.png", "%04d.png", "it's a\n\u00fc\U0001f3ac.PNG"]
)
def test_a_file_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (8, 6), (255, 0, 0)).save(tmp_path / name, "PNG")
    head = png.header(tmp_path / name)
    assert png.read(head, head.pick("R"), head.display).all()

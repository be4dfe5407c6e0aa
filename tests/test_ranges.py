"""Frame ranges: read, written, and what they leave out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.ranges import (
    format_frames,
    gaps,
    parse_frames,
    short_frames,
    split_range,
)


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", (7,)),
        ("1001-1004", (1001, 1002, 1003, 1004)),
        ("1001-1007x3,1200", (1001, 1004, 1007, 1200)),
        ("1-9:4", (1, 5, 9)),
        ("-5--3, 0", (-5, -4, -3, 0)),
        ("-2-1", (-2, -1, 0, 1)),
        ("3,1-3,2", (1, 2, 3)),
        ("0001-0003", (1, 2, 3)),
    ],
)
def test_a_range_names_its_frames(text: str, frames: tuple[int, ...]) -> None:
    assert parse_frames(text) == frames


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1-",
        "a",
        "1-5x",
        "1-5x0",
        "5-1",
        "1..5",
        "1-5y2",
        "1 5",
        "1,,2",
        "1.5",
        "--5",
        "1-2000000",
        "1-99999999999",
        "٣",
    ],
)
def test_a_range_that_is_none_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(SequenceError) as caught:
        parse_frames(text)
    assert repr(text) in str(caught.value)


@given(st.sets(st.integers(-10_000, 10_000)))
def test_formatted_frames_parse_to_themselves(frames: set[int]) -> None:
    text = format_frames(frames)
    assert (parse_frames(text) if frames else ()) == tuple(sorted(frames))


@given(st.sets(st.integers(-3, 16), min_size=1))
def test_formatted_frames_are_never_longer_than_listed_ones(frames: set[int]) -> None:
    assert len(format_frames(frames)) <= len(",".join(map(str, frames)))


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (range(1001, 1101), "1001-1100"),
        (range(1001, 1101, 2), "1001-1099x2"),
        ([1001, 1002, 1003, 1200], "1001-1003,1200"),
        ([-5, -4, -3], "-5--3"),
        ([1, 3, 5, 6, 7, 8], "1,3,5-8"),
        ([3, 1, 3], "1,3"),
        ([], ""),
    ],
)
def test_frames_are_written_shortly(frames: list[int], text: str) -> None:
    assert format_frames(frames) == text


@given(st.sets(st.integers(-40, 40), min_size=1))
def test_gaps_are_what_is_between_and_not_there(frames: set[int]) -> None:
    missing = gaps(tuple(sorted(frames)))
    assert not set(missing) & frames
    assert sorted({*missing, *frames}) == list(range(min(frames), max(frames) + 1))


def test_a_long_list_of_frames_is_cut_at_a_comma() -> None:
    scattered = [n * n for n in range(100)]
    short = short_frames(scattered, 60)
    assert len(short) <= 64 and short.endswith(",...")
    assert format_frames(scattered).startswith(short.removesuffix(",..."))
    assert short_frames(range(500)) == "0-499"


@pytest.mark.parametrize(
    ("text", "name", "span"),
    [
        ("p.####.exr 1001-1100x2", "p.####.exr", "1001-1100x2"),
        ("my plates/p v2.%04d.exr  -5--1:2,7", "my plates/p v2.%04d.exr", "-5--1:2,7"),
        ("two\nlines.exr 7", "two\nlines.exr", "7"),
        ("p.####.exr", "p.####.exr", ""),
        ("p.####.exr 1-", "p.####.exr 1-", ""),
        ("p 1001.exr", "p 1001.exr", ""),
        (" 1001", " 1001", ""),
        ("", "", ""),
    ],
)
def test_a_range_after_the_last_space_is_told_from_the_name(
    text: str, name: str, span: str
) -> None:
    assert split_range(text) == (name, span)

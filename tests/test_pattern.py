"""Names of sequences: ranges, patterns, and what a folder holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.pattern import Pattern, format_frames, nearest_name, parse_frames


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"")


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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/p.####.exr", "p.0012.exr"),
        ("a/p.#.exr", "p.12.exr"),
        ("a/p.@@@.exr", "p.012.exr"),
        ("a/p.%05d.exr", "p.00012.exr"),
        ("a/p.%d.exr", "p.12.exr"),
        ("a/p.$F4.exr", "p.0012.exr"),
        ("a/p.$F.exr", "p.12.exr"),
        ("a/100% 'p' (x)+.####.exr", "100% 'p' (x)+.0012.exr"),
        ("a.####/é[1].##.dpx", "é[1].12.dpx"),
        ("a/still.exr", "still.exr"),
    ],
)
def test_each_kind_of_token_is_formatted_and_found(tmp_path: Path, text: str, name: str) -> None:
    pattern = Pattern.parse(str(tmp_path / text))
    assert pattern.path(12).name == name
    pattern.path(12).parent.mkdir()
    touch(pattern.path(12).parent, name, "other.0012.tif")
    assert pattern.find() == {0 if pattern.is_still else 12: pattern.path(12)}


def test_two_tokens_are_an_error_that_names_both() -> None:
    with pytest.raises(SequenceError, match="'####' and '%04d'"):
        Pattern.parse("p.####.%04d.exr")


@pytest.mark.parametrize("text", ["", "folder/", "p.%99999999999d.exr", "p.%50d.exr", "a\0b.exr"])
def test_a_pattern_that_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(SequenceError):
        Pattern.parse(text)


def test_padding_is_a_least_width_and_negative_frames_have_two_spellings(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "p.9998.exr",
        "p.10000.exr",
        "p.010001.exr",
        "p.12.exr",
        "p.-0005.exr",
        "p.-006.exr",
        "p.-07.exr",
        "p.-000.exr",
        "p.-0000.exr",
        "xp.1001.exr",
        "p.1001.exr.tmp",
        ".p.1001.exr",
        "p.1001.exr\n",
        "p.١٢٣٤.exr",
    )
    assert list(Pattern.parse(str(tmp_path / "p.####.exr")).find()) == [-6, -5, 9998, 10000]
    assert Pattern.parse("p.####.exr").path(-5) == Path("p.-0005.exr")


def test_original_names_are_kept(tmp_path: Path) -> None:
    touch(tmp_path, "p.-006.exr", "p.99999.exr")
    found = Pattern.parse(str(tmp_path / "p.%04d.exr")).find()
    assert [path.name for path in found.values()] == ["p.-006.exr", "p.99999.exr"]


def test_two_files_of_one_frame_are_an_error_that_names_both(tmp_path: Path) -> None:
    touch(tmp_path, "p.-006.exr", "p.-0006.exr")
    with pytest.raises(SequenceError, match=r"frame -6 .*'p.-0006.exr' and 'p.-006.exr'"):
        Pattern.parse(str(tmp_path / "p.####.exr")).find()


def test_an_unreadable_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="cannot list the folder"):
        Pattern.parse(str(tmp_path / "none" / "p.####.exr")).find()


@given(
    st.text(st.characters(exclude_characters="/\0#@%$", exclude_categories=["Cs"]), max_size=20),
    st.integers(-99_999, 99_999),
    st.integers(1, 6),
)
def test_a_formatted_name_is_matched_by_its_own_pattern(head: str, frame: int, width: int) -> None:
    import tempfile

    pattern = Pattern.parse(f"{head}#{'#' * (width - 1)}.exr")
    with tempfile.TemporaryDirectory() as folder:
        there = Pattern(folder, pattern.head, pattern.width, pattern.tail, pattern.text)
        there.path(frame).write_bytes(b"")
        assert there.find() == {frame: there.path(frame)}


def test_the_hint_is_the_nearest_name_in_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, *(f"plate_v001.{n}.exr" for n in range(998, 1003)), "notes.txt")
    assert nearest_name(str(tmp_path / "plate_v01.####.exr")).startswith(
        str(tmp_path / "plate_v001.###")
    )
    assert nearest_name(str(tmp_path / "none" / "p.####.exr")) == ""
    assert nearest_name(str(tmp_path / "zzz.tif")) == ""


def test_the_module_needs_the_standard_library_only() -> None:
    heavy = "{'numpy', 'OpenImageIO', 'pyseq', 'torch'}"
    code = f"import sys, infusion_ofx.sequence.pattern; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])

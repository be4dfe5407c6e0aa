"""Patterns: tokens, views, frames to names and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.pattern import Pattern, expand_view, wants_view


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"")


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


def test_a_number_may_have_any_padding_and_negative_ones_two_spellings(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "p.9998.exr",
        "p.10000.exr",
        "p.010001.exr",
        "p.12.exr",
        "p.-0005.exr",
        "p.-006.exr",
    )
    frames = [-6, -5, 12, 9998, 10000, 10001]
    for text in ("p.####.exr", "p.#.exr", "p.%06d.exr"):
        assert list(Pattern.parse(str(tmp_path / text)).find()) == frames
    assert Pattern.parse("p.####.exr").path(-5) == Path("p.-0005.exr")


@pytest.mark.parametrize(
    "name",
    [
        "xp.1001.exr",
        "p.1001.exr.tmp",
        ".p.1001.exr",
        "p.1001.exr\n",
        "p.١٢٣٤.exr",
        "p.-000.exr",
        "p.--5.exr",
        "p.+5.exr",
        "p.1.5.exr",
        "p..exr",
        "p.20240131235959.exr",
        "p.0000000000000000001.exr",
    ],
)
def test_what_is_no_frame_of_the_pattern_is_left_out(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    assert Pattern.parse(str(tmp_path / "p.####.exr")).find() == {}


def test_original_names_are_kept(tmp_path: Path) -> None:
    touch(tmp_path, "p.-006.exr", "p.99999.exr")
    found = Pattern.parse(str(tmp_path / "p.%04d.exr")).find()
    assert [path.name for path in found.values()] == ["p.-006.exr", "p.99999.exr"]


@pytest.mark.parametrize(
    ("one", "two"), [("-0006", "-006"), ("1", "001"), ("01", "1"), ("1001", "01001")]
)
def test_two_files_of_one_frame_are_an_error_that_names_both(
    tmp_path: Path, one: str, two: str
) -> None:
    touch(tmp_path, f"p.{one}.exr", f"p.{two}.exr", "p.0033.exr")
    for text in ("p.####.exr", "p.#.exr"):
        with pytest.raises(SequenceError, match=f"frame {int(one)} .* has two files") as caught:
            Pattern.parse(str(tmp_path / text)).find()
        assert f"'p.{one}.exr'" in str(caught.value) and f"'p.{two}.exr'" in str(caught.value)


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


@pytest.mark.parametrize(
    ("text", "view", "name"),
    [
        ("a/%V/p_%v.####.exr", "left", "a/left/p_l.####.exr"),
        ("%V.%04d.exr", "right", "right.%04d.exr"),
        ("%V.exr", "%v", "%v.exr"),
        ("p.%04d.exr", "left", "p.%04d.exr"),
        ("100%verified.exr", "", "100%verified.exr"),
    ],
)
def test_a_view_stands_for_its_places(text: str, view: str, name: str) -> None:
    assert expand_view(text, view) == name
    assert wants_view(text) == ("%v" in text.lower())


def test_the_module_needs_the_standard_library_only() -> None:
    heavy = "{'numpy', 'OpenImageIO', 'pyseq', 'torch'}"
    code = f"import sys, infusion_ofx.sequence.pattern; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])

"""From what a user writes to files by frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.files import Files


def touch(folder: Path, *frames: str, name: str = "p.{}.exr") -> str:
    """Makes frames in a folder; returns their pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        (folder / name.format(frame)).write_bytes(b"")
    return str(folder / name.format("####"))


def test_a_gap_is_an_error_that_says_how_to_go_on(tmp_path: Path) -> None:
    files = Files.find(touch(tmp_path, "1001", "1002", "1005"))
    assert files.gaps() == (1003, 1004)
    with pytest.raises(SequenceError) as caught:
        files.select()
    for part in ("lacks frames 1003-1004", "it has 1001-1002,1005", "--frames 1001-1002,1005",
                 "--missing hold, skip or black"):  # fmt: skip
        assert part in str(caught.value)
    assert list(files.select((1001, 1005))[0]) == [1001, 1005]


def test_missing_frames_are_held_left_out_or_stood_in_for(tmp_path: Path) -> None:
    files = Files.find(touch(tmp_path, "0003", "0004", "0007"))
    served, missing = files.select(range(1, 10), "hold")
    assert missing == (1, 2, 5, 6, 8, 9)
    assert [path.name[3:6] for path in served.values()] == [
        *["003"] * 3, *["004"] * 3, *["007"] * 3,
    ]  # fmt: skip
    assert files.select(range(1, 10), "black") == (served, missing)
    assert list(files.select(range(1, 10), "skip")[0]) == [3, 4, 7]
    assert list(files.select(None, "hold")[0]) == [3, 4, 5, 6, 7]
    assert list(files.select(None, "skip")[0]) == [3, 4, 7]
    assert files.name(5) == "p.0005.exr"


@pytest.mark.parametrize("missing", ["error", "hold", "skip", "black"])
def test_a_range_of_which_nothing_is_there_is_an_error_whatever_is_missing(
    tmp_path: Path, missing: str
) -> None:
    files = Files.find(touch(tmp_path, "1001"))
    with pytest.raises(SequenceError, match="lacks frames 1-9; it has 1001") as caught:
        files.select(range(1, 10), missing)
    assert ("--missing" in str(caught.value)) == (missing == "error")
    with pytest.raises(SequenceError, match="no frame"):
        files.select((), missing)


def test_a_range_after_the_name_is_what_is_meant(tmp_path: Path) -> None:
    text = touch(tmp_path, *(f"{n:04}" for n in range(1, 11)))
    assert list(Files.find(f"{text} 2-6x2,9").select()[0]) == [2, 4, 6, 9]
    assert list(Files.find(f"{tmp_path} 2-3").select()[0]) == [2, 3]
    part = Files.find(f"{text} 2-6")
    assert list(part.select((3, 4))[0]) == [3, 4]
    with pytest.raises(SequenceError, match=r"frames 7-8 are asked for, and the range in"):
        part.select(range(5, 9))
    with pytest.raises(SequenceError, match="lacks frames 11-12"):
        Files.find(f"{text} 9-12").select()


def test_a_path_that_is_a_frame_or_would_count_as_one_is_known(tmp_path: Path) -> None:
    files = Files.find(touch(tmp_path / "a", "0998", "0999") + " 998")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "linked.exr").hardlink_to(tmp_path / "a" / "p.0999.exr")
    for name in ("a/p.0999.exr", "b/p.0999.exr", "a/../b/p.999.exr", "b/p.00999.exr", "linked.exr"):
        assert files.frame_at(tmp_path / name) == 999
    assert files.frame_at(tmp_path / "a" / "p.1000.exr") == 1000
    for name in ("p.0998.exr", "c/p.0998.exr", "a/q.0998.exr"):
        assert files.frame_at(tmp_path / name) is None
    still = Files.find(str(tmp_path / "a" / "p.0998.exr"))
    assert still.frame_at(tmp_path / "b" / "p.0998.exr") == 998
    assert still.frame_at(tmp_path / "a" / "p.998.exr") is None


def test_a_name_that_exists_is_taken_as_it_is_written(tmp_path: Path) -> None:
    for name in ("p.####.exr 1001-1002", "100%V.exr", "a#b.exr"):
        (tmp_path / name).write_bytes(b"")
        files = Files.find(str(tmp_path / name), view="left")
        assert files.still and files.select()[0].popitem()[1] == tmp_path / name


def test_a_view_stands_in_names_and_in_folders(tmp_path: Path) -> None:
    for view in ("left", "right"):
        touch(tmp_path / view, "1", "2", name=f"p_{view[0]}.{{}}.exr")
    text = str(tmp_path / "%V" / "p_%v.#.exr")
    assert list(Files.find(f"{text} 1-2", "right").by_frame.values()) == [
        tmp_path / "right" / f"p_r.{n}.exr" for n in (1, 2)
    ]
    assert list(Files.find(str(tmp_path / "%V"), "left").by_frame) == [1, 2]
    with pytest.raises(SequenceError, match="no sequence .*say with --view what %V"):
        Files.find(text)


def test_differing_padding_keeps_each_files_own_name(tmp_path: Path) -> None:
    text = touch(tmp_path, "1", "02", "003", "0004", "5")
    for spelling in (text, str(tmp_path), text.replace("####", "%d")):
        files = Files.find(spelling)
        assert [path.name for path in files.select()[0].values()] == [
            "p.1.exr", "p.02.exr", "p.003.exr", "p.0004.exr", "p.5.exr",
        ]  # fmt: skip


def test_frames_too_far_apart_are_an_error_and_no_list(tmp_path: Path) -> None:
    files = Files.find(touch(tmp_path, "1", "999999999"))
    with pytest.raises(SequenceError, match="run from 1 to 999999999, too far"):
        files.select()
    assert list(files.select((1,))[0]) == [1]


def test_a_still_serves_whatever_is_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "0007")
    files = Files.find(str(tmp_path / "p.0007.exr"))
    assert files.still and list(files.select()[0]) == [7]
    assert files.select(range(3)) == ({n: tmp_path / "p.0007.exr" for n in range(3)}, ())
    assert list(Files.find(f"{tmp_path}/p.0007.exr 1-3").select()[0]) == [1, 2, 3]
    assert files.name(2) == "p.0007.exr"


def test_what_is_not_there_comes_with_the_likely_name(tmp_path: Path) -> None:
    touch(tmp_path, "1001", "1002", name="plate_v002.{}.exr")
    with pytest.raises(SequenceError, match=r"no sequence .*did you mean '.*plate_v002.####.exr'"):
        Files.find(str(tmp_path / "plate_v02.####.exr"))
    with pytest.raises(SequenceError, match="no file"):
        Files.find(str(tmp_path / "x.exr"))
    with pytest.raises(SequenceError, match="no folder '.*none/'"):
        Files.find(f"{tmp_path}/none/")

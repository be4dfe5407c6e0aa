"""What a folder holds, and the name that was likely meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.listing import (
    format_of,
    frame_of,
    list_sequences,
    nearest_name,
    only_sequence,
)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"")


def listed(folder: Path) -> list[str]:
    return [str(Path(pattern.text).relative_to(folder)) for pattern in list_sequences(str(folder))]


def test_a_folder_is_listed_by_the_last_number_of_each_name(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("p_v001.0999.exr", "p_v001.1000.exr", "p_v002.0999.exr"),
        *("q.9.dpx", "q.10.dpx", "q.-1.dpx", "cut-1001.png", "cut-1002.png"),
        *("a.jpg", "20240131235959.tif", "notes_1.txt", ".p.1001.exr", "x.tmp"),
        *("comp_v001.exr", "comp_v002.exr"),
    )
    assert listed(tmp_path) == [
        "20240131235959.tif",
        "a.jpg",
        "comp_v001.exr",
        "comp_v002.exr",
        "cut-####.png",
        "p_v001.####.exr",
        "p_v002.0999.exr",
        "q.#.dpx",
    ]
    q = next(pattern for pattern in list_sequences(str(tmp_path)) if pattern.tail == ".dpx")
    assert list(q.find()) == [-1, 9, 10]


@given(
    st.lists(st.from_regex(r"[a-cA_.\- #%é]{0,3}-?[0-9]{0,4}[._-]?[ab]?\.exr", fullmatch=True),
             max_size=8, unique=True)
)  # fmt: skip
def test_every_picture_of_a_folder_is_in_one_sequence(names: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        touch(Path(folder), *names)
        found: list[str] = []
        for pattern in list_sequences(folder):
            try:
                found += [path.name for path in pattern.find().values()]
            except SequenceError as error:  # two spellings of one number
                assert "has two files" in str(error)
                return
        # A dash may be the name's or the number's, and -0 is no number.
        assert {name for name in names if name[0] != "." and "-" not in name} <= set(found)


def test_a_film_sequence_goes_before_pictures_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "p.1.exr", "p.2.exr", "thumb.jpg", "sheet.png")
    assert only_sequence(str(tmp_path)).tail == ".exr"
    (tmp_path / "p.1.exr").unlink()
    (tmp_path / "p.2.exr").unlink()
    with pytest.raises(SequenceError, match=r"holds 2 sequences: 'sheet.png', 'thumb.jpg'; name"):
        only_sequence(str(tmp_path))
    (tmp_path / "thumb.jpg").unlink()
    assert only_sequence(str(tmp_path)).is_still


def test_formats_and_lone_frames_are_told_from_names() -> None:
    assert [format_of(n) for n in ("a.EXR", "b.tif", "c.tiff", "d.txt", "exr")] == [
        "openexr", "tiff", "tiff", "", "",
    ]  # fmt: skip
    names = ("m.0007.exr", "m.exr", "m.-3.exr", "v2-12.dpx", "123456789012.exr", "m_v3.exr")
    assert [frame_of(name) for name in names] == [7, 1, -3, 12, 1, 1]


def test_the_hint_is_the_nearest_name_in_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, *(f"plate_v001.{n}.exr" for n in range(998, 1003)), "notes.txt")
    assert nearest_name(str(tmp_path / "plate_v01.####.exr")).startswith(
        str(tmp_path / "plate_v001.###")
    )
    assert nearest_name(str(tmp_path / "none" / "p.####.exr")) == ""
    assert nearest_name(str(tmp_path / "zzz.tif")) == ""

"""Files that nobody vouches for: the look before they are opened, and what is said of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError, TryAgainError
from infusion_ofx.sequence.source import (
    check_file,
    check_size,
    copy_file,
    is_absurd,
    printable,
    reading,
)


def test_only_plain_files_with_bytes_in_them_are_opened(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    for path in (
        tmp_path,
        *(tmp_path / name for name in ("empty", "link", "fifo", "none", "a\0b", "bad\udcff")),
    ):
        with pytest.raises(SequenceError) as caught:
            check_file(path)
        assert repr(str(path)) in str(caught.value) and caught.value.hint


def test_storage_that_may_recover_is_no_fault_of_the_file(tmp_path: Path) -> None:
    for number, kind in ((errno.ESTALE, TryAgainError), (errno.EACCES, SequenceError)):
        with pytest.raises(kind, match=f"cannot read '.*a.exr': {os.strerror(number)}"):
            with reading(tmp_path / "a.exr"):
                raise OSError(number, os.strerror(number))


def test_a_copy_tells_a_source_that_is_not_there_from_a_target_that_cannot_be(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").write_bytes(b"bytes")
    copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"bytes"
    with pytest.raises(SequenceError, match="cannot read .*none"):
        copy_file(tmp_path / "none", tmp_path / "b")
    with pytest.raises(OSError, match="folder"):
        copy_file(tmp_path / "a", tmp_path / "folder" / "b")


def test_pictures_that_nobody_shoots_are_absurd() -> None:
    for side in (1, 2048, 16384):
        assert not is_absurd(side, side)
    assert not is_absurd(65536, 4096)
    for width, height in ((0, 5), (5, -1), (65537, 1), (1, 1_000_000), (16384, 16385)):
        assert is_absurd(width, height)


@pytest.mark.parametrize("size", [(0, 5, 0), (65537, 1, 0), (5, -1, 0), (4, 4, 17)])
def test_a_size_that_no_file_holds_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="claims"):
        check_size(*size, 16)


@given(st.text())
def test_a_text_out_of_a_file_is_shown_as_one_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable() and len(shown.encode("utf-8")) <= 800

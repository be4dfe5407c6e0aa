"""OpenEXR files that are cut short, flipped, absurd or no OpenEXR at all: one clear error each."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import exr
from infusion_ofx.sequence.exr_file import check_chunks, read_layout
from infusion_ofx.sequence.frame import Box

WINDOW = Box(-9, -7, 31, 41)


def plate(path: Path, window: Box = WINDOW) -> Path:
    """An RGB half zip file with noise in it."""
    spec = oiio.ImageSpec(window.width, window.height, 3, "half")
    spec.x, spec.y = window.left, window.top
    out = oiio.ImageOutput.create("openexr")
    assert out is not None and out.open(str(path), spec)
    noise = np.random.default_rng(1).random((window.height, window.width, 3))
    assert out.write_image(noise.astype(np.float16)) and out.close()
    return path


@pytest.mark.parametrize("keep", [1, 4, 7, 8, 40, 300, 0.3, 0.9, -1])
def test_a_file_cut_short_anywhere_is_refused_by_its_header(tmp_path: Path, keep: float) -> None:
    data = plate(tmp_path / "a.exr").read_bytes()
    cut = tmp_path / "cut.exr"
    cut.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(SequenceError) as caught:
        exr.header(cut)
    assert repr(str(cut)) in str(caught.value) and caught.value.hint


def test_flipped_bytes_never_give_anything_but_pixels_or_one_clear_error(tmp_path: Path) -> None:
    window = Box(0, 0, 9, 7)
    source = plate(tmp_path / "a.exr", window)
    data, random = source.read_bytes(), np.random.default_rng(5)
    for _ in range(300):
        broken = bytearray(data)
        broken[random.integers(len(data) // 2 if random.random() < 0.2 else len(data))] ^= int(
            random.integers(1, 256)
        )
        source.write_bytes(broken)
        try:
            assert exr.read(source, "RGB", window).shape == (9, 7, 3)
        except SequenceError as error:
            assert repr(str(source)) in str(error)


def test_absurd_windows_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    source = plate(tmp_path / "a.exr")
    data = source.read_bytes()
    at = data.index(b"dataWindow\0box2i\0") + 21
    for right in (1_000_000, 2**31 - 1, -(2**31)):
        source.write_bytes(data[:at] + struct.pack("<4i", 0, 0, right, 60_000) + data[at + 16 :])
        with pytest.raises(SequenceError, match="absurd"):
            exr.header(source)


@pytest.mark.parametrize("content", [b"text, not a picture", b"SDPX" + bytes(3000)])
def test_other_files_under_an_exr_name_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.exr").write_bytes(content)
    with pytest.raises(SequenceError, match="no OpenEXR file"):
        exr.header(tmp_path / "a.exr")


def test_the_chunk_check_finds_a_chunk_that_is_not_there(tmp_path: Path) -> None:
    source = plate(tmp_path / "a.exr")
    check_chunks(source)
    layout, data = read_layout(source), bytearray(source.read_bytes())
    first = layout.header_end
    data[first : first + 8] = data[first + 8 : first + 16]
    source.write_bytes(data)
    with pytest.raises(SequenceError, match="chunk 0 is not where"):
        check_chunks(source)

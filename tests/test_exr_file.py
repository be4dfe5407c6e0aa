"""OpenEXR files that are cut short, flipped, absurd or no OpenEXR at all: one clear error each."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import exr
from infusion_ofx.sequence.exr_file import check_chunks, read_layout
from infusion_ofx.sequence.frame import Box, Edit, Picked

WINDOW = Box(0, 0, 40, 20)
EDIT = Box(5, 2, 30, 9)


def part(compression: str, name: str, tile: int = 0) -> OpenEXR.Part:
    header = {
        "compression": getattr(OpenEXR, f"{compression}_COMPRESSION"),
        "type": OpenEXR.tiledimage if tile else OpenEXR.scanlineimage,
    }
    if tile:
        header["tiles"] = OpenEXR.TileDescription()
        header["tiles"].xSize = header["tiles"].ySize = tile
    ramp = np.arange(WINDOW.height * WINDOW.width).reshape(WINDOW.height, WINDOW.width)
    planes = {"R": ramp.astype(np.float16), "Z": ramp.astype("f4"), "id": ramp.astype("u4")}
    return OpenEXR.Part(header, planes, name)


def plate(path: Path) -> Path:
    OpenEXR.File([part("ZIP", "")], num_threads=0).write(str(path))
    return path


def parts(path: Path) -> Path:
    several = [part("DWAA", "a"), part("ZIPS", "b"), part("PIZ", "c", 16), part("NO", "d")]
    OpenEXR.File(several, num_threads=0).write(str(path))
    return path


def do_everything(source: Path, target: Path) -> None:
    """Reads and rewrites every part of a file."""
    header = exr.header(source)
    where = np.ones((EDIT.height, EDIT.width), bool)
    for i, each in enumerate(header.parts):
        picked = Picked(i, (each.channels[0].name,), each.data)
        pixels = exr.read(header, picked, EDIT)
        exr.rewrite(header, target, Edit(picked, EDIT, pixels, where))
        exr.verify(target)


@pytest.mark.parametrize("make", [plate, parts])
def test_a_file_cut_short_anywhere_is_refused_by_its_header(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    source = make(tmp_path / "a.exr")
    do_everything(source, tmp_path / "b.exr")
    data = source.read_bytes()
    for keep in [*range(1, 60), *range(60, len(data), 97), len(data) - 1]:
        source.write_bytes(data[:keep])
        with pytest.raises(SequenceError) as caught:
            exr.header(source)
        assert repr(str(source)) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("make", [plate, parts])
@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_never_give_anything_but_frames_or_one_clear_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], Path], seed: int
) -> None:
    source, rng = make(tmp_path / "a.exr"), random.Random(seed)
    data = source.read_bytes()
    for _ in range(20):
        broken = bytearray(data)
        for _ in range(rng.choice([1, 1, 4])):
            at = rng.randrange(rng.choice([400, len(data)]))
            broken[at] = rng.choice([0, 1, 255, broken[at] ^ 1 << rng.randrange(8)])
        source.write_bytes(broken)
        try:
            do_everything(source, tmp_path / "b.exr")
        except SequenceError as error:
            assert repr(str(source)) in str(error) and "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


def patched(path: Path, mark: bytes, skip: int, value: bytes) -> Path:
    """Writes bytes over those that follow a mark in a plate."""
    data = plate(path).read_bytes()
    at = data.index(mark) + len(mark) + skip
    path.write_bytes(data[:at] + value + data[at + len(value) :])
    return path


@pytest.mark.parametrize("right", [1_000_000, 2**31 - 1, -(2**31)])
def test_absurd_windows_are_refused_before_anything_is_allocated(
    tmp_path: Path, right: int
) -> None:
    window = struct.pack("<4i", 0, 0, right, 60_000)
    source = patched(tmp_path / "a.exr", b"dataWindow\0box2i\0", 4, window)
    with pytest.raises(SequenceError, match="absurd"):
        exr.header(source)


def test_chunks_that_claim_far_more_than_the_file_holds_are_refused(tmp_path: Path) -> None:
    OpenEXR.File([part("ZIP", "", 40)], num_threads=0).write(str(tmp_path / "a.exr"))
    data = bytearray((tmp_path / "a.exr").read_bytes())
    struct.pack_into("<2i", data, data.index(b"dataWindow\0box2i\0") + 29, 16_000, 16_000)
    struct.pack_into("<2i", data, data.index(b"tiles\0tiledesc\0") + 19, 16_001, 16_001)
    (tmp_path / "a.exr").write_bytes(data)
    with pytest.raises(SequenceError, match="absurd in a file of"):
        exr.header(tmp_path / "a.exr")


@pytest.mark.parametrize("kind", [b"deepscanline", b"deeptile", b"tiledimage"])
def test_a_lone_flat_part_is_what_its_flags_say_whatever_its_type_says(
    tmp_path: Path, kind: bytes
) -> None:
    source = patched(tmp_path / "a.exr", b"type\0string\0", 4, kind.ljust(13))
    do_everything(source, tmp_path / "b.exr")


@pytest.mark.parametrize("content", [b"text, not a picture", b"SDPX" + bytes(3000)])
def test_other_files_under_an_exr_name_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.exr").write_bytes(content)
    with pytest.raises(SequenceError, match="no OpenEXR file"):
        exr.header(tmp_path / "a.exr")


@pytest.mark.parametrize(
    "mark, skip, value, reason",
    [
        pytest.param(b"com", 0, b"P", "lacks 'compression'", id="no compression"),
        pytest.param(b"chlist\0", 4, b"\0", "has no channels", id="no channels"),
        pytest.param(b"chlist\0", 6, b"\7", "unknown type", id="type of a channel"),
        pytest.param(b"chlist\0", 22, b"R", "different ones", id="a channel twice"),
        pytest.param(b"lineOrder\0lineOrder\0", 0, b"\xff" * 4, "not sane", id="a length below 0"),
        pytest.param(b"lineOrder\0lineOrder\0", 3, b"\x7f", "cut short", id="a length too great"),
    ],
)
def test_a_header_that_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, mark: bytes, skip: int, value: bytes, reason: str
) -> None:
    source = patched(tmp_path / "a.exr", mark, skip, value)
    with pytest.raises(SequenceError, match=reason):
        exr.header(source)


def test_a_header_longer_than_one_read_is_read(tmp_path: Path) -> None:
    big = part("ZIP", "")
    big.header["comments"] = "c" * 2_000_000
    OpenEXR.File([big], num_threads=0).write(str(tmp_path / "a.exr"))
    do_everything(tmp_path / "a.exr", tmp_path / "b.exr")
    assert len(exr.header(tmp_path / "b.exr").facts["comments"]) < 1000


def test_the_chunk_check_finds_a_chunk_that_is_not_there(tmp_path: Path) -> None:
    source = plate(tmp_path / "a.exr")
    check_chunks(source)
    at, data = read_layout(source).header_end, bytearray(source.read_bytes())
    data[at : at + 8] = data[at + 8 : at + 16]
    source.write_bytes(data)
    with pytest.raises(SequenceError, match="a chunk is not where the table says"):
        check_chunks(source)
    with pytest.raises(SequenceError, match="a chunk is not where the table says"):
        exr.verify(source)


def test_chunks_that_overlap_are_refused_before_a_byte_is_lost(tmp_path: Path) -> None:
    """A line's chunk within the pixels of another one, which an edit would move away."""
    OpenEXR.File([part("NO", "")], num_threads=0).write(str(tmp_path / "a.exr"))
    layout, data = read_layout(tmp_path / "a.exr"), bytearray((tmp_path / "a.exr").read_bytes())
    table = layout.header_end
    first = struct.unpack_from("<Q", data, table)[0]
    struct.pack_into("<2i", data, first + 50, 1, 20)  # claims to be line 1, of 20 bytes
    struct.pack_into("<Q", data, table + 8, first + 50)
    (tmp_path / "a.exr").write_bytes(data)
    header = exr.header(tmp_path / "a.exr")
    picked = header.pick(["R"])
    one = np.ones((1, 1, 1), np.float32)
    with pytest.raises(SequenceError, match="overlap"):
        exr.rewrite(header, tmp_path / "b.exr", Edit(picked, Box(0, 0, 1, 1), one, one[..., 0] > 0))

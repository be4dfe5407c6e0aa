"""OpenEXR: what a header tells, and that a box of any part comes as it is stored."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import exr
from infusion_ofx.sequence.frame import Box, Channel

Array = npt.NDArray[Any]
WINDOW = Box(-9, -7, 31, 41)
DISPLAY = Box(0, 0, 36, 48)
EVERYWHERE = st.integers(-60, 90)


def numbers(kind: str, window: Box = WINDOW, seed: int = 1) -> Array:
    """Any bits at all as samples (height, width)."""
    dtype = np.dtype(kind)
    size = window.height * window.width * dtype.itemsize
    return np.frombuffer(np.random.default_rng(seed).bytes(size), dtype).reshape(
        window.height, window.width
    )


def part(
    planes: Mapping[str, Array], name: str = "", window: Box = WINDOW, **header: Any
) -> OpenEXR.Part:
    """A flat part; zip and scan lines unless the header says otherwise."""
    given = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "dataWindow": ((window.left, window.top), (window.right - 1, window.bottom - 1)),
        "displayWindow": ((0, 0), (DISPLAY.right - 1, DISPLAY.bottom - 1)),
        **header,
    }
    return OpenEXR.Part(given, dict(planes), name)


def deep_part(name: str) -> OpenEXR.Part:
    samples = np.full((WINDOW.height, WINDOW.width), None)
    samples[3, 3] = np.zeros(2, np.float32)
    return part(
        {"Z": samples}, name, type=OpenEXR.deepscanline, compression=OpenEXR.ZIPS_COMPRESSION
    )


def write(path: Path, *parts: OpenEXR.Part) -> Path:
    OpenEXR.File(list(parts), num_threads=0).write(str(path))
    return path


def read(path: Path, names: str, box: Box = WINDOW, **where: str) -> Array:
    header = exr.header(path)
    return exr.read(header, header.pick(names.split(), **where), box)


def as_luminance_and_chroma(path: Path) -> Path:
    """Says of the channel RY that it has a sample for every second pixel only."""
    data = path.read_bytes()
    at = data.index(b"RY\0") + 3 + 8
    path.write_bytes(data[:at] + struct.pack("<ii", 2, 2) + data[at + 8 :])
    return path


def test_the_header_is_in_display_space_and_lists_channels_as_they_are_stored(
    tmp_path: Path,
) -> None:
    planes = {"R": numbers("f2"), "left.B": numbers("f4"), "id": numbers("u4")}
    header = exr.header(write(tmp_path / "a.exr", part(planes, pixelAspectRatio=2.0)))
    assert (header.format, header.display, header.pixel_aspect) == ("openexr", DISPLAY, 2)
    assert (header.parts[0].data, header.parts[0].compression) == (WINDOW, "zip")
    assert set(header.parts[0].channels) == {
        Channel("R", "half"),
        Channel("left.B", "float"),
        Channel("id", "uint"),
    }
    assert header.parts[0].unread == "" and header.views == ()


def test_parts_and_their_views_are_listed_with_the_reason_why_one_is_not_read(
    tmp_path: Path,
) -> None:
    source = write(
        tmp_path / "a.exr",
        deep_part("deep"),
        part({"R": numbers("f2")}, "rgb.right", view="right"),
        part({"Y": numbers("f2"), "RY": numbers("f2")}, "yc", view="right"),
        part({"R": numbers("f2")}, "rgb.left", view="left"),
    )
    header = exr.header(as_luminance_and_chroma(source))
    assert [each.unread for each in header.parts] == ["deep", "", "luminance and chroma", ""]
    assert [each.name for each in header.parts] == ["deep", "rgb.right", "yc", "rgb.left"]
    assert header.views == ("right", "left")
    assert header.pick(["R"]).part == 1 and header.pick(["rgb.R"], view="left").part == 3


def test_views_of_one_part_are_those_that_it_names(tmp_path: Path) -> None:
    planes = {"R": numbers("f2", seed=1), "right.R": numbers("f2", seed=2)}
    source = write(tmp_path / "a.exr", part(planes, multiView=["left", "right"]))
    assert exr.header(source).views == ("left", "right")
    got = read(source, "R", view="right")[..., 0]
    assert np.array_equal(got.view("u2"), planes["right.R"].view("u2"))


@pytest.mark.parametrize(
    "parts, reason, remedy",
    [
        pytest.param([deep_part("")], "it is deep", "flat", id="deep"),
        pytest.param(
            [part({"Y": numbers("f2"), "RY": numbers("f2")})],
            "it is luminance and chroma",
            "RGB",
            id="luminance and chroma",
        ),
    ],
)
def test_a_file_without_a_part_to_read_is_refused_with_the_remedy(
    tmp_path: Path, parts: list[OpenEXR.Part], reason: str, remedy: str
) -> None:
    source = write(tmp_path / "a.exr", *parts)
    if "RY" in parts[0].channels:
        as_luminance_and_chroma(source)
    with pytest.raises(SequenceError, match=reason) as caught:
        exr.header(source)
    assert remedy in caught.value.hint and repr(str(source)) in str(caught.value)


def test_a_part_of_an_unknown_compression_is_carried_but_not_read(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.exr", part({"R": numbers("f2")}, "a"), part({"G": numbers("f2")}, "b")
    )
    data = source.read_bytes()
    at = data.rindex(b"compression\0compression\0") + 28
    source.write_bytes(data[:at] + b"\x63" + data[at + 1 :])
    header = exr.header(source)
    assert [each.unread for each in header.parts] == ["", "compressed by method 99"]
    exr.verify(source)


@settings(max_examples=25)
@given(top=EVERYWHERE, left=EVERYWHERE, bottom=EVERYWHERE, right=EVERYWHERE, tiled=st.booleans())
def test_any_box_comes_bit_for_bit_and_is_black_outside_the_data(
    tmp_path_factory: pytest.TempPathFactory,
    top: int,
    left: int,
    bottom: int,
    right: int,
    tiled: bool,
) -> None:
    planes, header = {name: numbers("f2", seed=ord(name)) for name in "RGBA"}, {}
    if tiled:
        header = {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
        header["tiles"].xSize, header["tiles"].ySize = 16, 8
    source = write(tmp_path_factory.mktemp("box") / "a.exr", part(planes, **header))
    box = Box(top, left, bottom, right)
    got = read(source, "A R", box)
    assert got.dtype == np.float16 and got.shape == (box.height, box.width, 2)
    inner = box.intersect(WINDOW)
    for i, name in enumerate("AR"):
        black = np.zeros((box.height, box.width), np.float16)
        black[box.slices(inner)] = planes[name][WINDOW.slices(inner)]
        assert np.array_equal(got[..., i].view("u2"), black.view("u2"))


def test_samples_come_in_their_own_type_and_uint_beside_others_is_refused(tmp_path: Path) -> None:
    bits = {"h": numbers("f2"), "f": numbers("f4"), "i": numbers("u4")}
    source = write(tmp_path / "a.exr", part(bits))
    for name, kind in (("h", "f2"), ("f", "f4"), ("i", "u4")):
        got = read(source, name)[..., 0]
        assert got.dtype == kind and got.tobytes() == bits[name].tobytes()
    both = read(source, "f h")
    assert both.dtype == np.float32 and both[..., 0].tobytes() == bits["f"].tobytes()
    assert np.array_equal(both[..., 1], bits["h"].astype(np.float32), equal_nan=True)
    with pytest.raises(SequenceError, match="uint beside others"):
        read(source, "h i")


def test_a_box_of_any_part_is_read_out_of_that_part(tmp_path: Path) -> None:
    small = Box(2, 3, 9, 30)
    depth = numbers("f4", small)
    source = write(
        tmp_path / "a.exr",
        deep_part("deep"),
        part({"R": numbers("f2")}, "rgb"),
        part({"Z": depth}, "depth", small),
    )
    assert read(source, "depth.Z", small).tobytes() == depth.tobytes()
    assert not read(source, "Z", Box(20, 3, 25, 30)).any()


def test_only_the_chunks_that_a_box_meets_are_decoded_and_damage_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ramp = np.arange(WINDOW.height * WINDOW.width, dtype=np.float32)
    source = write(tmp_path / "a.exr", part({"R": ramp.reshape(WINDOW.height, WINDOW.width)}))
    data = bytearray(source.read_bytes())
    data[-100:-50] = bytes(50)  # within the last chunk, lines 23 to 30
    source.write_bytes(data)
    assert read(source, "R", Box(-9, 0, 23, 5))[0, 0] == 7
    with pytest.raises(SequenceError, match="corrupted") as caught:
        read(source, "R", Box(22, 0, 24, 5))
    assert repr(str(source)) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_changed_after_its_header_was_read_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", part({"R": numbers("f2")}))
    header = exr.header(source)
    picked = header.pick(["R"])
    write(source, part({"R": numbers("f4")}))
    with pytest.raises(SequenceError, match="changed since it was opened"):
        exr.read(header, picked, WINDOW)
    with pytest.raises(SequenceError, match="changed since it was opened"):
        exr.check_rewrite(header, picked)

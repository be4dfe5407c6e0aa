"""DPX: codes in and out exactly, and only the edited codes' bytes change."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import dpx
from infusion_ofx.sequence.frame import Box

Array = npt.NDArray[Any]
ALL = Box(0, 0, 6, 11)
EDIT = Box(1, 2, 5, 9)
KINDS = [(8, 0), (10, 1), (10, 2), (12, 1), (16, 0)]
DESCRIPTORS = {("R", "G", "B"): 50, ("R", "G", "B", "A"): 51, ("A", "B", "G", "R"): 52, ("Y",): 6}

FIELDS = {
    "orientation": (768, ">H"),
    "elements": (770, ">H"),
    "sign": (780, ">I"),
    "bits": (803, ">B"),
    "packing": (804, ">H"),
    "encoding": (806, ">H"),
}
"""Where fields of a big-endian header are."""


def codes_for(bits: int, channels: int, box: Box = ALL) -> Array:
    count = box.height * box.width * channels
    return (np.arange(count) * 7919 % (1 << bits)).reshape(box.height, box.width, channels)


def pack_row(codes: Array, bits: int, packing: int, order: str) -> bytes:
    """One row by the letter of the standard, code by code."""
    values = [int(code) for code in codes.ravel()]
    if bits == 8:
        return bytes(values)
    if bits in (12, 16):
        shift = 4 if bits == 12 else 0
        return struct.pack(f"{order}{len(values)}H", *(value << shift for value in values))
    values += [0] * (-len(values) % 3)
    low = 2 if packing == 1 else 0
    return b"".join(
        struct.pack(f"{order}I", (a << 20 | b << 10 | c) << low)
        for a, b, c in zip(values[::3], values[1::3], values[2::3], strict=True)
    )


def write(
    path: Path,
    codes: Array,
    bits: int,
    packing: int,
    order: str = ">",
    names: Sequence[str] = ("R", "G", "B"),
    transfer: int = 1,
    row_end: int = 0,
) -> Path:
    height, width, _ = codes.shape
    header = bytearray(b"\xa5" * 2048)  # every field that nobody reads must survive too
    header[:4] = b"SDPX" if order == ">" else b"XPDS"
    struct.pack_into(f"{order}I", header, 4, 2048)
    header[8:16] = b"V1.0\0\0\0\0"
    struct.pack_into(f"{order}3I", header, 24, 1664, 384, 0)
    struct.pack_into(f"{order}HHII", header, 768, 0, 1, width, height)
    struct.pack_into(f"{order}I", header, 780, 0)
    header[800:804] = bytes([DESCRIPTORS[tuple(names)], transfer, 2, bits])
    struct.pack_into(f"{order}HHII", header, 804, packing, 0, 2048, row_end)
    rows = [pack_row(row, bits, packing, order) + b"\xee" * row_end for row in codes]
    path.write_bytes(bytes(header) + b"".join(rows))
    return path


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(("bits", "packing"), KINDS)
@pytest.mark.parametrize("names", [("R", "G", "B"), ("R", "G", "B", "A"), ("A", "B", "G", "R")])
def test_codes_are_read_as_the_standard_packs_them(
    tmp_path: Path, bits: int, packing: int, order: str, names: tuple[str, ...]
) -> None:
    codes = codes_for(bits, len(names))
    path = write(tmp_path / "a.dpx", codes, bits, packing, order, names)
    got = dpx.read(path, names, ALL)
    assert got.dtype == np.float32
    assert np.array_equal(got, codes.astype(np.float32) / np.float32((1 << bits) - 1))
    wider = dpx.read(path, ["B", "R"], ALL.grow(2))
    wanted = got[..., [names.index("B"), names.index("R")]]
    assert np.array_equal(wider[2:-2, 2:-2], wanted) and not wider[:2].any()
    assert np.array_equal(dpx.read(path, names, EDIT), got[ALL.slices(EDIT)])


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(("bits", "packing"), KINDS)
@pytest.mark.parametrize("names", [("R", "G", "B"), ("R", "G", "B", "A")])
def test_an_edit_changes_the_bytes_of_its_codes_only(
    tmp_path: Path, bits: int, packing: int, order: str, names: tuple[str, ...]
) -> None:
    codes = codes_for(bits, len(names))
    source = write(tmp_path / "a.dpx", codes, bits, packing, order, names, row_end=4)
    where = np.indices((EDIT.height, EDIT.width)).sum(0) % 2 == 0
    new = (codes_for(bits, 2, EDIT) + 5) % (1 << bits)
    dpx.rewrite(
        source,
        tmp_path / "b.dpx",
        ["B", "G"],
        EDIT,
        new.astype(np.float32) / np.float32((1 << bits) - 1),
        where,
    )
    wanted = codes.copy()
    for i, place in enumerate((2, 1)):
        wanted[ALL.slices(EDIT)][..., place][where] = new[..., i][where]
    expected = write(tmp_path / "c.dpx", wanted, bits, packing, order, names, row_end=4)
    assert (tmp_path / "b.dpx").read_bytes() == expected.read_bytes()
    dpx.verify(tmp_path / "b.dpx")


def test_bits_between_the_codes_survive(tmp_path: Path) -> None:
    source = write(tmp_path / "a.dpx", codes_for(10, 3), 10, 1)
    data = bytearray(source.read_bytes())
    data[2051::4] = bytes(byte | 3 for byte in data[2051::4])
    source.write_bytes(data)
    pixels = dpx.read(source, "RGB", ALL)
    where = np.ones((ALL.height, ALL.width), bool)
    dpx.rewrite(source, tmp_path / "b.dpx", "RGB", ALL, pixels, where)
    assert (tmp_path / "b.dpx").read_bytes() == bytes(data)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_every_code_goes_out_and_comes_back_as_itself(tmp_path: Path, bits: int) -> None:
    box = Box(0, 0, (1 << bits) // 64, 64)
    codes = np.repeat(np.arange(1 << bits).reshape(box.height, box.width, 1), 3, axis=2)
    path = write(tmp_path / "a.dpx", codes, bits, 1)
    blank = write(tmp_path / "b.dpx", codes * 0, bits, 1)
    pixels = dpx.read(path, "RGB", box)
    dpx.rewrite(blank, tmp_path / "c.dpx", "RGB", box, pixels, np.ones((box.height, 64), bool))
    assert (tmp_path / "c.dpx").read_bytes() == path.read_bytes()


def test_codes_are_rounded_to_nearest_and_clamped(tmp_path: Path) -> None:
    source = write(tmp_path / "a.dpx", codes_for(10, 3), 10, 1)
    values = np.array([100.4, 100.6, -5, 9999, np.nan, np.inf, -np.inf]).astype(np.float32) / 1023
    box = Box(0, 0, 1, 7)
    dpx.rewrite(
        source, tmp_path / "b.dpx", ["G"], box, values.reshape(1, 7, 1), np.ones((1, 7), bool)
    )
    got = np.rint(dpx.read(tmp_path / "b.dpx", ["G"], box).ravel() * 1023).tolist()
    assert got == [100, 101, 0, 1023, 0, 1023, 0]


@pytest.mark.parametrize("width", [11, 12, 97])
def test_openimageio_reads_the_same_codes(tmp_path: Path, width: int) -> None:
    codes = codes_for(10, 3, Box(0, 0, 6, width))
    file = oiio.ImageInput.open(str(write(tmp_path / "a.dpx", codes, 10, 1)))
    assert file is not None
    assert np.array_equal(np.asarray(file.read_image(0, 0, 0, 3, "uint16")) >> 6, codes)


def test_rows_that_are_padded_to_words_are_told_by_the_size_of_the_file(tmp_path: Path) -> None:
    codes = codes_for(8, 3)
    plain = write(tmp_path / "a.dpx", codes, 8, 0)
    data = write(tmp_path / "b.dpx", codes, 8, 0, row_end=3).read_bytes()
    padded = tmp_path / "c.dpx"
    padded.write_bytes(plain.read_bytes()[:2048] + data[2048:])
    assert np.array_equal(dpx.read(padded, "RGB", ALL), dpx.read(plain, "RGB", ALL))
    padded.write_bytes(padded.read_bytes() + b"tail")
    with pytest.raises(SequenceError, match="whether its rows are padded"):
        dpx.header(padded)


def test_the_header_names_type_size_and_transfer(tmp_path: Path) -> None:
    head = dpx.header(write(tmp_path / "a.dpx", codes_for(12, 1), 12, 1, names=("Y",), transfer=3))
    assert (head.format, head.data, head.display) == ("dpx", ALL, ALL)
    assert [(c.name, c.type) for c in head.channels] == [("Y", "uint12")]
    assert head.transfer == "logarithmic"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"orientation": 1}, "orientation 1"),
        ({"elements": 2}, "2 image elements"),
        ({"encoding": 1}, "run-length"),
        ({"sign": 1}, "signed"),
        ({"packing": 0}, "packing 0"),
        ({"bits": 32}, "32-bit"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused_with_the_reason(
    tmp_path: Path, fields: dict[str, int], reason: str
) -> None:
    path = write(tmp_path / "a.dpx", codes_for(10, 3), 10, 1)
    data = bytearray(path.read_bytes())
    for name, value in fields.items():
        place, kind = FIELDS[name]
        struct.pack_into(kind, data, place, value)
    path.write_bytes(data)
    with pytest.raises(SequenceError, match=reason) as caught:
        dpx.header(path)
    assert repr(str(path)) in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("keep", [1, 3, 4, 100, 767, 819, 2047, 2048, 2050, -1])
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "a.dpx", codes_for(10, 3), 10, 1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SequenceError, match="a.dpx"):
        dpx.read(path, "RGB", ALL)


def test_flipped_header_bytes_give_pixels_or_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dpx", codes_for(10, 3), 10, 1)
    data, random = path.read_bytes(), np.random.default_rng(2)
    for at in (*range(16), *range(768, 820)):
        broken = bytearray(data)
        broken[at] ^= int(random.integers(1, 256))
        path.write_bytes(broken)
        try:
            dpx.read(path, [dpx.header(path).channels[0].name], ALL)
        except SequenceError as error:
            assert repr(str(path)) in str(error)

"""DPX: codes in and out exactly, and only the edited codes' bytes change."""

from __future__ import annotations

import os
import struct
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import dpx
from infusion_ofx.sequence.frame import Box, Edit, Header

Array = npt.NDArray[Any]
RGB, RGBA, ABGR, Y = ("R", "G", "B"), ("R", "G", "B", "A"), ("A", "B", "G", "R"), ("Y",)
DESCRIPTORS = {RGB: 50, RGBA: 51, ABGR: 52, Y: 6, ("R",): 1, ("G",): 2, ("B",): 3, ("A",): 4}
KINDS = [(8, 0), (10, 0), (10, 1), (10, 2), (12, 0), (12, 1), (12, 2), (16, 0), (32, 0)]
"""Bits and packing."""
FIELDS = {
    "orientation": (768, "H"),
    "elements": (770, "H"),
    "width": (772, "I"),
    "height": (776, "I"),
    "sign": (780, "I"),
    "descriptor": (800, "B"),
    "bits": (803, "B"),
    "packing": (804, "H"),
    "encoding": (806, "H"),
    "start": (808, "I"),
    "row_end": (812, "I"),
}
UNSET = 0xFFFFFFFF


@dataclass(frozen=True)
class Kind:
    """How the samples of an element are written."""

    bits: int
    packing: int
    order: str
    names: tuple[str, ...]

    @property
    def most(self) -> int:
        return (1 << self.bits) - 1

    def codes(self, height: int, width: int, seed: int = 0) -> Array:
        """Codes at random, or floats of any bits: (height, width, channels)."""
        shape = (height, width, len(self.names))
        random = np.random.default_rng(seed)
        bits: Array = random.integers(0, 1 << self.bits, shape, np.uint32)
        if self.bits == 32:
            bits = bits.view(np.float32)
        return bits

    def values(self, codes: Array) -> Array:
        """What they are read as."""
        values: Array = codes.astype(np.float32)
        return values if self.bits == 32 else np.divide(values, np.float32(self.most))


def pack_row(codes: Array, kind: Kind) -> bytes:
    """One row by the letter of the standard, code by code."""
    if kind.bits == 32:
        return codes.astype(f"{kind.order}f4").tobytes()
    values = [int(code) for code in codes.ravel()]
    if kind.bits in (8, 16) or (kind.bits == 12 and kind.packing):
        shift = 4 if (kind.bits, kind.packing) == (12, 1) else 0
        letter = "B" if kind.bits == 8 else "H"
        return struct.pack(f"{kind.order}{len(values)}{letter}", *(v << shift for v in values))
    if kind.packing == 0:
        stream = sum(value << kind.bits * i for i, value in enumerate(values))
        words = [stream >> 32 * i & UNSET for i in range(-(-len(values) * kind.bits // 32))]
        return struct.pack(f"{kind.order}{len(words)}I", *words)
    values += [0] * (-len(values) % 3)
    places = (0, 10, 20) if len(kind.names) == 1 else (20, 10, 0)
    low = 2 if kind.packing == 1 else 0
    triples = zip(values[::3], values[1::3], values[2::3], strict=True)
    words = [sum(v << p for v, p in zip(t, places, strict=True)) << low for t in triples]
    return struct.pack(f"{kind.order}{len(words)}I", *words)


def write(path: Path, *elements: tuple[Kind, Array], transfer: int = 1, row_end: int = 0) -> Path:
    """A file of these elements. Bytes that nobody reads are 0xA5, rows end with 0xEE."""
    order = elements[0][0].order
    height, width, _ = elements[0][1].shape
    header = bytearray(b"\xa5" * 2048)
    header[:4] = b"SDPX" if order == ">" else b"XPDS"
    header[8:16] = b"V2.0\0\0\0\0"
    struct.pack_into(f"{order}I", header, 4, 2048)
    struct.pack_into(f"{order}3I", header, 24, 1664, 384, 0)
    struct.pack_into(f"{order}HHII", header, 768, 0, len(elements), width, height)
    body = b""
    for i, (kind, codes) in enumerate(elements):
        at = 72 * i
        struct.pack_into(f"{order}I", header, 780 + at, 0)
        header[800 + at : 804 + at] = bytes([DESCRIPTORS[kind.names], transfer, 2, kind.bits])
        place = (kind.packing, 0, 2048 + len(body), row_end)
        struct.pack_into(f"{order}HHII", header, 804 + at, *place)
        body += b"".join(pack_row(row, kind) + b"\xee" * row_end for row in codes)
    path.write_bytes(bytes(header) + body)
    return path


def change(path: Path, order: str = ">", **fields: int) -> Path:
    """The file with other values in its header."""
    data = bytearray(path.read_bytes())
    for name, value in fields.items():
        place, letter = FIELDS[name]
        struct.pack_into(order + letter, data, place, value)
    path.write_bytes(data)
    return path


def read(path: Path, names: Sequence[str], box: Box | None = None) -> Array:
    head = dpx.header(path)
    return dpx.read(head, head.pick(names), head.display if box is None else box)


def rewrite(
    path: Path, target: Path, names: Sequence[str], box: Box, pixels: Array, where: Array
) -> bytes:
    head = dpx.header(path)
    dpx.rewrite(head, target, Edit(head.pick(names), box, pixels, where), keep_lossy=False)
    dpx.verify(target)
    return target.read_bytes()


def same_bits(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dpx")


@st.composite
def kinds(draw: st.DrawFn) -> Kind:
    bits, packing = draw(st.sampled_from(KINDS))
    names = draw(st.sampled_from([RGB, RGBA, ABGR, Y]))
    return Kind(bits, packing, draw(st.sampled_from("<>")), names)


@st.composite
def boxes(draw: st.DrawFn, height: int, width: int) -> Box:
    """Boxes that may lie beside the picture or be empty."""
    top, left = draw(st.integers(-2, height)), draw(st.integers(-2, width))
    bottom, right = draw(st.integers(top, height + 2)), draw(st.integers(left, width + 2))
    return Box(top, left, bottom, right)


sizes = st.tuples(st.integers(1, 4), st.integers(1, 37))


@given(kinds(), sizes, st.sampled_from([0, 4, 5]), st.data())
def test_codes_are_read_as_the_standard_packs_them(
    folder: Path, kind: Kind, size: tuple[int, int], row_end: int, data: st.DataObject
) -> None:
    codes = kind.codes(*size)
    path = write(folder / "a.dpx", (kind, codes), row_end=row_end)
    names = data.draw(st.permutations(kind.names))[: data.draw(st.integers(1, len(kind.names)))]
    box, picture = data.draw(boxes(*size)), Box(0, 0, *size)
    wanted = np.zeros((box.height, box.width, len(names)), np.float32)
    inner = box.intersect(picture)
    places = [kind.names.index(name) for name in names]
    if not inner.empty:
        wanted[box.slices(inner)] = kind.values(codes)[picture.slices(inner)][..., places]
    assert same_bits(read(path, names, box), wanted)


@given(kinds(), sizes, st.sampled_from([0, 4, 5]), st.data())
def test_an_edit_changes_the_bits_of_its_codes_only(
    folder: Path, kind: Kind, size: tuple[int, int], row_end: int, data: st.DataObject
) -> None:
    codes, new = kind.codes(*size), kind.codes(*size, seed=1)
    source = write(folder / "a.dpx", (kind, codes), row_end=row_end)
    names = data.draw(st.permutations(kind.names))[: data.draw(st.integers(1, len(kind.names)))]
    picture, box = Box(0, 0, *size), data.draw(boxes(*size))
    where = (
        np.random.default_rng(data.draw(st.integers(0, 9))).random((box.height, box.width)) < 0.5
    )
    pixels = np.full((box.height, box.width, len(names)), 0.5, np.float32)
    inner, wanted = box.intersect(picture), codes.copy()
    if not inner.empty:
        for i, place in enumerate(kind.names.index(name) for name in names):
            pixels[box.slices(inner)][..., i] = kind.values(new)[picture.slices(inner)][..., place]
            chosen = where[box.slices(inner)]
            target = wanted[picture.slices(inner)][..., place]
            target[chosen] = new[picture.slices(inner)][..., place][chosen]
    got = rewrite(source, folder / "b.dpx", names, box, pixels, where)
    expected = write(folder / "c.dpx", (kind, wanted), row_end=row_end)
    assert got == expected.read_bytes()


@given(kinds(), sizes, st.integers(0, 99))
def test_what_is_read_goes_back_as_the_same_bytes_whatever_lies_between_the_codes(
    folder: Path, kind: Kind, size: tuple[int, int], seed: int
) -> None:
    source = write(folder / "a.dpx", (kind, kind.codes(*size)))
    data = source.read_bytes()
    noise = np.random.default_rng(seed).integers(0, 256, len(data) - 2048, np.uint8).tobytes()
    source.write_bytes(data[:2048] + noise)
    everywhere = np.ones(size, bool)
    pixels = read(source, kind.names)
    got = rewrite(source, folder / "b.dpx", kind.names, Box(0, 0, *size), pixels, everywhere)
    assert got == data[:2048] + noise


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(("bits", "packing"), KINDS[:-1])
def test_every_code_goes_out_and_comes_back_as_itself(
    tmp_path: Path, bits: int, packing: int, order: str
) -> None:
    kind = Kind(bits, packing, order, RGB)
    box = Box(0, 0, (1 << bits) // 64, 64)
    codes = np.repeat(np.arange(1 << bits).reshape(box.height, box.width, 1), 3, axis=2)
    path = write(tmp_path / "a.dpx", (kind, codes))
    pixels = read(path, RGB)
    assert same_bits(pixels, kind.values(codes))
    blank = write(tmp_path / "b.dpx", (kind, codes * 0))
    got = rewrite(blank, tmp_path / "c.dpx", RGB, box, pixels, np.ones((box.height, 64), bool))
    assert got == path.read_bytes()


def test_large_frames_are_worked_on_in_strips_without_seams(tmp_path: Path) -> None:
    kind, box = Kind(16, 0, ">", RGB), Box(0, 0, 70, 4096)
    codes, new = kind.codes(70, 4096), kind.codes(70, 4096, seed=1)
    path = write(tmp_path / "a.dpx", (kind, codes[:1]))
    header = change(path, height=70).read_bytes()[:2048]
    path.write_bytes(header + codes.astype(">u2").tobytes())
    assert path.stat().st_size > 3 * dpx._BLOCK
    assert same_bits(read(path, RGB), kind.values(codes))
    where = np.random.default_rng(3).random((70, 4096)) < 0.5
    got = rewrite(path, tmp_path / "b.dpx", RGB, box, kind.values(new), where)
    wanted = np.where(where[..., None], new, codes).astype(">u2").tobytes()
    assert got == header + wanted


def test_numbers_become_the_nearest_code_within_its_range(tmp_path: Path) -> None:
    kind = Kind(10, 1, ">", RGB)
    source = write(tmp_path / "a.dpx", (kind, kind.codes(1, 7)))
    values = np.array([100.4, 100.6, -5, 9999, np.nan, np.inf, -np.inf]) / 1023
    for dtype in (np.float64, np.float32, np.float16):
        box, where = Box(0, 0, 1, 7), np.ones((1, 7), bool)
        pixels = values.astype(dtype).reshape(1, 7, 1)
        rewrite(source, tmp_path / "b.dpx", ["G"], box, pixels, where)
        got = np.rint(read(tmp_path / "b.dpx", ["G"]).ravel() * 1023).tolist()
        assert got == [100, 101, 0, 1023, 0, 1023, 0]


@pytest.mark.parametrize("order", [">", "<"])
def test_float_samples_are_unbounded_and_keep_every_bit(tmp_path: Path, order: str) -> None:
    kind = Kind(32, 0, order, RGB)
    source = write(tmp_path / "a.dpx", (kind, kind.codes(1, 7)))
    odd = [100.0, -5.0, 1e30, np.nan, np.inf, -np.inf, -0.0]
    values = np.repeat(np.array(odd, np.float32).reshape(1, 7, 1), 3, axis=2)
    values[0, 3] = np.array([0x7F800001, 0xFFC01234, 0x7FFFFFFF], np.uint32).view(np.float32)
    rewrite(source, tmp_path / "b.dpx", RGB, Box(0, 0, 1, 7), values, np.ones((1, 7), bool))
    assert same_bits(read(tmp_path / "b.dpx", RGB), values)
    assert dpx.header(source).parts[0].channels[0].type == "float"
    change(
        tmp_path / "b.dpx", order, sign=1
    )  # floats are signed, whether or not they are said to be
    assert same_bits(read(tmp_path / "b.dpx", RGB), values)


@pytest.mark.parametrize("order", [">", "<"])
def test_fields_that_are_unset_mean_what_is_usual(tmp_path: Path, order: str) -> None:
    kind = Kind(10, 1, order, RGB)
    path = write(tmp_path / "a.dpx", (kind, kind.codes(4, 5)))
    wanted = read(path, RGB)
    change(path, order, sign=UNSET, encoding=0xFFFF, row_end=UNSET, orientation=0xFFFF)
    for start in (0, UNSET):  # then the file section tells where the pixels begin
        assert same_bits(read(change(path, order, start=start), RGB), wanted)


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(("bits", "packing"), KINDS)
@pytest.mark.parametrize("names", [RGB, RGBA, Y])
@pytest.mark.parametrize("width", [12, 48])
def test_openimageio_reads_the_same(
    tmp_path: Path, bits: int, packing: int, order: str, names: tuple[str, ...], width: int
) -> None:
    # Other widths run into its two faults: the last alpha of 10-bit filled rows, and 10-bit filled
    # rows of one channel that end within a word, where it writes beside its buffer.
    kind = Kind(bits, packing, order, names)
    codes = kind.codes(5, width)
    if bits == 32:
        codes = codes.view(np.uint32).astype(np.float32)
    file = oiio.ImageInput.open(str(write(tmp_path / "a.dpx", (kind, codes), transfer=2)))
    assert file is not None
    theirs = {8: "uint8", 32: "float"}.get(bits, "uint16")
    got = np.asarray(file.read_image(0, 0, 0, len(names), theirs)).reshape(codes.shape)
    assert np.array_equal(got >> (16 - bits) if bits in (10, 12) else got, codes)


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("names", [RGB, RGBA, Y])
@pytest.mark.parametrize(
    ("bits", "packing"),
    [(8, "Packed"), (10, "Packed"), (10, "Filled, method A"), (10, "Filled, method B")]
    + [(12, "Packed"), (12, "Filled, method A"), (12, "Filled, method B"), (16, "Packed")],
)
def test_what_openimageio_writes_is_read_exactly(
    tmp_path: Path, bits: int, packing: str, names: tuple[str, ...], endian: str
) -> None:
    codes = Kind(bits, 0, "", names).codes(5, 13)
    kind = "uint8" if bits == 8 else "uint16"
    spec = oiio.ImageSpec(13, 5, len(names), kind)
    spec.attribute("oiio:BitsPerSample", bits)
    spec.attribute("dpx:Packing", packing)
    spec.attribute("oiio:Endian", endian)
    file = oiio.ImageOutput.create("dpx")
    assert file is not None and file.open(str(tmp_path / "a.dpx"), spec)
    wide = codes << (16 - bits) | codes >> (2 * bits - 16) if bits in (10, 12) else codes
    assert file.write_image(wide.astype(kind)) and file.close()
    assert np.array_equal(np.rint(read(tmp_path / "a.dpx", names) * ((1 << bits) - 1)), codes)


@pytest.mark.parametrize("order", [">", "<"])
def test_elements_may_hold_a_channel_each(tmp_path: Path, order: str) -> None:
    kinds = [Kind(10, 1, order, (name,)) for name in "BGR"] + [Kind(8, 0, order, ("A",))]
    elements = [(kind, kind.codes(4, 12, seed)) for seed, kind in enumerate(kinds)]
    source = write(tmp_path / "a.dpx", *elements)
    head = dpx.header(source)
    (part,) = head.parts
    assert [(c.name, c.type) for c in part.channels] == [
        ("B", "uint10"),
        ("G", "uint10"),
        ("R", "uint10"),
        ("A", "uint8"),
    ]
    wanted = np.concatenate([kind.values(codes) for kind, codes in elements], axis=2)
    assert same_bits(read(source, "RGBA"), np.ascontiguousarray(wanted[..., [2, 1, 0, 3]]))
    where, new = np.indices((4, 12)).sum(0) % 3 == 0, Kind(8, 0, order, ("A",)).codes(4, 12, 9)
    elements[3][1][where] = new[where]
    pixels = np.concatenate([kinds[3].values(new), wanted[..., 1:2]], axis=2)
    got = rewrite(source, tmp_path / "b.dpx", ["A", "G"], head.display, pixels, where)
    assert got == write(tmp_path / "c.dpx", *elements).read_bytes()


@pytest.mark.parametrize(
    ("bits", "reason"),
    [(1, "1-bit in packing 0"), (10, "a second R,G,B")],
    ids=["dirt map", "twin"],
)
def test_an_element_that_is_not_read_is_carried_along(
    tmp_path: Path, bits: int, reason: str
) -> None:
    first, other = Kind(10, 1, ">", RGB), Kind(10, 1, ">", RGB if bits == 10 else ("A",))
    source = write(tmp_path / "a.dpx", (first, first.codes(4, 12)), (other, other.codes(4, 12, 1)))
    data = bytearray(source.read_bytes())
    data[803 + 72], data[805 + 72] = bits, 0 if bits == 1 else 1
    source.write_bytes(data)
    head = dpx.header(source)
    assert [(part.name, part.unread) for part in head.parts] == [("", ""), ("element 2", reason)]
    assert head.names() == RGB and head.pick("RGB").part == 0
    where, new = np.ones((4, 12), bool), first.codes(4, 12, 2)
    got = rewrite(source, tmp_path / "b.dpx", RGB, head.display, first.values(new), where)
    begin = 2048 + 4 * 12 * 4
    assert got[:2048] + got[begin:] == bytes(data[:2048] + data[begin:])
    assert same_bits(read(tmp_path / "b.dpx", RGB), first.values(new))


def test_elements_over_each_other_are_refused(tmp_path: Path) -> None:
    kinds = [Kind(16, 0, ">", (name,)) for name in "RGB"]
    path = write(tmp_path / "a.dpx", *((kind, kind.codes(4, 12)) for kind in kinds))
    for start in (2048, 2050):
        data = bytearray(path.read_bytes())
        struct.pack_into(">I", data, 808 + 72, start)
        path.write_bytes(data)
        with pytest.raises(SequenceError, match="lie over each other"):
            dpx.header(path)


def test_rows_that_are_padded_to_words_are_told_by_the_size_of_the_file(tmp_path: Path) -> None:
    kind = Kind(8, 0, ">", RGB)
    codes = kind.codes(6, 11)
    plain = write(tmp_path / "a.dpx", (kind, codes))
    padded = change(write(tmp_path / "b.dpx", (kind, codes), row_end=3), row_end=UNSET)
    assert np.array_equal(read(padded, RGB), read(plain, RGB))
    padded.write_bytes(padded.read_bytes() + b"tail")
    with pytest.raises(SequenceError, match="whether its rows are padded"):
        dpx.header(padded)


def test_scanners_whose_10_bit_rows_run_on_within_a_word_are_refused(tmp_path: Path) -> None:
    kind = Kind(10, 1, ">", Y)
    path = write(tmp_path / "a.dpx", (kind, kind.codes(6, 13)))
    whole = path.read_bytes()
    assert len(whole) == 2048 + 6 * 5 * 4 and dpx.header(path).names() == Y
    path.write_bytes(whole[: 2048 + 6 * 13 // 3 * 4])
    with pytest.raises(SequenceError, match="run on into each other"):
        dpx.header(path)
    for at, maker in ((160, b"Lasergraphics Inc."), (1556, b"Scanity HDR")):
        path.write_bytes(whole[:at] + maker + whole[at + len(maker) :])
        with pytest.raises(SequenceError, match="run on into each other"):
            dpx.header(path)


@pytest.mark.parametrize("order", [">", "<"])
def test_the_header_tells_people_what_they_ask_for(tmp_path: Path, order: str) -> None:
    kind = Kind(12, 1, order, Y)
    path = write(tmp_path / "a.dpx", (kind, kind.codes(6, 11)), transfer=3)
    bare = dpx.header(path)
    endian = {">": "big endian", "<": "little endian"}[order]
    told = {"colorimetric": "linear", "byte order": endian}
    assert (bare.format, bare.display, bare.parts[0].data) == ("dpx", *[Box(0, 0, 6, 11)] * 2)
    assert [(c.name, c.type) for c in bare.parts[0].channels] == [("Y", "uint12")]
    assert (bare.transfer, bare.matte_channel(), bare.pixel_aspect) == ("logarithmic", "Y", 1)
    odd = bare.facts["creator"], bare.facts["project"]  # 0xA5 is no UTF-8, yet it can be printed
    assert all(text.isprintable() for text in odd)
    data = bytearray(path.read_bytes())
    data[136:160] = b"2024:05:06:07:08:09:UTC\0"
    data[160:260] = "Scän\n\x1b[2J nner\0rest".encode().ljust(100, b"\xff")
    data[260:460] = b"\xff" * 200
    struct.pack_into(f"{order}II", data, 1628, 2, 1)
    struct.pack_into(f"{order}If", data, 1920, 0x23595824, 0)
    struct.pack_into(f"{order}f", data, 1724, float("nan"))
    struct.pack_into(f"{order}f", data, 1940, 23.976)
    path.write_bytes(data)
    head = dpx.header(path)
    assert head.pixel_aspect == 2
    assert head.facts == told | {
        "time code": "23:59:58:24",
        "frame rate": "23.976",
        "samples": "12-bit filled, method A",
        "date": "2024:05:06:07:08:09:UTC",
        "creator": "Scän ?[2J nner",
    }


def test_sections_that_a_header_lacks_are_not_read_from_its_pixels(tmp_path: Path) -> None:
    kind = Kind(16, 0, ">", RGB)
    path = write(tmp_path / "a.dpx", (kind, np.full((40, 12, 3), 0x1234)))
    data = path.read_bytes()
    path.write_bytes(data[:1664] + data[2048:])
    change(path, start=1664)
    assert {"time code", "frame rate"}.isdisjoint(dpx.header(path).facts)
    assert np.array_equal(np.rint(read(path, RGB) * 65535), np.full((40, 12, 3), 0x1234))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"orientation": 1}, "orientation 1"),
        ({"elements": 0}, "0 image elements"),
        ({"elements": 9}, "9 image elements"),
        ({"elements": 2}, "begin at byte 2779096485"),
        ({"encoding": 1}, "run-length"),
        ({"sign": 1}, "signed"),
        ({"packing": 3}, "packing 3"),
        ({"bits": 64}, "64-bit"),
        ({"bits": 1}, "1-bit"),
        ({"descriptor": 100}, "4:2:2"),
        ({"descriptor": 102}, "descriptor 102"),
        ({"start": 900}, "in its own header"),
        ({"row_end": 1 << 20}, "padding"),
        ({"width": 0}, "absurd"),
        ({"width": 1 << 31, "height": 1 << 31}, "absurd"),
        ({"width": 16384, "height": 16384}, "cut short"),
        ({"width": 16384, "height": 16385}, "absurd"),
    ],
)
@pytest.mark.parametrize("order", [">", "<"])
def test_what_cannot_be_kept_exactly_is_refused_with_the_reason(
    tmp_path: Path, fields: dict[str, int], reason: str, order: str
) -> None:
    kind = Kind(10, 1, order, RGB)
    path = change(write(tmp_path / "a.dpx", (kind, kind.codes(6, 11))), order, **fields)
    with pytest.raises(SequenceError, match=reason) as caught:
        dpx.header(path)
    assert repr(str(path)) in str(caught.value) and caught.value.hint


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.dpx")
    (tmp_path / "empty.dpx").touch()
    (tmp_path / "text.dpx").write_text("SDPY, or the like")
    for name in ("fifo.dpx", "empty.dpx", "text.dpx", "missing.dpx", "."):
        with pytest.raises(SequenceError):
            dpx.header(tmp_path / name)


@given(kinds(), st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_anywhere_is_refused(folder: Path, kind: Kind, share: float) -> None:
    path = write(folder / "a.dpx", (kind, kind.codes(3, 11)))
    head = dpx.header(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(SequenceError, match=r"a\.dpx"):
        dpx.header(path)
    with pytest.raises(SequenceError, match=r"a\.dpx"):
        dpx.read(head, head.pick(kind.names), head.display)
    with pytest.raises(SequenceError, match=r"a\.dpx"):
        dpx.check_rewrite(head, head.pick(kind.names))
    with pytest.raises(SequenceError, match=r"a\.dpx"):
        dpx.verify(path)


def test_a_file_that_lost_a_channel_since_it_was_opened_is_refused(tmp_path: Path) -> None:
    kind = Kind(16, 0, ">", RGBA)
    path = write(tmp_path / "a.dpx", (kind, kind.codes(3, 12)))
    head = dpx.header(path)
    write(path, (replace(kind, names=RGB), kind.codes(3, 12)[..., :3]))
    with pytest.raises(SequenceError, match="changed since it was opened"):
        dpx.read(head, head.pick("RGBA"), head.display)


def _read_all(head: Header) -> None:
    box = head.display.intersect(Box(0, 0, 64, 64))
    assert dpx.read(head, head.pick(head.names()), box).shape[:2] == (box.height, box.width)


@given(
    kinds(),
    st.lists(
        st.tuples(
            st.one_of(st.integers(768, 1000), st.integers(0, 40), st.integers(1408, 2047)),
            st.integers(1, 255),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_flipped_header_bits_give_pixels_or_one_clear_error(
    folder: Path, kind: Kind, flips: list[tuple[int, int]]
) -> None:
    path = write(folder / "a.dpx", (kind, kind.codes(3, 11)))
    data = bytearray(path.read_bytes())
    for at, bits in flips:
        data[at] ^= bits
    path.write_bytes(data)
    tracemalloc.start()
    try:
        _read_all(dpx.header(path))
    except SequenceError as error:
        assert repr(str(path)) in str(error) and "\n" not in str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 << 20


@given(st.binary(min_size=700, max_size=700), st.sampled_from([b"SDPX", b"XPDS"]))
def test_a_header_of_noise_gives_pixels_or_one_clear_error(
    folder: Path, noise: bytes, magic: bytes
) -> None:
    path = folder / "a.dpx"
    path.write_bytes(magic + b"\0" * 764 + noise + b"\0" * 4000)
    try:
        _read_all(dpx.header(path))
    except SequenceError as error:
        assert repr(str(path)) in str(error)


def test_a_sparse_giant_costs_no_more_memory_than_what_is_asked_of_it(tmp_path: Path) -> None:
    kind = Kind(16, 0, ">", RGBA)
    path = write(tmp_path / "a.dpx", (kind, kind.codes(1, 12)))
    change(path, width=65536, height=4096)
    os.truncate(path, 2048 + 65536 * 4096 * 8)
    tracemalloc.start()
    _read_all(dpx.header(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20

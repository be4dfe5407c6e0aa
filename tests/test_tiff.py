"""TIFF: samples in and out exactly, and nothing but the strips that hold an edit changes."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import tiff
from infusion_ofx.sequence.frame import Box, Edit

Array = npt.NDArray[Any]
SIZES = {2: 1, 3: 2, 4: 4, 16: 8}
LOCATIONS = (273, 279, 324, 325)
NAMES = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Kind:
    """A layout of samples, written by the letter of TIFF 6.0 and its notes."""

    order: str = "<"
    big: bool = False
    dtype: str = "u1"
    channels: int = 3
    compression: int = 1
    predictor: int = 1
    rows: int = 4
    columns: int = 0
    """Of a tile; 0 makes strips."""
    planar: bool = False
    tags: Mapping[int, bytes] = field(default_factory=dict)
    """More tags, as text; or other values for those that are there."""


def row_bytes(row: Array, kind: Kind) -> bytes:
    """One row of (columns, samples), sample by sample."""
    size, samples = row.dtype.itemsize, row.shape[1]
    if kind.predictor == 3:
        data = row.ravel().astype(row.dtype.newbyteorder(">")).tobytes()
        planes = b"".join(data[k::size] for k in range(size))
        return bytes(
            (byte - (planes[i - samples] if i >= samples else 0)) % 256
            for i, byte in enumerate(planes)
        )
    values = row.view(f"u{size}").ravel().tolist()
    if kind.predictor == 2 and kind.compression != 1:
        before = [0] * samples + values[:-samples]
        values = [(a - b) % (1 << 8 * size) for a, b in zip(values, before, strict=True)]
    return b"".join(
        value.to_bytes(size, "big" if kind.order == ">" else "little") for value in values
    )


def packed(rows: list[bytes], compression: int) -> bytes:
    if compression in (8, 32946):
        return zlib.compress(b"".join(rows))
    if compression == 32773:  # every byte by itself: what a reader takes, if no writer makes it
        return b"".join(bytes([0, byte]) for byte in b"".join(rows))
    return b"".join(rows)


def segments(codes: Array, kind: Kind) -> list[bytes]:
    """The strips or tiles of a picture, in file order."""
    if kind.planar:
        one = Kind(**{**vars(kind), "planar": False})
        planes = [segments(codes[..., c : c + 1], one) for c in range(codes.shape[2])]
        return [strip for plane in planes for strip in plane]
    height, width, _ = codes.shape
    columns = kind.columns or width
    out = []
    for top in range(0, height, kind.rows):
        for left in range(0, width, columns):
            block = codes[top : top + kind.rows, left : left + columns]
            if kind.columns:
                beyond = (kind.rows - block.shape[0], columns - block.shape[1])
                block = np.pad(block, ((0, beyond[0]), (0, beyond[1]), (0, 0)))
            out.append(packed([row_bytes(row, kind) for row in block], kind.compression))
    return out


def build(path: Path, *pages: Array, kind: Kind = Kind()) -> Path:  # noqa: B008  # it is frozen
    """Writes a file: of each page its strips, what its tags hold, and its tags."""
    order, word, inline = kind.order, "Q" if kind.big else "I", 8 if kind.big else 4
    mark = b"II" if order == "<" else b"MM"
    out = bytearray(
        mark
        + struct.pack(
            f"{order}HHHQ" if kind.big else f"{order}HI", *((43, 8, 0, 0) if kind.big else (42, 0))
        )
    )
    link = len(out) - inline
    for page in pages:
        places, counts = [], []
        for strip in segments(page, kind):
            places.append(len(out))
            counts.append(len(strip))
            out += strip + b"\0" * (len(strip) % 2)
        where = (324, 325) if kind.columns else (273, 279)
        whole = 16 if kind.big else 4
        tags: dict[int, tuple[int, list[int] | bytes]] = {
            **numbers(page, kind),
            where[0]: (whole, places),
            where[1]: (3, counts),
        }
        tags |= {tag: (2, text) for tag, text in kind.tags.items()}
        body = bytearray()
        for tag, (type, values) in sorted(tags.items()):
            size = SIZES[type]
            data = (
                values
                if isinstance(values, bytes)
                else b"".join(
                    value.to_bytes(size, "little" if order == "<" else "big") for value in values
                )
            )
            count = len(data) // size
            if len(data) > inline:
                place = len(out)
                out += data + b"\0" * (len(data) % 2)
                data = struct.pack(order + word, place)
            body += struct.pack(f"{order}HH{word}", tag, type, count) + data.ljust(inline, b"\0")
        struct.pack_into(order + word, out, link, len(out))
        out += struct.pack(order + ("Q" if kind.big else "H"), len(tags)) + body
        link = len(out)
        out += b"\0" * inline
    path.write_bytes(out)
    return path


def numbers(page: Array, kind: Kind) -> dict[int, tuple[int, list[int] | bytes]]:
    height, width, channels = page.shape
    tags: dict[int, tuple[int, list[int] | bytes]] = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [8 * page.dtype.itemsize] * channels),
        259: (3, [kind.compression]),
        262: (3, [2 if channels > 2 else 1]),
        277: (3, [channels]),
        284: (3, [2 if kind.planar else 1]),
        317: (3, [kind.predictor]),
        339: (3, [3 if page.dtype.kind == "f" else 1] * channels),
    }
    if channels in (2, 4):
        tags[338] = (3, [2])
    if kind.columns:
        return {**tags, 322: (3, [kind.columns]), 323: (3, [kind.rows])}
    return {**tags, 278: (3, [kind.rows])}


def noise(box: Box, channels: int, dtype: str, seed: int = 0) -> Array:
    """Every bit at random: NaN, infinities and denormals among the floating-point numbers."""
    size = np.dtype(dtype).itemsize
    random = np.random.default_rng(seed)
    data = random.integers(0, 256, (box.height, box.width, channels * size), np.uint8)
    data[::3] //= 64  # something to compress
    return data.view(dtype)


def decoded(path: Path, page: int = 0) -> Array:
    """What OpenImageIO alone makes of a file."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), config)
    assert file is not None and file.seek_subimage(page, 0), oiio.geterror()
    spec = file.spec()
    pixels = file.read_image(page, 0, 0, spec.nchannels, str(spec.format))
    return np.asarray(pixels).reshape(spec.height, spec.width, spec.nchannels)


def tags_of(data: bytes) -> list[dict[int, tuple[int, int, bytes]]]:
    """Type, count and bytes of every tag of every page, by a reader of the test's own."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2 if order == ">" else 3] == 0 and 43 in data[2:4]
    word, inline, head, step = ("Q", 8, "Q", 20) if big else ("I", 4, "H", 12)
    (at,) = struct.unpack_from(order + word, data, 8 if big else 4)
    pages = []
    while at:
        (count,) = struct.unpack_from(order + head, data, at)
        at += struct.calcsize("<" + head)
        page = {}
        for place in range(at, at + count * step, step):
            tag, type, number = struct.unpack_from(f"{order}HH{word}", data, place)
            start = place + step - inline
            length = number * {**SIZES, 1: 1, 5: 8, 7: 1, 12: 8}[type]
            if length > inline:
                (start,) = struct.unpack_from(order + word, data, start)
            page[tag] = (type, number, data[start : start + length])
        pages.append(page)
        (at,) = struct.unpack_from(order + word, data, at + count * step)
    return pages


def edit(source: Path, target: Path, names: str, box: Box, new: Array, where: Array) -> None:
    """Changes stored samples of a source by way of the interface."""
    head = tiff.header(source)
    picked = head.pick(names)
    assert tiff.check_rewrite(head, picked) == ""
    pixels = new
    if new.dtype.kind == "u":
        pixels = new.astype(np.float32) / np.float32(np.iinfo(new.dtype).max)
    tiff.rewrite(head, target, Edit(picked, box, pixels, where), keep_lossy=False)
    tiff.verify(target)


def check_edit(source: Path, names: str, box: Box, seed: int = 1) -> None:
    """Edits a file at random and holds the result to the law."""
    before = decoded(source)
    where = np.random.default_rng(seed).random((box.height, box.width)) < 0.2
    new = noise(box, len(names), before.dtype.str[1:], seed)
    target = source.with_name("out.tif")
    edit(source, target, names, box, new, where)
    wanted = before.copy()
    whole = Box(0, 0, *before.shape[:2])
    inner = box.intersect(whole)
    stored = tiff.header(source).parts[0].channels
    for i, name in enumerate(names):
        plane = wanted[whole.slices(inner)][..., [c.name for c in stored].index(name)]
        here = where[box.slices(inner)]
        plane[here] = new[box.slices(inner)][..., i][here]
    assert decoded(target).tobytes() == wanted.tobytes()
    old, now = source.read_bytes(), target.read_bytes()
    for one, two in zip(tags_of(old), tags_of(now), strict=True):
        assert one.keys() == two.keys()
        assert all(one[tag] == two[tag] for tag in one if tag not in LOCATIONS)


KINDS = [
    Kind(),
    Kind(">", dtype="u2", channels=4),
    Kind(big=True, dtype="u2", compression=8, predictor=2),
    Kind(">", big=True, compression=32946, predictor=2, channels=4, columns=16, rows=16),
    Kind(">", dtype="u2", compression=8, predictor=2, columns=16, rows=16),
    Kind(planar=True, compression=8, predictor=2, channels=4),
    Kind(">", dtype="u2", planar=True, columns=16, rows=16),
    Kind(compression=32773, channels=1),
    Kind(dtype="f4", compression=8, predictor=3),
    Kind(">", dtype="f4", compression=8, predictor=3, channels=4, columns=16, rows=16),
    Kind(dtype="f2", channels=4),
    Kind(">", dtype="f2", compression=8, predictor=3, planar=True),
    Kind(">", dtype="f4", compression=8, predictor=2),
    Kind(dtype="u2", channels=2, compression=1, predictor=2),  # a predictor that nothing uses
]
ALL = Box(0, 0, 21, 37)
EDIT = Box(5, 3, 11, 30)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_samples_are_read_as_the_standard_stores_them(tmp_path: Path, kind: Kind) -> None:
    codes = noise(ALL, kind.channels, kind.dtype)
    path = build(tmp_path / "a.tif", codes, kind=kind)
    head = tiff.header(path)
    names = NAMES[kind.channels]
    most = np.float32(np.iinfo(kind.dtype).max if kind.dtype[0] == "u" else 1)
    with np.errstate(invalid="ignore"):  # a signalling NaN is among them
        wanted = codes.astype(np.float32) / most
    got = tiff.read(head, head.pick(names), ALL)
    assert got.dtype == np.float32 and np.array_equal(got, wanted, equal_nan=True)
    wider = tiff.read(head, head.pick(names[::-1]), EDIT.grow(12))
    inner = EDIT.grow(12).intersect(ALL)
    wanted = wanted[ALL.slices(inner)][..., ::-1]
    assert np.array_equal(wider[EDIT.grow(12).slices(inner)], wanted, equal_nan=True)
    assert not wider[:7].any() and not wider[:, :9].any()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_edit_changes_its_samples_and_no_other(tmp_path: Path, kind: Kind) -> None:
    path = build(tmp_path / "a.tif", noise(ALL, kind.channels, kind.dtype), kind=kind)
    check_edit(path, NAMES[kind.channels][::-1][:2], EDIT)
    check_edit(path, NAMES[kind.channels][0], ALL.grow(3))


@given(st.data())
@settings(max_examples=40)
def test_the_law_of_an_edit_holds_for_every_layout(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    tiled = data.draw(st.booleans())
    compression = data.draw(st.sampled_from([1, 8, 32946, 32773]))
    dtype = data.draw(st.sampled_from(["u1", "u2", "f2", "f4"]))
    predictors = [1] if compression in (1, 32773) else [1, 2] if dtype[0] == "u" else [1, 2, 3]
    kind = Kind(
        order=data.draw(st.sampled_from("<>")),
        big=data.draw(st.booleans()),
        dtype=dtype,
        channels=data.draw(st.integers(1, 4)),
        compression=compression,
        predictor=data.draw(st.sampled_from(predictors)),
        rows=data.draw(st.sampled_from([16, 32]) if tiled else st.integers(1, 30)),
        columns=data.draw(st.sampled_from([16, 32])) if tiled else 0,
        planar=data.draw(st.booleans()),
    )
    box = Box(0, 0, data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)))
    folder = tmp_path_factory.mktemp("law")
    path = build(folder / "a.tif", noise(box, kind.channels, dtype), kind=kind)
    top, left = data.draw(st.integers(-5, 40)), data.draw(st.integers(-5, 40))
    size = st.integers(0, 20)
    edited = Box(top, left, top + data.draw(size), left + data.draw(size))
    names = data.draw(st.permutations(NAMES[kind.channels]))
    check_edit(path, "".join(names[: data.draw(st.integers(1, len(names)))]), edited)


def by_openimageio(path: Path, codes: Array, **attributes: str) -> Path:
    format = {"u1": "uint8", "u2": "uint16", "f4": "float"}[codes.dtype.str[1:]]
    spec = oiio.ImageSpec(codes.shape[1], codes.shape[0], codes.shape[2], format)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    for name, value in attributes.items():
        spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    assert output.write_image(codes) and output.close(), output.geterror()
    return path


@pytest.mark.parametrize("compression", ["none", "lzw", "zip", "packbits"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_files_of_openimageio_keep_the_law(
    tmp_path: Path, compression: str, planar: str, dtype: str
) -> None:
    path = by_openimageio(
        tmp_path / "a.tif", noise(ALL, 4, dtype), compression=compression, planarconfig=planar
    )
    check_edit(path, "GR", EDIT)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_files_of_pillow_keep_the_law(tmp_path: Path, mode: str, compression: str | None) -> None:
    wide = mode == "I;16"
    codes = noise(ALL, 1 if wide else len(mode), "u2" if wide else "u1")
    image = Image.frombytes(mode, (ALL.width, ALL.height), codes.tobytes())
    image.save(tmp_path / "a.tif", compression=compression, dpi=(72, 72), software="X\xe9")
    check_edit(tmp_path / "a.tif", "Y" if len(mode) < 3 or wide else "BG", EDIT)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("compression", [1, 5, 8, 32946])
def test_files_of_opencv_keep_the_law_and_opencv_agrees(
    tmp_path: Path, dtype: str, compression: int
) -> None:
    codes = noise(ALL, 3, dtype)
    path = tmp_path / "a.tif"
    assert cv2.imwrite(str(path), codes, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    check_edit(path, "RB", EDIT)
    seen = cv2.imread(str(path.with_name("out.tif")), cv2.IMREAD_UNCHANGED)
    assert seen is not None
    assert seen[..., ::-1].tobytes() == decoded(path.with_name("out.tif")).tobytes()


def test_an_edit_leaves_every_other_byte_of_the_file(tmp_path: Path) -> None:
    kind = Kind(tags={270: b"caf\xe9\0", 65000: os.urandom(300), 285: b"beauty\0"})
    path = build(tmp_path / "a.tif", noise(ALL, 3, "u1"), kind=kind)
    where = np.zeros((ALL.height, ALL.width), bool)
    where[9, 20] = True  # in the third strip
    new = 255 - decoded(path)
    edit(path, tmp_path / "out.tif", "RGB", ALL, new, where)
    old = np.frombuffer(path.read_bytes(), np.uint8)
    now = np.frombuffer((tmp_path / "out.tif").read_bytes(), np.uint8)
    assert len(old) == len(now)  # what is not compressed stays in its place
    assert np.flatnonzero(old != now).tolist() == [8 + (9 * 37 + 20) * 3 + c for c in range(3)]


def test_pages_are_parts_and_an_edit_of_one_leaves_the_others(tmp_path: Path) -> None:
    pages = [noise(ALL, 3, "u1", 3), noise(Box(0, 0, 9, 12), 3, "u1", 4), noise(ALL, 3, "u1", 5)]
    path = build(tmp_path / "a.tif", *pages, kind=Kind(compression=8, predictor=2))
    head = tiff.header(path)
    assert [(part.name, part.data.height) for part in head.parts] == [
        ("", 21),
        ("page2", 9),
        ("page3", 21),
    ]
    picked = head.pick(["R", "G", "B"], layer="page3")
    where = np.zeros((ALL.height, ALL.width), bool)
    where[3:9, 5:7] = True
    tiff.rewrite(head, tmp_path / "b.tif", Edit(picked, ALL, np.zeros((21, 37, 3)), where))
    pages[2][where] = 0
    for i, page in enumerate(pages):
        assert np.array_equal(decoded(tmp_path / "b.tif", i), page)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_every_code_goes_out_and_comes_back_as_itself(tmp_path: Path, dtype: str) -> None:
    codes = np.arange(1 << 8 * np.dtype(dtype).itemsize).astype(dtype).reshape(-1, 64, 1)
    path = build(tmp_path / "a.tif", codes)
    blank = build(tmp_path / "b.tif", codes * 0)
    head, target = tiff.header(path), tiff.header(blank)
    picked, box = target.pick("Y"), head.display
    pixels = tiff.read(head, picked, box)
    where = np.ones((box.height, box.width), bool)
    tiff.rewrite(target, tmp_path / "c.tif", Edit(picked, box, pixels, where))
    assert np.array_equal(decoded(tmp_path / "c.tif"), codes)


def test_the_header_tells_name_type_depth_date_and_resolution(tmp_path: Path) -> None:
    image = Image.fromarray(noise(ALL, 4, "u1"), "RGBA")
    tags = {306: "2024:05:06 07:08:09", 274: 6, 285: "plate"}
    image.save(tmp_path / "a.tif", compression="tiff_lzw", dpi=(100, 200), tiffinfo=tags)
    head = tiff.header(tmp_path / "a.tif")
    assert (head.format, head.display, head.pixel_aspect) == ("tiff", ALL, 2.0)
    (part,) = head.parts
    assert (part.compression, part.name, part.unread) == ("lzw", "plate", "")
    assert [(c.name, c.type) for c in part.channels] == [(name, "uint8") for name in "RGBA"]
    assert head.facts["bit depth"] == "8" and head.facts["date"] == "2024:05:06 07:08:09"
    assert head.facts["orientation"] == "6" and head.facts["resolution"].startswith("100 x 200")


def palette() -> Image.Image:
    return Image.fromarray(noise(ALL, 3, "u1")).quantize(16)


REFUSED: list[tuple[str, Image.Image, dict[str, Any], int]] = [
    ("palette", palette(), {}, 1),  # its colours are rounded from 16 bits
    ("samples of 1 bits", palette().convert("1"), {}, 0),
    ("samples of 1 bits", palette().convert("1"), {"compression": "group4"}, 0),
    ("0 is white", palette().convert("L"), {"tiffinfo": {262: 0}}, 0),
    ("compression 7", palette().convert("RGB"), {"compression": "jpeg"}, 60),
]
"""Why, a picture, how it is saved, and how far a decoder may be off."""


@pytest.mark.parametrize(("reason", "image", "options", "off"), REFUSED)
def test_a_matte_is_read_of_kinds_that_no_plate_may_be_of(
    tmp_path: Path, reason: str, image: Image.Image, options: dict[str, Any], off: int
) -> None:
    image.save(tmp_path / "a.tif", **options)
    head = tiff.header(tmp_path / "a.tif")
    picked = head.pick(head.matte_channel())
    got = tiff.read(head, picked, ALL)
    assert np.abs(got[..., 0] * 255 - np.asarray(image.convert("RGB"))[..., 0]).max() <= off
    with pytest.raises(SequenceError, match=reason) as caught:
        tiff.check_rewrite(head, picked)
    assert "a.tif" in str(caught.value) and caught.value.hint
    where = np.ones((ALL.height, ALL.width), bool)
    with pytest.raises(SequenceError, match=reason):
        tiff.rewrite(head, tmp_path / "b.tif", Edit(picked, ALL, got, where))
    assert not (tmp_path / "b.tif").exists()


@pytest.mark.parametrize(("dtype", "reason"), [("u4", "whole samples of 32"), ("f8", "of 64 bits")])
def test_types_that_have_no_place_are_told_as_unread(
    tmp_path: Path, dtype: str, reason: str
) -> None:
    codes = noise(ALL, 1, "u1").astype(dtype)
    head = tiff.header(build(tmp_path / "a.tif", codes))
    assert reason in head.parts[0].unread
    with pytest.raises(SequenceError, match="is not read"):
        head.pick("Y")
    Image.new("CMYK", (5, 4)).save(tmp_path / "b.tif")
    assert "CMYK" in tiff.header(tmp_path / "b.tif").parts[0].unread


def test_alpha_that_is_not_multiplied_in_leaves_colour_as_it_is(tmp_path: Path) -> None:
    codes = noise(ALL, 4, "u1")
    codes[..., 3] = 0
    head = tiff.header(build(tmp_path / "a.tif", codes))
    assert np.array_equal(tiff.read(head, head.pick("RGBA"), ALL) * 255, codes)


def whole(path: Path) -> None:
    """Reads all of a file, or raises."""
    head = tiff.header(path)
    tiff.read(head, head.pick(head.matte_channel() or "?"), head.display)


SOUND = [Kind(compression=8, predictor=2), Kind(), Kind(">", big=True, columns=16, rows=16)]


@pytest.mark.parametrize("kind", SOUND, ids=str)
def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path, kind: Kind) -> None:
    data = build(tmp_path / "a.tif", noise(ALL, 3, "u1"), kind=kind).read_bytes()
    for keep in [*range(1, 20), *range(20, len(data) - 8, 97), *range(len(data) - 40, len(data))]:
        path = tmp_path / "b.tif"
        path.write_bytes(data[:keep])
        with pytest.raises(SequenceError, match=r"b\.tif"):
            whole(path)
        with pytest.raises(SequenceError, match=r"b\.tif"):
            tiff.verify(path)


@pytest.mark.parametrize("kind", SOUND, ids=str)
def test_flipped_bytes_give_pixels_or_one_clear_error(tmp_path: Path, kind: Kind) -> None:
    sound = build(tmp_path / "a.tif", noise(ALL, 3, "u1"), kind=kind).read_bytes()
    random, path = np.random.default_rng(7), tmp_path / "b.tif"
    for at in [*range(16), *range(len(sound) - 260, len(sound), 2), *range(16, 2000, 97)]:
        broken = bytearray(sound)
        broken[at % len(sound)] ^= int(random.integers(1, 256))
        path.write_bytes(broken)
        try:
            whole(path)
        except SequenceError as error:
            assert "b.tif" in str(error)


def test_a_byte_of_a_deflated_strip_that_flips_is_noticed(tmp_path: Path) -> None:
    path = build(tmp_path / "a.tif", noise(ALL, 3, "u1"), kind=SOUND[0])
    (start,) = struct.unpack("<I", tags_of(path.read_bytes())[0][273][2][:4])
    data = bytearray(path.read_bytes())
    data[start + 30] ^= 4
    path.write_bytes(data)
    with pytest.raises(SequenceError, match="cannot be decoded"):
        whole(path)


def claims(path: Path, **tags: int) -> Path:
    """A file whose tags claim what its data does not hold."""
    data = bytearray(build(path, noise(ALL, 3, "u1"), kind=SOUND[0]).read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    for place in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        tag = f"t{struct.unpack_from('<H', data, place)[0]}"
        if tag in tags:
            struct.pack_into("<HII", data, place + 2, 4, 1, tags[tag])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"t256": 1_000_000, "t257": 1_000_000}, "absurd"),
        ({"t256": 16384, "t257": 16384}, "more than its data can hold"),
        ({"t256": 0}, "lacks its size"),
        ({"t277": 70000}, "lacks its size"),
        ({"t278": 1}, "cut short"),
        ({"t273": 1 << 31}, "cut short"),
    ],
    ids=str,
)
def test_what_a_file_cannot_hold_is_refused_at_its_header(
    tmp_path: Path, tags: dict[str, int], reason: str
) -> None:
    with pytest.raises(SequenceError, match=reason):
        tiff.header(claims(tmp_path / "a.tif", **tags))


def test_pages_that_go_round_in_a_circle_end(tmp_path: Path) -> None:
    path = build(tmp_path / "a.tif", noise(ALL, 3, "u1"))
    data = bytearray(path.read_bytes())
    data[-4:] = data[4:8]
    path.write_bytes(data)
    with pytest.raises(SequenceError, match="pages do not end"):
        tiff.header(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"II*\0", b"MM\0+" + b"\0" * 40])
def test_what_is_no_tiff_is_told_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "it's \x1b odd\n.tif"
    path.write_bytes(content)
    with pytest.raises(SequenceError) as caught:
        tiff.header(path)
    assert repr(str(path)) in str(caught.value)
    os.mkfifo(tmp_path / "f.tif")
    for odd in (tmp_path / "f.tif", tmp_path, tmp_path / "none.tif"):
        with pytest.raises(SequenceError):
            tiff.header(odd)


def test_strips_that_share_their_bytes_are_parted(tmp_path: Path) -> None:
    codes = np.tile(noise(Box(0, 0, 4, 37), 3, "u1"), (4, 1, 1))
    path = build(tmp_path / "a.tif", codes)
    data = bytearray(path.read_bytes())
    places = data.find(tags_of(bytes(data))[0][273][2])
    for i in range(4):
        struct.pack_into("<I", data, places + 4 * i, 8)
    # Bytes that nothing needs any more, since nobody checks what lies between strips.
    path.write_bytes(data)
    where = np.zeros(codes.shape[:2], bool)
    where[5:7] = True
    edit(path, tmp_path / "b.tif", "RGB", Box(0, 0, 16, 37), 255 - codes, where)
    wanted = np.where(where[..., None], 255 - codes, codes)
    assert np.array_equal(decoded(tmp_path / "b.tif"), wanted)


def test_a_strip_that_grows_beyond_16_bits_is_still_found(tmp_path: Path) -> None:
    flat = np.zeros((80, 1000, 1), np.uint8)
    kind = Kind(compression=8, rows=80, channels=1)
    path = build(tmp_path / "a.tif", flat, kind=kind)
    box = Box(0, 0, 80, 1000)
    new = np.random.default_rng(0).integers(0, 256, flat.shape, np.uint8)
    edit(path, tmp_path / "b.tif", "Y", box, new, np.ones((80, 1000), bool))
    assert np.array_equal(decoded(tmp_path / "b.tif"), new)
    assert tags_of((tmp_path / "b.tif").read_bytes())[0][279][0] == 4
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO((tmp_path / "b.tif").read_bytes()))), new[..., 0]
    )

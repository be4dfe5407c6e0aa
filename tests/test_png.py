"""PNG: codes in and out exactly, and every other chunk of the file byte for byte."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import png
from infusion_ofx.sequence.frame import Box, Edit

Array = npt.NDArray[Any]
ALL = Box(0, 0, 19, 23)
EDIT = Box(4, 3, 11, 20)
NAMES = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
STARTS = {
    False: [(0, 0, 1, 1)],
    True: [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ],
}
"""First row and column, and steps, of each pass: of one, and of Adam's seven."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def build(
    path: Path,
    codes: Array,
    before: bytes = b"",
    after: bytes = b"",
    *,
    interlaced: bool = False,
    pieces: int = 1,
    **fields: int,
) -> Path:
    """A file by the letter of the standard, without filters. fields: others for its header."""
    height, width, channels = codes.shape
    raw = b"".join(
        b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes()
        for top, left, down, across in STARTS[interlaced]
        for row in codes[top::down, left::across]
        if row.size
    )
    data = zlib.compress(raw)
    head = struct.pack(
        ">II5B",
        fields.get("width", width),
        fields.get("height", height),
        fields.get("bits", 8 * codes.dtype.itemsize),
        fields.get("colour", COLOURS[channels]),
        0,
        0,
        int(interlaced),
    )
    size = -(-len(data) // pieces)
    parts = [chunk(b"IDAT", data[k : k + size]) for k in range(0, len(data), size)]
    body = chunk(b"IHDR", head) + before + b"".join(parts) + after + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def noise(box: Box, channels: int, dtype: str, seed: int = 0) -> Array:
    size = np.dtype(dtype).itemsize
    random = np.random.default_rng(seed)
    data = random.integers(0, 256, (box.height, box.width, channels * size), np.uint8)
    data[::3] //= 64
    return data.view(dtype)


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and bytes of every chunk, checksums held."""
    out, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        whole = data[at : at + length + 12]
        assert whole == chunk(whole[4:8], whole[8:-4])
        out.append((whole[4:8], whole))
        at += length + 12
    return out


def decoded(path: Path) -> Array:
    """What OpenCV makes of a file; Pillow where it has grey and alpha."""
    if struct.unpack_from(">B", path.read_bytes(), 25)[0] == 4:
        return np.asarray(Image.open(path))
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    if pixels.ndim == 2:
        return pixels[..., None]
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def edit(source: Path, names: str, box: Box, new: Array, where: Array) -> Path:
    """Changes codes of a source by way of the interface."""
    head = png.header(source)
    picked = head.pick(names)
    is_interlaced = source.read_bytes()[28] == 1
    assert png.check_rewrite(head, picked) == ("interlace is dropped" if is_interlaced else "")
    pixels = new.astype(np.float32) / np.float32(np.iinfo(new.dtype).max)
    target = source.with_name("out.png")
    png.rewrite(head, target, Edit(picked, box, pixels, where), keep_lossy=False)
    png.verify(target)
    return target


CASES = [(channels, dtype) for channels in (1, 2, 3, 4) for dtype in ("u1", "u2")]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("channels", "dtype"), CASES)
def test_codes_are_read_as_the_standard_stores_them(
    tmp_path: Path, channels: int, dtype: str, interlaced: bool
) -> None:
    codes = noise(ALL, channels, dtype)
    head = png.header(build(tmp_path / "a.png", codes, interlaced=interlaced, pieces=5))
    names, most = NAMES[channels], np.float32(np.iinfo(dtype).max)
    assert [(c.name, c.type) for c in head.parts[0].channels] == [
        (name, f"uint{8 * int(dtype[1])}") for name in names
    ]
    wanted = codes.astype(np.float32) / most
    got = png.read(head, head.pick(names[::-1]), ALL.grow(3))
    assert got.dtype == np.float32 and np.array_equal(got[3:-3, 3:-3], wanted[..., ::-1])
    assert not got[:3].any() and not got[:, -3:].any()
    here = wanted[ALL.slices(EDIT)]
    assert np.array_equal(png.read(head, head.pick(names), EDIT), here)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("channels", "dtype"), CASES)
def test_an_edit_changes_its_codes_and_no_other(
    tmp_path: Path, channels: int, dtype: str, interlaced: bool
) -> None:
    codes = noise(ALL, channels, dtype)
    path = build(tmp_path / "a.png", codes, interlaced=interlaced)
    where = np.random.default_rng(2).random((EDIT.height, EDIT.width)) < 0.5
    names = NAMES[channels][::-1][:2]
    new = noise(EDIT, len(names), dtype, 5)
    wanted = codes.copy()
    for i, name in enumerate(names):
        wanted[ALL.slices(EDIT)][..., NAMES[channels].index(name)][where] = new[..., i][where]
    out = edit(path, names, EDIT, new, where)
    if (channels, dtype) == (2, "u2"):  # neither Pillow nor OpenCV has such a type
        head = png.header(out)
        got = np.rint(png.read(head, head.pick("YA"), ALL) * 65535)
    else:
        got = decoded(out)
    assert np.array_equal(got, wanted)


@given(st.data())
def test_the_law_of_an_edit_holds_for_every_size(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    channels, dtype = data.draw(st.sampled_from([(1, "u1"), (3, "u1"), (3, "u2"), (4, "u2")]))
    box = Box(0, 0, data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    codes, new = (noise(box, channels, dtype, data.draw(st.integers(0, 9))) for _ in range(2))
    where = (
        np.random.default_rng(data.draw(st.integers(0, 9))).random((box.height, box.width)) < 0.5
    )
    path = build(
        tmp_path_factory.mktemp("law") / "a.png", codes, interlaced=data.draw(st.booleans())
    )
    out = edit(path, NAMES[channels], box, new, where)
    assert np.array_equal(decoded(out), np.where(where[..., None], new, codes))


def test_a_picture_of_many_bands_is_compressed_as_one(tmp_path: Path) -> None:
    box = Box(0, 0, 700, 1100)
    codes = noise(box, 3, "u1")
    where = np.ones((700, 1100), bool)
    out = edit(build(tmp_path / "a.png", codes * 0), "RGB", box, codes, where)
    assert np.array_equal(decoded(out), codes)
    assert sum(kind == b"IDAT" for kind, _ in chunks_of(out.read_bytes())) > 2


BEFORE = (
    chunk(b"gAMA", struct.pack(">I", 45455))
    + chunk(b"iCCP", b"odd\0\0" + zlib.compress(b"no profile at all"))
    + chunk(b"pHYs", struct.pack(">IIB", 2835, 5670, 1))
    + chunk(b"tEXt", b"Software\0caf\xe9 \x1b[31m")
    + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"long" * 99))
    + chunk(b"tIME", struct.pack(">H5B", 2024, 5, 6, 7, 8, 9))
    + chunk(b"vpAg", os.urandom(9))
)
AFTER = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0") + chunk(b"tEXt", b"Title\0last")


def test_every_chunk_but_the_picture_stays_byte_for_byte(tmp_path: Path) -> None:
    codes = noise(ALL, 3, "u2")
    path = build(tmp_path / "a.png", codes, BEFORE, AFTER, pieces=3)
    path.write_bytes(path.read_bytes())
    out = edit(path, "RGB", ALL, codes, np.ones((ALL.height, ALL.width), bool))
    old, new = chunks_of(path.read_bytes()), chunks_of(out.read_bytes())
    assert [one for one in old if one[0] != b"IDAT"] == [one for one in new if one[0] != b"IDAT"]
    kinds = [kind for kind, _ in new]
    assert kinds.index(b"IDAT") == [kind for kind, _ in old].index(b"IDAT")
    assert np.array_equal(decoded(out), codes)


def test_what_follows_the_last_chunk_stays_too(tmp_path: Path) -> None:
    codes = noise(ALL, 1, "u1")
    path = build(tmp_path / "a.png", codes)
    path.write_bytes(path.read_bytes() + b"trailer")
    out = edit(path, "Y", ALL, codes, np.ones((ALL.height, ALL.width), bool))
    assert out.read_bytes().endswith(chunk(b"IEND", b"") + b"trailer")


def test_the_header_tells_depth_date_gamma_and_resolution(tmp_path: Path) -> None:
    head = png.header(build(tmp_path / "a.png", noise(ALL, 3, "u2"), BEFORE, AFTER))
    assert (head.format, head.display, head.pixel_aspect) == ("png", ALL, 2.0)
    assert head.facts["bit depth"] == "16"
    assert head.facts["date"] == "2024:05:06 07:08:09"
    assert head.facts["resolution"].startswith("72")
    assert head.facts["gamma"] == "2.2"
    assert all(fact.isprintable() for fact in head.facts.values())


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_every_code_goes_out_and_comes_back_as_itself(tmp_path: Path, dtype: str) -> None:
    codes = np.arange(1 << 8 * np.dtype(dtype).itemsize).astype(dtype).reshape(-1, 64, 1)
    head = png.header(build(tmp_path / "a.png", codes))
    pixels = png.read(head, head.pick("Y"), head.display)
    blank = png.header(build(tmp_path / "b.png", codes * 0))
    where = np.ones(codes.shape[:2], bool)
    png.rewrite(blank, tmp_path / "c.png", Edit(blank.pick("Y"), head.display, pixels, where))
    assert np.array_equal(decoded(tmp_path / "c.png"), codes)


def test_codes_are_rounded_to_nearest_and_clamped(tmp_path: Path) -> None:
    head = png.header(build(tmp_path / "a.png", noise(ALL, 3, "u1")))
    values = np.array([100.4, 100.6, -5, 9999, np.nan, np.inf, -np.inf]).astype(np.float32) / 255
    row, where = values.reshape(1, 7, 1), np.ones((1, 7), bool)
    png.rewrite(head, tmp_path / "b.png", Edit(head.pick("G"), Box(0, 0, 1, 7), row, where))
    assert decoded(tmp_path / "b.png")[0, :7, 1].tolist() == [100, 101, 0, 255, 0, 255, 0]


def test_alpha_and_gamma_are_not_applied(tmp_path: Path) -> None:
    codes = noise(ALL, 4, "u1")
    codes[..., 3] = 0
    before = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(
        b"oFFs", struct.pack(">iiB", 5, 6, 0)
    )
    head = png.header(build(tmp_path / "a.png", codes, before))
    assert head.display == ALL
    assert np.array_equal(png.read(head, head.pick("RGBA"), ALL) * 255, codes)


REFUSED: list[tuple[str, Image.Image, dict[str, Any]]] = [
    ("palette", Image.fromarray(noise(ALL, 3, "u1")).quantize(40), {}),
    ("palette", Image.fromarray(noise(ALL, 3, "u1")).quantize(4), {}),
    ("1-bit", Image.fromarray(noise(ALL, 1, "u1")[..., 0]).convert("1"), {}),
    ("transparent colour", Image.fromarray(noise(ALL, 3, "u1")), {"transparency": (1, 2, 3)}),
    ("transparent colour", Image.fromarray(noise(ALL, 1, "u1")[..., 0]), {"transparency": 3}),
]


@pytest.mark.parametrize(("reason", "image", "options"), REFUSED)
def test_a_matte_is_read_of_kinds_that_no_plate_may_be_of(
    tmp_path: Path, reason: str, image: Image.Image, options: dict[str, Any]
) -> None:
    image.save(tmp_path / "a.png", **options)
    head = png.header(tmp_path / "a.png")
    name = "Y" if "Y" in head.names() else "R"
    picked = head.pick(name)
    got = png.read(head, picked, ALL)
    assert np.array_equal(got[..., 0] * 255, np.asarray(image.convert("RGB"))[..., 0])
    with pytest.raises(SequenceError, match=reason) as caught:
        png.check_rewrite(head, picked)
    assert "a.png" in str(caught.value) and caught.value.hint
    with pytest.raises(SequenceError, match=reason):
        png.rewrite(head, tmp_path / "b.png", Edit(picked, ALL, got, np.ones(got.shape[:2], bool)))
    assert not (tmp_path / "b.png").exists()


def whole(path: Path) -> None:
    """Reads all of a file, or raises."""
    head = png.header(path)
    png.read(head, head.pick(head.matte_channel()), head.display)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    sound = build(tmp_path / "a.png", noise(ALL, 3, "u2"), BEFORE, AFTER, pieces=4).read_bytes()
    path = tmp_path / "b.png"
    for keep in [*range(1, 60), *range(60, len(sound), 53), *range(len(sound) - 20, len(sound))]:
        path.write_bytes(sound[:keep])
        with pytest.raises(SequenceError, match=r"b\.png"):
            png.header(path)
        with pytest.raises(SequenceError, match=r"b\.png"):
            png.verify(path)


def test_a_bit_that_flips_anywhere_is_noticed(tmp_path: Path) -> None:
    sound = build(tmp_path / "a.png", noise(ALL, 3, "u1"), BEFORE, AFTER).read_bytes()
    random, path = np.random.default_rng(7), tmp_path / "b.png"
    for at in [*range(60), *range(60, len(sound), 17)]:
        broken = bytearray(sound)
        broken[at] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(broken)
        with pytest.raises(SequenceError, match=r"b\.png"):
            whole(path)
        with pytest.raises(SequenceError, match=r"b\.png"):
            png.verify(path)


@pytest.mark.parametrize("interlaced", [False, True], ids=["rows", "interlaced"])
def test_damage_behind_a_checksum_that_fits_is_noticed_before_libpng_prints_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], interlaced: bool
) -> None:
    sound = build(tmp_path / "a.png", noise(ALL, 3, "u1"), interlaced=interlaced).read_bytes()
    random, path = np.random.default_rng(8), tmp_path / "b.png"
    start, stop = sound.index(b"IDAT"), len(sound) - 16
    for at in range(start + 4, stop, 31):
        broken = bytearray(sound)
        broken[at] ^= 1 << int(random.integers(0, 8))
        broken[stop : stop + 4] = struct.pack(">I", zlib.crc32(broken[start:stop]))
        path.write_bytes(broken)
        with pytest.raises(SequenceError, match=r"b\.png.*; render or copy"):
            whole(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("taller", "reason"), [(4, "ends too soon"), (-4, "more image data than pixels")]
)
def test_image_data_that_does_not_fit_the_size_is_noticed(
    tmp_path: Path, taller: int, reason: str
) -> None:
    codes = noise(ALL, 3, "u1")
    with pytest.raises(SequenceError, match=reason):
        whole(build(tmp_path / "a.png", codes, height=ALL.height + taller))


def test_a_critical_chunk_that_nobody_knows_or_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="PDTE"):
        png.header(build(tmp_path / "a.png", noise(ALL, 3, "u1"), chunk(b"PDTE", bytes(3))))
    with pytest.raises(SequenceError, match="no palette"):
        png.header(build(tmp_path / "a.png", noise(ALL, 1, "u1"), colour=3))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"width": 1_000_000, "height": 1_000_000}, "absurd"),
        ({"width": 0}, "absurd"),
        ({"width": 16384, "height": 16384}, "more than its data can hold"),
        ({"colour": 5}, "header"),
        ({"bits": 3}, "header"),
        ({"bits": 4}, "header"),
    ],
    ids=str,
)
def test_what_a_file_cannot_hold_is_refused_at_its_header(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SequenceError, match=reason):
        png.header(build(tmp_path / "a.png", noise(ALL, 3, "u1"), **fields))


def test_chunks_without_end_are_refused(tmp_path: Path) -> None:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(7_000_000)))
    with pytest.raises(SequenceError, match="more chunks"):
        png.header(build(tmp_path / "a.png", noise(ALL, 3, "u1"), text * 40))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" * 9])
def test_what_is_no_png_is_told_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "it's \x1b odd\n.png"
    path.write_bytes(content)
    with pytest.raises(SequenceError) as caught:
        png.header(path)
    assert repr(str(path)) in str(caught.value)
    os.mkfifo(tmp_path / "f.png")
    for odd in (tmp_path / "f.png", tmp_path, tmp_path / "none.png"):
        with pytest.raises(SequenceError):
            png.header(odd)

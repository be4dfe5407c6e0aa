"""Rewriting OpenEXR: the samples asked for change, and nothing else, down to the bytes.

Files are made and looked at by the OpenEXR binding and by a parser of this test's own; what is
tested decodes through OpenImageIO.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import OpenEXR
import OpenImageIO as oiio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import exr
from infusion_ofx.sequence.frame import Box, Edit

Array = npt.NDArray[Any]
WINDOW = Box(-9, -7, 61, 33)
"""Data window: overscan at the top left of the display, cropped at the bottom right."""
DISPLAY = Box(0, 0, 50, 48)
EDIT = Box(21, -9, 36, 20)
"""What is edited; it begins outside of the data window."""
LOSSLESS = ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "HTJ2K256", "HTJ2K32", "ZSTD"]
LOSSY = ["B44", "B44A", "DWAA", "DWAB"]
KINDS = {
    "half": {"A": "f2", "B": "f2", "G": "f2", "R": "f2"},
    "float": {"B": "f4", "G": "f4", "R": "f4"},
    "uint": {"R": "u4", "id": "u4"},
    "mixed": {"A": "f2", "R": "f2", "Z": "f4", "id": "u4", "x.id": "u4", "x.n": "f2"},
}


def odd_bits(window: Box, kind: str, seed: int = 1) -> Array:
    """Every kind of number: NaN with payloads, infinities, -0, denormals, all others."""
    dtype = np.dtype(kind)
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), window.height * window.width)
    bits = bits.astype(f"u{dtype.itemsize}")
    if kind == "f2":
        odd = [0x7D01, 0x7E55, 0x7C00, 0xFC00, 0x8000, 0x0001, 0x83FF, 0xFFFF]
        bits[:8] = odd[: len(bits)]
    return bits.view(dtype).reshape(window.height, window.width)


def part(
    channels: Mapping[str, str] = KINDS["half"],
    compression: str = "ZIP",
    tile: tuple[int, int] | None = None,
    window: Box = WINDOW,
    name: str = "",
    **attributes: Any,
) -> OpenEXR.Part:
    """A flat part of odd numbers, in a window and of a layout that is asked for."""
    header = {
        "compression": getattr(OpenEXR, f"{compression}_COMPRESSION"),
        "type": OpenEXR.tiledimage if tile else OpenEXR.scanlineimage,
        "dataWindow": ((window.left, window.top), (window.right - 1, window.bottom - 1)),
        "displayWindow": ((0, 0), (DISPLAY.right - 1, DISPLAY.bottom - 1)),
        **attributes,
    }
    if tile:
        header["tiles"] = OpenEXR.TileDescription()
        header["tiles"].xSize, header["tiles"].ySize = tile
        header["tiles"].mode = OpenEXR.ONE_LEVEL
        header["tiles"].roundingMode = OpenEXR.ROUND_DOWN
    planes = {name: odd_bits(window, kind, i) for i, (name, kind) in enumerate(channels.items())}
    return OpenEXR.Part(header, planes, name)


def deep_part(name: str) -> OpenEXR.Part:
    samples = np.empty((20, 10), object)
    for y, x in np.ndindex(samples.shape):
        samples[y, x] = np.arange(1 + y * x % 3, dtype=np.float32)
    header = {
        "compression": OpenEXR.ZIPS_COMPRESSION,
        "type": OpenEXR.deepscanline,
        "displayWindow": ((0, 0), (DISPLAY.right - 1, DISPLAY.bottom - 1)),
    }
    return OpenEXR.Part(header, {"Z": samples}, name)


def write(path: Path, *parts: OpenEXR.Part) -> Path:
    OpenEXR.File(list(parts), num_threads=0).write(str(path))
    return path


class Raw(NamedTuple):
    """The bytes of a file, taken apart."""

    start: bytes
    headers: list[list[tuple[bytes, bytes, bytes]]]
    """Name, type and value of each attribute of each part."""
    chunks: list[tuple[int, bytes]]
    """Offset and bytes of every chunk, in the order of the tables."""

    @property
    def order(self) -> list[int]:
        """Places in the table by the order in the file."""
        return sorted(range(len(self.chunks)), key=lambda i: self.chunks[i][0])


def raw(path: Path) -> Raw:
    """Takes a file apart whose chunks follow each other without gaps."""
    data, at = path.read_bytes(), 8
    headers: list[list[tuple[bytes, bytes, bytes]]] = []
    is_multipart = bool(data[5] & 0x10)
    while data[at] or not headers:
        attributes = []
        while data[at]:
            name, kind, rest = data[at:].split(b"\0", 2)
            length = struct.unpack_from("<i", rest)[0]
            attributes.append((name, kind, rest[4 : 4 + length]))
            at += len(name) + len(kind) + 6 + length
        headers.append(attributes)
        at += 1
        if not is_multipart:
            break
    at += is_multipart
    offsets: list[int] = []
    while at < min(offsets, default=len(data)):  # the tables end where the first chunk begins
        offsets.append(struct.unpack_from("<Q", data, at)[0])
        at += 8
    begins = sorted(offsets)
    ends = dict(zip(begins, [*begins[1:], len(data)], strict=True))
    return Raw(data[:8], headers, [(at, data[at : ends[at]]) for at in offsets])


def planes(path: Path) -> dict[tuple[int, str], Array]:
    """Every channel of every flat part as bits, by the OpenEXR binding."""
    file = OpenEXR.File(str(path), separate_channels=True, num_threads=0)
    return {
        (i, name): channel.pixels.view(f"u{channel.pixels.itemsize}")
        for i, part in enumerate(file.parts)
        for name, channel in part.channels.items()
        if channel.pixels.dtype != object
    }


def edit(source: Path, target: Path, names: Sequence[str], box: Box = EDIT, **options: Any) -> Box:
    """Rewrites a ragged region with 7; returns the data window of the part."""
    header = exr.header(source)
    picked = header.pick(names)
    values = np.full((box.height, box.width, len(names)), 7, np.float32)
    exr.rewrite(header, target, Edit(picked, box, values, ragged(box)), **options)
    exr.verify(target)
    return picked.data


def ragged(box: Box) -> npt.NDArray[np.bool_]:
    """A third of the pixels of a box."""
    return np.asarray(np.indices((box.height, box.width)).sum(0) % 3 == 0)


def check_samples(source: Path, target: Path, names: Sequence[str], box: Box = EDIT) -> None:
    """Sevens where they were asked for, and everything else bit for bit."""
    header = exr.header(source)
    picked = header.pick(names)
    kinds = {channel.name: channel.type for channel in header.parts[picked.part].channels}
    mask = np.zeros((picked.data.height, picked.data.width), bool)
    inner = box.intersect(picked.data)
    mask[picked.data.slices(inner)] = ragged(box)[box.slices(inner)]
    before, after = planes(source), planes(target)
    assert before.keys() == after.keys()
    for key, old in before.items():
        new = after[key]
        if key in [(picked.part, name) for name in picked.names]:
            seven = np.array(7, {"half": "f2", "float": "f4", "uint": "u4"}[kinds[key[1]]])
            assert (new[mask] == seven.view(new.dtype)).all()
            old, new = old[~mask], new[~mask]
        assert np.array_equal(old, new), key


def check_bytes(source: Path, target: Path, changed: set[int]) -> None:
    """The header is the same, and so are all chunks but some, in the same order."""
    before, after = raw(source), raw(target)
    assert (before.start, before.headers) == (after.start, after.headers)
    assert before.order == after.order
    chunks = zip(before.chunks, after.chunks, strict=True)
    assert {i for i, (old, new) in enumerate(chunks) if old[1] != new[1]} <= changed


@pytest.mark.parametrize("tile", [None, (16, 24)], ids=["lines", "tiles"])
@pytest.mark.parametrize(
    "compression, kinds",
    [
        (compression, kinds)
        for compression in LOSSLESS
        for kinds in KINDS
        if compression != "PXR24" or kinds in ("half", "uint")  # it loses bits of floats
    ],
)
def test_an_edit_changes_its_samples_and_the_bytes_of_its_chunks_only(
    tmp_path: Path, compression: str, tile: tuple[int, int] | None, kinds: str
) -> None:
    source = write(tmp_path / "a.exr", part(KINDS[kinds], compression, tile))
    edit(source, tmp_path / "b.exr", ["R"])
    check_samples(source, tmp_path / "b.exr", ["R"])
    # Lines 21 to 35 are of a window that begins at -9: chunks of so many lines from there.
    lines = {"ZIP": 16, "PXR24": 16, "PIZ": 32, "HTJ2K32": 32, "HTJ2K256": 256}.get(compression, 1)
    changed = set(range((21 + 9) // lines, (35 + 9) // lines + 1))
    check_bytes(source, tmp_path / "b.exr", {3, 4} if tile else changed)


@pytest.mark.parametrize("tile", [None, (16, 24)], ids=["lines", "tiles"])
@pytest.mark.parametrize("compression", [*LOSSY, "PXR24"])
def test_a_lossy_part_becomes_zip_so_that_it_loses_nothing_more(
    tmp_path: Path, compression: str, tile: tuple[int, int] | None
) -> None:
    lossy = part(KINDS["float" if compression == "PXR24" else "mixed"], compression, tile)
    source = write(tmp_path / "a.exr", lossy)
    edit(source, tmp_path / "b.exr", ["R"])
    check_samples(source, tmp_path / "b.exr", ["R"])
    before, after = raw(source), raw(tmp_path / "b.exr")
    zipped = [(n, k, b"\3" if n == b"compression" else v) for n, k, v in before.headers[0]]
    assert after.headers == [zipped]


@pytest.mark.parametrize("tile", [None, (16, 24)], ids=["lines", "tiles"])
@pytest.mark.parametrize("compression", [*LOSSY, "PXR24"])
def test_keeping_a_lossy_compression_touches_the_chunks_of_the_edit_only(
    tmp_path: Path, compression: str, tile: tuple[int, int] | None
) -> None:
    source = write(
        tmp_path / "a.exr", part(KINDS["mixed"], compression, tile, dwaCompressionLevel=90.0)
    )
    edit(source, tmp_path / "b.exr", ["Z"], keep_lossy=True)
    lines = {"PXR24": 16, "DWAB": 256}.get(compression, 32)
    changed = set(range(30 // lines, 44 // lines + 1))
    check_bytes(source, tmp_path / "b.exr", {3, 4} if tile else changed)


@pytest.mark.parametrize("compression", ["B44", "B44A", "DWAA", "DWAB"])
@pytest.mark.parametrize("is_linear", [False, True])
def test_what_is_kept_lossy_comes_out_near_to_what_was_asked_for(
    tmp_path: Path, compression: str, is_linear: bool
) -> None:
    """Which B44 does only if it is told again that perception is linear in the samples."""
    planes = {}
    for name in "BGR":
        ramp = np.linspace(6.8, 7.2, WINDOW.height * WINDOW.width, dtype=np.float32)
        halfs = ramp.reshape(WINDOW.height, WINDOW.width).astype(np.float16)
        planes[name] = OpenEXR.Channel(halfs, 1, 1, is_linear)
    made = part({}, compression)
    source = write(tmp_path / "a.exr", OpenEXR.Part(made.header, planes, ""))
    edit(source, tmp_path / "b.exr", ["R"], keep_lossy=True)
    before, after = (
        exr.read(exr.header(path), exr.header(path).pick("R"), WINDOW).astype(np.float32)[..., 0]
        for path in (source, tmp_path / "b.exr")
    )
    inner = EDIT.intersect(WINDOW)
    before[WINDOW.slices(inner)][ragged(EDIT)[EDIT.slices(inner)]] = 7
    assert np.abs(after - before).max() < 0.1


def test_the_dwa_level_of_the_source_is_kept(tmp_path: Path) -> None:
    box = Box(0, 0, 64, 64)
    light = (np.random.default_rng(1).random((64, 64)) + 0.1).astype(np.float16)
    sizes = []
    for level in (1.0, 400.0):
        header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.DWAA_COMPRESSION}
        header["dwaCompressionLevel"] = level
        source = write(tmp_path / "a.exr", OpenEXR.Part(header, dict.fromkeys("RGB", light), ""))
        edit(source, tmp_path / "b.exr", ["R"], box, keep_lossy=True)
        sizes.append((tmp_path / "b.exr").stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


def test_other_parts_come_through_whatever_they_are(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.exr",
        deep_part("deep"),
        part({"R": "f2", "B": "f2"}, "DWAA", name="rgb.left", view="left"),
        part({"Z": "f4"}, "PIZ", window=Box(2, 3, 9, 30), name="depth"),
        part({"id": "u4", "R": "f2"}, "PIZ", (16, 16), Box(0, 0, 48, 48), "ids"),
    )
    edit(source, tmp_path / "b.exr", ["ids.R", "ids.id"])
    check_samples(source, tmp_path / "b.exr", ["ids.R", "ids.id"])
    before = raw(source)
    assert len(before.headers) == 4
    check_bytes(source, tmp_path / "b.exr", set(range(len(before.chunks) - 9, len(before.chunks))))
    edit(source, tmp_path / "c.exr", ["Z"], Box(2, 3, 9, 30))
    check_samples(source, tmp_path / "c.exr", ["Z"], Box(2, 3, 9, 30))


def test_a_lossy_part_of_several_gets_its_new_chunk_count_and_no_other_part_moves(
    tmp_path: Path,
) -> None:
    source = write(
        tmp_path / "a.exr",
        part({"R": "f2"}, "DWAB", name="a"),
        part({"R": "f2", "G": "f2"}, "DWAB", name="b"),
        deep_part("c"),
    )
    edit(source, tmp_path / "b.exr", ["b.R"])
    check_samples(source, tmp_path / "b.exr", ["b.R"])
    before, after = raw(source), raw(tmp_path / "b.exr")
    assert after.headers[::2] == before.headers[::2]
    changed = [
        new for old, new in zip(before.headers[1], after.headers[1], strict=True) if old != new
    ]
    assert changed == [
        (b"chunkCount", b"int", struct.pack("<i", 5)),
        (b"compression", b"compression", b"\3"),
    ]
    chunks = [[chunk for _, chunk in file.chunks] for file in (before, after)]
    assert chunks[0][:1] + chunks[0][2:] == chunks[1][:1] + chunks[1][6:]


@pytest.mark.parametrize("compression", ["ZIP", "DWAB"])
def test_decreasing_lines_stay_decreasing_in_the_file(tmp_path: Path, compression: str) -> None:
    tall = part({"R": "f2"}, compression, window=Box(-5, 0, 700, 9), lineOrder=OpenEXR.DECREASING_Y)
    source = write(tmp_path / "a.exr", tall)
    for box in (EDIT, Box(-5, 0, 700, 9)):
        edit(source, tmp_path / "b.exr", ["R"], box)
        check_samples(source, tmp_path / "b.exr", ["R"], box)
        order = raw(tmp_path / "b.exr").order
        assert len(order) == 45 and order == sorted(order, reverse=True)


def shuffle(path: Path, seed: int = 3) -> Path:
    """Lays the chunks in any order, with bytes between them that belong to nobody."""
    file, rng, places = raw(path), random.Random(seed), {}
    begin = min(at for at, _ in file.chunks)
    body = b"gap"
    for i in rng.sample(range(len(file.chunks)), len(file.chunks)):
        places[i] = begin + len(body)
        body += file.chunks[i][1] + rng.randbytes(rng.randrange(5))
    table = struct.pack(f"<{len(places)}Q", *(places[i] for i in range(len(places))))
    head = path.read_bytes()[: begin - len(table)]
    path.write_bytes(head + table + body + b"tail")
    return path


@pytest.mark.parametrize("tile", [None, (16, 24)], ids=["lines", "tiles"])
def test_chunks_in_any_order_stay_where_they_are_with_all_that_is_between(
    tmp_path: Path, tile: tuple[int, int] | None
) -> None:
    source = shuffle(write(tmp_path / "a.exr", part({"R": "f2"}, "NO", tile)))
    edit(source, tmp_path / "b.exr", ["R"])
    check_samples(source, tmp_path / "b.exr", ["R"])
    old, new = (np.frombuffer(p.read_bytes(), "u1") for p in (source, tmp_path / "b.exr"))
    assert len(old) == len(new) and 0 < (old != new).sum() <= 2 * ragged(EDIT).sum()


def write_mip_chain(path: Path, compression: str) -> Path:
    """A tiled mip chain of noise, 48 x 32 pixels."""
    out = oiio.ImageOutput.create("openexr")
    assert out is not None
    for level in range(6):
        width, height = max(48 >> level, 1), max(32 >> level, 1)
        spec = oiio.ImageSpec(width, height, 2, "half")
        spec.channelnames, spec.tile_width, spec.tile_height = ("R", "G"), 16, 16
        spec.attribute("compression", compression)
        spec.attribute("textureformat", "Plain Texture")
        spec.attribute("openexr:levelmode", 1)
        assert out.open(str(path), spec, "AppendMIPLevel" if level else "Create")
        noise = np.random.default_rng(level).random((height, width, 2)).astype(np.float16)
        assert out.write_image(noise)
    assert out.close()
    return path


def mip_level(path: Path, level: int) -> Array:
    file = oiio.ImageInput.open(str(path))
    assert file is not None
    pixels = file.read_image(0, level, 0, 2, "half")
    assert pixels is not None
    return pixels


@pytest.mark.parametrize("compression", ["zip", "dwaa"])
def test_every_level_of_a_mip_chain_comes_through(tmp_path: Path, compression: str) -> None:
    source, target = write_mip_chain(tmp_path / "a.exr", compression), tmp_path / "b.exr"
    edit(source, target, ["R"], Box(0, 0, 5, 5))
    check_samples(source, target, ["R"], Box(0, 0, 5, 5))
    if compression == "zip":
        check_bytes(source, target, {0})
    for level in range(1, 6):
        assert np.array_equal(mip_level(source, level), mip_level(target, level))


def write_rip_grid(path: Path) -> Path:
    """A tiled rip grid of noise without compression, 21 x 13 pixels, by hand."""
    source = write(path, part({"R": "f2", "Z": "f4"}, "NO", (8, 8), Box(0, 0, 13, 21)))
    data, begin = source.read_bytes(), min(at for at, _ in raw(source).chunks)
    head = bytearray(data[: begin - 8 * len(raw(source).chunks)])
    head[head.index(b"tiles\0tiledesc\0") + 27] = 2
    chunks = []
    for down, height in enumerate((13, 6, 3, 1)):
        for across, width in enumerate((21, 10, 5, 2, 1)):
            for y, x in np.ndindex(-(-height // 8), -(-width // 8)):
                size = 6 * min(8, width - 8 * x) * min(8, height - 8 * y)
                noise = np.random.default_rng(size).bytes(size)
                chunks.append(struct.pack("<5i", x, y, across, down, size) + noise)
    at = np.cumsum([len(head) + 8 * len(chunks), *map(len, chunks[:-1])])
    path.write_bytes(bytes(head) + at.astype("<u8").tobytes() + b"".join(chunks))
    return path


def test_a_rip_grid_comes_through_and_is_refused_where_it_is_lossy(tmp_path: Path) -> None:
    source, target, box = write_rip_grid(tmp_path / "a.exr"), tmp_path / "b.exr", Box(9, 9, 12, 12)
    edit(source, target, ["R"], box)
    check_samples(source, target, ["R"], box)
    check_bytes(source, target, {4})
    data = bytearray(source.read_bytes())
    data[data.index(b"compression\0compression\0") + 28] = 8
    source.write_bytes(data)
    header = exr.header(source)
    with pytest.raises(SequenceError, match="rip levels under dwaa"):
        exr.check_rewrite(header, header.pick(["R"]))
    assert exr.check_rewrite(header, header.pick(["R"]), keep_lossy=True) == ""


def with_attribute(path: Path, name: bytes, kind: bytes, value: bytes) -> None:
    """Puts a raw attribute at the start of a one-part file's header."""
    data, extra = (
        path.read_bytes(),
        b"%s\0%s\0%s%s" % (name, kind, struct.pack("<i", len(value)), value),
    )
    chunks = [at for at, _ in raw(path).chunks]
    table = struct.pack(f"<{len(chunks)}Q", *(at + len(extra) for at in chunks))
    begin = min(chunks)
    path.write_bytes(data[:8] + extra + data[8 : begin - len(table)] + table + data[begin:])


def test_every_attribute_comes_through_known_to_anyone_or_not(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", part())
    for name, kind, value in (
        (b"odd", b"someStudioType", b"\x00\xff" * 9),
        (b"void", b"string", b""),
        (b"latin", b"string", b"Andr\xe9"),
        (b"preview", b"preview", struct.pack("<II", 1, 1) + b"\1\2\3\4"),
        (b"three", b"floatvector", struct.pack("<3f", 1, 2, 3)),
        (b"framesPerSecond", b"rational", struct.pack("<iI", 24000, 1001)),
        (b"multiView", b"stringvector", b"\4\0\0\0left\5\0\0\0right"),
        (b"tiles", b"tiledesc", struct.pack("<IIB", 64, 64, 0)),
        (b"a" * 200, b"bytes", b"long"),
        (b"huge", b"bytes", bytes(200_000)),
    ):
        with_attribute(source, name, kind, value)
    edit(source, tmp_path / "b.exr", ["R"])
    check_bytes(source, tmp_path / "b.exr", {1, 2})
    assert len(raw(source).headers[0]) > 17


def test_two_runs_and_eight_threads_write_the_same_bytes(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", part(KINDS["mixed"], "PIZ"))
    targets = [tmp_path / f"{i}.exr" for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda target: edit(source, target, ["R"]), targets))
    assert len({target.read_bytes() for target in targets}) == 1


def test_an_edit_that_meets_no_pixel_copies_the_file(tmp_path: Path) -> None:
    for compression in ("ZIP", "DWAA"):
        source = write(tmp_path / "a.exr", part(compression=compression))
        edit(source, tmp_path / "b.exr", ["R"], Box(200, 200, 210, 210))
        assert (tmp_path / "b.exr").read_bytes() == source.read_bytes()


def test_light_is_clamped_and_not_finite_pixels_stay(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", part(KINDS["mixed"]))
    header, box = exr.header(source), Box(0, 0, 1, 4)
    values = np.array([1e9, -1e9, np.inf, np.nan], np.float32).reshape(1, 4, 1)
    for name, expected in (("R", [65504, -65504, np.inf]), ("id", [1e9, 0, 2**32 - 1])):
        picked = header.pick([name])
        exr.rewrite(header, tmp_path / "b.exr", Edit(picked, box, values, np.ones((1, 4), bool)))
        got = exr.read(exr.header(tmp_path / "b.exr"), picked, box).ravel()
        assert got[:3].tolist() == expected and (name == "id" or np.isnan(got[3]))


@st.composite
def cases(draw: st.DrawFn) -> tuple[OpenEXR.Part, Box]:
    """A part of any layout, and a box that may or may not meet it."""
    top, left = draw(st.integers(-40, 40)), draw(st.integers(-40, 40))
    size = st.integers(1, 70)
    window = Box(top, left, top + draw(size), left + draw(size))
    tile = draw(st.none() | st.tuples(st.integers(1, 80), st.integers(1, 80)))
    names = draw(st.sets(st.sampled_from(["A", "R", "id", "b.R", "é", "a.b.c"]), min_size=1))
    kinds = {name: draw(st.sampled_from(["f2", "f4", "u4"])) for name in sorted(names)}
    compression = draw(st.sampled_from([name for name in LOSSLESS if name != "PXR24"]))
    order = draw(st.sampled_from([OpenEXR.INCREASING_Y, OpenEXR.DECREASING_Y]))
    made = part(kinds, compression, tile, window, lineOrder=order)
    y, x = draw(st.integers(-45, 100)), draw(st.integers(-45, 100))
    return made, Box(y, x, y + draw(st.integers(1, 60)), x + draw(st.integers(1, 60)))


@settings(max_examples=25)
@given(case=cases())
def test_whatever_the_layout_an_edit_changes_its_samples_only(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[OpenEXR.Part, Box]
) -> None:
    folder = tmp_path_factory.mktemp("case")
    made, box = case
    source, name = write(folder / "a.exr", made), next(iter(made.channels))
    edit(source, folder / "b.exr", [name], box)
    check_samples(source, folder / "b.exr", [name], box)
    check_bytes(source, folder / "b.exr", set(range(len(raw(source).chunks))))

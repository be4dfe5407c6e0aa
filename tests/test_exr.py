"""OpenEXR: what is read, and that rewriting leaves every other sample and header byte alone."""

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
from infusion_ofx.sequence import exr
from infusion_ofx.sequence.exr_file import check_chunks, read_layout
from infusion_ofx.sequence.frame import Box

Array = npt.NDArray[Any]
WINDOW = Box(-9, -7, 31, 41)
"""Data window: overscan at the top left of the display, cropped at the bottom right."""
DISPLAY = Box(0, 0, 36, 48)
EDIT = Box(3, 5, 12, 20)
LOSSLESS = ["none", "rle", "zips", "zip", "piz", "pxr24"]
LOSSY = ["dwaa:60", "dwab", "b44", "b44a"]


def odd_halfs(channels: int, window: Box = WINDOW) -> Array:
    """Every kind of half: NaN with payloads, infinities, -0, denormals, all others."""
    count = window.height * window.width * channels
    bits = (np.arange(count, dtype=np.uint32) * 40503 % 65536).astype(np.uint16)
    bits[:8] = [0x7D01, 0x7E55, 0x7C00, 0xFC00, 0x8000, 0x0001, 0x83FF, 0xFFFF]
    return bits.view(np.float16).reshape(window.height, window.width, channels)


def make_spec(
    names: Sequence[str],
    kind: str = "half",
    compression: str = "zip",
    window: Box = WINDOW,
    **attributes: Any,
) -> oiio.ImageSpec:
    spec = oiio.ImageSpec(window.width, window.height, len(names), kind)
    spec.x, spec.y = window.left, window.top
    spec.full_x, spec.full_y = DISPLAY.left, DISPLAY.top
    spec.full_width, spec.full_height = DISPLAY.width, DISPLAY.height
    spec.channelnames = tuple(names)
    spec.attribute("compression", compression)
    for name, value in attributes.items():
        spec.attribute(name, value)
    return spec


def exr_output() -> oiio.ImageOutput:
    out = oiio.ImageOutput.create("openexr")
    assert out is not None, oiio.geterror()
    return out


def write(path: Path, *parts: tuple[oiio.ImageSpec, Array]) -> Path:
    out = exr_output()
    assert out.open(str(path), tuple(spec for spec, _ in parts)), out.geterror()
    for i, (spec, pixels) in enumerate(parts):
        assert i == 0 or out.open(str(path), spec, "AppendSubimage")
        assert out.write_image(pixels), out.geterror()
    assert out.close()
    return path


def all_samples(path: Path) -> dict[tuple[int, str], Array]:
    """Every channel of every part in its own type, as raw bits, by OpenImageIO."""
    file, found, part = oiio.ImageInput.open(str(path)), {}, 0
    assert file is not None, oiio.geterror()
    while file.seek_subimage(part, 0):
        spec = file.spec()
        kinds = spec.channelformats or [spec.format] * spec.nchannels
        for i, name in enumerate(spec.channelnames):
            pixels = file.read_image(part, 0, i, i + 1, str(kinds[i]))
            assert pixels is not None, file.geterror()
            found[part, name] = pixels.reshape(spec.height, spec.width).view(f"u{pixels.itemsize}")
        part += 1
    return found


def edit(
    source: Path,
    target: Path,
    channels: Sequence[str] = ("R", "G", "B"),
    value: float = 2.5,
    window: Box = WINDOW,
    part: int = 0,
) -> None:
    """Rewrites a ragged region, and checks every sample and every header byte of the result."""
    where = (np.indices((EDIT.height, EDIT.width)).sum(0) % 3) == 0
    pixels = np.full((EDIT.height, EDIT.width, len(channels)), value, np.float32)
    exr.rewrite(source, target, channels, EDIT, pixels, where)
    exr.verify(target)
    before, after = all_samples(source), all_samples(target)
    assert before.keys() == after.keys()
    mask = np.zeros((window.height, window.width), bool)
    mask[window.slices(EDIT)] = where
    for key, old in before.items():
        edited = mask if key in [(part, name) for name in channels] else np.zeros(old.shape, bool)
        assert np.array_equal(old[~edited], after[key][~edited]), key
        if edited.any():
            kind = np.dtype(f"f{old.itemsize}")
            assert np.array_equal(after[key][edited].view(kind), pixels[where][:, 0].astype(kind))
    assert headers(source) == headers(target)


def headers(path: Path) -> list[Any]:
    """Every attribute's type and bytes, all parts, but for what a change of compression changes."""
    return [
        {
            name: value
            for name, value in part.attributes.items()
            if name not in (b"compression", b"chunkCount")
        }
        for part in read_layout(path).parts
    ]


def with_attribute(path: Path, name: bytes, kind: bytes, value: bytes) -> Path:
    """Puts a raw attribute into the header of a one-part file."""
    layout, data = read_layout(path), path.read_bytes()
    extra = name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
    count = (layout.table_end - layout.header_end) // 8
    table = np.frombuffer(data, "<u8", count, layout.header_end) + np.uint64(len(extra))
    path.write_bytes(
        data[:8] + extra + data[8 : layout.header_end] + table.tobytes() + data[layout.table_end :]
    )
    return path


@pytest.mark.parametrize("compression", LOSSLESS)
def test_an_edit_of_half_leaves_every_other_bit_and_the_compression(
    tmp_path: Path, compression: str
) -> None:
    spec = make_spec(["R", "G", "B", "A", "depth.Z"], compression=compression)
    source = write(tmp_path / "a.exr", (spec, odd_halfs(5)))
    edit(source, tmp_path / "b.exr")
    assert exr.header(tmp_path / "b.exr").compression == compression


@pytest.mark.parametrize("compression", LOSSY)
def test_a_lossy_source_is_written_without_further_loss(tmp_path: Path, compression: str) -> None:
    values = np.random.default_rng(1).random((WINDOW.height, WINDOW.width, 4)).astype(np.float16)
    spec = make_spec(["R", "G", "B", "id.R"], compression=compression)
    source = write(tmp_path / "a.exr", (spec, values))
    edit(source, tmp_path / "b.exr")
    assert exr.header(tmp_path / "b.exr").compression == "zip"


def test_pxr24_with_float_is_written_as_zip(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((WINDOW.height, WINDOW.width, 3)).astype(np.float32)
    source = write(tmp_path / "a.exr", (make_spec("RGB", "float", "pxr24"), values))
    edit(source, tmp_path / "b.exr")
    assert exr.header(tmp_path / "b.exr").compression == "zip"


def test_half_beside_float_stays_exact(tmp_path: Path) -> None:
    spec = make_spec(["R", "G", "B", "Z"], compression="zips")
    spec.channelformats = tuple(oiio.TypeDesc(kind) for kind in ("half", "half", "half", "float"))
    bits = np.arange(WINDOW.height * WINDOW.width, dtype=np.uint32) * np.uint32(2654435)
    bits[:4] = [0x7F800001, 0xFFC12345, 0x80000000, 1]
    pixels = np.concatenate(
        [
            odd_halfs(3).astype(np.float32),
            bits.view(np.float32).reshape(WINDOW.height, WINDOW.width, 1),
        ],
        axis=2,
    )
    source = write(tmp_path / "a.exr", (spec, pixels))
    edit(source, tmp_path / "b.exr")
    edit(source, tmp_path / "c.exr", ["Z"])
    got = exr.read(source, ["R", "Z"], WINDOW)
    assert got.dtype == np.float32
    assert np.array_equal(got[..., 1].view(np.uint32).ravel(), bits)
    assert exr.read(source, ["B", "R"], WINDOW).dtype == np.float16


def test_uint_in_a_part_of_its_own_is_carried_and_mixed_in_one_is_refused(tmp_path: Path) -> None:
    ids = np.arange(WINDOW.height * WINDOW.width, dtype=np.uint32).reshape(
        WINDOW.height, WINDOW.width, 1
    ) * np.uint32(2654435761)
    source = write(
        tmp_path / "a.exr",
        (make_spec("RGB", name="rgb"), odd_halfs(3)),
        (make_spec(["id"], "uint", name="id"), ids),
    )
    edit(source, tmp_path / "b.exr")
    spec = make_spec(["R", "id"])
    spec.channelformats = (oiio.TypeDesc("half"), oiio.TypeDesc("uint"))
    nothing = np.zeros((WINDOW.height, WINDOW.width, 2), np.float32)
    mixed = write(tmp_path / "m.exr", (spec, nothing))
    with pytest.raises(SequenceError, match=r"'.*m.exr' has uint channels \(id\)"):
        edit(mixed, tmp_path / "n.exr", ["R"])
    exr.check_rewrite(source)
    with pytest.raises(SequenceError, match="uint"):
        exr.check_rewrite(mixed)
    assert not (tmp_path / "n.exr").exists()


def test_subsampled_channels_are_refused_by_the_header(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", (make_spec(["RY", "Y"]), odd_halfs(2)))
    data = source.read_bytes()
    place = data.index(b"RY\0") + 3 + 8
    source.write_bytes(data[:place] + struct.pack("<ii", 2, 2) + data[place + 8 :])
    with pytest.raises(SequenceError, match="luminance and chroma"):
        exr.header(source)


def test_parts_views_and_data_windows_of_other_parts_are_carried(tmp_path: Path) -> None:
    small = Box(2, 3, 9, 30)
    parts = (
        (make_spec("RGBA", name="rgba.left", view="left"), odd_halfs(4)),
        (make_spec(["Z"], window=small, name="depth"), odd_halfs(1, small)),
        (make_spec("RGB", compression="piz", name="rgba.right", view="right"), odd_halfs(3)),
    )
    source = write(tmp_path / "a.exr", *parts)
    edit(source, tmp_path / "b.exr")
    assert exr.header(source).parts == ("rgba.left", "depth", "rgba.right")


def test_lossy_parts_keep_their_names_and_get_their_new_chunk_counts(tmp_path: Path) -> None:
    flat = np.full((WINDOW.height, WINDOW.width, 3), 0.3, np.float16)
    source = write(
        tmp_path / "a.exr",
        (make_spec("RGB", compression="dwab", name="a"), flat),
        (make_spec("RGB", compression="dwaa", name="b"), flat),
    )
    edit(source, tmp_path / "b.exr")


def test_deep_pixels_alone_are_refused(tmp_path: Path) -> None:
    spec = make_spec(["A", "Z"], "float", "zips")
    spec.deep = True
    deep = oiio.DeepData()
    deep.init(WINDOW.width * WINDOW.height, 2, [oiio.TypeDesc("float")] * 2, ["A", "Z"])
    deep.set_samples(5, 2)
    out = exr_output()
    assert out.open(str(tmp_path / "a.exr"), spec) and out.write_deep_image(deep) and out.close()
    check_chunks(tmp_path / "a.exr")
    with pytest.raises(SequenceError, match="holds deep pixels only"):
        exr.header(tmp_path / "a.exr")


def test_tiles_stay_tiles_and_boxes_are_read_out_of_them(tmp_path: Path) -> None:
    spec = make_spec("RGB")
    spec.tile_width = spec.tile_height = 16
    halfs = odd_halfs(3)
    source = write(tmp_path / "a.exr", (spec, halfs))
    edit(source, tmp_path / "b.exr")
    assert read_layout(tmp_path / "b.exr").parts[0].is_tiled
    for box in (EDIT, WINDOW, Box(-9, -7, -8, -6), Box(30, 40, 31, 41)):
        got = exr.read(source, "RGB", box)
        assert np.array_equal(got.view(np.uint16), halfs[WINDOW.slices(box)].view(np.uint16))


def test_all_levels_of_a_mip_chain_are_carried(tmp_path: Path) -> None:
    window = Box(0, 0, 32, 32)
    spec = make_spec("RGB", window=window, textureformat="Plain Texture")
    spec.attribute("openexr:levelmode", 1)
    spec.tile_width = spec.tile_height = 16
    out = exr_output()
    assert out.open(str(tmp_path / "a.exr"), spec)
    for size in (32, 16, 8, 4, 2, 1):
        level = make_spec("RGB", window=Box(0, 0, size, size))
        level.tile_width = level.tile_height = 16
        assert size == 32 or out.open(str(tmp_path / "a.exr"), level, "AppendMIPLevel")
        assert out.write_image(np.full((size, size, 3), size, np.float16)), out.geterror()
    assert out.close()
    del out
    edit(tmp_path / "a.exr", tmp_path / "b.exr", window=window)
    file = oiio.ImageInput.open(str(tmp_path / "b.exr"))
    assert file is not None
    assert np.unique(np.asarray(file.read_image(0, 3, 0, 3, "half"))).tolist() == [4]


@pytest.mark.parametrize("order", ["increasingY", "decreasingY"])
def test_tall_frames_are_rewritten_in_blocks_and_keep_their_line_order(
    tmp_path: Path, order: str
) -> None:
    window = Box(-5, 0, 700, 24)
    spec = make_spec("RGB", window=window)
    spec.attribute("openexr:lineOrder", order)
    source = write(tmp_path / "a.exr", (spec, odd_halfs(3, window)))
    edit(source, tmp_path / "b.exr", window=window)


def test_every_attribute_survives_known_or_not(tmp_path: Path) -> None:
    spec = make_spec("RGB", DateTime="2024:01:02 03:04:05", Artist="A. Ü.", empty="", count=7)
    spec.attribute("nuke/input/filename", "a 'b' \"c\"")
    spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (0x01020304, 0))
    spec.attribute(
        "chromaticities",
        oiio.TypeDesc("float[8]"),
        (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
    )
    source = write(tmp_path / "a.exr", (spec, odd_halfs(3)))
    for name, kind, value in (
        (b"odd", b"someStudioType", b"\x00\xff" * 9),
        (b"void", b"string", b""),
        (b"preview", b"preview", struct.pack("<II", 1, 1) + b"\1\2\3\4"),
        (b"three", b"floatvector", struct.pack("<3f", 1, 2, 3)),
        (b"framesPerSecond", b"rational", struct.pack("<iI", 24000, 1001)),
        (b"tiff:odd", b"string", b"x"),
    ):
        with_attribute(source, name, kind, value)
    edit(source, tmp_path / "b.exr")
    kept = read_layout(tmp_path / "b.exr").parts[0].attributes
    assert {
        b"odd",
        b"void",
        b"preview",
        b"three",
        b"tiff:odd",
        b"timeCode",
        b"framesPerSecond",
        b"chromaticities",
    } <= kept.keys()


def test_a_file_without_a_date_gets_none_and_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", (make_spec("RGB", DateTime=""), odd_halfs(3)))
    edit(source, tmp_path / "b.exr")
    edit(source, tmp_path / "c.exr")
    assert (tmp_path / "b.exr").read_bytes() == (tmp_path / "c.exr").read_bytes()
    assert not read_layout(tmp_path / "b.exr").parts[0].value("capDate")


def test_light_is_clamped_to_half_and_not_finite_pixels_stay(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", (make_spec("RGB"), odd_halfs(3)))
    values = np.array([1e9, -1e9, np.inf, np.nan], np.float32).reshape(1, 4, 1)
    exr.rewrite(source, tmp_path / "b.exr", ["G"], Box(0, 0, 1, 4), values, np.ones((1, 4), bool))
    got = exr.read(tmp_path / "b.exr", ["G"], Box(0, 0, 1, 4)).ravel()
    assert got[:3].tolist() == [65504, -65504, np.inf] and np.isnan(got[3])


def test_an_edit_outside_the_data_window_changes_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "a.exr", (make_spec("RGB", DateTime=""), odd_halfs(3)))
    box = Box(28, 38, 40, 50)
    exr.rewrite(
        source,
        tmp_path / "b.exr",
        ["R"],
        box,
        np.ones((12, 12, 1), np.float32),
        np.ones((12, 12), bool),
    )
    before, after = exr.read(source, ["R"], WINDOW), exr.read(tmp_path / "b.exr", ["R"], WINDOW)
    changed = (before.view(np.uint16) != after.view(np.uint16))[..., 0]
    assert changed.sum() <= 9 and not changed[:-3].any() and not changed[:, :-3].any()


def test_a_box_is_black_outside_the_data_and_channels_come_in_the_asked_order(
    tmp_path: Path,
) -> None:
    halfs = odd_halfs(4)
    source = write(tmp_path / "a.exr", (make_spec("RGBA"), halfs))
    box = WINDOW.grow(3)
    got = exr.read(source, ["A", "R"], box)
    assert got.dtype == np.float16 and got.shape == (box.height, box.width, 2)
    inner = got[box.slices(WINDOW)]
    assert np.array_equal(inner.view(np.uint16), halfs[..., [3, 0]].view(np.uint16))
    assert not got[:3].any() and not got[:, :3].any() and not got[-3:].any()
    assert not exr.read(source, ["A"], Box(100, 100, 105, 103)).any()
    assert exr.read(source, ["A"], Box(5, 5, 5, 5)).shape == (0, 0, 1)


def test_the_header_is_read_in_display_space(tmp_path: Path) -> None:
    head = exr.header(
        write(
            tmp_path / "a.exr",
            (make_spec(["R", "left.B"], "float"), odd_halfs(2).astype(np.float32)),
        )
    )
    assert (head.data, head.display, head.format) == (WINDOW, DISPLAY, "openexr")
    assert {(c.name, c.type) for c in head.channels} == {("R", "float"), ("left.B", "float")}

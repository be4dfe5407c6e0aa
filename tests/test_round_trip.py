"""One file of every feature, edited in a region as a job would, and judged by OpenImageIO: the
region is what was asked for, and every other sample and every attribute is what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import OpenEXR
import OpenImageIO as oiio
import pytest

from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

Array = npt.NDArray[Any]
SHOWN = Box(0, 0, 20, 24)
REGION = Box(6, 5, 13, 17)
METADATA = {
    "smpte:TimeCode": ("timecode", (0x01020304, 0)),
    "FramesPerSecond": ("rational", (24000, 1001)),
    "chromaticities": ("float[8]", (0.7, 0.3, 0.2, 0.8, 0.1, 0.1, 0.3, 0.3)),
    "worldToCamera": ("matrix", tuple(range(16))),
    "cryptomatte/1/manifest": ("string", '{"é":"0a"}'),
    "nuke/node_hash": ("string", "9f"),
    "Software": ("string", "a renderer"),
    "DateTime": ("string", "2024:05:06 07:08:09"),
    "PixelAspectRatio": ("float", 2.0),
}


class Case(NamedTuple):
    """A feature: what makes the file, and what a job asks of it."""

    make: Callable[[Path], None]
    name: str = "a.1.exr"
    channels: str = "R,G,B"
    layer: str = ""
    view: str = ""
    part: int = 0
    """The one that is edited."""


def spec_of(
    channels: str = "R,G,B,A", kind: str = "half", window: Box = SHOWN, **attributes: Any
) -> oiio.ImageSpec:
    """A picture with all the metadata; two underscores of a name stand for a colon."""
    names = tuple(channels.split(","))
    spec = oiio.ImageSpec(window.width, window.height, len(names), kind)
    spec.channelnames, spec.x, spec.y = names, window.left, window.top
    spec.full_width, spec.full_height = SHOWN.width, SHOWN.height
    for name, (type_of, value) in METADATA.items():
        spec.attribute(name, oiio.TypeDesc(type_of), value)
    for name, value in attributes.items():
        name = name.replace("__", ":")
        if isinstance(value, tuple):
            spec.attribute(name, oiio.TypeDesc(f"string[{len(value)}]"), value)
        else:
            spec.attribute(name, value)
    return spec


def noise(spec: oiio.ImageSpec, seed: int) -> Array:
    pixels = np.random.default_rng(seed).random((spec.height, spec.width, spec.nchannels))
    if str(spec.format) in ("half", "float"):
        pixels = pixels * 9 - 2
        pixels.flat[:3] = np.nan, np.inf, -0.0
    return pixels.astype(np.float32)


def flat(*parts: dict[str, Any], tile: int = 0) -> Callable[[Path], None]:
    """What writes a file of such parts; each is what ``spec_of`` takes."""

    def make(path: Path) -> None:
        out, specs = oiio.ImageOutput.create(str(path)), [spec_of(**part) for part in parts]
        assert out is not None, oiio.geterror()
        for spec in specs:
            spec.tile_width = spec.tile_height = tile
        assert out.open(str(path), tuple(specs)), out.geterror()
        for i, spec in enumerate(specs):
            assert i == 0 or out.open(str(path), spec, "AppendSubimage"), out.geterror()
            assert out.write_image(noise(spec, i)), out.geterror()
        assert out.close(), out.geterror()

    return make


def mip(path: Path) -> None:
    flat({})(path.with_name("base.exr"))
    made = oiio.ImageBufAlgo.make_texture(
        oiio.MakeTxTexture, str(path.with_name("base.exr")), str(path), oiio.ImageSpec()
    )
    assert made, oiio.geterror()


def deep_beside(path: Path) -> None:
    """A flat picture, and behind it a deep part."""
    counts = np.arange(20 * 24).reshape(20, 24) % 3
    depth = np.array([[np.arange(n, dtype=np.float32) for n in row] for row in counts], object)
    rng = np.random.default_rng(2)
    planes = {name: rng.random((20, 24)).astype(np.float16) for name in "RGB"}
    parts = [
        OpenEXR.Part({"type": OpenEXR.scanlineimage}, planes, "beauty"),
        OpenEXR.Part(
            {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION},
            {"Z": OpenEXR.Channel(depth)},
            "samples",
        ),
    ]
    OpenEXR.File(parts).write(str(path))


def mixed(path: Path) -> None:
    """Half, float and uint in one part, which OpenImageIO reads and cannot write."""
    rng = np.random.default_rng(3)
    planes: dict[str, Array] = {name: rng.random((20, 24)).astype(np.float16) for name in "RGB"}
    planes |= {"Z": rng.random((20, 24)).astype(np.float32)}
    planes |= {"id": rng.integers(0, 2**32, (20, 24), np.uint32)}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write(str(path))


def cases() -> Iterator[tuple[str, Case]]:
    for compression in ("none", "rle", "zips", "zip", "piz", "pxr24", "htj2k256", "zstd"):
        yield f"exr {compression}", Case(flat({"compression": compression}))
    yield "exr float", Case(flat({"kind": "float"}))
    yield "exr overscan", Case(flat({"window": Box(-3, -5, 30, 31)}))
    yield "exr cropped", Case(flat({"window": Box(4, 3, 15, 20)}))
    yield "exr tiles", Case(flat({}, tile=8))
    yield "exr mip levels", Case(mip)
    yield "exr falling lines", Case(flat({"openexr__lineOrder": "decreasingY"}))
    layers = "R,G,B,beauty.R,beauty.G,beauty.B,Z"
    yield "exr layers", Case(flat({"channels": layers}), layer="beauty")
    eyes = {"channels": "R,G,B,right.R,right.G,right.B", "multiView": ("left", "right")}
    yield "exr views of a part", Case(flat(eyes), view="right")
    parts = [
        {"channels": "R,G,B", "oiio__subimagename": f"rgb.{eye}", "view": eye}
        for eye in ("left", "right")
    ]
    yield "exr parts and views", Case(flat(*parts), view="right", part=1)
    yield "exr deep beside", Case(deep_beside)
    yield "exr mixed types", Case(mixed)
    for bits in (8, 10, 12, 16):
        for endian in ("little", "big"):
            kind = {"channels": "R,G,B", "kind": "uint8" if bits == 8 else "uint16"}
            depth = {"oiio__BitsPerSample": bits, "oiio__Endian": endian}
            yield f"dpx {bits} {endian}", Case(flat({**kind, **depth}), "a.1.dpx")
    for name in ("uint8", "uint16"):
        yield f"png {name}", Case(flat({"kind": name}), "a.1.png")
    for compression in ("none", "lzw", "zip", "packbits"):
        for name in ("uint8", "uint16", "half", "float"):
            made = flat({"kind": name, "compression": compression})
            yield f"tiff {compression} {name}", Case(made, "a.1.tif")
    yield "tiff tiles", Case(flat({"kind": "uint16"}, tile=16), "a.1.tif")


class Level(NamedTuple):
    """A part, or a level of one, as OpenImageIO sees it."""

    says: dict[str, str]
    window: Box
    planes: dict[str, Array]
    deep: list[Any]


def levels(path: Path) -> list[Level]:
    as_stored = oiio.ImageSpec()
    as_stored.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), as_stored)
    assert file is not None, oiio.geterror()
    found, part, level = [], 0, 0
    while file.seek_subimage(part, level):
        while file.seek_subimage(part, level):
            found.append(_level(file, part, level))
            level += 1
        part, level = part + 1, 0
    return found


def _level(file: oiio.ImageInput, part: int, level: int) -> Level:
    spec = file.spec()
    says = {each.name: repr(each.value) for each in spec.extra_attribs}
    kinds = [str(kind) for kind in spec.channelformats or [spec.format] * spec.nchannels]
    says["channels"] = repr((spec.channelnames, kinds))
    says["display"] = repr((spec.full_x, spec.full_y, spec.full_width, spec.full_height))
    says["tiles"] = repr((spec.tile_width, spec.tile_height))
    window = Box(spec.y, spec.x, spec.y + spec.height, spec.x + spec.width)
    if spec.deep:
        data = file.read_native_deep_image(part, level)
        assert data is not None, file.geterror()
        pixels = range(spec.width * spec.height)
        values = [[data.deep_value(at, 0, n) for n in range(data.samples(at))] for at in pixels]
        return Level(says, window, {}, values)
    planes = {}
    for i, (name, kind) in enumerate(zip(spec.channelnames, kinds, strict=True)):
        plane = file.read_image(part, level, i, i + 1, kind)
        assert plane is not None, file.geterror()
        planes[name] = plane[..., 0]
    return Level(says, window, planes, [])


CASES = dict(cases())


@pytest.mark.parametrize("feature", CASES)
def test_a_region_changes_and_nothing_else_does(tmp_path: Path, feature: str) -> None:
    case = CASES[feature]
    source, target = tmp_path / case.name, tmp_path / f"out.{case.name}"
    case.make(source)
    plate = Sequence.open(str(source), view=case.view)
    plate = plate.choose(case.channels.split(","), case.layer)
    old = plate.read(1, REGION)
    new = np.flip(old, axis=0)
    plate.write(1, target, REGION, new, np.ones(old.shape[:2], bool))
    edited = set(plate.header(1).pick(case.channels.split(","), case.layer, case.view).names)
    before, after = levels(source), levels(target)
    assert len(before) == len(after)
    for i, (was, now) in enumerate(zip(before, after, strict=True)):
        assert (was.says, was.window, was.deep) == (now.says, now.window, now.deep)
        for name, plane in was.planes.items():
            wanted = plane.copy()
            if i == case.part and name in edited:
                inner = REGION.intersect(was.window)
                at = REGION.slices(inner)
                place = next(n for n, each in enumerate(plate.channels) if each.name == name)
                here = wanted[was.window.slices(inner)]
                here[...] = codes_of(new[at][..., place], here, feature)
            assert wanted.tobytes() == now.planes[name].tobytes(), name


def codes_of(new: Array, like: Array, feature: str) -> Array:
    """Numbers of 0 to 1 as the codes that OpenImageIO gives for a depth; others as they are."""
    if like.dtype.kind == "f":
        return new
    kind, bits, *_ = feature.split()
    depth = int(bits) if kind == "dpx" else 8 * like.dtype.itemsize
    codes: Array = np.rint(new * (2**depth - 1)).astype(np.uint64)
    if depth in (10, 12):  # spread over 16 bits: the high bits again below
        codes = codes << (16 - depth) | codes >> (2 * depth - 16)
    return codes.astype(like.dtype)

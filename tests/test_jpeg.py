"""JPEG: decoded samples come in exactly, and go out as PNG exactly; damage is never grey."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence import jpeg, png
from infusion_ofx.sequence.frame import Box, Edit

Array = npt.NDArray[Any]
ALL = Box(0, 0, 50, 70)
EDIT = Box(10, 20, 30, 44)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("L", {}),
    ("RGB", {"subsampling": 0}),
    ("RGB", {"subsampling": 2, "progressive": True}),
    ("RGB", {"subsampling": 1, "restart_marker_rows": 1, "quality": 30}),
]


def save(path: Path, mode: str = "RGB", **options: Any) -> Path:
    """A picture with an EXIF orientation, a profile and a resolution."""
    y, x = np.mgrid[: ALL.height, : ALL.width]
    waves = [127 + 60 * np.sin(x / 7 + k) + 60 * np.cos(y / 5 - k) for k in range(3)]
    image = Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2024:05:06 07:08:09"
    image.convert(mode).save(
        path, "JPEG", **{"exif": exif, "icc_profile": PROFILE, "dpi": (72, 144), **options}
    )
    return path


def decoded(path: Path) -> Array:
    """What Pillow makes of a file."""
    pixels = np.asarray(Image.open(path))
    return pixels[..., None] if pixels.ndim == 2 else pixels


@pytest.mark.parametrize(("mode", "options"), KINDS)
def test_samples_are_read_as_libjpeg_decodes_them(
    tmp_path: Path, mode: str, options: dict[str, Any]
) -> None:
    path = save(tmp_path / "a.jpg", mode, **options)
    head = jpeg.header(path)
    assert (head.format, head.display) == ("jpeg", ALL)
    picked = head.pick("Y" if mode == "L" else "BGR")
    got = jpeg.read(head, picked, ALL.grow(2))
    wanted = decoded(path)[..., ::-1].astype(np.float32) / np.float32(255)
    assert np.array_equal(got[2:-2, 2:-2], wanted) and not got[:2].any()
    assert np.array_equal(jpeg.read(head, picked, EDIT), wanted[ALL.slices(EDIT)])


@pytest.mark.parametrize(("mode", "options"), KINDS)
def test_an_edit_is_written_as_png_with_every_other_sample_as_decoded(
    tmp_path: Path, mode: str, options: dict[str, Any]
) -> None:
    path = save(tmp_path / "a.jpg", mode, **options)
    head, out = jpeg.header(path), tmp_path / f"b{jpeg.TARGET}"
    picked = head.pick("Y" if mode == "L" else "GR")
    assert "becomes PNG" in jpeg.check_rewrite(head, picked)
    where = np.random.default_rng(0).random((EDIT.height, EDIT.width)) < 0.5
    new = np.random.default_rng(1).integers(0, 256, (*where.shape, len(picked.names)))
    jpeg.rewrite(head, out, Edit(picked, EDIT, new / 255, where), keep_lossy=False)
    jpeg.verify(out)
    wanted = decoded(path).copy()
    for i, name in enumerate(picked.names):
        wanted[ALL.slices(EDIT)][..., "YRGB".index(name) - (mode != "L")][where] = new[..., i][
            where
        ]
    assert np.array_equal(decoded(out), wanted)
    with Image.open(path) as source, Image.open(out) as written:
        assert written.info["icc_profile"] == source.info["icc_profile"] == PROFILE
        assert b"Exif\0\0" + written.getexif().tobytes()[6:] == source.info["exif"]
    again = png.header(out)
    assert (again.display, again.pixel_aspect) == (head.display, head.pixel_aspect)
    assert again.facts["orientation"] == "6" and again.facts["resolution"].startswith("72 x 144")


def test_a_file_without_metadata_makes_a_png_without(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("L", (9, 7), 5).save(file, "JPEG")
    path = tmp_path / "a.jpeg"
    path.write_bytes(file.getvalue())
    head = jpeg.header(path)
    box = Box(0, 0, 1, 1)
    edit = Edit(head.pick("Y"), box, np.ones((1, 1, 1)), box_of(box))
    jpeg.rewrite(head, tmp_path / "b.png", edit)
    with Image.open(tmp_path / "b.png") as image:
        assert set(image.info) <= {"aspect"} and image.getpixel((0, 0)) == 255


def box_of(box: Box) -> npt.NDArray[np.bool_]:
    return np.ones((box.height, box.width), bool)


def test_the_header_tells_date_profile_and_shape_of_a_pixel(tmp_path: Path) -> None:
    head = jpeg.header(save(tmp_path / "a.jpg"))
    assert head.pixel_aspect == 2.0
    assert [(c.name, c.type) for c in head.parts[0].channels] == [(n, "uint8") for n in "RGB"]
    assert head.facts["date"] == "2024:05:06 07:08:09"
    assert head.facts["ICC profile"] == "sRGB built-in" and head.facts["orientation"] == "6"


def test_cmyk_is_told_as_unread(tmp_path: Path) -> None:
    Image.new("CMYK", (20, 10)).save(tmp_path / "a.jpg")
    head = jpeg.header(tmp_path / "a.jpg")
    with pytest.raises(SequenceError, match="CMYK colours, which is not read"):
        head.pick("R")


def whole(path: Path) -> Array:
    """Reads all of a file, or raises."""
    head = jpeg.header(path)
    return jpeg.read(head, head.pick(head.matte_channel()), head.display)


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
@pytest.mark.parametrize(("mode", "options"), KINDS[1:3])
def test_a_file_cut_short_anywhere_is_refused(
    tmp_path: Path, mode: str, options: dict[str, Any], end: bytes
) -> None:
    sound = save(tmp_path / "a.jpg", mode, **options).read_bytes()
    path = tmp_path / "b.jpg"
    wanted = whole(tmp_path / "a.jpg")
    for keep in [
        *range(1, 30),
        *range(30, len(sound) - 20, 61),
        *range(len(sound) - 9, len(sound)),
    ]:
        path.write_bytes(sound[:keep] + end)
        try:
            got = whole(path)
        except SequenceError as error:
            assert "b.jpg" in str(error)
        else:  # only the filling bits of the last byte are gone
            assert keep >= len(sound) - 3 and np.array_equal(got, wanted)


def test_flipped_bytes_give_pixels_or_one_clear_error(tmp_path: Path) -> None:
    sound = save(tmp_path / "a.jpg").read_bytes()
    random, path = np.random.default_rng(7), tmp_path / "b.jpg"
    for at in range(0, len(sound), 7):
        broken = bytearray(sound)
        broken[at] ^= int(random.integers(1, 256))
        path.write_bytes(broken)
        try:
            whole(path)
        except SequenceError as error:
            assert "b.jpg" in str(error)


def claims(path: Path, width: int, height: int, **options: Any) -> Path:
    """A file whose header claims another size."""
    data = bytearray(save(path, **options).read_bytes())
    at = data.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    data[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    path.write_bytes(data)
    return path


def test_what_a_file_cannot_hold_is_refused_at_its_header(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="more than its data can hold"):
        jpeg.header(claims(tmp_path / "a.jpg", 16000, 16000))
    with pytest.raises(SequenceError, match="absurd"):
        jpeg.header(claims(tmp_path / "a.jpg", 70, 0))
    with pytest.raises(SequenceError, match="cannot be decoded"):
        whole(claims(tmp_path / "a.jpg", ALL.width, ALL.height + 30))


def test_scans_without_end_are_refused(tmp_path: Path) -> None:
    path = claims(tmp_path / "a.jpg", 4000, 4000, progressive=True)
    data = path.read_bytes()
    path.write_bytes(data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 200 + data[-2:])
    with pytest.raises(SequenceError, match="more scans"):
        jpeg.header(path)
    path.write_bytes(data[:-2] + b"\xff\xe9\0\2" * 20_000 + data[-2:])
    with pytest.raises(SequenceError, match="more segments"):
        jpeg.header(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8", b"\xff" * 100_000, b"\x89PNG\r\n"])
def test_what_is_no_jpeg_is_told_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "it's \x1b odd\n.jpg"
    path.write_bytes(content)
    with pytest.raises(SequenceError) as caught:
        jpeg.header(path)
    assert repr(str(path)) in str(caught.value)
    with pytest.raises(SequenceError):
        jpeg.verify(path)
    os.mkfifo(tmp_path / "f.jpg")
    for odd in (tmp_path / "f.jpg", tmp_path, tmp_path / "none.jpg"):
        with pytest.raises(SequenceError):
            jpeg.header(odd)

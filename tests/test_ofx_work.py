"""What the engine does for the plug-in: the host's frames as files, finished fills as numbers."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest

from infusion_ofx.errors import JobError, SequenceError
from infusion_ofx.ofx.plain import Fill, read_frame, write_fill
from infusion_ofx.ofx.work import MARGIN, _gather, _places, cache
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.pattern import Pattern

if TYPE_CHECKING:
    from conftest import FullDisk, Shot

Array = npt.NDArray[Any]


def host_frame(path: Path, pixels: Array, origin: tuple[int, int] = (0, 0)) -> None:
    """What the plug-in writes. pixels: (height, width, 4 or 1), top row first."""
    height, width, channels = pixels.shape
    x, y = origin
    head = struct.pack("<8s6i", b"INFUFRAM", 1, x, y, x + width, y + height, channels)
    path.write_bytes(head.ljust(64, b"\0") + pixels[::-1].astype("<f4").tobytes())


def random(*shape: int) -> Array:
    return np.random.default_rng(5).standard_normal(shape, np.float32)


def test_a_fill_counts_rows_from_below_as_ofx_does(tmp_path: Path) -> None:
    rgba, inside = random(2, 3, 4), np.arange(6, dtype=np.uint8).reshape(2, 3)
    write_fill(tmp_path / "1.fill", Fill(Box(10, 20, 16, 28), Box(11, 22, 13, 25), rgba, inside))
    data = (tmp_path / "1.fill").read_bytes()
    assert struct.unpack("<8s7i", data[:36]) == (b"INFUFILL", 1, 8, 6, 2, 3, 5, 5)
    assert data[64 : 64 + 96] == rgba[::-1].tobytes() and data[160:] == bytes([3, 4, 5, 0, 1, 2])


def test_a_hosts_frame_becomes_an_exr_and_one_that_is_the_same_keeps_its_date(
    tmp_path: Path,
) -> None:
    pattern, pixels = Pattern.parse(f"{tmp_path}/plate.####.exr"), random(4, 5, 4)
    target = tmp_path / "plate.-0007.exr"
    dates = []
    for changed in (pixels, pixels, pixels + 1):
        host_frame(tmp_path / "-7.frame", changed)
        _gather(tmp_path, pattern, "RGBA")
        file = oiio.ImageInput.open(str(target))
        assert file is not None
        found = file.read_image(0, 0, 0, 4, oiio.FLOAT)
        file.close()
        assert found is not None and found.tobytes() == changed.tobytes()
        dates.append(target.stat().st_mtime_ns)
    assert dates[0] == dates[1] != dates[2]
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_a_hosts_frame_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "1.frame"
    host_frame(path, random(2, 2, 4))
    whole = path.read_bytes()
    for data in (b"", whole[:-1], b"X" + whole[1:], whole[:28] + b"\3" + whole[29:]):
        path.write_bytes(data)
        with pytest.raises(SequenceError, match="1.frame"):
            read_frame(path)
    host_frame(path, random(2, 2, 4), (-8, 0))
    with pytest.raises(SequenceError, match="begins at pixel"):
        read_frame(path)


@pytest.mark.parametrize(
    ("channels", "places"),
    [
        ("R,G,B", [(0,), (1,), (2,)]),
        ("beauty.B,beauty.R", [(2,), (0,)]),
        ("Y", [(0, 1, 2)]),
        ("A", [(3,)]),
        ("u,v", [(0,), (1,)]),
    ],
)
def test_channels_find_their_place_in_a_hosts_picture(
    channels: str, places: list[tuple[int, ...]]
) -> None:
    assert _places(tuple(channels.split(","))) == places


def write_png(path: Path, pixels: Array) -> None:
    """Writes an 8-bit PNG. pixels: (height, width, channels), codes."""
    output = oiio.ImageOutput.create("png")
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "uint8")
    assert output is not None and output.open(str(path), spec)
    assert output.write_image(pixels.astype(np.uint8)) and output.close()


def test_fills_of_a_coded_plate_are_light_and_a_frame_without_a_hole_has_none(
    shot: Shot,
) -> None:
    y, x = np.mgrid[:24, :32]
    for frame in (1, 2):
        codes = 128 + 100 * np.sin(x / 3 + frame) * np.cos(y / 4)
        write_png(shot.folder / f"p.{frame}.png", np.stack([codes, codes / 2, 255 - codes], 2))
        hole = 255 * ((frame == 1) & (abs(y - 12) < 3) & (abs(x - 9) < 4))
        write_png(shot.folder / f"m.{frame}.png", hole[..., None])
    plate, matte = (str(shot.folder / f"{name}.#.png") for name in "pm")
    folder = Path(run(replace(shot.job(), plate=plate, matte=matte)).folder)
    assert cache(folder) == 2
    file = oiio.ImageInput.open(str(shot.folder / "out/p.1.png"))
    assert file is not None
    codes = file.read_image(0, 0, 0, 3, oiio.FLOAT)
    file.close()
    assert codes is not None
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    data = (folder / "fills/1.fill").read_bytes()
    x1, y1, x2, y2 = struct.unpack("<4i", data[20:36])
    assert (x1, y1, x2, y2) == (0, 24 - 15 - MARGIN, 13 + MARGIN, 24 - 10 + MARGIN)
    rgba = np.frombuffer(data, "<f4", (x2 - x1) * (y2 - y1) * 4, 64).reshape(y2 - y1, x2 - x1, 4)
    np.testing.assert_allclose(rgba[::-1, :, :3], light[24 - y2 : 24 - y1, x1:x2], rtol=1e-5)
    inside = np.frombuffer(data, np.uint8, (x2 - x1) * (y2 - y1), 64 + rgba.nbytes)
    assert set(inside) == {0, 7} and (inside == 7).sum() == 5 * 7
    assert struct.unpack("<4i", (folder / "fills/2.fill").read_bytes()[20:36])[0] == 0
    assert len((folder / "fills/2.fill").read_bytes()) == 64


def test_fills_appear_whole_or_not_at_all(shot: Shot, full_disk: type[FullDisk]) -> None:
    folder = Path(run(shot.job()).folder)
    with full_disk(500), pytest.raises(Exception, match="cannot write"):
        cache(folder)
    assert not (folder / "shown").exists() and not shot.hidden()
    assert not list((folder / "fills").iterdir())
    assert cache(folder) == len(shot.frames)


def test_a_folder_that_is_no_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="is no job folder"):
        cache(tmp_path)
    assert not list(tmp_path.iterdir())

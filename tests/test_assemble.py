"""The last step: the fill lies in the hole, every other bit is the plate's, no frame is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest
import torch

from infusion_ofx.assemble import assemble
from infusion_ofx.engine.volume import Volume
from infusion_ofx.errors import IncompleteError, MissingStepError
from infusion_ofx.job import Job
from infusion_ofx.kept import Fill
from infusion_ofx.material import Material, open_material
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

if TYPE_CHECKING:
    from conftest import Shot

ALL = Box(0, 0, 24, 32)
RGB = ["R", "G", "B"]


def material_of(shot: Shot, **settings: Any) -> Material:
    paths = {"plate": shot.plate, "matte": shot.matte, "output": f"{shot.folder}/out/"}
    return open_material(Job(**{**paths, "recipe": "draft", **settings}))


def grey(material: Material, value: float = 0.25) -> Fill:
    """One value over the box of each hole."""
    boxes = [material.hole(frame).box for frame in material.frames]
    return Fill(
        material.frames,
        Volume.make(boxes, lambda i, box: torch.full((3, box.height, box.width), value)),
    )


def paint(path: str | Path, channels: list[str], box: Box, value: float) -> None:
    """Sets a box of a frame to one value."""
    shape = (box.height, box.width)
    pixels = np.full((*shape, len(channels)), value, np.float32)
    still = Sequence.open(str(path)).choose(channels)
    still.write(still.frames[0], Path(path), box, pixels, np.ones(shape, bool), in_place=True)


def bits(text: str, frame: int) -> npt.NDArray[Any]:
    return Sequence.open(text).choose(RGB).read(frame, ALL).view(np.uint16)


def mask(material: Material, frame: int) -> npt.NDArray[np.bool_]:
    """Where the matte of a frame is above 0."""
    matte = material.matte.read(frame, ALL)[:, :, 0]
    return np.asarray(matte > 0)


def test_the_fill_lies_in_the_hole_and_every_other_bit_is_the_plates(shot: Shot) -> None:
    for column, value in enumerate((np.nan, np.inf, -np.inf, -0.0, 6e-8)):
        paint(shot.folder / "plate.1003.exr", RGB, Box(1, column, 2, column + 1), value)
    material = material_of(shot)
    filled = assemble(material, grey(material), lambda done: None)
    assert filled == 8 * 7 * 7
    for frame in shot.frames:
        hole = mask(material, frame)
        before = bits(shot.plate, frame)
        after = bits(f"{shot.folder}/out/plate.####.exr", frame)
        assert np.array_equal(before[~hole], after[~hole])
        assert (after[hole] == np.float16(0.25).view(np.uint16)).all()


def test_light_of_the_plate_that_is_not_finite_gives_way_wherever_the_matte_is_above_zero(
    shot: Shot,
) -> None:
    hole = Box(8, 10, 15, 17)
    paint(shot.folder / "matte.1001.exr", ["A"], hole, 0.5)
    paint(shot.folder / "plate.1001.exr", RGB, hole, 1.0)
    paint(shot.folder / "plate.1001.exr", RGB, Box(8, 10, 9, 11), np.nan)
    material = material_of(shot)
    assemble(material, grey(material), lambda done: None)
    after = Sequence.open(f"{shot.folder}/out/").choose(RGB).read(1001, hole)
    assert (after[0, 0] == 0.25).all() and (after[1:] == 0.625).all()


def test_a_frame_without_a_hole_is_copied_byte_for_byte(shot: Shot) -> None:
    paint(shot.folder / "matte.1002.exr", ["A"], ALL, 0)
    material = material_of(shot)
    assemble(material, grey(material), lambda done: None)
    source, copy = (shot.folder / name / "plate.1002.exr" for name in ("", "out"))
    assert source.read_bytes() == copy.read_bytes()


def test_frames_are_counted_one_by_one_and_nothing_else_is_left(shot: Shot) -> None:
    counted: list[int] = []
    material = material_of(shot)
    assemble(material, grey(material), counted.append)
    assert counted == list(range(1, 9))
    written = sorted(path.name for path in (shot.folder / "out").iterdir())
    assert written == [f"plate.{frame}.exr" for frame in shot.frames]


def test_a_fill_that_leaves_a_part_of_the_hole_open_is_refused(shot: Shot) -> None:
    material = material_of(shot)
    whole = grey(material)
    cut = [replace(box, bottom=box.bottom - (i == 3)) for i, box in enumerate(whole.light.boxes)]
    short = Fill(whole.numbers, Volume.make(cut, whole.light.view))
    with pytest.raises(MissingStepError, match="does not cover the hole of frame 1004"):
        assemble(material, short, lambda done: None)
    assert not (shot.folder / "out" / "plate.1004.exr").exists()


def test_frames_that_vanish_again_are_named(shot: Shot) -> None:
    material = material_of(shot)

    def remove(done: int) -> None:
        if done == 8:
            (shot.folder / "out" / "plate.1003.exr").unlink()
            (shot.folder / "out" / "plate.1004.exr").unlink()

    with pytest.raises(IncompleteError, match="frames 1003-1004 of .* are gone again"):
        assemble(material, grey(material), remove)


@pytest.mark.parametrize("missing", ["hold", "black"])
def test_a_frame_that_is_missing_is_written_under_its_own_name(shot: Shot, missing: str) -> None:
    (shot.folder / "plate.1004.exr").unlink()
    (shot.folder / "matte.1004.exr").unlink()
    material = material_of(shot, missing=missing)
    assemble(material, grey(material), lambda done: None)
    stood_in, neighbour = (bits(f"{shot.folder}/out/", frame) for frame in (1004, 1003))
    if missing == "hold":
        assert np.array_equal(stood_in, neighbour)
    else:
        assert not stood_in.any()
    assert len(list((shot.folder / "out").iterdir())) == 8


def test_frames_that_are_left_out_are_not_written(shot: Shot) -> None:
    (shot.folder / "matte.1004.exr").unlink()
    material = material_of(shot, missing="skip")
    assert assemble(material, grey(material), lambda done: None) == 7 * 7 * 7
    assert not (shot.folder / "out" / "plate.1004.exr").exists()
    assert len(list((shot.folder / "out").iterdir())) == 7


def test_other_layers_of_the_plate_stay_bit_for_bit(shot: Shot) -> None:
    rng = np.random.default_rng(5)
    names = [f"{layer}.{name}" for layer in ("beauty", "glow") for name in "BGR"]
    for frame in shot.frames:
        spec = oiio.ImageSpec(32, 24, 6, "half")
        spec.channelnames = names
        output = oiio.ImageOutput.create("openexr")
        assert output is not None and output.open(f"{shot.folder}/layers.{frame}.exr", spec)
        pixels = rng.integers(0, 65536, (24, 32, 6), np.uint16).view(np.float16)
        assert output.write_image(pixels) and output.close()
    plate = f"{shot.folder}/layers.####.exr"
    material = material_of(shot, plate=plate, layer="glow")
    assemble(material, grey(material), lambda done: None)
    before, after = (Sequence.open(text).choose(names) for text in (plate, f"{shot.folder}/out/"))
    for frame in shot.frames:
        pair = [one.read(frame, ALL).view(np.uint16) for one in (before, after)]
        differ = (pair[0] != pair[1]).any(axis=2)
        assert np.array_equal(differ, mask(material, frame))
        assert np.array_equal(pair[0][..., :3], pair[1][..., :3])


def test_a_plate_of_integers_is_filled_in_light_and_written_in_its_own_encoding(
    shot: Shot,
) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    for frame in shot.frames:
        cv2.imwrite(str(shot.folder / f"scan.{frame}.png"), codes)
    material = material_of(shot, plate=str(shot.folder / "scan.####.png"))
    assemble(material, grey(material, 0.18), lambda done: None)
    for frame in shot.frames:
        after = cv2.imread(str(shot.folder / "out" / f"scan.{frame}.png"), cv2.IMREAD_UNCHANGED)
        hole = mask(material, frame)
        assert after is not None
        assert np.array_equal(after[~hole], codes[~hole])
        assert (after[hole] == 118).all()  # IEC 61966-2-1: 0.18 is code 117.6


@pytest.mark.parametrize("name", ["Cineon", "ACEScc", "ADX16"])
def test_a_pixel_that_the_matte_spares_never_passes_through_colour(shot: Shot, name: str) -> None:
    rng = np.random.default_rng(6)
    noise = rng.integers(0, 65536, (24, 32, 3), np.uint16).view(np.float16)
    still = Sequence.open(shot.plate).choose(RGB)
    everywhere = np.ones((24, 32), bool)
    still.write(1001, still.path(1001), ALL, noise, everywhere, in_place=True)
    paint(shot.folder / "matte.1001.exr", ["A"], Box(9, 11, 13, 15), 0)
    material = material_of(shot, colorspace=name, frames="1001")
    with np.errstate(all="ignore"):
        there_and_back = material.colour.from_light(material.colour.to_light(noise))
        assert (there_and_back.astype(np.float16) != noise).mean() > 0.1, "it would be seen"
    assemble(material, grey(material), lambda done: None)
    hole, after = mask(material, 1001), bits(f"{shot.folder}/out/plate.####.exr", 1001)
    assert 0 < hole.sum() < 49
    assert np.array_equal(after[~hole], noise.view(np.uint16)[~hole])
    assert (after[hole] != noise.view(np.uint16)[hole]).any()

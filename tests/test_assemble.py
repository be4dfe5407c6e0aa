"""The last step: the fill lies in the hole, every other bit is the plate's, no frame is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from infusion_ofx.assemble import FILE, assemble, load_fill, save_fill
from infusion_ofx.errors import IncompleteError, MissingStepError
from infusion_ofx.job import Job
from infusion_ofx.material import Material, open_material
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence, write_frame

if TYPE_CHECKING:
    from conftest import Shot

ALL = Box(0, 0, 24, 32)
RGB = ["R", "G", "B"]
Fill = dict[int, tuple[Box, torch.Tensor]]


def material_of(shot: Shot) -> Material:
    output = f"{shot.folder}/out/"
    return open_material(Job(plate=shot.plate, matte=shot.matte, output=output, recipe="draft"))


def grey(material: Material, value: float = 0.25) -> Fill:
    """One value over the box of each hole."""
    boxes = {frame: material.hole(frame).box for frame in material.frames}
    return {n: (b, torch.full((3, b.height, b.width), value)) for n, b in boxes.items()}


def paint(path: Path, channels: list[str], box: Box, value: float) -> None:
    """Sets a box of a frame to one value."""
    shape = (box.height, box.width)
    pixels = np.full((*shape, len(channels)), value, np.float32)
    write_frame(path, path, channels, box, pixels, np.ones(shape, bool), in_place=True)


def bits(text: str, frame: int) -> npt.NDArray[Any]:
    return Sequence.open(text).read(frame, RGB, ALL).view(np.uint16)


def mask(material: Material, frame: int) -> npt.NDArray[np.bool_]:
    """Where the matte of a frame is above 0."""
    matte = material.matte.read(frame, [material.matte_channel], ALL)[:, :, 0]
    return np.asarray(matte > 0)


def test_a_fill_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    fill: Fill = {-3: (Box(-2, 4, 3, 9), torch.randn(3, 5, 5)), 7: (Box(0, 0, 1, 1), torch.ones(1))}
    save_fill(tmp_path, fill)
    kept = load_fill(tmp_path)
    assert kept is not None and kept.keys() == fill.keys()
    for frame, (box, light) in fill.items():
        assert kept[frame][0] == box and torch.equal(kept[frame][1], light)


def test_a_damaged_fill_is_no_fill(tmp_path: Path) -> None:
    assert load_fill(tmp_path) is None
    save_fill(tmp_path, {1: (Box(0, 0, 2, 2), torch.ones(3, 2, 2))})
    whole = (tmp_path / FILE).read_bytes()
    for damaged in (whole[:-3], whole[:-3] + b"abc", b"", b"\xff" * 100):
        (tmp_path / FILE).write_bytes(damaged)
        assert load_fill(tmp_path) is None


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
    after = Sequence.open(f"{shot.folder}/out/plate.####.exr").read(1001, RGB, hole)
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
    short = grey(material)
    box, light = short[1004]
    short[1004] = (Box(box.top, box.left, box.bottom - 1, box.right), light[:, :-1])
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

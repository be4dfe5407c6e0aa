"""A job's sequences in agreement: faults named at once, channels, views, missing frames, and the
hole's exact shape."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest
from PIL import Image

from infusion_ofx.errors import JobError, SequenceError
from infusion_ofx.job import Job
from infusion_ofx.material import Material, open_material
from infusion_ofx.sequence import formats
from infusion_ofx.sequence.frame import Box
from tiny import ALL, RGB, job_of, paint

if TYPE_CHECKING:
    from conftest import Shot


def alpha_of(material: Material, frame: int) -> npt.NDArray[np.float32]:
    """The hole of a frame, laid out over the whole picture."""
    hole = material.hole(frame)
    whole = np.zeros((ALL.height, ALL.width), np.float32)
    whole[ALL.slices(hole.box)] = hole.alpha
    return whole


def write(path: Path, *channels: str, value: float = 0.0) -> None:
    """Writes a half EXR of the shot's size with one value everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = oiio.ImageSpec(ALL.width, ALL.height, len(channels), "half")
    spec.channelnames = channels
    output = oiio.ImageOutput.create("openexr")
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    pixels = np.full((ALL.height, ALL.width, len(channels)), value, np.float16)
    assert output.write_image(pixels) and output.close()


def test_a_hole_is_the_same_in_strips_as_in_one_piece(
    shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(shot.folder / "matte.1002.exr", ["A"], Box(20, 1, 24, 3), 0.5)
    paint(shot.folder / "matte.1003.exr", ["A"], ALL, 0)
    material = open_material(job_of(shot, grow=1, feather=2))
    whole = [material.hole(frame) for frame in material.frames]
    monkeypatch.setattr(formats, "_TALL", 5)
    monkeypatch.setattr(formats, "_STRIP", 1)
    assert [(b.top, b.bottom) for b in material.matte.strips(1001, ALL)] == [
        (0, 5), (5, 10), (10, 15), (15, 20), (20, 24),
    ]  # fmt: skip
    for frame, one in zip(material.frames, whole, strict=True):
        found = material.hole(frame)
        assert (found.box == one.box or one.box.empty) and np.array_equal(found.alpha, one.alpha)


def test_every_fault_of_a_job_is_named_at_once(shot: Shot) -> None:
    (shot.folder / "matte.1003.exr").unlink()
    wrong = job_of(shot, channels="R,G,Q", output=str(shot.folder / "one.exr"))
    with pytest.raises(JobError) as caught:
        open_material(wrong)
    for fault in ("lacks frames 1003", "names one file for 8 frames", "no channel 'Q'"):
        assert fault in str(caught.value)


def test_a_frame_that_is_missing_is_named_with_those_that_are_there(shot: Shot) -> None:
    (shot.folder / "plate.1004.exr").unlink()
    with pytest.raises(SequenceError, match="lacks frames 1004; it has 1001-1003,1005-1008"):
        open_material(job_of(shot, frames="1001-1008"))


def test_a_gap_in_the_plate_is_an_error_though_no_range_is_given(shot: Shot) -> None:
    (shot.folder / "plate.1004.exr").unlink()
    with pytest.raises(SequenceError, match="lacks frames 1004; .* --frames 1001-1003,1005-1008"):
        open_material(job_of(shot))
    there = job_of(shot, frames="1001-1003,1005-1008")
    assert open_material(there).frames == (1001, 1002, 1003, 1005, 1006, 1007, 1008)


@pytest.mark.parametrize("missing", ["hold", "black"])
def test_missing_frames_are_stood_in_for_and_told(shot: Shot, missing: str) -> None:
    for name in ("plate.1004", "matte.1007", "matte.1008"):
        (shot.folder / f"{name}.exr").unlink()
    material = open_material(job_of(shot, missing=missing))
    assert material.frames == shot.frames
    assert material.target(1004).name == "plate.1004.exr"
    plate = material.plate.read(1004, ALL)
    assert plate.dtype == np.float16
    assert np.array_equal(plate, material.plate.read(1003, ALL) * (missing == "hold"))
    assert np.array_equal(alpha_of(material, 1008), alpha_of(material, 1006) * (missing == "hold"))
    assert material.notes[:2] == [
        f"frames 1004 of {shot.plate!r} are missing: " + STOOD_IN[missing],
        f"frames 1007-1008 of {shot.matte!r} are missing: " + STOOD_IN[missing],
    ]


STOOD_IN = {"hold": "the nearest frame stands in", "black": "they count as black"}


def test_frames_that_either_lacks_are_left_out_when_that_is_wanted(shot: Shot) -> None:
    for name in ("plate.1004", "matte.1007", "matte.1008"):
        (shot.folder / f"{name}.exr").unlink()
    material = open_material(job_of(shot, missing="skip"))
    assert material.frames == (1001, 1002, 1003, 1005, 1006)
    assert sum("they are left out" in note for note in material.notes) == 2


def test_what_stands_in_is_never_written_in_place(shot: Shot) -> None:
    (shot.folder / "plate.1004.exr").unlink()
    for missing in ("hold", "black"):
        with pytest.raises(JobError, match="stand in .* would change as they are read"):
            open_material(job_of(shot, output=shot.plate, in_place=True, missing=missing))
    open_material(job_of(shot, output=shot.plate, in_place=True, missing="skip"))


def test_a_view_stands_in_every_name_and_is_looked_for_in_files_that_hold_several(
    tmp_path: Path,
) -> None:
    for view in ("left", "right"):
        write(tmp_path / view / f"plate_{view[0]}.1.exr", *RGB)
        write(tmp_path / view / "matte.1.exr", "A")
    write(tmp_path / "both.1.exr", *RGB)
    settings: dict[str, str] = {
        "plate": f"{tmp_path}/%V/plate_%v.#.exr",
        "matte": f"{tmp_path}/%V/matte.#.exr",
        "output": f"{tmp_path}/out/%V/",
        "view": "right",
    }
    material = open_material(Job(**settings))  # type: ignore[arg-type]  # all of it is text
    assert material.plate.path(1) == tmp_path / "right" / "plate_r.1.exr"
    assert material.matte.path(1) == tmp_path / "right" / "matte.1.exr"
    assert material.target(1) == tmp_path / "out" / "right" / "plate_r.1.exr"
    job = Job(**settings)  # type: ignore[arg-type]
    with pytest.raises(
        JobError, match="the output .* has a place for the view; say it with --view"
    ):
        open_material(replace(job, plate=f"{tmp_path}/both.1.exr", view=""))
    with pytest.raises(SequenceError, match="'.*both.1.exr' tells no views apart, and --view is"):
        open_material(replace(job, plate=f"{tmp_path}/both.1.exr"))


def test_channels_are_looked_for_in_the_layer_and_in_every_frame(shot: Shot) -> None:
    names = [f"{layer}.{name}" for layer in ("beauty", "glow") for name in RGB]
    for frame in (1001, 1002):
        write(shot.folder / f"layers.{frame}.exr", *names)
    plate = str(shot.folder / "layers.####.exr")
    material = open_material(job_of(shot, plate=plate, layer="glow"))
    assert material.channels == ("glow.R", "glow.G", "glow.B")
    write(shot.folder / "layers.1002.exr", *names[:3])
    assert open_material(job_of(shot, plate=plate, layer="beauty")).channels == tuple(names[:3])
    with pytest.raises(SequenceError, match=r"layers.1002.exr' has no channel 'glow.R'; it has"):
        open_material(job_of(shot, plate=plate, layer="glow"))


def test_the_mattes_channel_is_one_in_every_frame_and_is_told(shot: Shot) -> None:
    assert open_material(job_of(shot)).notes[1:] == [f"the matte is channel A of {shot.matte!r}"]
    assert len(open_material(job_of(shot, matte_channel="A")).notes) == 1
    for frame in shot.frames:
        write(shot.folder / f"m.{frame}.exr", "mask.A", "mask.B")
    matte = str(shot.folder / "m.####.exr")
    material = open_material(job_of(shot, matte=matte, matte_channel="mask.B"))
    assert material.matte_channel == "mask.B"
    with pytest.raises(SequenceError, match=r"m.1001.exr' has no channel A or R; it has mask.A, "):
        open_material(job_of(shot, matte=matte))
    write(shot.folder / "matte.1005.exr", "R")
    with pytest.raises(SequenceError, match=r"matte.1005.exr' has no channel A; it has R; name"):
        open_material(job_of(shot))


def test_frames_may_have_steps_and_gaps(shot: Shot) -> None:
    assert open_material(job_of(shot, frames="1001-1005x2,1008")).frames == (1001, 1003, 1005, 1008)


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("plate.####.exr", "is the plate itself"),
        ("", "is the plate itself"),
        ("matte.####.exr", "is the matte itself"),
        ("plate.%05d.exr", "would count as frame 1001 of the plate"),
        ("matte.%05d.exr", "is the matte itself"),
        ("one.exr", "names one file for 8 frames"),
    ],
)
def test_an_output_on_the_input_or_without_a_frame_number_is_refused(
    shot: Shot, output: str, fault: str
) -> None:
    with pytest.raises(JobError, match=fault):
        open_material(job_of(shot, output=str(shot.folder / output)))


def test_an_output_on_a_frame_of_the_plate_that_is_not_asked_for_is_refused(shot: Shot) -> None:
    job = job_of(shot, frames="1001", output=str(shot.folder / "plate.1002.exr"), in_place=True)
    with pytest.raises(JobError, match="would count as frame 1002 of the plate"):
        open_material(job)


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("plate.1001.exr/out/", "because of '.*plate.1001.exr'"),
        ("n" * 251 + ".####.exr", "no name that a file can have"),
        ("n" * 256 + "/out/", "no name that a file can have"),
        ("\udce9/", "no name that a file can have"),
        ("a\0b/", "no name that a file can have"),
    ],
    ids=["a file", "a long name", "a long folder", "bytes", "zero"],
)
def test_what_could_not_be_written_after_the_work_is_refused_before_it(
    shot: Shot, output: str, fault: str
) -> None:
    with pytest.raises(JobError, match=fault):
        open_material(job_of(shot, output=str(shot.folder / output[:-1]) + output[-1]))


def test_in_place_allows_the_plate_but_never_the_matte(shot: Shot) -> None:
    open_material(job_of(shot, output=shot.plate, in_place=True))
    with pytest.raises(JobError, match="the matte itself"):
        open_material(job_of(shot, output=shot.matte, in_place=True))


def test_a_folder_keeps_the_plates_names_and_a_pattern_gives_new_ones(shot: Shot) -> None:
    kept = open_material(job_of(shot, output=str(shot.folder / "out")))
    assert kept.target(1002) == shot.folder / "out" / "plate.1002.exr"
    named = open_material(job_of(shot, output=str(shot.folder / "out" / "f_%06d.exr")))
    assert named.target(1002) == shot.folder / "out" / "f_001002.exr"


def test_a_matte_without_a_or_r_asks_for_a_channel(shot: Shot) -> None:
    plate_as_matte = job_of(shot, matte=shot.plate)
    assert open_material(plate_as_matte).matte_channel == "R"
    assert open_material(replace(plate_as_matte, matte_channel="B")).matte_channel == "B"
    with pytest.raises(SequenceError, match="has no channel 'Z'; it has"):
        open_material(replace(plate_as_matte, matte_channel="Z"))


def test_a_matte_pixel_that_is_nan_or_below_zero_is_no_hole_and_one_above_one_is_all_hole(
    shot: Shot,
) -> None:
    values = {0: np.nan, 1: -2.0, 2: -np.inf, 3: 7.0, 4: np.inf, 5: 0.25}
    for column, value in values.items():
        paint(shot.folder / "matte.1001.exr", ["A"], Box(0, column, 1, column + 1), value)
    alpha = alpha_of(open_material(job_of(shot)), 1001)
    assert alpha[0, :6].tolist() == [0, 0, 0, 1, 1, 0.25]


@pytest.mark.parametrize("grow", [0, 1, 5, 40])
def test_growing_reaches_its_radius_and_not_a_pixel_further(shot: Shot, grow: int) -> None:
    before = alpha_of(open_material(job_of(shot)), 1001) > 0
    after = alpha_of(open_material(job_of(shot, grow=grow)), 1001) > 0
    y, x = np.mgrid[: ALL.height, : ALL.width]
    inside = np.argwhere(before)
    apart = np.hypot(y[..., None] - inside[:, 0], x[..., None] - inside[:, 1]).min(2)
    assert np.array_equal(after, apart <= grow)


@pytest.mark.parametrize("feather", [1, 3, 200])
def test_a_feather_fades_inwards_and_the_pictures_border_is_no_edge(
    shot: Shot, feather: int
) -> None:
    paint(shot.folder / "matte.1001.exr", ["A"], ALL, 0)
    paint(shot.folder / "matte.1001.exr", ["A"], Box(5, 0, 19, 12), 1)
    hard = alpha_of(open_material(job_of(shot)), 1001)
    soft = alpha_of(open_material(job_of(shot, feather=feather)), 1001)
    assert np.array_equal(soft > 0, hard > 0) and (soft <= hard).all()
    along = soft[12, :12]
    assert (np.diff(along) <= 0).all() and along[11] < 1 and along[0] == along.max()


def test_untouched_input_has_the_same_digest_and_touched_input_another(shot: Shot) -> None:
    before = open_material(job_of(shot)).digest()
    assert open_material(job_of(shot)).digest() == before
    os.utime(shot.folder / "matte.1004.exr", (1, 1))
    assert open_material(job_of(shot)).digest() != before


def test_a_plate_that_could_not_be_kept_is_refused_before_the_work(tmp_path: Path) -> None:
    plate, matte = tmp_path / "plate.1.png", tmp_path / "matte.1.png"
    Image.new("P", (8, 8)).save(plate)
    Image.new("L", (8, 8)).save(matte)
    with pytest.raises(SequenceError, match="colours of a palette"):
        open_material(Job(plate=str(plate), matte=str(matte), output=f"{tmp_path}/out/"))


def test_an_output_of_another_format_is_refused_before_the_work(shot: Shot) -> None:
    with pytest.raises(JobError, match="extension '.exr'; formats are not converted"):
        open_material(job_of(shot, output=str(shot.folder / "fill.####.dpx")))


def test_a_jpeg_plate_becomes_png(tmp_path: Path) -> None:
    for frame in (1, 2):
        Image.new("RGB", (32, 24), (9, 99, 199)).save(tmp_path / f"plate.{frame}.jpg")
        Image.new("L", (32, 24)).save(tmp_path / f"matte.{frame}.png")
    plate, matte = f"{tmp_path}/plate.#.jpg", f"{tmp_path}/matte.#.png"
    material = open_material(Job(plate=plate, matte=matte, output=f"{tmp_path}/out/"))
    assert material.target(2) == tmp_path / "out" / "plate.2.png"
    assert any("its JPEG becomes PNG, without XMP" in note for note in material.notes)
    with pytest.raises(SequenceError, match=r"give it the extension '.png'"):
        open_material(Job(plate=plate, matte=matte, output=f"{tmp_path}/fill.#.jpg"))

"""From a job to material: faults named at once, the hole's exact shape, and what counts as
known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from infusion_ofx.errors import JobError, SequenceError
from infusion_ofx.job import Job
from infusion_ofx.material import Material, open_material
from infusion_ofx.prepare import plan_work, prepare
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import write_frame

if TYPE_CHECKING:
    from conftest import Shot

ALL = Box(0, 0, 24, 32)
RGB = ["R", "G", "B"]


def job_of(shot: Shot, **settings: Any) -> Job:
    paths = {"plate": shot.plate, "matte": shot.matte, "output": f"{shot.folder}/out/"}
    return Job(**{**paths, "recipe": "draft", **settings})


def paint(path: str | Path, channels: list[str], box: Box, value: float) -> None:
    """Sets a box of a frame to one value."""
    shape = (box.height, box.width)
    pixels = np.full((*shape, len(channels)), value, np.float32)
    write_frame(Path(path), Path(path), channels, box, pixels, np.ones(shape, bool), in_place=True)


def alpha_of(material: Material, frame: int) -> npt.NDArray[np.float32]:
    """The hole of a frame, laid out over the whole picture."""
    hole = material.hole(frame)
    whole = np.zeros((ALL.height, ALL.width), np.float32)
    whole[ALL.slices(hole.box)] = hole.alpha
    return whole


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


def test_frames_may_have_steps_and_gaps(shot: Shot) -> None:
    assert open_material(job_of(shot, frames="1001-1005x2,1008")).frames == (1001, 1003, 1005, 1008)


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("plate.####.exr", "is the plate itself"),
        ("", "is the plate itself"),
        ("matte.####.exr", "is the matte itself"),
        ("one.exr", "names one file for 8 frames"),
    ],
)
def test_an_output_on_the_input_or_without_a_frame_number_is_refused(
    shot: Shot, output: str, fault: str
) -> None:
    with pytest.raises(JobError, match=fault):
        open_material(job_of(shot, output=str(shot.folder / output)))


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


def test_plate_pixels_that_are_not_finite_count_as_unknown_and_are_never_seen(shot: Shot) -> None:
    for column, value in enumerate((np.nan, np.inf, -np.inf)):
        pixel = Box(2, 2 + column, 3, 3 + column)
        paint(shot.folder / "plate.1001.exr", ["G"], pixel, value)
    material = open_material(job_of(shot))
    prepared = prepare(material, *plan_work(material), lambda done: None)
    box = Box(2, 2, 3, 5)
    assert (prepared.shot.hole.view(0, box) == 1).all()
    for clean, hole in zip(prepared.shot.clean.data, prepared.shot.hole.data, strict=True):
        assert clean.isfinite().all() and (clean[:, hole[0] == 1] == 0).all()
    assert prepared.shot.low.isfinite().all() and prepared.shot.high.isfinite().all()


def test_the_working_range_takes_known_light_there_and_back(shot: Shot) -> None:
    material = open_material(job_of(shot))
    prepared = prepare(material, *plan_work(material), lambda done: None)
    light = material.plate.read(1001, RGB, ALL).astype(np.float32)
    back = prepared.working.decode(prepared.shot.clean.data[0]).permute(1, 2, 0).numpy()
    region = prepared.plan.region[0]
    known = prepared.shot.hole.data[0][0].numpy() == 0
    assert np.allclose(back[known], light[ALL.slices(region)][known], rtol=1e-4, atol=1e-5)


def test_a_matte_that_covers_everything_is_refused_unless_a_frame_is_left(shot: Shot) -> None:
    for frame in shot.frames:
        paint(shot.folder / f"matte.{frame}.exr", ["A"], ALL, 1)
    material = open_material(job_of(shot))
    with pytest.raises(JobError, match=r"covers every pixel .* check --matte-channel"):
        prepare(material, *plan_work(material), lambda done: None)
    paint(shot.folder / "matte.1005.exr", ["A"], Box(0, 0, 24, 16), 0)
    material = open_material(job_of(shot))
    prepare(material, *plan_work(material), lambda done: None)


def test_an_empty_matte_plans_no_work(shot: Shot) -> None:
    for frame in shot.frames:
        paint(shot.folder / f"matte.{frame}.exr", ["A"], ALL, 0)
    holes, layout = plan_work(open_material(job_of(shot)))
    assert all(hole.box.empty for hole in holes) and not layout.windows


def test_more_memory_than_the_job_allows_is_refused_before_the_plate_is_read(shot: Shot) -> None:
    material = open_material(job_of(shot))
    poor = replace(material, job=replace(material.job, memory=0.1))
    with pytest.raises(JobError, match=r"needs .* GiB, and --memory allows 0.1; raise --memory"):
        plan_work(poor)


def test_a_plate_that_could_not_be_kept_is_refused_before_the_work(tmp_path: Path) -> None:
    import OpenImageIO as oiio

    spec = oiio.ImageSpec(8, 8, 4, oiio.FLOAT)
    spec.channelnames = ("R", "G", "B", "id")
    spec.channelformats = ("half", "half", "half", "uint")
    output = oiio.ImageOutput.create("openexr")
    assert output is not None and output.open(str(tmp_path / "plate.1.exr"), spec)
    assert output.write_image(np.ones((8, 8, 4), np.float32)) and output.close()
    still = str(tmp_path / "plate.1.exr")
    with pytest.raises(SequenceError, match="uint channels"):
        open_material(Job(plate=still, matte=still, output=f"{tmp_path}/out/"))


def test_an_output_of_another_format_is_refused_before_the_work(shot: Shot) -> None:
    with pytest.raises(JobError, match="extension '.exr'; formats are not converted"):
        open_material(job_of(shot, output=str(shot.folder / "fill.####.dpx")))

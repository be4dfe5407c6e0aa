"""From a job's material to what the engine needs: what counts as known, and what fits."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.errors import JobError
from infusion_ofx.material import open_material
from infusion_ofx.planning import plan_work
from infusion_ofx.prepare import prepare
from infusion_ofx.sequence.frame import Box
from infusion_ofx.working import Working
from tiny import ALL, job_of, paint

if TYPE_CHECKING:
    from conftest import Shot


def test_plate_pixels_that_are_not_finite_count_as_unknown_and_are_never_seen(shot: Shot) -> None:
    for column, value in enumerate((np.nan, np.inf, -np.inf)):
        pixel = Box(2, 2 + column, 3, 3 + column)
        paint(shot.folder / "plate.1001.exr", ["G"], pixel, value)
    material = open_material(job_of(shot))
    prepared = prepare(material, *plan_work(material), shot.folder, lambda done: None)
    box = Box(2, 2, 3, 5)
    assert (prepared.shot.hole.view(0, box) == 1).all()
    for clean, hole in zip(prepared.shot.clean.data, prepared.shot.hole.data, strict=True):
        assert clean.isfinite().all() and (clean[:, hole[0] == 1] == 0).all()
    assert prepared.shot.low.isfinite().all() and prepared.shot.high.isfinite().all()


def test_the_working_range_takes_known_light_there_and_back(shot: Shot) -> None:
    material = open_material(job_of(shot))
    prepared = prepare(material, *plan_work(material), shot.folder, lambda done: None)
    light = material.plate.read(1001, ALL).astype(np.float32)
    back = prepared.working.decode(prepared.shot.clean.data[0]).permute(1, 2, 0).numpy()
    region = prepared.plan.region[0]
    known = prepared.shot.hole.data[0][0].numpy() == 0
    assert np.allclose(back[known], light[ALL.slices(region)][known], rtol=1e-4, atol=1e-5)


def test_a_matte_that_covers_everything_is_refused_unless_a_frame_is_left(shot: Shot) -> None:
    for frame in shot.frames:
        paint(shot.folder / f"matte.{frame}.exr", ["A"], ALL, 1)
    material = open_material(job_of(shot))
    with pytest.raises(JobError, match=r"covers every pixel .* check --matte-channel"):
        prepare(material, *plan_work(material), shot.folder, lambda done: None)
    paint(shot.folder / "matte.1005.exr", ["A"], Box(0, 0, 24, 16), 0)
    material = open_material(job_of(shot))
    prepare(material, *plan_work(material), shot.folder, lambda done: None)


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


def test_light_far_from_the_hole_does_not_move_the_working_range(shot: Shot) -> None:
    def working() -> Working:
        material = open_material(job_of(shot))
        return prepare(material, *plan_work(material), shot.folder, lambda done: None).working

    before = working()
    holes, _ = plan_work(open_material(job_of(shot)))
    near = reduce(Box.union, (hole.box for hole in holes)).grow(RECIPES["draft"].surround)
    far = Box(0, 0, near.top, ALL.right)
    assert not far.empty
    for frame in shot.frames:
        paint(shot.folder / f"plate.{frame}.exr", ["R"], far, 40.0)
    after = working()
    assert after.gain == before.gain and after.most[0].item() == 40.0
    for name in ("centre", "turn", "scale"):
        assert torch.equal(getattr(after, name), getattr(before, name))

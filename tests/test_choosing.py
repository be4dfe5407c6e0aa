"""Each region of a shot has a planted hole of its own, and gets the fill that fills it best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from conftest import write_exr

from infusion_ofx.accounts import verdicts
from infusion_ofx.check import check
from infusion_ofx.choosing import choose
from infusion_ofx.engine.volume import Volume
from infusion_ofx.folder import JobFolder
from infusion_ofx.material import open_material
from infusion_ofx.planning import plan_work
from infusion_ofx.planting import foreseen
from infusion_ofx.prepare import Prepared, prepare
from infusion_ofx.run import run

if TYPE_CHECKING:
    from infusion_ofx.job import Job


@pytest.fixture
def prepared(two_holes: Job, tmp_path: Path) -> Prepared:
    """A shot of two regions, as a job prepares it that chooses between methods."""
    material = open_material(replace(two_holes, method="auto", prior="off"))
    return prepare(material, *plan_work(material), tmp_path, lambda done: None)


@pytest.fixture
def near(two_holes: Job, tmp_path: Path) -> Prepared:
    """The same where the second hole is so near to the first one that each region is loaded with
    the other's hole and with what is planted for it."""
    for frame in range(1001, 1007):
        matte = np.zeros((24, 400, 1), np.float32)
        matte[8:15, 20:27] = matte[4:12, 150:159] = 1
        write_exr(tmp_path / f"matte.{frame}.exr", matte, ("A",))
    material = open_material(replace(two_holes, method="auto", prior="off"))
    return prepare(material, *plan_work(material), tmp_path, lambda done: None)


def _made(prepared: Prepared, right: set[int]) -> Volume:
    """A fill that is the truth behind the planted holes of some regions, and noise elsewhere."""
    random = torch.Generator().manual_seed(len(right))
    volume = Volume.make(
        prepared.plan.sampled,
        lambda i, box: torch.randn(3, box.height, box.width, generator=random),
    )
    for planted in prepared.planted:
        if planted.start // prepared.plan.length in right:
            for i, truth in zip(planted.frames, planted.truth, strict=True):
                light = torch.from_numpy(truth).permute(2, 0, 1)
                volume.view(i, planted.box).copy_(prepared.working.encode(light))
    return volume


@pytest.mark.parametrize("apart", ["far", "near"])
def test_what_is_behind_each_planted_hole_is_kept_and_nowhere_in_the_shot(
    two_holes: Job, apart: str, request: pytest.FixtureRequest
) -> None:
    prepared: Prepared = request.getfixturevalue({"far": "prepared"}.get(apart, apart))
    shot, length = prepared.shot, prepared.plan.length
    shared = 0
    assert sorted(each.start // length for each in prepared.planted) == [0, 1]
    material = open_material(two_holes)
    for planted in prepared.planted:
        assert planted.mask.any()
        for i, mask, truth in zip(planted.frames, planted.mask, planted.truth, strict=True):
            plate = material.plate.read(shot.numbers[i], planted.box)
            assert np.allclose(plate[mask], truth[mask], rtol=1e-3)
            for start in (part.start for part in prepared.plan.parts):
                both = shot.clean.boxes[start + i % length].intersect(planted.box)
                held = torch.from_numpy(mask[planted.box.slices(both)])
                assert (shot.clean.view(start + i % length, both)[:, held] == 0).all()
                assert (shot.hole.view(start + i % length, both)[:, held] == 1).all()
                shared += start != i - i % length and bool(held.any())
    assert bool(shared) == (apart == "near")


def test_a_planted_hole_is_like_its_own_regions_and_like_no_others(near: Prepared) -> None:
    sizes = [7 * 7, 8 * 9]
    for planted in near.planted:
        for mask in planted.mask:
            assert 0 < mask.sum() <= sizes[planted.start // near.plan.length]


def test_the_windows_that_planted_holes_take_are_foreseen(
    two_holes: Job, prepared: Prepared
) -> None:
    _, layout = plan_work(open_material(two_holes))
    assert len(foreseen(layout).windows) == len(prepared.plan.windows) == 2 * len(layout.windows)
    told = check(replace(two_holes, method="auto", prior="off"))
    assert told.windows == len(prepared.plan.windows)


@pytest.mark.parametrize(
    ("diffusion", "patch", "names"),
    [
        ({0, 1}, set(), ["diffusion", "diffusion"]),
        ({0}, {1}, ["diffusion", "patch"]),
        ({1}, set(), ["smooth", "diffusion"]),
        (set(), set(), ["smooth", "smooth"]),
    ],
)
def test_each_region_gets_the_fill_that_is_right_there(
    prepared: Prepared, tmp_path: Path, diffusion: set[int], patch: set[int], names: list[str]
) -> None:
    made = {"sample": _made(prepared, diffusion), "patch": _made(prepared, patch)}
    choices, fill = choose(prepared, made, tmp_path)
    assert [choice.name for choice in choices] == names
    for i, box in enumerate(prepared.plan.sampled):
        name = names[i // prepared.plan.length]
        wanted = {
            "diffusion": made["sample"].data[i],
            "patch": made["patch"].data[i],
            "smooth": prepared.smooth(i, box),
        }
        assert torch.equal(fill.data[i], wanted[name])


def test_a_region_without_room_for_a_planted_hole_is_diffusions(
    prepared: Prepared, tmp_path: Path
) -> None:
    (one, other) = (each.start // prepared.plan.length for each in prepared.planted)
    made = {"sample": _made(prepared, set()), "patch": _made(prepared, {0, 1})}
    choices, _ = choose(replace(prepared, planted=prepared.planted[:1]), made, tmp_path)
    assert (choices[one].name, choices[other].name) == ("patch", "diffusion")
    assert "no hole" in str(choices[other]) and not choices[other].scores


def test_a_job_says_what_each_region_got_and_where_it_is(two_holes: Job) -> None:
    told: list[str] = []
    job = replace(two_holes, method="auto", prior="off", steps=4, sampling_steps=3)
    result = run(job, lambda progress: told.append(progress.message))
    choices = verdicts(JobFolder(Path(result.folder)))[1]
    assert [choice["where"] for choice in choices] == [
        "7x7 pixels at x 20, y 8 in frame 1001",
        "9x8 pixels at x 360, y 4 in frame 1003",
    ]
    for choice in choices:
        said = f"hole of {choice['where']}: self-score"
        assert any(line.startswith(said) and choice["name"] in line for line in told)

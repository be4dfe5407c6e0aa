"""What a running job shows: the contact sheet and the losses, and that they touch nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from infusion_ofx.begin import submit
from infusion_ofx.farm.task import perform
from infusion_ofx.folder import JobFolder
from infusion_ofx.losses import MOST, Losses, read_losses
from infusion_ofx.preview import Preview, crops, rgb
from infusion_ofx.progress import Progress
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box

if TYPE_CHECKING:
    from conftest import Shot


def _folder(path: Path) -> JobFolder:
    (path / "work").mkdir()
    return JobFolder(path)


def test_the_sheet_grows_while_the_job_runs(shot: Shot) -> None:
    seen: list[bytes] = []

    def look(progress: Progress) -> None:
        found = list(shot.folder.rglob("contact_sheet.png"))
        if found and (not seen or found[0].read_bytes() != seen[-1]):
            with Image.open(found[0]) as sheet:
                sheet.load()  # it is whole, whenever one looks
            seen.append(found[0].read_bytes())

    settings: dict[str, Any] = {"recipe": "final", "intervals": 2, "steps": 2, "sampling_steps": 4}
    result = run(shot.job(**settings), look)
    look(Progress("done", 0, 0, 1.0))
    assert len(seen) >= 3  # before training, after each interval
    assert (Path(result.folder) / "report" / "contact_sheet.png").read_bytes() == seen[-1]


def test_a_sheet_that_cannot_be_drawn_changes_no_pixel_and_fails_nothing(shot: Shot) -> None:
    said: list[str] = []
    run(shot.job("seen/"))
    folder = submit(shot.job("unseen/"))
    folder.report.rmdir()
    folder.report.touch()  # a file where the folder should be
    for task in ("prepare", "train-00", "sample", "assemble"):
        perform(folder.path, task, lambda progress: said.append(progress.message))
    assert any("no contact sheet" in text for text in said)
    assert shot.pixels("seen") == shot.pixels("unseen")


def test_a_task_draws_without_the_plate(shot: Shot) -> None:
    folder = submit(shot.job())
    for task in ("prepare", "train-00"):
        perform(folder.path, task)
    before = (folder.report / "contact_sheet.png").read_bytes()
    for path in shot.folder.glob("plate.*.exr"):
        path.rename(path.with_suffix(".away"))
    perform(folder.path, "sample")
    assert (folder.report / "contact_sheet.png").read_bytes() != before


def test_the_fill_on_the_sheet_is_the_fill_through_the_matte(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plate, fill = rng.random((2, 8, 12, 3)).astype(np.float32)
    matte = (rng.random((8, 12)) * 255).astype(np.uint8)
    share = matte[..., None].astype(np.float32) / 255
    truth = plate * (1 - share) + fill * share
    blocks = {1: truth, 4: truth.reshape(2, 4, 3, 4, 3).mean((1, 3))}
    for factor, expected in blocks.items():
        small = (plate * (1 - share)).reshape(8 // factor, factor, 12 // factor, factor, 3)
        preview = Preview(
            JobFolder(tmp_path), "p", (1,), (Box(5, 5, 13, 17),), factor,
            {"kept": [torch.from_numpy(small.mean((1, 3)))], "matte": [torch.from_numpy(matte)]},
        )  # fmt: skip
        light = torch.from_numpy(fill.transpose(2, 0, 1).copy())
        halves = Box(5, 5, 13, 9), Box(5, 9, 13, 17)
        parts = [(halves[0], light[:, :, :4]), (halves[1], light[:, :, 4:])]
        assert np.allclose(preview._filled(0, parts), expected, atol=1e-6)


def test_crops_are_of_one_size_and_hold_their_holes() -> None:
    area = Box(-2, -2, 200, 300)
    holes = [Box(0, 0, 10, 20), Box(190, 250, 200, 300), Box(90, 100, 130, 110)]
    found = crops(holes, area)
    assert len({(box.height, box.width) for box in found}) == 1
    for hole, box in zip(holes, found, strict=True):
        assert box.intersect(hole) == hole and box.intersect(area) == box
    assert crops([Box(0, 0, 5, 5)], Box(0, 0, 5, 6)) == [Box(0, 0, 5, 6)]


def test_any_number_of_channels_has_a_picture() -> None:
    for channels in (1, 2, 3, 4):
        assert rgb(np.ones((2, 3, channels), np.float32)).shape == (2, 3, 3)


def test_losses_are_thinned_and_a_resumed_training_takes_back_what_it_repeats(
    tmp_path: Path,
) -> None:
    folder = _folder(tmp_path)
    losses = Losses(folder)
    for step in range(1, 5001):
        losses.note("train-00", 5000, step, 1 / step)
    (curve,) = read_losses(folder, ["train-00", "train-01"])
    assert len(curve["points"]) <= MOST + 1
    assert curve["points"][0] == [1, 1.0] and curve["points"][-1] == [5000, 1 / 5000]
    again = Losses(folder)
    for step in (2010, 2030):
        again.note("train-00", 5000, step, 0.5)
    again._write("train-00")
    (curve,) = read_losses(folder, ["train-00"])
    assert curve["points"][-1] == [2030, 0.5]
    assert all(step <= 2010 for step, _ in curve["points"][:-1])


def test_damaged_losses_are_passed_over(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (tmp_path / "report").mkdir()
    for points in ("no", [1], [[1]], [["a", 2]], [[1, None]]):
        (tmp_path / "report" / "loss-train-00.json").write_text(json.dumps({"points": points}))
        assert read_losses(folder, ["train-00"]) == []

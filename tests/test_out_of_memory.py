"""Where memory runs out all the same: once more in smaller tiles, then an exit that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_exr
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.engine.network import LightNetwork
from infusion_ofx.errors import NoMemoryError, exit_code_of
from infusion_ofx.job import Job
from infusion_ofx.plan import Plan, Window
from infusion_ofx.progress import Progress
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box

HEIGHT, WIDTH, FRAMES = 24, 300, 4


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 30))
def test_smaller_tiles_cover_what_the_windows_did_and_are_clearly_smaller(
    height: int, width: int, context: int
) -> None:
    box = Box(-7, 5, height - 7, width + 5)
    windows = (Window(0, 4, box), Window(2, 6, box))
    plan = Plan(windows, (box,) * 6, (box,) * 6, (box,) * 6, (Window(0, 6, box),), (box,) * 6)
    finer = plan.finer(context)
    if finer is None:
        assert max(height, width) <= 8 * context + 8
        return
    assert finer.sampled == plan.sampled and finer.region == plan.region
    assert max(w.voxels for w in finer.windows) <= 0.8 * windows[0].voxels
    for window in windows:
        covered = np.zeros((height, width), bool)
        for tile in finer.windows:
            if (tile.start, tile.stop) == (window.start, window.stop):
                covered[box.slices(tile.box)] = True
        assert covered.all()


@pytest.fixture
def wide(tmp_path: Path) -> Job:
    """A job on a hole that is wide enough to be cut."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for frame in range(1001, 1001 + FRAMES):
        wave = np.sin(0.5 * x + 0.3 * y + 0.4 * frame)
        light = np.stack([np.exp(wave * k) for k in (1.0, 0.7, 0.4)], 2).astype(np.float32)
        matte = np.zeros((HEIGHT, WIDTH, 1), np.float32)
        matte[8:15, 80:220] = 1
        write_exr(tmp_path / f"plate.{frame}.exr", light, ("R", "G", "B"))
        write_exr(tmp_path / f"matte.{frame}.exr", matte, ("A",))
    plate, matte_files = (str(tmp_path / f"{name}.####.exr") for name in ("plate", "matte"))
    output = str(tmp_path / "out/fill.####.exr")
    return Job(plate, matte_files, output, steps=2, sampling_steps=2, prior="off")


def _with_room_for(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    """The network on a device that is full above so many pixels a frame."""
    real = LightNetwork.forward

    def forward(self: LightNetwork, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        if x.shape[-2] * x.shape[-1] > pixels:
            raise torch.OutOfMemoryError("as a device says it")
        return real(self, x, *rest)

    monkeypatch.setattr(LightNetwork, "forward", forward)


def test_the_job_goes_on_in_smaller_tiles(wide: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_room_for(monkeypatch, HEIGHT * 150)
    said: list[str] = []

    def hear(progress: Progress) -> None:
        said.append(progress.message)

    run(wide, hear)
    assert any("once more, in smaller tiles" in line for line in said)
    assert len(list(Path(wide.output).parent.glob("fill.*.exr"))) == FRAMES


def test_when_that_is_not_enough_it_ends_as_what_may_be_tried_again(
    wide: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_room_for(monkeypatch, HEIGHT * 100)
    with pytest.raises(NoMemoryError, match="lower --memory") as caught:
        run(wide)
    assert exit_code_of(caught.value) == 75
    assert not list(Path(wide.output).parent.glob("fill.*.exr"))

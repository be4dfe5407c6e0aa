"""Laws of the bench."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import psutil
import pytest
from numpy.typing import NDArray

from infusion_ofx.bench import Way, bench
from infusion_ofx.bench_case import Case
from infusion_ofx.bench_cost import arithmetic, ceiling, operations
from infusion_ofx.bench_fills import median, nearest, telea
from infusion_ofx.bench_plot import plot
from infusion_ofx.bench_table import machine, markdown
from infusion_ofx.demo import make_shot
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.job import Job
from infusion_ofx.law import law_one
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

Fill = Callable[[Any, Any, float], NDArray[Any]]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A folder with three frames of a small fire."""
    make_shot(tmp_path / "case", frames=3, width=24, height=18)
    return tmp_path / "case"


def _clip() -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    light = np.random.default_rng(0).exponential(2, (2, 16, 20, 3)).astype(np.float16)
    matte = np.zeros((2, 16, 20), np.float16)
    matte[:, 5:10, 6:12] = 1
    matte[:, 5, 6:12] = 0.5
    return light, matte


@pytest.mark.parametrize("fill", [telea, median, nearest])
def test_a_baseline_keeps_what_is_outside_its_matte(fill: Fill) -> None:
    light, matte = _clip()
    light[0, 0, 0] = np.nan
    light[1, 0, 1] = -np.inf
    before = light.copy()
    filled = fill(light, matte, 12.0)
    outside = matte == 0
    assert (filled.view(np.uint16)[outside] == before.view(np.uint16)[outside]).all()
    assert (light.view(np.uint16) == before.view(np.uint16)).all()
    assert np.isfinite(filled[~outside]).all()


@pytest.mark.parametrize("fill", [telea, median, nearest])
def test_a_baseline_cannot_see_what_it_replaces(fill: Fill) -> None:
    light, matte = _clip()
    first = fill(light, matte, 12.0)
    light[matte == 1] = np.inf
    assert (fill(light, matte, 12.0)[matte == 1] == first[matte == 1]).all()


@pytest.mark.parametrize("fill", [telea, median, nearest])
def test_a_baseline_fills_flat_light_with_itself(fill: Fill) -> None:
    light, matte = _clip()
    light[...] = 3
    assert np.abs(fill(light, matte, 12.0).astype(np.float32) - 3).max() < 0.25  # two steps of 256


def test_the_median_is_that_of_the_frames_that_know_a_pixel() -> None:
    light = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones((5, 12, 12, 3), "f4")
    matte = np.zeros((5, 12, 12), np.float32)
    matte[:3, 4:7, 4:7] = 1
    assert (median(light, matte, 4.0)[0, 4:7, 4:7] == 3.5).all()


def test_the_nearest_frame_is_moved_as_the_camera_was() -> None:
    random = np.random.default_rng(0)
    wall = np.exp(cv2.GaussianBlur(random.normal(0, 3, (64, 120, 3)), (0, 0), 1.5)).astype("f4")
    truth = np.stack([wall[:, 6 * i : 6 * i + 64] for i in range(6)])
    matte = np.zeros(truth.shape[:3], np.float32)
    matte[:, 26:36, 26:36] = 1
    hidden = np.where(matte[..., None] > 0, np.float32(0), truth)
    hole = matte > 0
    error, blur = (
        np.abs(np.log(fill(hidden, matte, 20.0)[hole].clip(1e-3) / truth[hole])).mean()
        for fill in (nearest, telea)
    )
    assert error < 0.2 * blur


def _write(path: Path, samples: NDArray[Any]) -> None:
    file = oiio.ImageOutput.create(str(path))
    spec = oiio.ImageSpec(samples.shape[1], samples.shape[0], samples.shape[2], oiio.HALF)
    assert file is not None and file.open(str(path), spec), oiio.geterror()
    assert file.write_image(samples.astype(np.float16)) and file.close()


def test_a_case_is_the_hole_and_its_surroundings(tmp_path: Path) -> None:
    matte = np.zeros((180, 200, 1))
    matte[20:30, 150:160] = 1
    for frame in (1, 2, 3):
        _write(tmp_path / f"plate.{frame:04d}.exr", np.full((180, 200, 3), frame))
        _write(tmp_path / f"matte.{frame:04d}.exr", matte)
    case = Case.open(tmp_path)
    assert case.box == Box(0, 102, 78, 200)
    assert case.light.shape == (3, 78, 98, 3) and case.peak == 3 and case.truth is None
    assert (case.hole.sum(), sum((cover > 0).sum() for cover in case.covers())) == (300, 300)


def test_a_case_whose_matte_is_empty_is_refused(case: Path) -> None:
    for path in case.glob("matte.*"):
        _write(path, np.zeros((18, 24, 1)))
    with pytest.raises(JobError, match="empty"):
        Case.open(case)


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "telea+steps=3",
        "draft+steps=many",
        "paper+stesp=1",
        "draft+plate=x",  # these say what is filled: the case does
        "draft+job_dir=x",
        "draft+frames=1001-1002",
        "draft+grow=2",
    ],
)
def test_a_way_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(JobError):
        Way.parse(text)


def test_a_way_is_a_recipe_with_other_settings() -> None:
    assert Way.parse("telea").settings is None
    assert Way.parse("patches").settings == {"recipe": "draft", "method": "patch"}
    way = Way.parse("paper+steps=100+prior=off+takes_train=true")
    more = {"steps": 100, "prior": "off", "takes_train": True}
    assert way.settings == {"recipe": "paper", **more}


def test_the_published_network_does_the_arithmetic_that_was_counted_for_it() -> None:
    # ../shared/research/peers.md, 1.4: 205 kMAC a pixel a frame.
    assert operations(RECIPES["paper"], 3) / 2 == pytest.approx(205e3, rel=0.05)


def test_the_rate_is_the_arithmetic_by_the_time() -> None:
    job = Job("p.#.exr", "m.exr", "o/", recipe="draft", device="cpu", precision="float32")
    cost = {"train": {"seconds": 2.0, "voxels": 1e6}, "sample": {"seconds": 3.0, "voxels": 5e5}}
    row = arithmetic(job, cost)
    assert (row["train_seconds"], row["sample_seconds"]) == (2.0, 3.0)
    assert row["tflops"] == pytest.approx(operations(RECIPES["draft"], 3) * 1.5e6 / 5 / 1e12)
    assert row["ceiling_share"] == row["tflops"] / ceiling("cpu", "float32")


def test_the_plot_is_a_picture_even_where_figures_are_missing(tmp_path: Path) -> None:
    rows = [_row(), _row(seed=1, psnr=float("nan")), _row(clip="sea", psnr=None, recipe="telea")]
    plot(tmp_path / "new" / "plot.png", rows)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["plot.png"]
    assert (tmp_path / "new" / "plot.png").read_bytes()[:4] == bytes([137, 80, 78, 71])


def test_the_first_law_counts_every_sample_that_changed_outside(case: Path) -> None:
    plate = Sequence.open(str(case / "plate.####.exr"))
    (case / "result").mkdir()
    for frame in plate.frames:
        _rewritten(plate, frame, case / "result" / plate.path(frame).name)
    result = Sequence.open(str(case / "result"))
    matte = np.zeros((len(plate.frames), 18, 24), np.float16)
    matte[:, 4:8, 4:8] = 1
    # One frame of three is touched outside: one NaN pixel of three samples, and one sample.
    assert law_one(plate, result, matte) == {
        "outside_differ": 4,
        "names_kept": True,
        "header_kept": True,
    }
    assert law_one(plate, plate, matte)["outside_differ"] == 0


def test_the_first_law_is_counted_whatever_the_compression(case: Path, tmp_path: Path) -> None:
    """A lossy plate comes back as zip: that alone may change in its header, and no sample."""
    (tmp_path / "dwa").mkdir()
    for frame in (1001, 1002, 1003):
        image = oiio.ImageBuf(str(case / f"plate.{frame}.exr"))
        image.specmod().attribute("compression", "dwaa:45")
        assert image.write(str(tmp_path / "dwa" / f"plate.{frame}.exr"))
    plate = Sequence.open(str(tmp_path / "dwa"))
    (tmp_path / "result").mkdir()
    for frame in plate.frames:
        _rewritten(plate, frame, tmp_path / "result" / plate.path(frame).name)
    result = Sequence.open(str(tmp_path / "result"))
    compressions = [frames.header(1001).parts[0].compression for frames in (result, plate)]
    assert compressions == ["zip", "dwaa"]
    matte = np.zeros((3, 18, 24), np.float16)
    matte[:, 4:8, 4:8] = 1
    assert law_one(plate, result, matte)["outside_differ"] == 4
    assert law_one(plate, result, matte)["header_kept"]


def _rewritten(plate: Sequence, frame: int, target: Path) -> None:
    """Writes a frame that is changed inside rows and columns 4 to 7, and frame 1002 outside too."""
    plate, box = plate.choose("RGB"), plate.header(frame).display
    pixels = plate.read(frame, box)
    pixels[5, 5] = 7
    if frame == 1002:
        pixels[0, 0, 0] = np.nextafter(pixels[0, 0, 0], np.float16(9))
        pixels[1, 1] = np.nan
    everywhere = np.ones((box.height, box.width), bool)
    plate.write(frame, target, box, pixels, everywhere)


def test_the_first_law_sees_a_missing_frame_and_another_name(case: Path) -> None:
    plate = Sequence.open(str(case / "plate.####.exr"))
    matte = np.zeros((3, 18, 24), np.float16)
    clean = Sequence.open(str(case / "clean.####.exr"))
    assert not law_one(plate, clean, matte)["names_kept"]
    fewer = Sequence.open(str(case / "plate.####.exr"), (1001, 1003))
    assert not law_one(plate, fewer, matte)["names_kept"]


def test_a_bench_of_the_baseline_gives_a_row_a_sheet_and_a_table(
    case: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    rows = list(bench([case], [Way.parse("telea")], 2, "cpu", said.append, keep=tmp_path / "kept"))
    assert len(rows) == 1 and said
    row = rows[0]
    assert (row["recipe"], row["seed"]) == ("telea", 0)
    assert (row["outside_differ"], row["non_finite"]) == (0, 0)
    assert row["truth"] and 5 < row["psnr"] < 60
    assert (tmp_path / "kept" / "case.png").is_file()
    assert "| case | telea |" in markdown(rows, machine())


def test_a_case_without_a_truth_is_measured_against_its_surroundings(case: Path) -> None:
    for path in case.glob("clean.*"):
        path.unlink()
    rows = list(bench([case], [Way.parse("telea")], 1, "cpu", lambda line: None))
    assert rows[0]["psnr"] is None and rows[0]["sharpness"] > 0
    assert "no truth" in markdown(rows, machine())


def test_cases_of_one_name_are_told_apart(case: Path, tmp_path: Path) -> None:
    for show in ("a", "b"):
        shutil.copytree(case, tmp_path / show / "case")
    cases = [case, tmp_path / "a" / "case", tmp_path / "b" / "case"]
    kept = tmp_path / "kept"
    rows = list(bench(cases, [Way.parse("telea")], 1, "cpu", lambda line: None, keep=kept))
    names = [f"{tmp_path.name}-case", "a-case", "b-case"]
    assert [row["clip"] for row in rows] == names
    assert {path.stem for path in kept.iterdir()} == set(names)


def test_a_case_is_called_by_its_folder_however_that_is_written(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case)
    (row,) = bench([Path()], [Way.parse("telea")], 1, "cpu", lambda line: None)
    assert row["clip"] == "case"
    with pytest.raises(JobError, match="twice"):
        list(bench([Path(), case], [Way.parse("telea")], 1, "cpu", lambda line: None))


def test_a_folder_that_is_no_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="plate"):
        list(bench([tmp_path], [Way.parse("telea")], 1, "cpu", lambda line: None))


def _row(**values: Any) -> dict[str, Any]:
    return {
        "clip": "fire",
        "recipe": "draft",
        "seed": 0,
        "psnr": 20.0,
        "swd": 1.0,
        "frame_difference": 1.0,
        "sharpness": 0.5,
        "truth": True,
        "cpu_seconds": 60.0,
        "wall_seconds": 30.0,
        "peak_memory": 2**30,
        "outside_differ": 0,
        "non_finite": 0,
        "fill_max": 9.0,
        **values,
    }


def test_the_table_joins_seeds_to_mean_and_spread() -> None:
    text = markdown([_row(), _row(seed=1, psnr=22.0), _row(clip="sea")], machine())
    fire, sea, *_ = (line for line in text.splitlines() if "| draft |" in line)
    assert "21 ± 1.41" in fire and "| 2 |" in fire
    assert "±" not in sea and "| 1 |" in sea


def test_the_table_has_room_for_a_fill_that_is_the_truth() -> None:
    for seeds in ([math.inf], [math.inf, math.inf], [30.0, math.inf]):
        text = markdown([_row(seed=i, psnr=psnr) for i, psnr in enumerate(seeds)], machine())
        (fire,) = (line for line in text.splitlines() if "| draft |" in line and "inf" in line)
        assert "| inf |" in fire


def test_the_table_shows_the_worst_seed_of_what_must_be_nothing() -> None:
    text = markdown([_row(), _row(seed=1, outside_differ=3)], machine())
    assert "| 3 | 0 |" in text


def test_the_machine_is_described_without_a_failure() -> None:
    facts = machine()
    assert facts["cores"] > 0 and facts["memory"] > 2**28 and facts["torch"]
    assert str(facts["python"]) in markdown([_row()], facts)


@pytest.mark.slow
def test_a_run_says_what_it_took_and_what_it_chose(tmp_path: Path) -> None:
    make_shot(tmp_path / "case", frames=6, width=64, height=48)
    way = Way.parse("draft+method=auto+steps=2+sampling_steps=2+prior=off")
    (row,) = bench([tmp_path / "case"], [way], 1, "cpu", lambda line: None)
    (choice,) = row["choices"]
    assert choice["name"] in choice["scores"]
    assert min(row[f"{kind}_seconds"] for kind in ("train", "sample", "patch")) > 0
    assert "draft+method=auto" in markdown([row], machine())


@pytest.mark.slow
def test_a_run_that_fails_says_what_it_said_last(case: Path) -> None:
    with pytest.raises(InfusionError, match="cuda:77"):
        list(bench([case], [Way.parse("draft")], 1, "cuda:77", lambda line: None))


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_bench_that_is_stopped_leaves_no_process_and_keeps_its_rows(
    case: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    figures = tmp_path / "rows.json"
    command = [
        "bench",
        str(case),
        "--recipes",
        "telea,draft",
        "--device",
        "cpu",
        "-o",
        str(figures),
    ]
    process = psutil.Popen([sys.executable, "-m", "infusion_cli", *command], stderr=subprocess.PIPE)
    until(lambda: len(process.children(recursive=True)) >= 2)
    children = process.children(recursive=True)
    process.send_signal(sent)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + sent and b"the run that was measured is gone" in told
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert [row["recipe"] for row in json.loads(figures.read_text())["rows"]] == ["telea"]


def until(happened: Callable[[], bool]) -> None:
    """Waits for something that must happen."""
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)

"""The main path end to end on tiny shots: what it must keep, what it must fill, how it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest

from infusion_ofx.errors import InfusionError, JobError, Stopped, TryAgainError
from infusion_ofx.job import Job
from infusion_ofx.progress import Progress
from infusion_ofx.run import run

if TYPE_CHECKING:
    from conftest import FullDisk, Shot

Array = npt.NDArray[Any]
ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH = 16, 20
TINY = {"recipe": "draft", "steps": 2, "sampling_steps": 3, "threads": 1}
SQUARE = np.pad(np.ones((5, 6), np.float32), ((5, 6), (6, 8)))


def write(path: Path, planes: dict[str, Array], kind: str = "half", **facts: Any) -> None:
    """Writes an EXR: (height, width) planes by channel name; facts go into its header, with their
    type where it cannot be told from the value."""
    pixels = np.stack(list(planes.values()), 2)
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    spec.channelnames = tuple(planes)
    for name, value in facts.items():
        spec.attribute(name, *(value if isinstance(value, tuple) else (value,)))
    output = oiio.ImageOutput.create("openexr")
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    dtype = np.float16 if kind == "half" else np.float32
    assert output.write_image(pixels.astype(dtype)) and output.close(), output.geterror()


def read(path: Path) -> tuple[Array, oiio.ImageSpec]:
    """All samples of an EXR as unsigned integers of their size, and its header."""
    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, oiio.UNKNOWN)
    assert pixels is not None, file.geterror()
    file.close()
    return pixels.view(np.uint16 if pixels.itemsize == 2 else np.uint32), spec


def colour(frame: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict[str, Array]:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    wave = np.sin(0.5 * x + 0.3 * y + 0.4 * frame) + np.cos(0.6 * y - 0.2 * x + 0.2 * frame)
    return {name: np.exp(k * wave) for name, k in (("R", 1.0), ("G", 0.7), ("B", 0.4))}


def make(
    folder: Path, count: int, matte: Callable[[int], Array] = lambda frame: SQUARE, **plate: Array
) -> Job:
    """A shot of ``count`` frames from 1 on. plate: planes in place of the usual ones."""
    for frame in range(1, count + 1):
        hole = matte(frame)
        write(folder / f"plate.{frame:04d}.exr", {**colour(frame, hole.shape), **plate})
        write(folder / f"matte.{frame:04d}.exr", {"A": hole})
    return job_in(folder)


def job_in(folder: Path, **settings: Any) -> Job:
    paths = {name: f"{folder}/{name}.####.exr" for name in ("plate", "matte")}
    return Job(**{**paths, "output": f"{folder}/out/", **TINY, "device": "cpu", **settings})


def check_law(folder: Path, matte: Callable[[int], Array] = lambda frame: SQUARE) -> None:
    """Outside the matte every bit is the plate's; inside there is light, and it is finite."""
    plates = sorted(folder.glob("plate.*.exr"))
    assert [p.name for p in sorted((folder / "out").glob("*.exr"))] == [p.name for p in plates]
    for number, path in enumerate(plates, 1):
        (before, _), (after, _) = read(path), read(folder / "out" / path.name)
        hole = matte(number) > 0
        assert np.array_equal(before[~hole], after[~hole]), path
        assert np.isfinite(after.view(np.float16)[hole]).all(), path


def result_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.exr")}


def pixels_of(folder: Path) -> dict[str, bytes]:
    """As ``result_of``, without headers: a plate that is made twice has two dates."""
    return {path.name: read(path)[0].tobytes() for path in folder.glob("plate.*.exr")}


def hidden(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".*")]


def at(*places: tuple[int, int]) -> Callable[[int], Array]:
    """A matte of single pixels, the same in each frame."""

    def matte(frame: int) -> Array:
        hole = np.zeros((HEIGHT, WIDTH), np.float32)
        for y, x in places:
            hole[y, x] = 1
        return hole

    return matte


@pytest.mark.parametrize("kind", ["half", "float"])
def test_all_that_is_not_the_hole_comes_through_bit_for_bit(tmp_path: Path, kind: str) -> None:
    odd = [np.nan, np.inf, -np.inf, -0.0, 1e-7, 65504.0]
    for frame in (7, 8, 9):
        planes = colour(frame)
        planes["G"][0, :6] = odd
        planes["R"][7, 8:10] = np.nan, np.inf  # in the hole
        others = {name: np.random.default_rng(frame).random((HEIGHT, WIDTH)) for name in "AZ"}
        others["depth.Z"] = np.full((HEIGHT, WIDTH), np.inf)
        write(
            tmp_path / f"plate.{frame:04d}.exr", {**planes, **others}, kind,
            Artist="me", FramesPerSecond=("rational", (24, 1)), compression="piz",
        )  # fmt: skip
        write(tmp_path / f"matte.{frame:04d}.exr", {"A": SQUARE})
    result = run(job_in(tmp_path))
    assert (result.frames, result.filled) == (3, 3 * 30)
    for frame in (7, 8, 9):
        name = f"plate.{frame:04d}.exr"
        (before, old), (after, new) = read(tmp_path / name), read(tmp_path / "out" / name)
        hole = SQUARE > 0
        assert np.array_equal(before[~hole], after[~hole])
        assert np.array_equal(before[..., 3:], after[..., 3:])
        light = after.view(np.float16 if kind == "half" else np.float32)[hole][:, :3]
        assert np.isfinite(light).all()
        assert old.channelnames == new.channelnames and old.format == new.format
        assert {a.name: a.value for a in old.extra_attribs} == {
            a.name: a.value for a in new.extra_attribs
        }


HOLES: dict[str, Callable[[int], Array]] = {
    "one pixel": at((8, 9)),
    "at the top left": at((0, 0), (0, 1), (1, 0)),
    "at the bottom right": at((HEIGHT - 1, WIDTH - 1)),
    "a row from border to border": at(*((7, x) for x in range(WIDTH))),
    "two apart": at((1, 1), (14, 18)),
    "all of one frame": lambda frame: np.ones_like(SQUARE) if frame == 2 else SQUARE,
    "empty in one frame": lambda frame: 0 * SQUARE if frame == 2 else SQUARE,
    "only in one frame": lambda frame: SQUARE if frame == 2 else 0 * SQUARE,
    "soft": lambda frame: SQUARE * np.linspace(0.01, 1, WIDTH, dtype=np.float32),
    "a plate of 8 x 8": lambda frame: np.pad(np.ones((2, 2), np.float32), 3),
    "a plate of one pixel": lambda frame: np.full((1, 1), frame == 2, np.float32),
}


@pytest.mark.parametrize("name", HOLES)
def test_a_hole_of_any_shape_is_filled_and_the_rest_kept(tmp_path: Path, name: str) -> None:
    matte = HOLES[name]
    result = run(make(tmp_path, 3, matte))
    check_law(tmp_path, matte)
    assert result.filled == (np.stack([matte(frame) for frame in (1, 2, 3)]) > 0).sum()


@pytest.mark.parametrize("count", [1, 3, 13])
def test_a_shot_of_any_length_is_filled(tmp_path: Path, count: int) -> None:
    assert run(make(tmp_path, count)).frames == count
    check_law(tmp_path)


def test_a_shot_of_two_frames_is_filled_alike_each_time(tmp_path: Path) -> None:
    results = []
    for name in ("one", "other", "third"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, 2)
        run(job_in(tmp_path / name, precision="bfloat16"))
        check_law(tmp_path / name)
        results.append(pixels_of(tmp_path / name / "out"))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("value", [0.0, 0.18, -5.0, 1e4])
def test_a_flat_plate_is_filled_with_itself(tmp_path: Path, value: float) -> None:
    flat = np.full((HEIGHT, WIDTH), value, np.float32)
    run(make(tmp_path, 3, R=flat, G=flat, B=flat))
    for path in (tmp_path / "out").glob("*.exr"):
        assert (read(path)[0] == np.float16(value).view(np.uint16)).all()


def test_a_fill_is_as_bright_and_as_dark_as_the_plate_and_no_more(tmp_path: Path) -> None:
    wild = np.where(np.arange(HEIGHT)[:, None] % 3, -5, 1e4) * np.ones(WIDTH)
    run(make(tmp_path, 3, R=wild))
    light = np.stack([read(p)[0].view(np.float16)[..., 0] for p in tmp_path.glob("out/*.exr")])
    assert (light.min(), light.max()) == (-5, 1e4)
    check_law(tmp_path)


@pytest.mark.parametrize(("channels", "count"), [("Y", 1), ("R,G,B,Y", 4)])
def test_other_channels_than_rgb_are_filled_by_name(
    tmp_path: Path, channels: str, count: int
) -> None:
    make(tmp_path, 3, Y=colour(5)["R"])
    run(job_in(tmp_path, channels=channels))
    check_law(tmp_path)
    before, after = (read(tmp_path / name / "plate.0002.exr")[0] for name in ("", "out"))
    changed = [bool((before != after)[..., i].any()) for i in range(4)]
    assert sum(changed) == count and changed[3]


def test_an_empty_matte_copies_the_plate_and_says_so(tmp_path: Path) -> None:
    told: list[Progress] = []
    run(make(tmp_path, 3, lambda frame: 0 * SQUARE), told.append)
    assert result_of(tmp_path / "out") == {
        path.name: path.read_bytes() for path in tmp_path.glob("plate.*")
    }
    assert any("is empty" in progress.message for progress in told)


def test_a_matte_of_another_size_is_one_error_and_leaves_no_folder(tmp_path: Path) -> None:
    job = make(tmp_path, 3)
    write(tmp_path / "matte.0002.exr", {"A": np.ones((8, 8), np.float32)})
    with pytest.raises(JobError, match=r"matte.0001.exr|matte.####.exr"):
        run(job)
    assert not (tmp_path / "out").exists()


def test_progress_rises_from_reading_to_one_and_names_every_stage(shot: Shot) -> None:
    told: list[Progress] = []
    result = run(job_in(shot.folder, intervals=2), told.append)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions) and fractions[0] < 0.05 and fractions[-1] == 1
    stages = [progress.stage for progress in told]
    assert list(dict.fromkeys(stages)) == ["read", "prior", "train", "sample", "write", "done"]
    status = json.loads(Path(result.folder, "status.json").read_text())
    assert (status["state"], status["percent"], result.frames) == ("done", 100, 8)
    assert not hidden(shot.folder)


class Stopper:
    """Asks a job to stop, once, by a signal or a ``cancel`` file, when it reports a stage."""

    def __init__(self, stage: str, number: signal.Signals | None, cancel: Path) -> None:
        self.stage, self.number, self.cancel = stage, number, cancel

    def __call__(self, progress: Progress) -> None:
        if progress.stage == self.stage:
            self.stage = ""
            os.kill(os.getpid(), self.number) if self.number else self.cancel.touch()


@pytest.mark.parametrize(
    ("recipe", "number", "code"),
    [
        ("draft", signal.SIGINT, 130),
        ("draft", None, 130),
        ("paper", signal.SIGTERM, 143),
    ],
)
def test_a_job_that_was_stopped_at_each_stage_ends_with_the_unbroken_jobs_pixels(
    shot: Shot, recipe: str, number: signal.Signals | None, code: int
) -> None:
    settings = {"recipe": recipe, "intervals": 2}
    run(job_in(shot.folder, output=f"{shot.folder}/unbroken/", **settings))
    job = job_in(shot.folder, **settings)
    folder = shot.folder / "out" / "infusion" / "plate" / "v001"
    for stage in ("read", "prior", "train", "sample", "write"):
        with pytest.raises(Stopped) as caught:
            run(job, Stopper(stage, number, folder / "cancel"))
        assert caught.value.exit_code == code
        assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
        assert json.loads((folder / "error.json").read_text())["code"] == code
    run(job)
    assert result_of(shot.folder / "out") == result_of(shot.folder / "unbroken")
    assert [path.name for path in folder.parent.iterdir()] == ["v001"]
    assert not (folder / "error.json").exists() and not hidden(shot.folder)


def test_a_job_in_place_goes_on_with_frames_that_it_has_changed_and_is_done_once(
    shot: Shot,
) -> None:
    run(job_in(shot.folder))
    job = job_in(shot.folder, output=shot.plate, in_place=True)
    folder = shot.folder / "infusion" / "plate" / "v001"
    with pytest.raises(Stopped):
        run(job, Stopper("write", signal.SIGTERM, folder / "cancel"))
    for stages in ({"write", "done"}, {"done"}):
        told: list[Progress] = []
        run(job, told.append)
        assert {progress.stage for progress in told if progress.steps} == stages
        assert pixels_of(shot.folder) == pixels_of(shot.folder / "out")
    assert [path.name for path in folder.parent.iterdir()] == ["v001"]


def test_what_a_listener_raises_stops_the_job_and_it_goes_on(shot: Shot) -> None:
    def fail(progress: Progress) -> None:
        if progress.stage == "sample":
            raise InfusionError("the window was closed")

    with pytest.raises(InfusionError, match="window was closed"):
        run(job_in(shot.folder), fail)
    assert run(job_in(shot.folder)).frames == 8


def test_a_finished_job_is_not_computed_again(shot: Shot) -> None:
    job = job_in(shot.folder)
    run(job)
    first = result_of(shot.folder / "out")
    (shot.folder / "out" / "plate.1003.exr").unlink()
    told: list[Progress] = []
    run(job, told.append)
    assert {progress.stage for progress in told if progress.steps} == {"write", "done"}
    assert result_of(shot.folder / "out") == first


def test_a_damaged_checkpoint_and_a_damaged_fill_cost_time_and_no_pixel(shot: Shot) -> None:
    job = job_in(shot.folder, checkpoint_minutes=0.0)
    work = Path(run(job).folder) / "work"
    first = result_of(shot.folder / "out")
    for path in (work / "fill.safetensors", max(work.glob("train-*"))):
        path.write_bytes(path.read_bytes()[:-9])
    run(job)
    assert result_of(shot.folder / "out") == first


def test_frames_that_are_as_they_were_written_are_left_alone(shot: Shot) -> None:
    job = job_in(shot.folder)
    filled = run(job).filled
    paths = sorted((shot.folder / "out").glob("*.exr"))
    times = [path.stat().st_mtime_ns for path in paths]
    assert run(job).filled == filled
    assert [path.stat().st_mtime_ns for path in paths] == times


def test_what_a_process_left_that_was_killed_at_the_very_end_is_tidied_away(shot: Shot) -> None:
    job = job_in(shot.folder)
    left = Path(run(job).folder) / "work" / "prepared.safetensors"
    left.write_bytes(b"the region, large")
    run(job)
    assert not left.exists()


def test_a_finished_job_keeps_its_networks_and_its_fill_and_nothing_large(shot: Shot) -> None:
    work = Path(run(job_in(shot.folder, checkpoint_minutes=0.0)).folder) / "work"
    kept = {path.name for path in work.iterdir()}
    assert kept == {
        "arithmetic", "preview.safetensors", "fill.safetensors", "train-00-0000002-end.safetensors",
    }  # fmt: skip


def test_another_seed_is_another_fill_in_another_folder(shot: Shot) -> None:
    folders = [run(job_in(shot.folder, seed=seed)).folder for seed in (0, 1)]
    assert [Path(folder).name for folder in folders] == ["v001", "v002"]


def test_in_place_replaces_the_hole_of_the_plate_alone(tmp_path: Path) -> None:
    make(tmp_path, 3)
    (tmp_path / "out").mkdir()
    for path in tmp_path.glob("plate.*"):
        (tmp_path / "out" / path.name).write_bytes(path.read_bytes())
    run(job_in(tmp_path, plate=f"{tmp_path}/out/plate.####.exr", in_place=True))
    check_law(tmp_path)


def test_an_in_place_job_that_was_stopped_while_it_wrote_ends_with_the_unbroken_jobs_pixels(
    tmp_path: Path,
) -> None:
    results = []
    for name in ("unbroken", "broken"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, 3)
        job = job_in(tmp_path / name, output=f"{tmp_path}/{name}/plate.####.exr", in_place=True)
        if name == "broken":
            before = pixels_of(tmp_path / name)
            with pytest.raises(InfusionError, match="enough"):
                run(job, _fail_in_writing)
            assert pixels_of(tmp_path / name) != before, "a frame was written before the stop"
        run(job)
        results.append(pixels_of(tmp_path / name))
    assert results[0] == results[1]


@pytest.mark.parametrize("settings", [{}, {"feather": 2}], ids=["soft matte", "feather"])
def test_soft_pixels_are_refused_in_place_and_the_plate_is_untouched(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    make(tmp_path, 3, lambda frame: SQUARE if settings else SQUARE / 2)
    before = result_of(tmp_path)
    output = f"{tmp_path}/plate.####.exr"
    with pytest.raises(JobError, match="soft pixels") as caught:
        run(job_in(tmp_path, output=output, in_place=True, **settings))
    assert caught.value.exit_code == 2
    assert result_of(tmp_path) == before and not hidden(tmp_path)


def _fail_in_writing(progress: Progress) -> None:
    if progress.stage == "write":
        raise InfusionError("enough")


def test_a_full_disk_while_frames_are_written_is_to_be_tried_again(
    shot: Shot, full_disk: type[FullDisk]
) -> None:
    job = job_in(shot.folder)
    run(job)
    first = result_of(shot.folder / "out")
    for path in (shot.folder / "out").glob("*.exr"):
        path.unlink()
    with full_disk(3000), pytest.raises(TryAgainError):
        run(job)
    assert not result_of(shot.folder / "out") and not hidden(shot.folder / "out")
    run(job)
    assert result_of(shot.folder / "out") == first


def test_a_full_disk_while_a_checkpoint_is_written_is_to_be_tried_again(
    shot: Shot, full_disk: type[FullDisk]
) -> None:
    with full_disk(100_000), pytest.raises(TryAgainError, match="cannot write"):
        run(job_in(shot.folder, checkpoint_minutes=0.0))


def start(folder: Path, **settings: Any) -> subprocess.Popen[str]:
    """The same job in a process of its own."""
    code = "import sys; from infusion_ofx.run import Job, run; run(Job.from_json(sys.argv[1]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, job_in(folder, **settings).to_json()],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("until", ["work/train-*", "work/sample-*", "../../../plate.*.exr"])
def test_a_killed_job_goes_on_to_the_unbroken_jobs_pixels(shot: Shot, until: str) -> None:
    settings = {"steps": 3, "intervals": 2, "checkpoint_minutes": 0.0}
    run(job_in(shot.folder, output=f"{shot.folder}/unbroken/", **settings))
    job = start(shot.folder, **settings)
    folder = shot.folder / "out" / "infusion" / "plate" / "v001"
    while not list(folder.glob(until)) and job.poll() is None:
        time.sleep(0.002)
    job.kill()
    said = job.communicate(timeout=60)[1]
    assert job.returncode == -signal.SIGKILL, said
    run(job_in(shot.folder, **settings))
    assert result_of(shot.folder / "out") == result_of(shot.folder / "unbroken")
    assert [path.name for path in folder.parent.iterdir()] == ["v001"]


@pytest.mark.slow
def test_twins_that_run_at_once_both_end_well_with_the_same_pixels(shot: Shot) -> None:
    settings = {"steps": 3, "intervals": 2, "checkpoint_minutes": 0.0}
    run(job_in(shot.folder, output=f"{shot.folder}/alone/", **settings))
    twins = [start(shot.folder, **settings) for _ in range(2)]
    said = [twin.communicate(timeout=120)[1] for twin in twins]
    assert [twin.returncode for twin in twins] == [0, 0], said
    assert result_of(shot.folder / "out") == result_of(shot.folder / "alone")
    assert not hidden(shot.folder)

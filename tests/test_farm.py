"""The verbs of the farm's steps, as processes of their own: what they print, how they end, and that
nothing is lost whatever ends them."""

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

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx import __version__
from infusion_ofx.begin import submit
from infusion_ofx.farm.status import status
from infusion_ofx.farm.task import perform
from infusion_ofx.folder import JobFolder, read_json
from processes import start

if TYPE_CHECKING:
    from conftest import Shot

ROOT = Path(__file__).parents[1]
SHARED: dict[str, Any] = {"recipe": "final", "intervals": 2, "frames": "1001-1002"}


def folder_of(shot: Shot, **settings: Any) -> JobFolder:
    return submit(shot.job(**{**SHARED, **settings}))


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.02)


def test_a_step_says_what_it_does_and_what_it_has_done(shot: Shot) -> None:
    folder = folder_of(shot)
    result = CliRunner().invoke(main, ["prepare", str(folder.path)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"infusion {__version__}, python ") and "seed 0" in lines[0]
    assert lines[1].startswith("command: ")
    assert "working on" in lines[2] and "100.0%  prior 2/2" in result.stdout
    assert lines[-1].startswith("prepare done in 0:0") and "peak memory" in lines[-1]
    assert not {"\r", "\x1b"} & set(result.stdout)


def test_a_step_answers_in_json_alone(shot: Shot) -> None:
    folder = folder_of(shot)
    result = CliRunner().invoke(main, ["prepare", str(folder.path), "--json"])
    facts = json.loads(result.stdout)
    assert facts["task"] == "prepare" and facts["folder"] == str(folder.path)
    assert "working on" in result.stderr
    lines = CliRunner().invoke(main, ["prepare", str(folder.path), "--progress", "jsonl"]).stdout
    assert all(isinstance(json.loads(line), dict) for line in lines.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "--interval", "0"], 3, "run `infusion prepare` first"),
        (["sample"], 3, "run `infusion prepare` first"),
        (["assemble"], 3, "run `sample` first"),
        (["train", "--interval", "7"], 2, "its trainings are shared, 00, 01"),
        (["train", "--interval", "x"], 2, "'x' is neither"),
        (["prepare", "--path-map", "x"], 2, "is not FROM=TO"),
        (["prepare", "--path-mapping-rules", "none"], 2, "cannot be read"),
    ],
)
def test_a_step_that_cannot_be_done_ends_with_its_code_and_one_line(
    shot: Shot, arguments: list[str], code: int, said: str
) -> None:
    folder = folder_of(shot)
    result = CliRunner().invoke(main, [arguments[0], str(folder.path), *arguments[1:]])
    assert result.exit_code == code and said in result.stderr
    assert "Traceback" not in result.output


def test_why_a_step_failed_is_told_to_the_farm_and_kept(shot: Shot) -> None:
    folder = folder_of(shot)
    command = ["sample", str(folder.path), "--progress", "openjd"]
    result = CliRunner().invoke(main, command)
    assert result.stdout.splitlines()[-1].startswith("openjd_fail: nothing is prepared")
    assert read_json(folder.status("sample"))["error"]["code"] == 3
    assert "failed after" in (folder.path / "logs" / "sample.1.log").read_text()


def test_a_path_map_takes_the_place_of_the_recorded_path(shot: Shot) -> None:
    folder = folder_of(shot)
    elsewhere = shot.folder / "else where"
    elsewhere.mkdir()
    for path in shot.folder.glob("*.exr"):
        path.rename(elsewhere / path.name)
    assert CliRunner().invoke(main, ["prepare", str(folder.path)]).exit_code == 2
    mapping = ["--path-map", f"{shot.folder}={elsewhere}"]
    assert CliRunner().invoke(main, ["prepare", str(folder.path), *mapping]).exit_code == 0


@pytest.mark.slow
def test_usr1_asks_for_a_checkpoint_and_term_for_the_last_one(shot: Shot) -> None:
    folder = folder_of(shot, steps=2000)
    perform(folder.path, "prepare")
    task = start("train", folder.path, "--interval", "shared")
    wait_for(lambda: read_json(folder.status("train-shared")).get("step"), task)
    task.send_signal(signal.SIGUSR1)
    wait_for(lambda: list(folder.work.glob("train-shared-*")), task)
    kept = {path.name for path in folder.work.glob("train-shared-*")}
    assert kept and task.poll() is None, "it goes on"
    task.send_signal(signal.SIGTERM)
    said = task.communicate(timeout=60)[1]
    assert task.returncode == 143 and "ERROR: stopped by SIGTERM; a checkpoint" in said
    assert {path.name for path in folder.work.glob("train-shared-*")} > kept
    found = {each.task: each.state for each in status(folder.path).tasks}
    assert found["train-shared"] == "stopped"


@pytest.mark.slow
def test_twins_of_a_task_that_run_at_once_both_end_well(shot: Shot) -> None:
    folder = folder_of(shot, checkpoint_minutes=0.0, steps=2)
    perform(folder.path, "prepare")
    for task in ("train", "sample"):
        twins = [start(task, folder.path) for _ in range(2)]
        said = [twin.communicate(timeout=120) for twin in twins]
        assert [twin.returncode for twin in twins] == [0, 0], said
    perform(folder.path, "assemble")
    together = shot.pixels()
    alone = folder_of(shot, output="alone/", steps=2)
    for name in ("prepare", "train", "sample", "assemble"):
        perform(alone.path, name)
    assert together == shot.pixels("alone")
    assert not shot.hidden()


@pytest.mark.slow
def test_tasks_that_are_killed_at_random_moments_end_with_the_unbroken_jobs_frames(
    tmp_path: Path,
) -> None:
    script, figures = ROOT / "docs" / "benchmarks" / "kill.py", tmp_path / "kill.json"
    done = subprocess.run(
        [sys.executable, script, "--rounds", "6", "--seed", "3", "-o", figures],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(figures.read_text())
    assert facts["failures"] == [] and facts["rounds"] == 6

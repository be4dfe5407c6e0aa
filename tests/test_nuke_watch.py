"""How a version stands, from what lies in its folder: the same for a job here and on a farm."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from nuke_fake import shot  # noqa: F401, Nuke first

from infusion_versions import NodeError, Version, reserve, versions
from infusion_watch import Status, clock, label, lines, look, tail

Facts = dict[str, Any]

RUNNING: Facts = {"state": "running", "percent": 42.0, "seconds_left": 2460.0, "host": "gpu7",
                  "stage": "train", "step": 840, "steps": 2000, "loss": 0.1234,
                  "peak_memory": 3 * 2**30}  # fmt: skip
BEFORE = time.time() - 3600


def version(
    folder: Path, runner: str = "this machine", views: tuple[str, ...] = ("main",)
) -> Version:
    made = reserve(folder, "Infusion1")
    for view in views:
        made.view(view).mkdir()
    put(made.path / "nuke.json", {"views": list(views), "runner": runner})
    put(made.path / "plan.json", {})
    return made


def put(path: Path, facts: Facts, *, old: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts))
    if old:
        os.utime(path, (BEFORE, BEFORE))


def test_a_job_at_work_says_how_far_it_is(tmp_path: Path) -> None:
    made = version(tmp_path)
    put(made.view("main") / "status.json", RUNNING)
    status = look(made)
    assert label("v001", status) == "v001 42% 41 min"
    assert lines("v001", status) == [
        "v001 running, 42%", "train 840 of 2000", "41 min left", "loss 0.1234", "on gpu7 3.0 GiB"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({}, "waiting"),
        ({"status.json": RUNNING}, "running"),
        ({"status.json": {**RUNNING, "state": "failed"}, "error.json": {"code": 2}}, "failed"),
        ({"status.json": RUNNING, "error.json": {"code": -9}}, "failed"),
        ({"status.json": {"state": "stopped"}, "error.json": {"code": 130}}, "stopped"),
        ({"status.json": {"state": "done"}}, "waiting"),
        ({"status.json": RUNNING, "result.json": {"frames": []}}, "done"),
        ({"status.json": {"state": 7}}, "waiting"),
    ],
)
def test_the_state_is_what_the_files_say(
    tmp_path: Path, files: dict[str, Facts], state: str
) -> None:
    made = version(tmp_path)
    for name, facts in files.items():
        put(made.view("main") / name, facts)
    assert look(made).state == state


def test_a_job_that_nothing_is_heard_of_is_lost(tmp_path: Path) -> None:
    made = version(tmp_path)
    put(made.view("main") / "status.json", RUNNING, old=True)
    assert look(made).state == "lost"


def test_a_job_that_never_began_is_lost_when_its_process_is_silent(tmp_path: Path) -> None:
    made = version(tmp_path)
    put(made.path / "plan.json", {}, old=True)
    assert look(made).state == "lost"
    put(made.path / "process.json", {})
    assert look(made).state == "waiting", "its process is alive"
    put(made.path / "process.json", {}, old=True)
    assert look(made).state == "lost"


def test_a_farms_job_may_wait_as_long_as_it_likes(tmp_path: Path) -> None:
    made = version(tmp_path, runner="Slurm")
    put(made.path / "plan.json", {}, old=True)
    assert look(made).state == "waiting"
    (made.path / "stop").touch()
    assert look(made).state == "stopped", "nothing of it runs, and nothing will begin"


def test_the_tasks_of_a_farm_count_alike(tmp_path: Path) -> None:
    made, stages = version(tmp_path, runner="Slurm"), {"train-00": 9, "train-01": 9, "sample-00": 1}
    main = made.view("main")
    put(main / "job.json", {"stages": stages})
    put(main / "tasks" / "prepare.json", {"state": "done", "percent": 100})
    put(main / "tasks" / "train-00.json", {**RUNNING, "percent": 50})
    status = look(made)
    assert (status.state, status.percent, status.host) == ("running", 30.0, "gpu7")
    error = {"message": "out of memory", "hint": "lower Memory"}
    put(main / "tasks" / "train-01.json", {"state": "failed", "error": error})
    status = look(made)
    assert (status.state, status.message, status.hint) == (
        "failed",
        "out of memory",
        "lower Memory",
    )


def test_of_several_views_the_worst_is_told(tmp_path: Path) -> None:
    made = version(tmp_path, views=("left", "right"))
    put(made.view("left") / "result.json", {"frames": []})
    assert (look(made).state, look(made).percent) == ("waiting", 50.0)
    put(made.view("right") / "error.json", {"code": 75, "message": "no room", "hint": "make some"})
    assert (look(made).state, look(made).view, look(made).message) == ("failed", "right", "no room")


def test_a_stop_that_is_asked_for_shows_at_once(tmp_path: Path) -> None:
    made = version(tmp_path)
    put(made.view("main") / "status.json", RUNNING)
    (made.path / "stop").touch()
    assert look(made).state == "stopping"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"views": 3}'])
def test_a_damaged_file_is_no_error(tmp_path: Path, text: str) -> None:
    made = version(tmp_path)
    (made.view("main") / "status.json").write_text(text)
    assert look(made).state == "waiting"
    assert tail(made) == "There is no log yet."


def test_times_are_short() -> None:
    assert [clock(each) for each in (5, 59, 61, 2460, 9000)] == [
        "5 s",
        "59 s",
        "1 min",
        "41 min",
        "2.5 h",
    ]
    assert label("v001", Status()) == "" and lines("v001", Status()) == ["nothing started"]


# Versions


def test_every_version_is_somebodys_alone(tmp_path: Path) -> None:
    assert [reserve(tmp_path, "A").name for _ in range(3)] == ["v001", "v002", "v003"]
    (tmp_path / "A" / "v002").rmdir()
    (tmp_path / "A" / "notes").mkdir()
    assert reserve(tmp_path, "A").number == 4
    assert [each.number for each in versions(tmp_path, "A")] == [1, 3, 4]
    assert Version.of(tmp_path, "A/v003") == versions(tmp_path, "A")[1]
    assert Version.of(tmp_path, "A/old") is Version.of(tmp_path, "") is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NodeError, match="Data Directory"):
        reserve(tmp_path / "file", "A")

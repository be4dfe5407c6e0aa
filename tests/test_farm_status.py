"""How a job stands: told by results and by the file server's clock, whatever a process says."""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx.attempt import attempting
from infusion_ofx.errors import JobError, Stopped
from infusion_ofx.farm.status import SILENT_SECONDS, status
from infusion_ofx.folder import JobFolder, Record, write_json
from infusion_ofx.job import Job
from infusion_ofx.progress import Progress

JOB = Job(plate="/p.####.exr", matte="/m.exr", output="/out/")
STAGES = {"train-shared": 4, "train-00": 3, "sample-00": 2, "train-01": 3, "sample-01": 1}
TASKS = ["prepare", "train-shared", "train-00", "train-01", "sample", "assemble"]


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder.adopt(Record(JOB, "1", "abc", STAGES), tmp_path)


def states(folder: JobFolder) -> dict[str, str]:
    return {task.task: task.state for task in status(folder.path).tasks}


def make(folder: JobFolder, *names: str) -> None:
    for name in names:
        (folder.work / f"{name}.safetensors").touch()


def silence(folder: JobFolder, task: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder.status(task), (then, then))


def test_a_new_job_waits_with_every_task(folder: JobFolder) -> None:
    assert states(folder) == dict.fromkeys(TASKS, "waiting")
    found = status(folder.path)
    assert (found.state, found.percent, found.cancelled) == ("waiting", 0.0, False)


def test_a_task_is_done_when_its_result_is_there(folder: JobFolder) -> None:
    make(folder, "prepared", "train-shared-0000004-end", "train-00-0000002")
    make(folder, "train-00-x4-0000002-end", "train-01-0000003-end")
    assert states(folder) == {
        "prepare": "done", "train-shared": "done", "train-00": "waiting", "train-01": "done",
        "sample": "waiting", "assemble": "waiting",
    }  # fmt: skip
    make(folder, "fill")
    assert states(folder) == {**dict.fromkeys(TASKS, "done"), "assemble": "waiting"}
    write_json(folder.result, {"filled": 0, "takes": [[]]})
    found = status(folder.path)
    assert (found.state, found.percent) == ("done", 100.0)


def test_it_is_done_while_every_frame_of_every_take_is_as_it_was_written(tmp_path: Path) -> None:
    job = replace(JOB, output=f"{tmp_path}/out/", takes=2)
    folder = JobFolder.adopt(Record(job, "1", "abc", STAGES), tmp_path)
    make(folder, "fill", "fill-take02")
    frame, other = tmp_path / "out" / "p.1001.exr", tmp_path / "out" / "take_02" / "p.1001.exr"
    other.parent.mkdir(parents=True)
    for path in (frame, other):
        path.write_bytes(b"12345")
    for takes, state in (([], "waiting"), ([["p.1001.exr", 5, 0]], "waiting")):
        write_json(folder.result, {"filled": 1, "takes": [takes]})
        assert status(folder.path).state == state, "the second take is not there"
    write_json(folder.result, {"filled": 1, "takes": [[["p.1001.exr", 5, 0]]] * 2})
    assert status(folder.path).state == "done"
    other.write_bytes(b"123")
    assert (status(folder.path).state, states(folder)["assemble"]) == ("waiting", "waiting")
    other.write_bytes(b"12345")
    frame.unlink()
    assert status(folder.path).state == "waiting"
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert status(folder.path).state == "done", "what cannot be seen from here is believed"


def test_a_job_that_is_wanted_in_more_takes_is_not_done_any_more(tmp_path: Path) -> None:
    folder = JobFolder.adopt(Record(JOB, "1", "abc", STAGES), tmp_path)
    write_json(folder.result, {"filled": 1, "takes": [[]]})
    for takes, done in ((1, True), (2, False)):
        more = replace(JOB, takes=takes)
        assert JobFolder.adopt(Record(more, "1", "abc", STAGES), tmp_path) == folder
        assert folder.result.exists() == done


@pytest.mark.parametrize("error", [JobError("no light"), Stopped("enough"), None])
def test_a_run_that_has_ended_or_is_lost_is_what_the_job_says(
    folder: JobFolder, error: Exception | None
) -> None:
    with suppress(JobError, Stopped), attempting(folder, "run", JOB):
        if error is not None:
            raise error
        silence(folder, "run", SILENT_SECONDS + 5)
        assert status(folder.path).state == "lost"
    if error is not None:
        expected = "stopped" if isinstance(error, Stopped) else "failed"
        assert status(folder.path).state == expected
        silence(folder, "run", 60)
        with attempting(folder, "prepare", JOB):
            assert status(folder.path).state == "running", "it goes on, task by task"


@pytest.mark.parametrize(
    "facts",
    [{"state": "failed", "error": ["x"]}, {"state": "running", "percent": "much"}, {"pid": 3}],
)
def test_a_status_that_is_none_of_ours_says_nothing(
    folder: JobFolder, facts: dict[str, object]
) -> None:
    write_json(folder.status("prepare"), facts)
    assert states(folder)["prepare"] == "waiting"


def test_an_orphan_that_still_speaks_changes_nothing_of_what_is_done(folder: JobFolder) -> None:
    make(folder, "prepared", "train-shared-0000004-end")
    with attempting(folder, "train-shared", JOB) as orphan:
        orphan(Progress("train", 1, 4, 0.25))
        assert states(folder)["train-shared"] == "done"


def test_what_a_task_has_said_of_itself_is_not_believed_without_its_result(
    folder: JobFolder,
) -> None:
    with attempting(folder, "train-00", JOB):
        pass
    assert states(folder)["train-00"] == "waiting"


def test_a_running_task_says_where_and_how_far(folder: JobFolder) -> None:
    with attempting(folder, "train-00", JOB) as attempt:
        attempt(Progress("train", 1, 4, 0.25, 60.0))
        task = status(folder.path).tasks[2]
    assert (task.state, task.percent, task.seconds_left) == ("running", 25, 60)
    assert (task.pid, task.attempt, task.host) == (os.getpid(), 1, os.uname().nodename)
    assert status(folder.path).state == "waiting"


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0, "running"), (SILENT_SECONDS / 2, "running"), (SILENT_SECONDS + 5, "lost"),
     (-3600, "running")],
)  # fmt: skip
def test_a_task_of_which_nothing_is_heard_is_lost(
    folder: JobFolder, seconds: float, state: str
) -> None:
    with attempting(folder, "sample", JOB):
        silence(folder, "sample", seconds)
        assert states(folder)["sample"] == state


@pytest.mark.parametrize("wrong", [-(10**6), 10**6])
def test_a_clock_that_is_wrong_makes_no_task_lost(folder: JobFolder, wrong: int) -> None:
    with attempting(folder, "sample", JOB):
        facts = json.loads(folder.status("sample").read_text())
        write_json(folder.status("sample"), {**facts, "heartbeat": time.time() + wrong})
        assert states(folder)["sample"] == "running"


def test_how_a_task_ended_is_told_and_is_gone_when_it_runs_again(folder: JobFolder) -> None:
    for error, state in ((JobError("no light"), "failed"), (Stopped("enough"), "stopped")):
        with pytest.raises(type(error)), attempting(folder, "prepare", JOB):
            raise error
        task = status(folder.path).tasks[0]
        assert (task.state, task.said) == (state, error.args[0])
        assert status(folder.path).state == state
    with attempting(folder, "prepare", JOB):
        assert states(folder)["prepare"] == "running"


def test_a_run_in_one_process_stands_before_the_tasks(folder: JobFolder) -> None:
    with attempting(folder, "run", JOB) as attempt:
        attempt(Progress("train", 1, 4, 0.25))
        make(folder, "prepared")
        found = status(folder.path)
    assert (found.state, found.percent) == ("running", 25)
    assert [task.task for task in found.tasks] == ["run", *TASKS]
    assert found.tasks[1].state == "done"


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"state": 3, "error": null}'])
def test_a_damaged_status_is_no_trouble(folder: JobFolder, damage: bytes) -> None:
    folder.status("sample").write_bytes(damage)
    assert states(folder)["prepare"] == "waiting"


def test_looking_changes_nothing_and_needs_no_right_to_write(folder: JobFolder) -> None:
    before = sorted(folder.path.rglob("*"))
    folder.path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert status(folder.path).state == "waiting"
    finally:
        folder.path.chmod(stat.S_IRWXU)
    assert sorted(folder.path.rglob("*")) == before


def test_the_verb_says_it_for_people_and_programs_and_ends_with_3_until_all_is_done(
    folder: JobFolder,
) -> None:
    folder.cancel()
    result = CliRunner().invoke(main, ["status", str(folder.path)])
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert lines[0].endswith("v001: waiting, 0%, asked to stop")
    assert [line.split()[0] for line in lines[1:]] == TASKS
    make(folder, "fill")
    write_json(folder.result, {"filled": 0, "takes": [[]]})
    result = CliRunner().invoke(main, ["status", str(folder.path), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["state"] == "done"


def test_the_verbs_of_a_folder_that_is_none_end_with_2(tmp_path: Path) -> None:
    for verb in ("status", "cancel", "prepare", "train", "sample", "assemble"):
        result = CliRunner().invoke(main, [verb, str(tmp_path)])
        assert result.exit_code == 2 and "is no job folder" in result.stderr, verb
    assert not list(tmp_path.iterdir())


def test_cancel_asks_and_takes_back(folder: JobFolder) -> None:
    assert CliRunner().invoke(main, ["cancel", str(folder.path)]).exit_code == 0
    assert folder.cancelled()
    assert CliRunner().invoke(main, ["cancel", str(folder.path), "--undo"]).exit_code == 0
    assert not folder.cancelled()

"""A job that is started from Nuke: what it inherits, and what it outlives. Real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nuke_fake import shot

import infusion_launch
from infusion_launch import commands, environment, find_interpreter, kill
from infusion_versions import NodeError, Version, read_json, reserve, write_json
from infusion_watch import look

pytestmark = pytest.mark.slow

NUKE = "/opt/Nuke15.1v1"

SETTINGS = {"seed": 0, "frames": "1-1", "plate": "in.####.exr", "matte": "in.####.exr"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shot.python_with_stand_in(tmp_path_factory.mktemp("env"))


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    shot.let_them_end()


def version_in(folder: Path, **settings: object) -> Version:
    """A version that is ready to be started."""
    version = reserve(folder, "Infusion1")
    version.view("main").mkdir()
    write_json(version.path / "nuke.json", {"views": ["main"], "runner": "this machine"})
    write_json(version.view("main") / "settings.json", {**SETTINGS, **settings})
    (version.view("main") / "in.0001.exr").write_bytes(b"a frame")
    return version


def start(version: Version, python: Path | str) -> None:
    plan = {"main": commands("this machine", str(python), version.view("main"))}
    infusion_launch.launch(version, plan, str(python), f"{NUKE}/Nuke15.1")


def wait_for(version: Version, *states: str) -> None:
    end = time.monotonic() + 30
    while (status := look(version)).state not in states:
        assert time.monotonic() < end and status.state != "failed", status
        time.sleep(0.05)


# The environment


def test_nukes_own_python_and_libraries_stay_behind() -> None:
    given = {
        "PYTHONHOME": NUKE, "PYTHONPATH": f"{NUKE}/lib", "QT_PLUGIN_PATH": "x", "TK_LIBRARY": "x",
        "PATH": os.pathsep.join([NUKE, f"{NUKE}/bin", "/usr/bin", "/opt/Nuke15.1v1x"]),
        "LD_LIBRARY_PATH": os.pathsep.join([NUKE, "/usr/lib/nvidia"]),
        "DYLD_LIBRARY_PATH": NUKE, "LICENCE": "site@server",
    }  # fmt: skip
    found = environment(given, NUKE)
    assert found["PATH"].split(os.pathsep) == ["/usr/bin", "/opt/Nuke15.1v1x"]
    assert found["LD_LIBRARY_PATH"] == "/usr/lib/nvidia", "the GPU driver's stay"
    assert found["LICENCE"] == "site@server"
    assert not found.keys() & {"PYTHONHOME", "PYTHONPATH", "QT_PLUGIN_PATH", "TK_LIBRARY",
                               "DYLD_LIBRARY_PATH"}  # fmt: skip
    assert found["PYTHONNOUSERSITE"] == "1"


def test_a_site_can_keep_what_it_needs() -> None:
    given = {"PYTHONPATH": "/site", "PATH": NUKE, "INFUSION_KEEP_ENV": "PYTHONPATH, PATH"}
    found = environment(given, NUKE)
    assert (found["PYTHONPATH"], found["PATH"]) == ("/site", NUKE)


def test_the_job_does_not_see_what_poisons_nukes_environment(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "json.py").write_text("raise SystemExit('poisoned')\n")
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, str(evil))
    monkeypatch.setenv("LD_LIBRARY_PATH", NUKE)
    version = version_in(tmp_path)
    start(version, python)
    wait_for(version, "done")
    seen = read_json(version.view("main") / "seen.json")
    assert str(evil) not in json.dumps(seen["path"]) and "LD_LIBRARY_PATH" not in seen["env"]
    assert seen["cwd"] == str(version.view("main"))


# The process


PARENT = """
import signal, sys; sys.path[:0] = {paths!r}
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored from the start
import nuke_fake
import infusion_launch
from infusion_versions import Version
from pathlib import Path
version = Version(Path({folder!r}), "Infusion1", 1)
python = {python!r}
plan = {{"main": infusion_launch.commands("this machine", python, version.view("main"))}}
infusion_launch.launch(version, plan, python, "/opt/Nuke/Nuke")
print("started", flush=True)
import time; time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_the_job_outlives_nuke_and_all_of_its_process_group(
    tmp_path: Path, python: Path, how: signal.Signals
) -> None:
    version = version_in(tmp_path, seed=7)
    paths = [str(shot.ROOT / "tests"), str(shot.ROOT / "nuke_gizmos")]
    code = textwrap.dedent(PARENT).format(paths=paths, folder=str(tmp_path), python=str(python))
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None and parent.stdout.readline() == b"started\n"
    wait_for(version, "running")
    os.killpg(parent.pid, how)
    parent.wait()
    parent.stdout.close()
    (version.view("main") / "go").touch()
    wait_for(version, "done")
    assert (version.path / "run.log").read_text().splitlines()[-1] == "done", "the log is whole"
    assert (version.view("main") / "result" / "result.0001.exr").read_bytes() == b"a frame"


def test_a_stop_reaches_the_job_even_if_it_clears_old_ones_as_it_begins(
    tmp_path: Path, python: Path
) -> None:
    version = version_in(tmp_path, seed=7)
    start(version, python)
    (version.path / "stop").touch()
    (version.view("main") / "cancel").touch()
    wait_for(version, "stopped")
    assert not (version.view("main") / "result.json").exists()


def test_a_job_that_does_not_listen_is_killed_with_all_its_processes(
    tmp_path: Path, python: Path
) -> None:
    version = version_in(tmp_path, seed=7)
    start(version, python)
    wait_for(version, "running")
    facts = read_json(version.path / "process.json")
    write_json(version.path / "process.json", {**facts, "born": "1"})
    assert not kill(version), "a process of the same number that was born at another time"
    write_json(version.path / "process.json", {**facts, "host": "elsewhere"})
    assert not kill(version)
    write_json(version.path / "process.json", facts)
    assert kill(version)
    end = time.monotonic() + 20
    while kill(version) and time.monotonic() < end:
        time.sleep(0.05)


def test_a_python_without_infusion_is_told_by_name(tmp_path: Path) -> None:
    version = version_in(tmp_path)
    bare = shot.bare_python(tmp_path / "env")
    start(version, bare)
    wait_for(version, "failed")
    status = look(version)
    assert status.message == f"{bare} has no Infusion" and "Interpreter" in status.hint


def test_a_job_that_is_killed_gets_a_last_word(tmp_path: Path, python: Path) -> None:
    version = version_in(tmp_path, seed=7)
    start(version, python)
    wait_for(version, "running")
    pid = _child(read_json(version.path / "process.json")["pid"])
    os.kill(pid, signal.SIGKILL)
    wait_for(version, "failed")
    assert "SIGKILL" in look(version).message and "Memory" in look(version).hint


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


# Commands


def test_each_runner_has_its_commands(tmp_path: Path) -> None:
    infusion = ["py", "-I", "-m", "infusion_cli"]
    job, bundle = ["--job", "settings.json"], str(tmp_path / "bundle")
    export = [*infusion, "farm", "export", "openjd", *job, "-o", bundle]
    assert commands("this machine", "py", tmp_path, extra="--threads 2") == [
        [*infusion, "run", *job, "--progress", "plain", "--threads", "2"]
    ]
    assert commands("Slurm", "py", tmp_path, extra="--partition gpu") == [
        [*infusion, "farm", "submit", "slurm", *job, "--partition", "gpu"]
    ]
    assert commands("OpenJD bundle", "py", tmp_path) == [export]
    assert commands("farm command", "py", tmp_path, "send '--name=a b' {bundle} {folder}") == [
        export, ["send", "--name=a b", bundle, str(tmp_path)]
    ]  # fmt: skip


def test_open_quotes_are_told() -> None:
    with pytest.raises(NodeError, match="Close the quotes"):
        commands("this machine", "py", Path(), extra="'a")


def test_the_interpreter_is_the_knobs_then_the_sites_then_the_installations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFUSION_PYTHON", raising=False)
    bare = shot.bare_python(tmp_path / "env")
    gizmos = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "infusion_gizmos"
    assert find_interpreter("", gizmos) == str(bare)
    monkeypatch.setenv("INFUSION_PYTHON", sys.executable)
    assert find_interpreter("", gizmos) == sys.executable
    assert find_interpreter(str(bare)) == str(bare)
    with pytest.raises(NodeError, match="is not there"):
        find_interpreter("/no/python")
    monkeypatch.delenv("INFUSION_PYTHON")
    with pytest.raises(NodeError, match="Set Interpreter"):
        find_interpreter("", tmp_path / "a" / "b" / "c" / "d" / "e" / "f")

"""The plug-in and the real engine: from Launch to the finished frame, with the host or without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import OpenImageIO as oiio
import pytest
from click.testing import CliRunner, Result

from infusion_cli.main import main
from infusion_ofx.folder import read_json
from infusion_ofx.ofx import bundle
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box
from ofx_host.build import ROOT, make_bundle
from ofx_host.host import Host, Instance
from ofx_host.objects import Array, faults

if TYPE_CHECKING:
    from conftest import Shot

pytestmark = pytest.mark.slow

TINY = {"recipe": 0, "steps": 2, "sampling_steps": 3, "threads": 1, "device": "cpu"}
HOLE = Box(8, 10, 15, 20)
"""Round the holes of all frames."""


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in, calling the engine of this checkout as an installed one does."""
    return make_bundle(tmp_path_factory.mktemp("plugins"), bundle.engine())


@pytest.fixture
def shot(shot: Shot) -> Shot:
    """Four frames are enough here."""
    for frame in shot.frames[4:]:
        for name in ("plate", "matte"):
            (shot.folder / f"{name}.{frame}.exr").unlink()
    return replace(shot, frames=shot.frames[:4])


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    faults.clear()
    yield
    assert faults == []


def read(path: Path) -> Array:
    """An EXR as a host shows it: RGBA, opaque."""
    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    pixels = file.read_image(0, 0, 0, file.spec().nchannels, oiio.FLOAT)
    file.close()
    assert pixels is not None
    alpha = np.ones((*pixels.shape[:2], 4 - pixels.shape[2]), np.float32)
    return np.concatenate([pixels, alpha], 2)


def node_on(shot: Shot, binary: Path, folder: Path, **settings: Any) -> Instance:
    """A node whose inputs are the shot."""

    def frames(name: str, frame: float) -> Array:
        if name == "Source":
            return read(shot.folder / f"plate.{int(frame)}.exr")
        return read(shot.folder / f"matte.{int(frame)}.exr")[..., :1]

    span = (shot.frames[0], shot.frames[-1])
    node = Host(binary).instance(frames, connected=("Source", "Matte"), span=span)
    node.set(**TINY, job_folder=str(folder), plate=shot.plate, matte=shot.matte, **settings)
    return node


def wait(node: Instance, state: str) -> str:
    """Presses Refresh until the status begins so; returns it."""
    for _ in range(3000):
        said = node.press("refresh")
        if said.startswith(state) and "on their way" not in said:
            return said
        assert not said.startswith("failed"), said
        time.sleep(0.1)
    raise TimeoutError(said)


def check_frames(node: Instance, shot: Shot, result: Path) -> None:
    """Every frame is the engine's file bit for bit, and the hole is filled."""
    for frame in shot.frames:
        ours, plate = node.render(frame), read(shot.folder / f"plate.{frame}.exr")
        assert ours.tobytes() == read(result / f"plate.{frame}.exr").tobytes()
        changed = (ours != plate).any(2)
        inside = changed[HOLE.top : HOLE.bottom, HOLE.left : HOLE.right]
        assert changed.sum() == inside.sum() > 0


def end_engine(folder: Path) -> None:
    """Kills what is at work in a job folder."""
    for path in folder.glob("plate/v*/status.json"):
        facts = read_json(path)
        if facts.get("state") == "running":
            os.kill(int(facts["pid"]), signal.SIGKILL)


def test_launch_by_files_ends_in_the_engines_own_frames(
    shot: Shot, binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "/nowhere")
    folder = shot.folder / "job"
    node = node_on(shot, binary, folder, takes=2)
    (folder / "plate").mkdir(parents=True)
    (folder / "plate/1.frame").write_text("left by an earlier capture, and not asked for")
    assert node.is_identity(1001)
    assert node.press("launch") == "launched; Refresh says how it stands"
    assert wait(node, "done") == "done"
    check_frames(node, shot, folder / "result")
    node.set(shown_take=2)
    check_frames(node, shot, folder / "result" / "take_02")
    assert not list(shot.folder.rglob("*.tmp"))


def test_the_job_outlives_its_host_and_another_host_adopts_it(shot: Shot, binary: Path) -> None:
    folder = shot.folder / "job"
    settings = {**TINY, "steps": 8, "plate": shot.plate, "matte": shot.matte}
    (shot.folder / "settings.json").write_text(json.dumps({**settings, "job_folder": str(folder)}))
    first = subprocess.Popen(
        [sys.executable, "-m", "ofx_host.session", binary, shot.folder / "settings.json"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with first:
        assert first.stdout is not None and first.stdout.readline().startswith("launched")
        os.killpg(first.pid, signal.SIGKILL)
    node = node_on(shot, binary, folder)
    wait(node, "done")
    check_frames(node, shot, folder / "result")


def test_launch_by_the_hosts_frames_gives_what_the_files_would(shot: Shot, binary: Path) -> None:
    by_host = shot.folder / "by host"
    node = node_on(shot, binary, by_host, input=1)
    node.set(plate="", matte="")
    assert node.press("launch").startswith("launched")
    wait(node, "done")
    result = run(shot.job("by_file"))
    assert result.frames == len(shot.frames)
    check_frames(node, shot, by_host / "result")
    # The host's floats hold the file's halves, so that the engine sees the same picture.
    for frame in shot.frames:
        ours = read(by_host / "result" / f"plate.{frame}.exr")
        theirs = read(shot.folder / "by_file" / f"plate.{frame}.exr")
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def check_it_is_nobodys(folder: Path, held: int) -> None:
    """The engine is in a session of its own, no child of this process, without its open file."""
    pid = int(read_json(folder / "plate/v001/status.json")["pid"])
    assert os.getsid(pid) != os.getsid(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    files = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    assert os.readlink(f"/proc/self/fd/{held}") not in files
    assert str(folder / "engine.log") in files


def test_a_job_that_was_stopped_goes_on_when_it_is_launched_again(shot: Shot, binary: Path) -> None:
    folder = shot.folder / "job"
    node = node_on(shot, binary, folder)
    node.set(steps=100_000)
    with (shot.folder / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        node.press("launch")
        try:
            wait(node, "running: train")
            check_it_is_nobodys(folder, held.fileno())
            assert "Stop it first" in node.press("launch")
            node.press("stop")
            assert "cancel" in wait(node, "stopped: ")
            node.press("launch")
            wait(node, "running: train")
        finally:
            end_engine(folder)
    assert [path.name for path in (folder / "plate").glob("v*")] == ["v001"]
    assert "checkpoint" in (folder / "engine.log").read_text()


def test_a_wrong_job_says_why_at_the_next_refresh(shot: Shot, binary: Path) -> None:
    node = node_on(shot, binary, shot.folder / "job")
    node.set(matte="")
    node.press("launch")
    assert wait(node, "ERROR") == "ERROR: this job cannot run: 'matte' is missing"


def call(*arguments: str | Path) -> Result:
    """The command line in this process."""
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_a_job_that_was_run_elsewhere_can_be_shown(shot: Shot, binary: Path) -> None:
    result = run(shot.job())
    assert call("ofx", "cache", result.folder).output.startswith("4 frames of")
    node = node_on(shot, binary, Path(result.folder))
    assert node.press("refresh") == "done"
    check_frames(node, shot, shot.folder / "out")


def test_a_job_that_is_not_done_cannot_be_shown(shot: Shot) -> None:
    result = run(shot.job())
    (Path(result.folder) / "result.json").unlink()
    done = call("ofx", "cache", result.folder)
    assert (done.exit_code, "is not done" in done.output) == (3, True)
    assert not (Path(result.folder) / "shown").exists()

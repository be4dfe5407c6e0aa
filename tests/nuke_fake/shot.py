"""What tests of the node start from: a script on disk with a plate, a matte and the node, and
Pythons that have Infusion, or a stand-in for it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nuke_fake import nuke
from nuke_fake.nodes import Group, Session
from nuke_fake.render import save
from nuke_fake.script import GIZMO

ROOT = Path(__file__).parents[2]
GIZMO_TEXT = GIZMO.read_text(encoding="utf-8")
FIRST, LAST = 1001, 1004
HEIGHT, WIDTH = 24, 32

STAND_IN = '''
"""A stand-in for Infusion: does as the commands do that the node starts, in no time."""
import json, os, pathlib, shutil, sys, time
if "check" in sys.argv or "doctor" in sys.argv:
    print(json.dumps({"seconds": 120.0, "device": "a toaster", "memory_needed": 2**31,
        "disk_needed": 2**28, "hole_pixels": [3, 0], "count": 2, "faults": [],
        "devices": {"auto device name": "a toaster"}}))
    sys.exit()
folder = pathlib.Path.cwd()
job = json.loads((folder / "settings.json").read_text())
(folder / "seen.json").write_text(json.dumps(
    {"argv": sys.argv, "env": dict(os.environ), "path": sys.path, "cwd": str(folder)}))
def status(state, percent):
    text = json.dumps({"state": state, "percent": percent, "stage": "train", "step": 3, "steps": 9,
        "seconds_left": 75.0, "loss": 0.5, "host": "here", "peak_memory": 2**30})
    (folder / ".s").write_text(text); os.replace(folder / ".s", folder / "status.json")
def end(code, message):
    (folder / "error.json").write_text(json.dumps(
        {"code": code, "message": message, "hint": "do this"}))
    status("stopped" if code == 130 else "failed", 40.0)
    sys.exit(code)
if job["seed"] == 13:
    end(2, "this job cannot run: seed 13")
(folder / "cancel").unlink(missing_ok=True)  # as Infusion does: an old one does not count
status("running", 40.0)
print("at work", flush=True)
end_at = time.monotonic() + 60
while job["seed"] == 7 and not (folder / "go").exists() and time.monotonic() < end_at:
    if (folder / "cancel").exists():
        end(130, "stopped, with a checkpoint")
    time.sleep(0.02)
first, last = map(int, job["frames"].split("-"))
for name in ("result", "matte"):
    (folder / name).mkdir(exist_ok=True)
for frame in range(first, last + 1):
    for name, pattern in (("result", job["plate"]), ("matte", job["matte"])):
        source = folder / (pattern.replace("####", "%04d") % frame)
        shutil.copy(source, folder / name / f"{name}.{frame:04d}.exr")
print("done", flush=True)
(folder / "result.json").write_text("{}")
status("done", 100.0)
'''


def python_with_infusion(folder: Path) -> Path:
    """A new environment's Python that has this checkout and the packages of the tests' own."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    return _environment(folder, {"ours.pth": f"{ROOT}\n{ROOT / 'cli'}\n{theirs}\n"})


def python_with_stand_in(folder: Path) -> Path:
    """A new environment's Python that has a stand-in for Infusion."""
    return _environment(folder, {"infusion_cli.py": STAND_IN})


def bare_python(folder: Path) -> Path:
    """A new environment's Python that has nothing."""
    return _environment(folder, {})


def _environment(folder: Path, files: dict[str, str]) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for name, text in files.items():
        (packages / name).write_text(text)
    return folder / "bin" / "python"


def make_files(folder: Path) -> None:
    """Plate and matte: drifting light with values beyond [0, 1], and a square hole."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for frame in range(FIRST, LAST + 1):
        wave = np.sin(0.5 * x + 0.3 * y + 0.4 * frame)
        light = {n: np.exp(k * wave) - 0.5 for n, k in (("R", 1.0), ("G", 0.7), ("B", 0.4))}
        hole = np.zeros((HEIGHT, WIDTH), np.float32)
        hole[8:15, 10:17] = 1
        save(folder / f"plate.{frame}.exr", {**light, "A": np.ones_like(hole)})
        save(folder / f"matte.{frame}.exr", {"A": hole})


def begin(folder: Path, python: Path | str, *, gui: bool = True) -> tuple[Session, Group]:
    """A Nuke with the script of a folder, a plate and a matte that are not quite files, and a node.

    The plate's Read is not raw, so that it is rendered.
    """
    make_files(folder)
    session = nuke._begin(gui=gui, script=f"{folder.as_posix()}/comp.nk")
    node = nuke.createNode("Infusion")
    assert isinstance(node, Group)
    for i, name in enumerate(("plate", "matte")):
        node.setInput(i, read(f"{folder.as_posix()}/{name}.%04d.exr"))
    node["interpreter"].setValue(python)
    return session, node


def begin_empty() -> tuple[Session, Group]:
    """A Nuke with a script that was never saved and a node with no inputs."""
    session = nuke._begin()
    node = nuke.createNode("Infusion")
    assert isinstance(node, Group)
    return session, node


def read(file: str, **knobs: object) -> nuke.Node:
    """A Read of a sequence."""
    return nuke.nodes.Read(
        **{"file": file, "file_type": "exr", "first": FIRST, "last": LAST, **knobs}
    )


def as_nukes(node: nuke.Node) -> Any:
    """The node for a function of ours, which knows Nuke's types and not the fake's."""
    return node


def press(node: Group, name: str) -> None:
    """Presses a button of the node's panel."""
    knob = node[name]
    assert isinstance(knob, nuke.PyScript_Knob)
    assert knob.enabled(), f"{name} cannot be pressed"
    knob.execute()


def let_them_end() -> None:
    """Waits for the processes that this one has started."""
    from infusion_launch import reap

    end = time.monotonic() + 30
    while reap() and time.monotonic() < end:
        time.sleep(0.05)


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits for something to come true, and lets the node be looked after meanwhile."""
    import infusion_poll

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not come true"
        infusion_poll.POLLER.tick()
        nuke._serve()
        time.sleep(0.05)

"""The whole way with the real engine: Start in one Nuke, which is then killed; the job goes on, and
the script, opened in another Nuke, has the result.

``INFUSION_CLIP=folder`` adds a shot of one's own, with the draft recipe as it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nuke_fake import nuke, shot
from nuke_fake.nodes import Group
from nuke_fake.render import ALPHA, RGB, Context, load, picture
from nuke_fake.script import parse

import infusion_poll

pytestmark = pytest.mark.slow

NUKE = """
import sys; sys.path[:0] = {paths!r}
from nuke_fake import nuke, shot
from nuke_fake.nodes import saved
from pathlib import Path
nuke._begin(script={script!r})
node = nuke.createNode("Infusion")
for i, name in enumerate(("plate", "matte")):
    node.setInput(i, shot.read({clip!r} + "/" + name + ".%04d.exr", first={first}, last={last}))
node["interpreter"].setValue({python!r})
for name, value in {knobs!r}.items():
    node[name].setValue(value)
shot.press(node, "start")
Path({script!r}).write_text(saved(node), encoding="utf-8")
print("started", flush=True)
import time; time.sleep(3600)
"""

TINY = {"recipe": "draft", "steps": 3, "sampling_steps": 3, "device": "cpu", "threads": 1,
        "grow": 2, "feather": 2, "matte_channel": "rgba.alpha"}  # fmt: skip


def test_a_job_outlives_its_nuke_and_is_adopted_by_the_next(tmp_path: Path) -> None:
    clip = tmp_path / "plates ä"
    clip.mkdir()
    shot.make_files(clip)
    go(tmp_path, clip, (shot.FIRST, shot.LAST), TINY)


@pytest.mark.skipif("INFUSION_CLIP" not in os.environ, reason="INFUSION_CLIP names no shot")
def test_the_same_on_a_real_shot_with_the_draft_recipe(tmp_path: Path) -> None:
    clip = Path(os.environ["INFUSION_CLIP"])
    frames = sorted(int(path.name.split(".")[1]) for path in clip.glob("plate.*.exr"))
    go(tmp_path, clip, (frames[0], frames[-1]), {"recipe": "draft", "memory": 4})


def go(folder: Path, clip: Path, frames: tuple[int, int], knobs: dict[str, object]) -> None:
    """Start, kill, open again, wait, and look at the picture."""
    python = shot.python_with_infusion(folder / "env")
    script = folder / "cömp dir" / "comp.nk"
    script.parent.mkdir()
    _start_and_kill(script, clip, frames, {"python": str(python), "knobs": knobs})
    session = nuke._begin(script=script.as_posix())
    infusion_poll.POLLER = infusion_poll.Poller()
    nuke.scriptReadText(script.read_text(encoding="utf-8"))
    (node,) = nuke.allNodes("Group")
    assert isinstance(node, Group)
    for i, name in enumerate(("plate", "matte")):
        node.setInput(i, shot.read(f"{clip}/{name}.%04d.exr", first=frames[0], last=frames[1]))
    shot.until(lambda: node["result_version"].value() or _failed(node), seconds=3600)
    assert str(node["status_label"].value()) == "v001 done", node["details"].value()
    assert session.messages == []
    for frame in range(frames[0], frames[1] + 1):
        _check(node, script.parent, frame)


def _failed(node: Group) -> bool:
    return any(word in str(node["status"].value()) for word in ("failed", "lost"))


def _start_and_kill(
    script: Path, clip: Path, frames: tuple[int, int], more: dict[str, object]
) -> None:
    paths = [str(shot.ROOT / "tests"), str(shot.ROOT / "nuke_gizmos")]
    code = NUKE.format(
        paths=paths, script=str(script), clip=str(clip), first=frames[0], last=frames[1], **more
    )
    poison = {"PYTHONHOME": "", "PYTHONPATH": "/nowhere", "LD_LIBRARY_PATH": "/opt/Nuke0.0v0"}
    one = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True,
        env={**os.environ, **poison},
    )  # fmt: skip
    assert one.stdout is not None and one.stdout.readline() == b"started\n"
    status = script.parent / "infusion/Infusion1/v001/main/status.json"
    shot.until(status.exists, seconds=120)
    assert not (status.parent / "result.json").exists(), "it is in the middle"
    os.killpg(one.pid, signal.SIGKILL)
    one.wait()
    one.stdout.close()


def _check(node: Group, folder: Path, frame: int) -> None:
    """The comp, on a machine without an interface: stock nodes over plain files."""
    assert {n.Class() for n in node.nodes()} <= {each.kind for each in parse(shot.GIZMO_TEXT)}
    plate, comp = (picture(each, Context(frame, gui=False)) for each in (node.input(0), node))
    used = load(str(folder / f"infusion/Infusion1/v001/main/matte/matte.{frame:04d}.exr"))[ALPHA]
    result = load(str(folder / f"infusion/Infusion1/v001/main/result/result.{frame:04d}.exr"))
    assert comp.keys() == plate.keys()
    for name in RGB:
        ours, theirs = (each[name].astype(np.float32).view(np.uint32) for each in (comp, plate))
        assert np.array_equal(ours[used == 0], theirs[used == 0]), f"outside the matte, {frame}"
        assert np.array_equal(comp[name][used > 0], result[name][used > 0])
        assert not used.any() or not np.array_equal(comp[name], plate[name])

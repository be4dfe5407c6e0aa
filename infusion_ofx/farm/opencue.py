"""A job for OpenCue, by way of PyOutline (https://www.opencue.io/docs/concepts/pyoutline/).

``outline.json`` is the outline in the form that PyOutline's own ``outline.load_json`` reads;
``submit.py`` has PyOutline read it, turn it into a job specification and send that to the cuebot.
So PyOutline is needed where a job is submitted, and Infusion itself needs none of it. Standard
library only.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infusion_ofx.errors import JobError
from infusion_ofx.farm.graph import Step, graph
from infusion_ofx.farm.writing import title, write_files
from infusion_ofx.folder import JobFolder
from infusion_ofx.sequence.ranges import format_frames

__all__ = ["export", "outline"]


def outline(steps: Iterable[Step], folder: Path, name: str, program: str) -> dict[str, Any]:
    """The outline: a layer for each step, a frame for each task, its number that of the part.

    name: of the job, for people. program: the ``infusion`` command on the farm's machines.

    Raises:
        JobError: when XML cannot hold a path, or the cuebot would take a ``#`` in it for a word of
            its own.
    """
    for path in (str(folder), program):
        if re.search("[#\x00-\x1f\x7f\ud800-\udfff]", path):
            raise JobError(
                f"OpenCue cannot hold the path {path!r}", "rename it: no #, line ends or odd bytes"
            )
    return {"name": _plain(name), "layers": [_layer(step, folder, program) for step in steps]}


def export(folder: JobFolder, where: Path, program: str = "infusion") -> None:
    """Writes ``outline.json`` and ``submit.py`` of a job that is there.

    Raises:
        JobError: when there is no job, the folder may not be written, or a path is not for OpenCue.
        TryAgainError: when the storage fails.
    """
    made = outline(graph(folder.read()), folder.path, title(folder), program)
    write_files(where, {"outline.json": json.dumps(made, indent=2) + "\n", "submit.py": SUBMIT})


def _layer(step: Step, folder: Path, program: str) -> dict[str, Any]:
    _, *arguments = step.argv(str(folder), "#IFRAME#")
    command = [program, *arguments, "--progress", "plain"]
    made: dict[str, Any] = {
        "name": _plain(step.name),
        "module": "outline.modules.shell.Shell",
        "command": [word if word == "#IFRAME#" else shlex.quote(word) for word in command],
        "range": format_frames(step.parts or (0,)),
        "cores": step.cpus,
        "threadable": True,
        "memory": f"{step.memory}m",
        "require": [f"{_plain(name)}:all" for name in step.needs],
    }
    if step.gpu:
        made |= {"gpus": 1, "gpu_memory": f"{step.gpu_memory}m"}
    return made


def _plain(name: str) -> str:
    """A name that the cuebot takes: lower case ASCII letters, digits and single underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


SUBMIT = '''\
"""Sends the job beside this file to OpenCue; --print shows what would be sent, and sends nothing.

The show, the shot, the cuebot's host and the retries of a frame are PyOutline's to know: SHOW and
SHOT in the environment, its outline.cfg, CUEBOT_HOSTS.
"""

import sys
from pathlib import Path

try:
    import outline
    from opencue.exception import CueException
    from outline.cuerun import OutlineLauncher
except ImportError as error:
    sys.exit(f"PyOutline is missing ({error}): pip install opencue-pyoutline packaging")

job = outline.load_json(Path(__file__).with_name("outline.json").read_text(encoding="utf-8"))
launcher = OutlineLauncher(job)
if "--print" in sys.argv[1:]:
    print(launcher.serialize(use_pycuerun=False))
else:
    try:  # the commands as they are: they need no PyOutline on the farm's machines
        sent = launcher.launch(use_pycuerun=False)
    except CueException as error:
        sys.exit(f"OpenCue did not take the job: {error}")
    print(*(each.data.name for each in sent), sep="\\n")
'''

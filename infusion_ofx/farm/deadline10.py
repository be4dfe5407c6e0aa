"""A job for Deadline 10, as the files that its ``deadlinecommand`` takes.

A step is one job of the CommandLine plug-in, ``<step>.job`` and ``<step>.plugin``, with a task for
each part; ``submit.py`` sends them, each with the ids of those it waits for. Written from the
manual's "Manual Job Submission" (https://docs.thinkboxsoftware.com/products/deadline/10.1/
1_User%20Manual/manual/manual-submission.html) and never tried on a repository. Standard library
only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from infusion_ofx.errors import JobError
from infusion_ofx.farm.graph import RETRIES, Step, graph
from infusion_ofx.farm.writing import title, write_files
from infusion_ofx.folder import JobFolder
from infusion_ofx.sequence.ranges import format_frames

__all__ = ["export", "job_info", "plugin_info", "submission"]

PART = "<STARTFRAME>"


def job_info(step: Step, name: str, properties: Mapping[str, str]) -> str:
    """What Deadline is told of a step's job.

    name: of the whole, for people. properties: lines of the user's own; they win.
    """
    gpu = f", a GPU with {step.gpu_memory} MiB" if step.gpu else ""
    facts = {
        "Plugin": "CommandLine",
        "Name": f"{name} {step.name}",
        "BatchName": name,
        "Comment": f"needs {step.cpus} processors, {step.memory} MiB{gpu}",
        "Frames": format_frames(step.parts or (0,)),
        "ChunkSize": "1",
        "OverrideTaskFailureDetection": "True",
        "FailureDetectionTaskErrors": str(RETRIES + 1),
    }
    return _lines({**facts, **properties})


def plugin_info(step: Step, folder: Path, program: str) -> str:
    """What the CommandLine plug-in is told: the command of a step's tasks.

    program: the ``infusion`` command on the farm's machines.

    Raises:
        JobError: when a path cannot stand in such a file.
    """
    _, *arguments = step.argv(str(folder), PART)
    words = [word if word == PART else _word(word) for word in arguments]
    command = " ".join([*words, "--progress", "deadline"])
    return _lines({"Executable": _checked(program), "Arguments": command, "ShellExecute": "False"})


def submission(steps: Iterable[Step]) -> str:
    """The script that sends the steps, each after those it needs, and prints their job ids."""
    needs = "".join(f"    {step.name!r}: {step.needs!r},\n" for step in steps)
    return SUBMIT.replace("NEEDS = {}", f"NEEDS = {{\n{needs}}}")


def export(
    folder: JobFolder,
    where: Path,
    program: str = "infusion",
    gpu_group: str = "",
    properties: Mapping[str, str] | None = None,
) -> None:
    """Writes the files of a job that is there: two a step, and ``submit.py``.

    gpu_group: Deadline's group of the machines with a GPU, for the steps that need one.
    properties: lines for every job, such as Pool or Priority.

    Raises:
        JobError: when there is no job, the folder may not be written, or a name cannot stand in a
            file of Deadline's.
        TryAgainError: when the storage fails.
    """
    steps = graph(folder.read())
    files = {"submit.py": submission(steps)}
    for step in steps:
        group = {"Group": gpu_group} if step.gpu and gpu_group else {}
        files[f"{step.name}.job"] = job_info(step, title(folder), {**group, **(properties or {})})
        files[f"{step.name}.plugin"] = plugin_info(step, folder.path, program)
    write_files(where, files)


def _lines(facts: Mapping[str, str]) -> str:
    """``Key=value`` lines; a line's end within a value is a space."""
    return "".join(f"{key}={' '.join(value.split())}\n" for key, value in facts.items())


def _word(word: str) -> str:
    """A word of a command line: in double quotes where it holds what is no plain character."""
    return _checked(word) if re.fullmatch(r"[\w@%+=:,./-]+", word) else f'"{_checked(word)}"'


def _checked(path: str) -> str:
    if re.search(r'["<>\r\n\t]|  |[ \\]$|^ |[\ud800-\udfff]', path):
        raise JobError(
            f"a file of Deadline's cannot hold the path {path!r}",
            "rename it: no quotes, angle brackets, line ends, or spaces in a row",
        )
    return path


SUBMIT = '''\
"""Sends the jobs beside this file to Deadline 10, each after those it needs; prints their ids."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDS = {}

here = Path(__file__).parent
search = os.pathsep.join(filter(None, [os.environ.get("PATH"), os.environ.get("DEADLINE_PATH")]))
command = shutil.which("deadlinecommand", path=search)
if command is None:
    sys.exit("deadlinecommand is on neither PATH nor DEADLINE_PATH")
ids = {}
for step, needs in NEEDS.items():
    text = (here / f"{step}.job").read_text(encoding="utf-8")
    if needs:
        text += "JobDependencies=" + ",".join(ids[need] for need in needs) + "\\n"
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, f"{step}.job")
        job.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [command, str(job), str(here / f"{step}.plugin")], stdout=subprocess.PIPE, text=True
        )
    found = re.search(r"^JobID=(\\S+)", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        sent = " ".join(ids.values()) or "none"
        sys.exit(f"Deadline refused {step}: {done.stdout.strip()}; delete what was sent: {sent}")
    ids[step] = found[1]
    print(step, ids[step], flush=True)
'''

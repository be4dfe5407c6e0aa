"""A job as batch scripts for Slurm, and a script that submits them (man pages sbatch, slurm.conf).

A step is one ``<step>.sbatch``, an array where its tasks do not wait for each other. The scripts
replace themselves with the ``infusion`` command (``exec``), so that a signal reaches the process
that can write a checkpoint. Paths stand in bash code alone, where they can be quoted: the
``#SBATCH`` lines have their own rules. Standard library only.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from infusion_ofx.errors import InfusionError, JobError
from infusion_ofx.farm.graph import Step, graph
from infusion_ofx.farm.writing import title, write_files
from infusion_ofx.folder import JobFolder
from infusion_ofx.sequence.ranges import format_frames

__all__ = ["export", "script", "submission", "submit"]

NOTICE_SECONDS = 120
"""How long before the time limit a task is asked to write its checkpoint and stop."""


def script(step: Step, folder: Path, program: str) -> str:
    """The batch script of a step: what it asks of a machine, and its command.

    program: the ``infusion`` command on the farm's machines.
    """
    asked = [
        "--open-mode=append",  # a task that is requeued would write over its log
        "--requeue",
        "--kill-on-invalid-dep=yes",
        f"--signal=B:TERM@{NOTICE_SECONDS}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={step.cpus}",
        f"--mem={step.memory}M",
    ]
    command = shlex.join([program, *step.argv(str(folder))[1:], "--progress", "plain"])
    if step.gpu:
        asked.append("--gres=gpu:1")
    if step.parts:  # never frames: an index must stay below MaxArraySize, 1001 by default
        asked.append(f"--array={format_frames(step.parts).replace('x', ':')}")
        command += f' --{step.part} "$SLURM_ARRAY_TASK_ID"'
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {each}" for each in asked), f"exec {command}", ""])


def submission(steps: Iterable[Step], folder: Path, name: str, arguments: Iterable[str]) -> str:
    """The script that submits the steps, each after those it needs, and prints their job ids.

    name: of the job, for people. arguments: of every ``sbatch``; the script's own come after them.
    """
    logs = str(folder / "logs")
    sends = []
    for step in steps:
        # Slurm reads its own words in the whole path, the folders' names too.
        number = "%A_%a" if step.parts else "%j"
        log = f"{logs.replace('%', '%%')}/slurm-{step.name}.{number}.log"
        sends.append(shlex.join(["send", step.name, f"{name} {step.name}", log, *step.needs]))
    given = shlex.join([f"--chdir={folder}", *arguments])
    return SUBMIT.format(logs=shlex.quote(logs), given=given, sends="\n".join(sends))


SUBMIT = """\
#!/usr/bin/env bash
# Submits the job to Slurm and prints the name and the job id of each step. Arguments are handed to
# every sbatch: bash submit.sh --partition=gpu
set -Eeuo pipefail
cd -- "$(dirname -- "${{BASH_SOURCE[0]}}")"
mkdir -p -- {logs}  # without it Slurm ends the tasks and says nothing
given=({given} "$@")
declare -A id
trap '[ ${{#id[@]}} = 0 ] || scancel "${{id[@]}}"' ERR

send() {{  # a step, the job's name, its log, and the steps that must have ended well
    local step=$1 asked=(--parsable --job-name="$2" --output="$3" "${{given[@]}}") sent need
    shift 3
    for need; do asked+=(--dependency="afterok:${{id[$need]}}"); done
    sent=$(sbatch "${{asked[@]}}" "$step.sbatch")
    id[$step]=${{sent%%;*}}  # in a federation the cluster's name follows
    echo "$step ${{id[$step]}}"
}}

{sends}
"""


def export(
    folder: JobFolder,
    where: Path,
    program: str = "infusion",
    cpus: int = 0,
    arguments: Iterable[str] = (),
) -> None:
    """Writes the scripts of a job that is there: one a step, and ``submit.sh``.

    cpus: processors for each task, as ``graph`` takes them.

    Raises:
        JobError: when there is no job, or the folder may not be written.
        TryAgainError: when the storage fails.
    """
    steps = graph(folder.read(), cpus)
    files = {f"{step.name}.sbatch": script(step, folder.path, program) for step in steps}
    files["submit.sh"] = submission(steps, folder.path, title(folder), arguments)
    write_files(where, files)


def submit(where: Path) -> dict[str, str]:
    """Runs the ``submit.sh`` that ``export`` has written; returns each step's job id by its name.

    Raises:
        JobError: when this machine has no ``sbatch``.
        InfusionError: when Slurm refuses a step; those it took before are cancelled again.
    """
    if shutil.which("sbatch") is None:
        raise JobError(
            "sbatch is not on this machine's PATH",
            f"run {shlex.join(['bash', str(where / 'submit.sh')])} where Slurm is",
        )
    command = ["bash", str(where.absolute() / "submit.sh")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise InfusionError(f"Slurm refused the job: {said}", "nothing of it is left in the queue")
    return dict(line.split() for line in done.stdout.splitlines())

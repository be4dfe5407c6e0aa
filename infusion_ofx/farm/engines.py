"""The farms that a batch can be exported to: how one of its jobs is written, and how it is sent."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infusion_ofx.farm import deadline10, opencue, openjd, slurm
from infusion_ofx.farm.writing import write_files
from infusion_ofx.folder import JobFolder

__all__ = ["ENGINES", "Engine", "write_submission"]


@dataclass(frozen=True)
class Engine:
    """A farm's own form of a job."""

    export: Callable[[JobFolder, Path], None]
    """Writes a job's files into a folder."""
    send: Callable[[JobFolder, str], list[str]]
    """The command that sends a job, run beside the folder of that name with its files."""


def _openjd_run(job: JobFolder, name: str) -> list[str]:
    return ["openjd", "run", f"./{name}/template.yaml", "-p", f"JobFolder={job.path}"]


def _bash(job: JobFolder, name: str) -> list[str]:
    return ["bash", f"./{name}/submit.sh"]


def _python(job: JobFolder, name: str) -> list[str]:
    return ["python3", f"./{name}/submit.py"]


ENGINES: Mapping[str, Engine] = {
    "openjd": Engine(openjd.export, _openjd_run),
    "slurm": Engine(slurm.export, _bash),
    "opencue": Engine(opencue.export, _python),
    "deadline10": Engine(deadline10.export, _python),
}
"""By the name that ``infusion farm export`` has for it."""


def write_submission(engine: Engine, where: Path, jobs: Iterable[tuple[str, JobFolder]]) -> Path:
    """Writes the script that sends exported jobs, and returns it.

    jobs: each by the name of its folder in ``where``.

    Raises:
        JobError: when it may not be written.
        TryAgainError: when the storage fails.
    """
    sends = (shlex.join(["send", name, *engine.send(job, name)]) for name, job in jobs)
    write_files(where, {"submit.sh": SUBMIT.format(sends="\n".join(sends))})
    return where / "submit.sh"


SUBMIT = """\
#!/usr/bin/env bash
# Sends every shot, one after the other. Arguments are handed to each. A shot that is refused stops
# no other; the exit code is 1 then.
set -u
cd -- "$(dirname -- "${{BASH_SOURCE[0]}}")"
given=("$@") failed=0

send() {{  # a shot and the command that sends it
    echo "== $1"
    "${{@:2}}" ${{given[@]+"${{given[@]}}"}} || failed=1
}}

{sends}
exit "$failed"
"""

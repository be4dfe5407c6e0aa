"""Starts the job outside of Nuke so that it outlives Nuke. Standard library only, without Nuke.

No shell, no pipe (a job whose reader has gone dies of its next line), a session of its own (else
what ends Nuke's process group ends the job), and none of Nuke's own Python, Qt or libraries in the
environment.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infusion_child import born
from infusion_versions import NodeError, Version, read_json, write_json

__all__ = ["commands", "environment", "find_interpreter", "kill", "launch", "reap", "shown"]

RUNNERS = ("this machine", "Slurm", "OpenJD bundle", "farm command")

_HOST_ONLY = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV", "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "TCL_LIBRARY", "TK_LIBRARY",
)  # fmt: skip
"""What belongs to Nuke's own Python and would break another."""

_SEARCHED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")
"""Lists of folders: Nuke's own are left out; the driver's and the site's stay."""

_OURS = {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}

_STARTED: list[subprocess.Popen[bytes]] = []
"""Held, since a process object that is forgotten while it runs is complained about."""

KEEP = "INFUSION_KEEP_ENV"
"""Names in this variable, joined by commas, are handed on whatever is said above."""


def find_interpreter(text: str, here: Path | None = None) -> str:
    """The Python that has Infusion: what the knob says, what the environment says, or the one
    whose environment this folder was installed into.

    Raises:
        NodeError: when there is none.
    """
    asked = text or os.environ.get("INFUSION_PYTHON", "")
    if asked:
        if not os.path.isfile(asked):
            raise NodeError(
                f"the interpreter {asked} is not there",
                "Set Interpreter on the Advanced tab, or INFUSION_PYTHON, to a Python that has "
                "Infusion.",
            )
        return asked
    for place in _places(here or Path(__file__).resolve().parent):
        if place.is_file():
            return str(place)
    raise NodeError(
        "no Python that has Infusion is known",
        "Set Interpreter on the Advanced tab, or INFUSION_PYTHON.",
    )


def _places(here: Path) -> list[Path]:
    """Pythons beside this folder: of the environment it is installed into, and of a checkout."""
    tail = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    roots = [*here.parents[1:5], here.parent / ".venv"]
    return [root.joinpath(*tail) for root in roots if (root / "pyvenv.cfg").exists()]


def environment(given: Mapping[str, str], nuke_folder: str) -> dict[str, str]:
    """The child's environment, from Nuke's.

    nuke_folder: where Nuke's program is; what lies below it is left out of search paths.
    """
    kept = {name.strip() for name in given.get(KEEP, "").split(",") if name.strip()}
    clean = {name: v for name, v in given.items() if name not in _HOST_ONLY or name in kept}
    for name in _SEARCHED:
        if name in clean and name not in kept:
            parts = [p for p in clean[name].split(os.pathsep) if p and not _below(p, nuke_folder)]
            clean[name] = os.pathsep.join(parts)
            if not parts:
                del clean[name]
    return {**clean, **{name: value for name, value in _OURS.items() if name not in kept}}


def _below(path: str, folder: str) -> bool:
    if not folder:
        return False
    parts = (os.path.normcase(os.path.abspath(text)) for text in (path, folder))
    inner, outer = parts
    return inner == outer or inner.startswith(outer + os.sep)


def commands(
    runner: str, python: str, folder: Path, farm_command: str = "", extra: str = ""
) -> list[list[str]]:
    """What does or submits the job of a folder, as argument lists; it is run in the folder."""
    infusion = [python, "-I", "-m", "infusion_cli"]
    given, more = ["--job", "settings.json"], _split(extra)
    if runner == "Slurm":
        return [[*infusion, "farm", "submit", "slurm", *given, *more]]
    if runner == "this machine":
        return [[*infusion, "run", *given, "--progress", "plain", *more]]
    bundle = folder / "bundle"
    export = [*infusion, "farm", "export", "openjd", *given, "-o", str(bundle)]
    if runner == "OpenJD bundle":
        return [[*export, *more]]
    words = {"{bundle}": str(bundle), "{folder}": str(folder)}
    return [export, [words.get(word, word) for word in _split(farm_command)] + more]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, posix=os.name != "nt")
    except ValueError as error:
        raise NodeError(f"{text!r} cannot be read: {error}", "Close the quotes.") from error


def shown(command: list[str]) -> str:
    """A command as a person would type it."""
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def launch(version: Version, plan: dict[str, list[list[str]]], python: str, nuke: str) -> None:
    """Starts a version's commands, by view, and returns at once.

    nuke: Nuke's program, whose folders the child does not inherit.

    Raises:
        NodeError: when the process cannot be made.
    """
    views = [{"view": view, "commands": each} for view, each in plan.items()]
    write_json(version.path / "plan.json", {"views": views})
    child = Path(__file__).resolve().with_name("infusion_child.py")
    folder = os.path.dirname(nuke)
    try:
        with open(version.path / "run.log", "ab") as log:
            argv = [python, "-I", str(child), str(version.path)]
            _STARTED.append(_popen(argv, version.path, folder, log))
    except OSError as error:
        raise NodeError(
            f"{python} cannot be started: {error.strerror}", "Set Interpreter to another Python."
        ) from error


def _popen(argv: list[str], cwd: Path, nuke_folder: str, log: Any) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT, "close_fds": True,
        "cwd": str(cwd), "env": environment(os.environ, nuke_folder),
    }  # fmt: skip
    if sys.platform != "win32":
        return subprocess.Popen(argv, start_new_session=True, **options)
    apart = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        away = apart | subprocess.CREATE_BREAKAWAY_FROM_JOB
        return subprocess.Popen(argv, creationflags=away, **options)
    except PermissionError:  # the job object that Nuke is in does not let anybody out
        return subprocess.Popen(argv, creationflags=apart, **options)


def reap() -> int:
    """Lets go of the processes of this session that have ended; says how many are left."""
    _STARTED[:] = [process for process in _STARTED if process.poll() is None]
    return len(_STARTED)


def kill(version: Version) -> bool:
    """Ends the version's processes by force; False where they are not this machine's, or gone."""
    facts = read_json(version.path / "process.json")
    pid = int(facts.get("pid") or 0)
    mine = facts.get("host") == socket.gethostname() and facts.get("born")
    if sys.platform == "win32" or pid <= 1 or not mine or born(pid) != facts["born"]:
        return False
    os.killpg(pid, signal.SIGKILL)
    return True

"""Run outside of Nuke, by the Python that has Infusion: does a version's commands, one by one.

``python -I infusion_child.py VERSION_FOLDER``. Each view's job in turn, since two at once would
share one GPU. A job that ends without a last word of its own, because its program is not installed
or was killed, gets one: ``error.json``. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STOPPED = (130, 143)
"""Infusion's exit codes for a job that was asked to stop."""

LOOK_SECONDS, BEAT_SECONDS = 0.5, 10.0


def main(version: Path) -> int:
    """Does what plan.json says; returns the exit code of the last command."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _wait_for_the_job)  # it gets the signal too, and saves a checkpoint
    _write(version / "process.json", _self())
    plan = json.loads((version / "plan.json").read_text(encoding="utf-8"))
    code = 0
    with open(version / "run.log", "ab", buffering=0) as log:
        for view in plan["views"]:
            code = _view(version, version / view["view"], view["commands"], log)
            if code:
                break
    return code


def _view(version: Path, folder: Path, commands: list[list[str]], log: Any) -> int:
    for command in commands:
        code = _run(version, folder, command, log)
        if code:
            if not (folder / "error.json").exists():
                _write(folder / "error.json", _last_word(version, command, code))
            return code
    return 0


def _run(version: Path, folder: Path, command: list[str], log: Any) -> int:
    """A command's exit code. The ``stop`` of the version is passed on for as long as it runs."""
    if (version / "stop").exists():
        return STOPPED[0]
    log.write(f"$ {' '.join(command)}\n".encode())
    try:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    except OSError as error:
        log.write(f"{command[0]}: {error.strerror}\n".encode())
        return 127
    beat = 0.0
    while process.poll() is None:
        if time.monotonic() - beat >= BEAT_SECONDS:
            beat = time.monotonic()
            os.utime(version / "process.json")
        # A job that is only just beginning takes ``cancel`` for an old one: it is asked again.
        if (version / "stop").exists():
            (folder / "cancel").touch()
        time.sleep(LOOK_SECONDS)
    return int(process.returncode)


def _last_word(version: Path, command: list[str], code: int) -> dict[str, Any]:
    if code in STOPPED:
        return {"code": code, "message": "stopped", "hint": "Resume goes on."}
    lines = (version / "run.log").read_text(encoding="utf-8", errors="replace").splitlines()
    said = next((line for line in reversed(lines) if line.strip()), "")
    if code < 0:
        name = signal.Signals(-code).name
        hint = "Memory may have run out: lower Memory, then press Resume."
        return {"code": code, "message": f"the job was killed by {name}", "hint": hint}
    if "No module named" in said:
        said, hint = f"{command[0]} has no Infusion", "Set Interpreter to the Python that has it."
    else:
        hint = "Show Log says more."
    return {"code": code, "message": said.replace("ERROR: ", "", 1), "hint": hint}


def _self() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "born": born(pid), "began": time.time()}


def born(pid: int) -> str:
    """When a process began, so that another with its number is not taken for it; "" if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _write(path: Path, facts: dict[str, Any]) -> None:
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    os.replace(making, path)


def _wait_for_the_job(number: int, frame: Any) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

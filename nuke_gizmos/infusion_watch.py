"""How a version stands, from what its processes have left on disk. Standard library only, without
Nuke: the same for a job of this Nuke, of one that was closed since, and of a farm.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infusion_versions import Version, read_json

__all__ = ["Status", "clock", "curve", "label", "lines", "look", "sheet", "tail"]

SILENT_SECONDS = 90.0
"""A job whose status has not been touched for so long is lost: it renews it every ten seconds."""

STOPPED_CODES = (130, 143)

_ORDER = ("failed", "lost", "stopped", "running", "waiting", "done")
"""What is said of several views: the first of these that one of them is in."""


@dataclass(frozen=True)
class Status:
    """How a version, or one view of it, stands."""

    state: str = "nothing"
    """nothing, waiting, running, stopping, lost, stopped, failed or done."""
    percent: float = 0.0
    stage: str = ""
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    loss: float | None = None
    memory: int = 0
    """Most bytes held."""
    host: str = ""
    message: str = ""
    hint: str = ""
    view: str = ""


def look(version: Version) -> Status:
    """How a version stands: all of its views in one."""
    views = version.views
    if not views:
        return Status()
    found = [_view(version, view) for view in views]
    worst = min(found, key=lambda each: _ORDER.index(each.state))
    percent = sum(each.percent for each in found) / len(found)
    state = worst.state
    if state in ("running", "waiting") and (version.path / "stop").exists():
        idle = state == "waiting" and version.facts().get("runner") != "this machine"
        state = "stopped" if idle else "stopping"
    return Status(**{**vars(worst), "state": state, "percent": percent})


def _view(version: Version, view: str) -> Status:
    folder = version.view(view)
    facts, error = read_json(folder / "status.json"), read_json(folder / "error.json")
    state = _state(version, folder, facts, error)
    if error and state in ("failed", "stopped"):
        facts = {**facts, "message": error.get("message"), "hint": error.get("hint")}
    tasks = _tasks(folder) if not facts.get("state") else {}
    return _status(state, {**tasks, **facts}, view)


def _state(
    version: Version, folder: Path, facts: Mapping[str, Any], error: Mapping[str, Any]
) -> str:
    if (folder / "result.json").exists():
        return "done"
    if error:
        return "stopped" if error.get("code") in STOPPED_CODES else "failed"
    told = str(facts.get("state") or _tasks(folder).get("state") or "")
    said = [folder / "status.json", *folder.glob("tasks/*.json")]
    if told == "running" and all(map(_silent, said)):
        return "lost"
    if not told and not _alive(version):
        return "lost"
    return told if told in _ORDER and told != "done" else "waiting"


def _alive(version: Version) -> bool:
    """Whether something may still come of a job that has said nothing: it waits for a farm, or its
    process has only just been made, or is there and renews its file."""
    if version.facts().get("runner") != "this machine":
        return True
    return not _silent(version.path / "process.json") or not _silent(version.path / "plan.json")


def _silent(path: Path) -> bool:
    """Whether a file has not been touched for long, by the clock of its own file server."""
    try:
        touched = os.stat(path).st_mtime
    except FileNotFoundError:
        return True
    return time.time() - touched > SILENT_SECONDS and _now(path.parent) - touched > SILENT_SECONDS


def _now(folder: Path) -> float:
    try:
        with tempfile.NamedTemporaryFile(dir=str(folder), prefix=".now.") as probe:
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return time.time()


def _tasks(folder: Path) -> dict[str, Any]:
    """Of a job on a farm: its tasks in one, each counting alike."""
    stages = read_json(folder / "job.json").get("stages", {})
    found = [read_json(path) for path in sorted(folder.glob("tasks/*.json"))]
    if not found:
        return {}
    trainings = sum(str(name).startswith("train-") for name in stages)
    done = sum(float(each.get("percent") or 0) for each in found)
    active = next((each for each in found if each.get("state") == "running"), found[-1])
    failed = next((each for each in found if each.get("state") == "failed"), None)
    facts = {**active, "percent": done / max(len(found), trainings + 3)}
    if failed is not None:
        return {**facts, **(failed.get("error") or {}), "state": "failed"}
    return {**facts, "state": "running" if active.get("state") == "running" else "waiting"}


def _status(state: str, facts: Mapping[str, Any], view: str) -> Status:
    return Status(
        state=state,
        percent=100.0 if state == "done" else float(facts.get("percent") or 0),
        stage=str(facts.get("stage") or ""),
        step=int(facts.get("step") or 0),
        steps=int(facts.get("steps") or 0),
        seconds_left=facts.get("seconds_left") if state == "running" else None,
        loss=facts.get("loss"),
        memory=int(facts.get("peak_memory") or 0),
        host=str(facts.get("host") or ""),
        message=str(facts.get("message") or ""),
        hint=str(facts.get("hint") or ""),
        view=view,
    )


def label(name: str, status: Status) -> str:
    """What stands on the node: ``v003 42% 41 min``; a failure with its first words."""
    if status.state == "nothing":
        return ""
    if status.state == "running":
        return f"{name} {status.percent:.0f}% {_left(status)}".rstrip()
    if status.state == "failed":
        return f"{name} failed: {status.message[:60]}"
    return f"{name} {status.state}"


def lines(name: str, status: Status) -> list[str]:
    """All that is known, a line each, for the panel."""
    if status.state == "nothing":
        return ["nothing started"]
    said = [f"{name} {status.state}, {status.percent:.0f}%"]
    if status.steps and status.state in ("running", "stopping"):
        said.append(f"{status.stage} {status.step} of {status.steps}")
    if status.seconds_left is not None:
        said.append(f"{_left(status)} left")
    if status.loss is not None:
        said.append(f"loss {status.loss:.4g}")
    where = f"on {status.host}" if status.host else ""
    memory = f"{status.memory / 2**30:.1f} GiB" if status.memory else ""
    said += [" ".join(filter(None, (where, memory)))]
    return [line for line in (*said, status.message, status.hint) if line]


def _left(status: Status) -> str:
    return "" if status.seconds_left is None else clock(status.seconds_left)


def clock(seconds: float) -> str:
    """A time for people: ``40 s``, ``41 min`` or ``2.5 h``."""
    minutes = seconds / 60
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def curve(folder: Path) -> list[tuple[float, float]]:
    """Training loss over a job's trainings, which stand beside each other: percent of them all, and
    loss in working units."""
    tasks = [name for name in read_json(folder / "job.json").get("stages", {}) if "train" in name]
    report = folder / "report"
    curves = []
    for task in tasks:
        smaller = report.glob(f"loss-{task}-x[0-9]*.json")  # a deep hole's, the smallest first
        curves += sorted(smaller, key=lambda path: -int(path.stem.rpartition("x")[2]))
        curves.append(report / f"loss-{task}.json")
    found = []
    for i, path in enumerate(curves):
        facts = read_json(path)
        steps = float(facts.get("steps") or 1)
        for step, loss in facts.get("points", []):
            found.append((100 * (i + step / steps) / len(curves), float(loss)))
    return found


def sheet(folder: Path) -> Path | None:
    """The newest contact sheet of a job; None while it has made none."""
    path = folder / "report" / "contact_sheet.png"
    return path if path.is_file() else None


def tail(version: Version, count: int = 40) -> str:
    """The last lines that a version's processes have printed."""
    try:
        text = (version.path / "run.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "There is no log yet."
    return "\n".join(text.splitlines()[-count:])

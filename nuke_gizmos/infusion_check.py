"""What can be said before a job starts: faults that Nuke itself can see, and what Infusion says of
the machine and of the work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nuke

from infusion_launch import environment, find_interpreter
from infusion_settings import NODE_VERSION, data_dir, span, views
from infusion_versions import NodeError
from infusion_watch import clock

__all__ = ["estimate", "faults"]

SECONDS = 60
"""Longest that Infusion is waited for; it loads torch and times some steps."""


def faults(node: nuke.Node) -> list[str]:
    """What keeps the job from starting, worst first, each with what to do; renders nothing."""
    checks: tuple[Callable[[nuke.Node], None], ...] = (
        _version, _connected, _range, _sizes, _channel, _views, _folder, _python
    )  # fmt: skip
    found = []
    for check in checks:
        try:
            check(node)
        except NodeError as error:
            found.append(str(error).replace("\n", " "))
    return found


def _version(node: nuke.Node) -> None:
    if int(node["node_version"].value()) > NODE_VERSION:
        raise NodeError(
            "this node is of a newer Infusion than the one that is installed",
            "Install that one. The picture is as it should be all the same.",
        )


def _connected(node: nuke.Node) -> None:
    if node.input(0) is None:
        raise NodeError("no plate is connected", "Connect it to the input of that name.")


def _range(node: nuke.Node) -> None:
    frames = span(node)
    for i, name in enumerate(("plate", "matte")):
        source = node.input(i)
        if source is None:
            continue
        there = source.frameRange()
        still = there.first() == there.last()
        if not still and (frames.first < there.first() or frames.last > there.last()):
            raise NodeError(
                f"the {name} has frames {there.first()}-{there.last()}, and {frames} are asked for",
                "Change Frame Range.",
            )


def _sizes(node: nuke.Node) -> None:
    plate, matte = node.input(0), node.input(1)
    if plate is None or matte is None:
        return
    ours, theirs = ((each.width(), each.height()) for each in (plate, matte))
    if ours != theirs:
        raise NodeError(
            f"the matte is {theirs[0]} x {theirs[1]}, the plate {ours[0]} x {ours[1]}",
            "Reformat the matte.",
        )


def _channel(node: nuke.Node) -> None:
    source, name = node.input(1) or node.input(0), str(node["matte_channel"].value())
    if source is not None and name not in source.channels():
        raise NodeError(f"the matte has no channel {name}", "Choose another Matte Channel.")


def _views(node: nuke.Node) -> None:
    views(node)


def _folder(node: nuke.Node) -> None:
    wanted = data_dir(node)
    there = next(each for each in (wanted, *wanted.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise NodeError(f"{there} cannot be written to", "Choose another Data Directory.")
    plate, frames = node.input(0), span(node)
    if plate is None:
        return
    needed = 2 * 16 * plate.width() * plate.height() * (frames.last - frames.first + 1)
    if shutil.disk_usage(there).free < needed:
        raise NodeError(
            f"{there} has less than {needed / 2**30:.1f} GiB free, for the inputs and the result",
            "Make room, or choose another Data Directory.",
        )


def _python(node: nuke.Node) -> None:
    find_interpreter(str(node["interpreter"].value()))


def estimate(python: str, folder: Path | None) -> str:
    """What Infusion says in one line: of the job in a folder, or else of this machine.

    Takes seconds; meant for a thread of its own. Never raises.
    """
    verb = ["check", "--job", "settings.json"] if folder else ["doctor"]
    try:
        code, said, complaint = _ask([python, "-I", "-m", "infusion_cli", *verb, "--json"], folder)
    except subprocess.TimeoutExpired:
        return f"Infusion has not answered within {SECONDS} s"
    except OSError as error:
        return f"{python} cannot be run: {error.strerror}"
    try:
        facts = json.loads(said)
    except ValueError:
        lines = complaint.strip().splitlines()
        return lines[-1] if lines else f"Infusion ended with {code} and said nothing"
    return _of_check(facts) if folder else _of_doctor(facts)


def _ask(argv: list[str], folder: Path | None) -> tuple[int, str, str]:
    """Exit code, output and complaints of a command."""
    done = subprocess.run(
        argv, cwd=folder, env=environment(os.environ, os.path.dirname(nuke.EXE_PATH)),
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace",
        timeout=SECONDS, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def _of_check(facts: dict[str, Any]) -> str:
    memory, disk = (facts[name] / 2**30 for name in ("memory_needed", "disk_needed"))
    held = sum(1 for pixels in facts["hole_pixels"] if pixels)
    return (
        f"about {clock(facts['seconds'])} on {facts['device']}, {memory:.1f} GiB of memory, "
        f"{disk:.2f} GiB of disk; a hole in {held} of {facts['count']} frames"
    )


def _of_doctor(facts: dict[str, Any]) -> str:
    if facts.get("faults"):
        return str(facts["faults"][0])
    device = facts["devices"].get("auto device name", "?")
    return f"ready on {device}; the time is known once the inputs are rendered"

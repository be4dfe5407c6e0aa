"""What the knobs of the node call. Each button asks Nuke for knob values, makes files or starts a
process, and returns; what becomes of a job is looked after by infusion_poll.py.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nuke

import infusion_check
import infusion_poll
import infusion_start
from infusion_export import digest, unrecorded
from infusion_launch import find_interpreter, kill, shown
from infusion_settings import KEPT, data_dir, newest
from infusion_show import pick, pick_take, refresh
from infusion_start import own
from infusion_versions import NodeError, Version, read_json, write_json
from infusion_watch import look, sheet, tail

__all__ = [
    "check", "copy_command", "delete_version", "knob_changed", "make_read", "make_sheet",
    "on_create", "open_folder", "resume", "show_log", "start", "stop", "upgrade",
]  # fmt: skip

Action = Callable[["nuke.Node"], None]

TOLD = ("status_label", "status", "details", "estimate")
"""Knobs that only show something: changes of theirs are neither saved nor undone."""

PATIENCE_SECONDS = 30.0
"""After this, a second press of Stop ends the job by force."""


def _button(action: Action) -> Action:
    """A button that tells the artist what is wrong; without an interface it raises."""

    @functools.wraps(action)
    def pressed(node: nuke.Node) -> None:
        try:
            action(node)
        except NodeError as error:
            if not nuke.GUI:
                raise
            nuke.message(str(error))

    return pressed


# Nuke's own calls


def on_create(node: nuke.Node) -> None:
    """A node was made, pasted or opened: it shows how its job stands, whoever has started it."""
    with unrecorded():
        for name in TOLD:
            node[name].setFlag(nuke.DO_NOT_WRITE | nuke.NO_UNDO)
        _range_knobs(node)
    refresh(node)
    if nuke.GUI:
        infusion_poll.begin()


def knob_changed(node: nuke.Node, knob: nuke.Knob) -> None:
    """A knob was changed, an input connected, or the panel opened."""
    name = str(knob.name())
    if name == "result_version":
        pick(node, int(knob.value()))
    elif name == "take":
        pick_take(node, int(knob.value()))
    elif name == "frame_range":
        _range_knobs(node)
    elif name in ("showPanel", "inputChange"):
        refresh(node)


def _range_knobs(node: nuke.Node) -> None:
    for name in ("first", "last"):
        node[name].setEnabled(node["frame_range"].value() == "custom")


# Buttons


@_button
def check(node: nuke.Node) -> None:
    """Says what is wrong; if nothing is, asks Infusion, in the background, what the job takes."""
    found = infusion_check.faults(node)
    if found:
        raise NodeError("\n\n".join(found))
    python = find_interpreter(str(node["interpreter"].value()))
    _say(str(node.fullName()), "asking Infusion ...")
    if not nuke.GUI:
        _say(str(node.fullName()), infusion_check.estimate(python, _estimated(node)))
        return
    threading.Thread(
        target=_estimate, args=(str(node.fullName()), python, _estimated(node)), daemon=True
    ).start()


def _estimated(node: nuke.Node) -> Path | None:
    """A job folder with the inputs that would be handed over now; None where there is none."""
    name = digest(node)
    for version in reversed(newest(node)):
        if version.facts().get("digest") == name and version.views:
            return version.view(version.views[0])
    return None


def _estimate(name: str, python: str, folder: Path | None) -> None:
    """In a thread: only ``executeInMainThread`` may touch Nuke."""
    said = infusion_check.estimate(python, folder)
    nuke.executeInMainThread(_say, args=(name, said))


def _say(name: str, text: str) -> None:
    node = nuke.toNode(name)
    if node is not None:
        with unrecorded():
            node["estimate"].setValue(text)


@_button
def start(node: nuke.Node) -> None:
    """Hands plate and matte over to a new version, and starts its job outside of Nuke."""
    infusion_start.start(node)


@_button
def resume(node: nuke.Node) -> None:
    """Goes on with the newest version, with the settings it was started with."""
    infusion_start.resume(node)


@_button
def stop(node: nuke.Node) -> None:
    """Asks the job to save a checkpoint and end; by force when that was asked a while ago."""
    version = own(node)
    asked = version.path / "stop"
    if asked.exists() and time.time() - asked.stat().st_mtime > PATIENCE_SECONDS:
        if not kill(version):
            host = read_json(version.path / "process.json").get("host", "another machine")
            raise NodeError(f"{version.name} runs on {host}", "It can be ended by force there.")
        for view in version.views:
            _say_stopped(version, view)
    try:
        asked.touch()
        for view in version.views:
            (version.view(view) / "cancel").touch()
    except OSError as error:
        raise NodeError(f"{version.path} cannot be written to: {error.strerror}") from error
    refresh(node)


def _say_stopped(version: Version, view: str) -> None:
    if look(version).state != "done":
        facts = {"code": 130, "message": "ended by force", "hint": "Resume goes on."}
        write_json(version.view(view) / "error.json", facts)


@_button
def open_folder(node: nuke.Node) -> None:
    """Shows the version's folder in the system's own way; without an interface says where it is."""
    path = str(own(node).path)
    widgets, core = infusion_poll.qt("QtGui"), infusion_poll.qt("QtCore")
    if widgets is None or core is None:
        nuke.tprint(path)
    else:
        widgets.QDesktopServices.openUrl(core.QUrl.fromLocalFile(path))


@_button
def show_log(node: nuke.Node) -> None:
    """Shows the last lines that the job has printed."""
    text = tail(own(node))
    if nuke.GUI:
        nuke.message(text)
    else:
        nuke.tprint(text)


@_button
def copy_command(node: nuke.Node) -> None:
    """Puts the version's commands on the clipboard; without one it prints them."""
    version = own(node)
    plan = read_json(version.path / "plan.json").get("views", [])
    text = "\n".join(
        f"cd {shown([str(version.view(each['view']))])} && {shown(command)}"
        for each in plan
        for command in each["commands"]
    )
    widgets = infusion_poll.qt("QtWidgets")
    if widgets is None:
        nuke.tprint(text)
    else:
        widgets.QApplication.clipboard().setText(text)


@_button
def make_sheet(node: nuke.Node) -> None:
    """Makes a Read of the newest contact sheet."""
    version = own(node)
    path = sheet(version.view(version.views[0]))
    if path is None:
        raise NodeError("there is no contact sheet yet", "The first comes after an interval.")
    nuke.nodes.Read(file=path.as_posix(), label="Infusion")


@_button
def make_read(node: nuke.Node) -> None:
    """Makes a Read of the result that the node shows."""
    if not node["result_version"].value():
        raise NodeError("there is no result yet")
    folder = (
        data_dir(node) / str(node["result_dir"].value()) / "result" / str(node["take_dir"].value())
    )
    nuke.nodes.Read(
        file=f"{folder.as_posix()}/result.%04d.exr",
        first=int(node["result_first"].value()),
        last=int(node["result_last"].value()),
        raw=True,
    )


@_button
def delete_version(node: nuke.Node) -> None:
    """Asks, then removes the version that is shown, if no other one lives on its inputs."""
    number = int(node["result_version"].value())
    version = next((each for each in newest(node) if each.number == number), None)
    if version is None:
        raise NodeError("no version is shown", "Pick the one to delete with Version.")
    users = [each.name for each in newest(node)
             if each != version and each.facts().get("inputs_of") == version.name]  # fmt: skip
    if users:
        raise NodeError(f"{', '.join(users)} works on the inputs of {version.name}",
                        "Delete that first.")  # fmt: skip
    if nuke.GUI and not nuke.ask(f"Delete {version.path} with all that is in it?"):
        return
    version.remove()
    node["result_version"].setValue(0)
    if node["job_dir"].value() == version.job_dir:
        node["job_dir"].setValue("")
    refresh(node)


@_button
def upgrade(node: nuke.Node) -> None:
    """Puts a node of the installed version in the place of an older one, wired and set as it is."""
    name = node.name()
    users = [(user, i) for user in node.dependent(nuke.INPUTS) for i in range(user.inputs())
             if user.input(i) == node]  # fmt: skip
    with nuke.Undo("Infusion upgrade"):
        made = nuke.createNode("Infusion", inpanel=False)
        for each in KEPT:
            knob = node.knob(each)
            if knob is not None:
                made[each].fromScript(knob.toScript())
        for i in range(2):
            made.setInput(i, node.input(i))
        for user, i in users:
            user.setInput(i, made)
        made.setXYpos(node.xpos(), node.ypos())
        nuke.delete(node)
        made.setName(name)
    refresh(made)

"""Starting a job and going on with one: from the node's knobs to a process outside of Nuke."""

from __future__ import annotations

import nuke

import infusion_check
from infusion_export import Inputs, digest, hand_over, stamp, unrecorded
from infusion_launch import commands, find_interpreter, launch
from infusion_settings import (
    NODE_VERSION,
    SETTINGS,
    current,
    data_dir,
    folder_name,
    settings,
    span,
    views,
)
from infusion_show import ACTIVE, refresh
from infusion_versions import NodeError, Version, read_json, reserve, write_json
from infusion_watch import look

__all__ = ["own", "resume", "start"]


def start(node: nuke.Node) -> None:
    """Hands plate and matte over to a new version, and starts its job outside of Nuke.

    Raises:
        NodeError: with everything that keeps it from starting; no version is left then.
    """
    found = infusion_check.faults(node)
    if found:
        raise NodeError("\n\n".join(found))
    before = current(node)
    if before is not None and before.node == folder_name(node) and look(before).state in ACTIVE:
        raise NodeError(f"{before.name} is still at work", "Press Stop first.")
    version = reserve(data_dir(node), folder_name(node))
    was = node["job_dir"].value()
    try:
        with unrecorded():
            node["job_dir"].setValue(version.job_dir)
        _prepare(node, version)
        _launch(node, version)
    except BaseException:
        with unrecorded():
            node["job_dir"].setValue(was)
        version.remove()
        raise
    with nuke.Undo(f"Infusion starts {version.name}"):
        node["job_dir"].setValue(version.job_dir)
        node["awaited"].setValue(version.number)
    refresh(node)


def _prepare(node: nuke.Node, version: Version) -> None:
    """Writes all that the job needs into the version's folder."""
    name = digest(node)
    for view in views(node):
        (version.view(view) / "inputs").mkdir(parents=True, exist_ok=True)
    inputs = hand_over(node, version, name)
    write_json(version.path / "nuke.json", _facts(node, name, inputs))
    for view, (plate, matte) in inputs.files.items():
        write_json(version.view(view) / "settings.json", _job(node, plate, matte))


def _facts(node: nuke.Node, name: str, inputs: Inputs) -> dict[str, object]:
    root, frames = nuke.root(), span(node)
    colour = ("colorManagement", "OCIO_config", "workingSpaceLUT")
    return {
        "node": node.fullName(),
        "script": root["name"].value(),
        "nuke": nuke.NUKE_VERSION_STRING,
        "node_version": NODE_VERSION,
        "first": frames.first,
        "last": frames.last,
        "views": list(inputs.files),
        "digest": name,
        "stamp": stamp(node),
        "inputs_of": inputs.owner,
        "source": inputs.is_source,
        "takes": node["takes"].value(),
        "runner": node["runner"].value(),
        "colour": {knob: root[knob].value() for knob in colour if root.knob(knob)},
    }


def _job(node: nuke.Node, plate: str, matte: str) -> dict[str, object]:
    """The job of a view as ``Job`` takes it; relative paths are meant from the view's folder."""
    return {
        "format": 1,
        "plate": plate,
        "matte": matte,
        "output": "result/result.####.exr",
        "matte_output": "matte/matte.####.exr",
        "job_dir": ".",
        "frames": str(span(node)),
        **settings(node),
    }


def _launch(node: nuke.Node, version: Version) -> None:
    runner, python = str(node["runner"].value()), str(node["interpreter"].value())
    python = find_interpreter(python)
    own, extra = str(node["farm_command"].value()), str(node["extra_args"].value())
    plan = {v: commands(runner, python, version.view(v), own, extra) for v in version.views}
    launch(version, plan, python, nuke.EXE_PATH)


def resume(node: nuke.Node) -> None:
    """Goes on with the newest version, with the settings it was started with.

    Raises:
        NodeError: when it is at work, done, or not there.
    """
    version = own(node)
    state = look(version).state
    if state in ACTIVE or state == "done":
        raise NodeError(f"{version.name} is {state}", "Start makes a new version.")
    changed = _changed(node, version)
    question = (
        f"{', '.join(changed)}: not as {version.name} was started with. Go on as it was?\n"
        "Start makes a new version with the new settings."
    )
    if changed and nuke.GUI and not nuke.ask(question):
        return
    (version.path / "stop").unlink(missing_ok=True)
    for view in version.views:
        for name in ("cancel", "error.json"):
            (version.view(view) / name).unlink(missing_ok=True)
    write_json(version.path / "nuke.json", {**version.facts(), "runner": node["runner"].value()})
    _launch(node, version)
    with nuke.Undo(f"Infusion resumes {version.name}"):
        node["awaited"].setValue(version.number)
    refresh(node)


def _changed(node: nuke.Node, version: Version) -> list[str]:
    """Settings whose knobs say something else than the version was started with."""
    kept = read_json(version.view(version.views[0]) / "settings.json")
    names = sorted(set(SETTINGS) & (kept.keys() | settings(node).keys()))
    return [name for name in names if kept.get(name) != settings(node).get(name)]


def own(node: nuke.Node) -> Version:
    """The version that the node has started last.

    Raises:
        NodeError: when there is none.
    """
    version = current(node)
    if version is None or not version.path.is_dir():
        raise NodeError("this node has started nothing", "Press Start.")
    return version

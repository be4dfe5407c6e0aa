"""From the node's knobs to the job that they ask for. The only places that name a knob are here, in
infusion_node.py and in the gizmo; tests hold them against each other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nuke

from infusion_versions import NodeError, Version, versions

__all__ = [
    "KEPT", "NODE_VERSION", "RECIPES_OWN", "SETTINGS", "Span", "current", "data_dir", "folder_name",
    "group_node", "newest", "settings", "span", "views",
]  # fmt: skip

NODE_VERSION = 1
"""Of the gizmo that this code belongs to."""

SETTINGS = (
    "grow", "feather", "recipe", "intervals", "steps", "sampling_steps", "seed", "takes", "device",
    "precision", "memory", "threads", "checkpoint_minutes", "method", "prior", "grain",
    "takes_train",
)  # fmt: skip
"""Knobs that are settings of the job, by the same name."""

KEPT = (
    *SETTINGS, "data_dir", "frame_range", "first", "last", "matte_channel", "output", "on_missing",
    "use_source_files", "export_format", "views", "interpreter", "runner",
    "farm_command", "extra_args", "job_dir", "awaited", "input_digest", "result_first",
    "result_last", "result_dir", "result_version", "take_dir", "take",
)  # fmt: skip
"""Knobs whose values go over to a renewed node, each after those that its change looks at."""

RECIPES_OWN = ("intervals", "steps", "sampling_steps")
"""Settings whose 0 stands for the recipe's own number."""


@dataclass(frozen=True)
class Span:
    """Frames from the first to the last."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def group_node(node: nuke.Node, name: str) -> nuke.Node:
    """A node inside the group.

    Raises:
        NodeError: when it was removed.
    """
    found = node.node(name) if isinstance(node, nuke.Group) else None
    if found is None:
        raise NodeError(
            f"{node.fullName()} has no {name} inside any more", "Make a new Infusion node."
        )
    return found


def data_dir(node: nuke.Node) -> Path:
    """The data directory, absolute. A relative one is taken as Nuke takes it, from the project's
    directory or else the working folder.

    Raises:
        NodeError: when the script has no name yet, and the directory is told from it.
    """
    knob = node["data_dir"]
    if "root.name" in str(knob.toScript()) and not nuke.root()["name"].value():
        raise NodeError(
            "the script has never been saved, and the Data Directory lies beside it",
            "Save the script, or choose another Data Directory.",
        )
    text = _evaluated(knob)
    if not text:
        raise NodeError("the Data Directory is empty", "Choose one.")
    base = _evaluated(nuke.root()["project_directory"])
    return Path(os.path.abspath(os.path.join(base, text.replace("\\", "/"))))


def _evaluated(knob: nuke.Knob) -> str:
    """A file knob's text as Nuke itself uses it."""
    assert isinstance(knob, nuke.File_Knob), knob.name()
    return str(knob.getEvaluatedValue() or "")


def folder_name(node: nuke.Node) -> str:
    """The folder of a node's versions: its name, with those of the groups that it is in."""
    return str(node.fullName()).replace(".", "_")


def current(node: nuke.Node) -> Version | None:
    """The version that was started last by this node, or by the one that it is a copy of."""
    text = str(node["job_dir"].value())
    return Version.of(data_dir(node), text) if text else None


def newest(node: nuke.Node) -> list[Version]:
    """The versions that the node can show, oldest first."""
    version = current(node)
    return versions(version.data_dir, version.node) if version else []


def span(node: nuke.Node) -> Span:
    """The frames that are asked for.

    Raises:
        NodeError: when they are none.
    """
    plate = node.input(0)
    if node["frame_range"].value() == "input" and plate is not None:
        frames = plate.frameRange()
        found = Span(frames.first(), frames.last())
    elif node["frame_range"].value() == "global":
        found = Span(nuke.root().firstFrame(), nuke.root().lastFrame())
    else:
        found = Span(int(node["first"].value()), int(node["last"].value()))
    if found.last < found.first:
        raise NodeError(f"the frame range {found} is empty", "Swap its ends.")
    if found.first < 0:
        raise NodeError(
            f"the frame range {found} begins below 0",
            "Shift the shot: Nuke and Infusion name the files of negative frames differently.",
        )
    return found


def views(node: nuke.Node) -> list[str]:
    """The views that are asked for.

    Raises:
        NodeError: when the script lacks one of them.
    """
    there = [str(view) for view in nuke.views()]
    asked = str(node["views"].value()).replace(",", " ").split() or there
    missing = [view for view in asked if view not in there]
    if missing:
        raise NodeError(
            f"the script has no view {missing[0]}", f"Views takes {' '.join(there)}, or nothing."
        )
    return asked


def settings(node: nuke.Node) -> dict[str, Any]:
    """The knobs that are settings of the job, as ``Job`` takes them."""
    values = {name: node[name].value() for name in SETTINGS}
    return {n: v for n, v in values.items() if not (n in RECIPES_OWN and not v)}

"""Puts what is known about a version on its node: label, colour, texts, buttons, and the result."""

from __future__ import annotations

import time
from pathlib import Path

import nuke

from infusion_export import digest, unrecorded
from infusion_settings import NODE_VERSION, current, folder_name, newest
from infusion_versions import NodeError, Version
from infusion_watch import Status, label, lines, look

__all__ = ["adopt", "find_nodes", "pick", "pick_take", "refresh", "show"]

COLOURS = {"running": 0x2E5C8AFF, "waiting": 0x2E5C8AFF, "stopping": 0x2E5C8AFF,
           "done": 0x3C7A46FF, "failed": 0x9A3030FF, "lost": 0x9A3030FF}  # fmt: skip
PLAIN = 0x4C5A7DFF

STALE_SECONDS = 20.0
_STALE: dict[tuple[str, str], tuple[float, bool]] = {}
"""By node and digest: when it was asked, and the answer."""

ACTIVE = ("running", "waiting", "stopping")


def find_nodes() -> list[nuke.Node]:
    """Every Infusion node of the script, in groups too."""
    return [node for node in nuke.allNodes("Group", nuke.root(), recurseGroups=True)
            if node.knob("node_version") and node.knob("job_dir")]  # fmt: skip


def refresh(node: nuke.Node) -> Status:
    """Looks how the node's newest version stands, here and now, and shows it."""
    _STALE.clear()
    try:
        version = current(node)
    except NodeError:
        version = None
    if version is None:
        with unrecorded():
            _buttons(node, Status(), mine=True)
        return Status()
    status = look(version)
    show(node, version, status)
    return status


def show(node: nuke.Node, version: Version, status: Status) -> None:
    """Shows how a version of a node stands; takes over a result that the node waits for.

    Nothing of it can be undone, or makes the script ask to be saved; the taking over can and does.
    """
    with unrecorded():
        text = label(version.name, status)
        if _is_stale(node):
            text += f"\ninputs changed since v{int(node['result_version'].value()):03d}"
        _set(node, "status_label", text)
        _set(node, "status", lines(version.name, status)[0])
        _set(node, "details", "\n".join(lines(version.name, status)))
        _set(node, "tile_color", COLOURS.get(status.state, PLAIN))
        _buttons(node, status, mine=version.node == folder_name(node))
    if status.state == "done" and int(node["awaited"].value()) == version.number:
        adopt(node, version)


def _set(node: nuke.Node, name: str, value: object) -> None:
    if node[name].value() != value:
        node[name].setValue(value)


def _buttons(node: nuke.Node, status: Status, *, mine: bool) -> None:
    """Only what makes sense can be pressed; an older node can be renewed.

    mine: whether the job was started under this node's name; a copy may start its own beside it.
    """
    ours = int(node["node_version"].value())
    usable, active = ours <= NODE_VERSION, status.state in ACTIVE
    node["start"].setEnabled(usable and not (active and mine))
    node["resume"].setEnabled(usable and status.state in ("stopped", "failed", "lost"))
    node["stop"].setEnabled(active)
    node["upgrade"].setVisible(ours < NODE_VERSION)
    if not usable:
        _set(node, "status", "made by a newer Infusion: install it to start jobs")


def _is_stale(node: nuke.Node) -> bool:
    """Whether a result is shown that was made of other inputs than are connected now.

    Asked of the graph now and then only: a large comp takes a while to tell.
    """
    made_of, now = str(node["input_digest"].value()), time.monotonic()
    if not node["result_version"].value() or node.input(0) is None:
        return False
    key = (str(node.fullName()), made_of)
    when, stale = _STALE.get(key, (-STALE_SECONDS, False))
    if now - when >= STALE_SECONDS:
        try:
            stale = digest(node) != made_of
        except NodeError:
            stale = True
        _STALE[key] = (now, stale)
    return stale


def _numbered(node: nuke.Node, number: int) -> Version | None:
    return next((each for each in newest(node) if each.number == number), None)


def adopt(node: nuke.Node, version: Version) -> None:
    """Makes a version's result the one that the node shows. It can be undone."""
    facts = version.facts()
    with nuke.Undo(f"Infusion {version.name}"):
        node["result_dir"].setValue(version.result_dir())
        node["result_first"].setValue(int(facts.get("first", 0)))
        node["result_last"].setValue(int(facts.get("last", -1)))
        node["input_digest"].setValue(str(facts.get("digest", "")))
        node["awaited"].setValue(0)
        node["result_version"].setValue(version.number)
        pick_take(node, int(node["take"].value()))


def pick(node: nuke.Node, number: int) -> None:
    """Shows the version that was picked, if it is finished; else says so and shows the old one."""
    shown = _shown(node)
    if number == shown:
        return
    version = _numbered(node, number)
    if version is not None and look(version).state == "done":
        adopt(node, version)
    elif number == 0:
        node["result_dir"].setValue("")
    else:
        _set(node, "status", f"v{number:03d} is not there, or not finished")
        node["result_version"].setValue(shown)


def pick_take(node: nuke.Node, number: int) -> None:
    """Shows a take of the version that is shown; the nearest that it has."""
    version = _numbered(node, int(node["result_version"].value()))
    count = int(version.facts().get("takes", 1)) if version else 1
    take = min(max(number, 1), count)
    _set(node, "take_dir", f"take_{take:02d}/" if take > 1 else "")
    _set(node, "take", take)


def _shown(node: nuke.Node) -> int:
    """The version whose files the node reads; 0: none."""
    job_dir = str(node["result_dir"].value()).rpartition("/")[0]
    version = Version.of(Path(), job_dir)
    return version.number if version else 0

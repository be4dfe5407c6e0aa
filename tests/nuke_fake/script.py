"""A .gizmo or .nk read by a real Tcl interpreter, and what stock Nuke nodes are known to have."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

LOADER = Path(__file__).with_name("load.tcl")
GIZMO = Path(__file__).parents[2] / "nuke_gizmos" / "Infusion.gizmo"

COMMON = {"name": "", "label": "", "xpos": "0", "ypos": "0", "disable": "false", "tile_color": "0"}
"""Knobs that every node has."""

STOCK: dict[str, dict[str, str]] = {
    "Group": {"help": "", "onCreate": "", "knobChanged": "", "note_font": ""},
    "Input": {"number": "0"},
    "Output": {},
    "Dot": {},
    "Switch": {"which": "0"},
    "Read": {
        "file": "", "file_type": "", "format": "", "first": "1", "last": "1", "before": "hold",
        "after": "hold", "origfirst": "1", "origlast": "1", "origset": "false", "raw": "false",
        "colorspace": "default", "premultiplied": "false", "auto_alpha": "false",
        "on_error": "error", "frame_mode": "expression", "frame": "", "proxy": "",
        "localizationPolicy": "fromAutoLocalizePath",
    },
    "Write": {
        "file": "", "file_type": "", "channels": "rgb", "raw": "false", "colorspace": "default",
        "datatype": "16 bit half", "compression": "Zip (1 scanline)", "create_directories": "false",
        "views": "", "first": "1", "last": "1", "use_limit": "false", "render_order": "1",
    },
    "Keymix": {
        "channels": "all", "maskChannel": "rgba.alpha", "invertMask": "false", "mix": "1",
        "bbox": "union",
    },
    "Expression": {f"{kind}{n}": "" for kind in ("expr", "temp_name", "temp_expr", "channel")
                   for n in range(4)},
    "Merge2": {"operation": "over", "output": "rgba", "bbox": "union", "mix": "1", "Achannels":
               "rgba", "Bchannels": "rgba"},
    "Copy": {f"{end}{n}": "none" for end in ("from", "to") for n in range(4)},
    "Premult": {"channels": "rgb", "alpha": "rgba.alpha", "invert": "false"},
    "Constant": {"color": "0", "channels": "rgb", "format": ""},
    "Grade": {"white": "1", "black": "0", "multiply": "1", "add": "0", "gamma": "1"},
}  # fmt: skip
"""Classes that ship with Nuke, with the knobs of theirs that are known here and their defaults:
from Foundry's reference of nodes and from the file format."""

CHOICES = {
    ("Read", "on_error"): ("error", "black", "checkerboard", "nearest frame"),
    ("Keymix", "bbox"): ("union", "B", "A"),
    ("Merge2", "operation"): ("over", "plus", "minus", "difference", "multiply", "screen", "mask"),
    ("Write", "datatype"): ("16 bit half", "32 bit float"),
}
"""What such a knob takes, where it is one of few."""


class ScriptError(Exception):
    """The Tcl interpreter refuses the text."""


@dataclass(frozen=True)
class UserKnob:
    """A knob that the text itself defines."""

    kind: int
    name: str
    label: str
    tooltip: str
    target: str
    """T: a button's script, a text's text."""
    choices: tuple[str, ...]
    limits: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Parsed:
    """One node of a text."""

    kind: str
    name: str
    id: str
    inputs: tuple[str, ...]
    depth: int
    knobs: dict[str, str]
    user: tuple[UserKnob, ...] = field(default=())


def find_tclsh() -> str:
    """The interpreter; a missing one fails, since CI must have it."""
    found = shutil.which("tclsh") or shutil.which("tclsh8.6")
    assert found, "tclsh is not installed: apt-get install tcl"
    return found


@lru_cache(maxsize=64)
def parse(text: str) -> tuple[Parsed, ...]:
    """The nodes of a text, in its order.

    Raises:
        ScriptError: with what Tcl says.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.nk"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [find_tclsh(), str(LOADER), str(path)], capture_output=True, text=True, encoding="utf-8"
        )
    if done.returncode:
        raise ScriptError(done.stderr.strip())
    return tuple(_parsed(facts) for facts in json.loads(done.stdout))


def _parsed(facts: dict[str, Any]) -> Parsed:
    return Parsed(
        facts["class"], facts["name"], facts["id"], tuple(facts["inputs"]), int(facts["depth"]),
        facts["knobs"], tuple(_user(each) for each in facts["user"]),
    )  # fmt: skip


def _user(facts: dict[str, Any]) -> UserKnob:
    choices = facts.get("M", [])
    return UserKnob(
        int(facts["kind"]), facts["name"], facts.get("l", facts["name"]), facts.get("t", ""),
        facts.get("T", ""), tuple(choices), tuple(facts.get("R", ())), tuple(facts["flags"]),
    )  # fmt: skip

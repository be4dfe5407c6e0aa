"""What must be true of a gizmo beyond its being readable; each fault is one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nuke_fake.script import CHOICES, COMMON, STOCK, Parsed, ScriptError, UserKnob, parse

KINDS = {
    1: "String_Knob", 2: "File_Knob", 3: "Int_Knob", 4: "Enumeration_Knob", 6: "Boolean_Knob",
    7: "Double_Knob", 11: "Channel_Knob", 20: "Tab_Knob", 22: "PyScript_Knob", 26: "Text_Knob",
    52: "PyCustom_Knob",
}  # fmt: skip
FLAGS = {"STARTLINE", "INVISIBLE", "DISABLED", "DO_NOT_WRITE", "HIDDEN"}
PYTHON_KNOBS = ("onCreate", "knobChanged")
TAKEN = {
    *COMMON,
    *STOCK["Group"],
    "icon",
    "indicators",
    "hide_input",
    "cached",
    "dope_sheet",
    "bookmark",
    "postage_stamp",
    "selected",
    "window",
    "panel",
    "lifetimeStart",
    "process",
}
"""Names that a group's own knobs have."""

_REFERENCE = re.compile(r"\b(parent)\.(\w+)|\[(?:value|knob) parent\.(\w+)\]")
_WORD = re.compile(r"(?<![\w.$\[])([A-Za-z_]\w*)(?![\w.(])")
_KNOWN_WORDS = {"frame", "gui", "r", "g", "b", "a", "exists", "parent"}


def faults(text: str) -> list[str]:
    """Everything that is wrong with a gizmo, a line each."""
    try:
        nodes = parse(text)
    except ScriptError as error:
        return [f"Tcl: {error}"]
    if not nodes or nodes[0].kind != "Group" or any(node.depth == 0 for node in nodes[1:]):
        return ["the body is not one Group: a comp with it needs the plug-in on every machine"]
    if len({node.id for node in nodes}) < len(nodes):
        return ["two nodes of one name"]
    return [fault for node in nodes for fault in _of_node(node, nodes)]


def scripts(text: str) -> dict[str, str]:
    """The Python of buttons, callbacks and panels, by where it is."""
    found = {}
    for node in parse(text):
        found.update({f"{node.id}.{n}": node.knobs[n] for n in PYTHON_KNOBS if n in node.knobs})
        found.update({f"{node.id}.{k.name}": k.target for k in node.user if k.kind in (22, 52)})
    return found


def _of_node(node: Parsed, nodes: tuple[Parsed, ...]) -> Iterator[str]:
    own = {knob.name for knob in node.user}
    if node.kind not in STOCK:
        yield f"{node.id}: {node.kind} is no node that ships with Nuke"
        return
    for name in node.knobs:
        if name not in own and name not in COMMON and name not in STOCK[node.kind]:
            yield f"{node.id}: {node.kind} has no knob {name}"
    for (kind, name), values in CHOICES.items():
        if kind == node.kind and node.knobs.get(name, values[0]) not in values:
            yield f"{node.id}.{name}: {node.knobs[name]} is none of {', '.join(values)}"
    if "0" in node.inputs and node.depth:
        yield f"{node.id}: an input is not connected"
    for knob in node.user:
        yield from _of_knob(node, knob)
    if len(own) < len(node.user):
        yield f"{node.id}: two knobs of one name"
    yield from _of_expressions(node, nodes)
    for where, script in (
        (f"{node.id}.{n}", node.knobs[n]) for n in PYTHON_KNOBS if n in node.knobs
    ):
        yield from _of_python(where, script)


def _of_knob(node: Parsed, knob: UserKnob) -> Iterator[str]:
    where = f"{node.id}.{knob.name}"
    if knob.kind not in KINDS:
        yield f"{where}: {knob.kind} is no kind of knob"
    if knob.name in TAKEN:
        yield f"{where}: a group has a knob of that name already"
    if {flag[1:] for flag in knob.flags} - FLAGS:
        yield f"{where}: unknown flag {knob.flags}"
    visible = "+INVISIBLE" not in knob.flags and knob.kind != 20
    if visible and not knob.tooltip:
        yield f"{where}: no tooltip"
    value = node.knobs.get(knob.name)
    if knob.kind == 4 and value not in knob.choices:
        yield f"{where}: {value} is none of {', '.join(knob.choices)}"
    if knob.kind in (3, 7) and not re.fullmatch(r"-?[\d.]+|\{.*\}", value or ""):
        yield f"{where}: {value} is no number"
    if knob.kind == 6 and value not in ("true", "false"):
        yield f"{where}: {value} is no switch"
    if knob.kind in (22, 52):
        yield from _of_python(where, knob.target)


def _of_expressions(node: Parsed, nodes: tuple[Parsed, ...]) -> Iterator[str]:
    """References to knobs of the group that are not there, and words that are nothing."""
    group = nodes[0]
    known = {knob.name for knob in group.user} | {f"input{i}" for i in range(2)}
    for name, value in node.knobs.items():
        if name in PYTHON_KNOBS or name == "help":
            continue
        for match in _REFERENCE.finditer(value):
            target = match[2] or match[3]
            if target not in known:
                yield f"{node.id}.{name}: the group has no knob {target}"
        if value.startswith("{"):
            inside = re.sub(r"\[.*?\]|parent\.\w+|\$\w+", " ", value)
            words = set(_WORD.findall(inside)) - _KNOWN_WORDS
            if node.depth == 0:
                words -= known
            for word in sorted(words):
                yield f"{node.id}.{name}: {word} is no knob"


def _of_python(where: str, script: str) -> Iterator[str]:
    try:
        compile(script, where, "exec")
    except SyntaxError as error:
        yield f"{where}: Python: {error.msg}"

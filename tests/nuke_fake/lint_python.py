"""What must be true of the node's Python: knobs, values and inner nodes that it names are there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from nuke_fake.lint import scripts
from nuke_fake.nodes import ROOT_KNOBS
from nuke_fake.script import COMMON, GIZMO, STOCK, parse

ROOT = Path(__file__).parents[2]
GIZMOS = ROOT / "nuke_gizmos"

OWNERS = {
    "node": "Infusion",
    "made": "Infusion",
    "write": "Write",
    "plate": "Read",
    "read": "Read",
    "root": "root",
}
"""What a variable of that name holds, everywhere in the node's Python."""


def knob_names() -> dict[str, set[str]]:
    """The knobs that each kind of owner has."""
    top = parse(GIZMO.read_text(encoding="utf-8"))[0]
    own = {knob.name for knob in top.user}
    stock = {kind: {*COMMON, *knobs} for kind, knobs in STOCK.items()}
    return {**stock, "Infusion": own | stock["Group"], "root": set(ROOT_KNOBS)}


def named_wrongly(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each name in a module that is no knob, no inner node or no choice."""
    top, *inner = parse(GIZMO.read_text(encoding="utf-8"))
    known, nodes = knob_names(), {node.name for node in inner}
    choices = {knob.name: knob.choices for knob in top.user if knob.choices}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript):
            owner, name = _owner(node.value), _text(node.slice)
            if owner and name and name not in known[owner]:
                yield node.lineno, f"{owner} has no knob {name}"
        elif isinstance(node, ast.Call):
            yield from _call(node, nodes, known)
            yield from _made(node, known)
            yield from _value_set(node, choices)
        elif isinstance(node, ast.Compare):
            yield from _comparison(node, choices)


def _call(
    node: ast.Call, nodes: set[str], known: Mapping[str, set[str]]
) -> Iterator[tuple[int, str]]:
    words = [word for word in map(_text, node.args) if word]
    if isinstance(node.func, ast.Name) and node.func.id == "group_node":
        yield from ((node.lineno, f"the group has no node {w}") for w in words if w not in nodes)
    if isinstance(node.func, ast.Name) and node.func.id == "_set" and words:
        if words[0] not in known["Infusion"]:
            yield node.lineno, f"Infusion has no knob {words[0]}"
    if isinstance(node.func, ast.Attribute) and node.func.attr == "knob" and words:
        owner = _owner(node.func.value)
        if owner and words[0] not in known[owner]:
            yield node.lineno, f"{owner} has no knob {words[0]}"


def _made(node: ast.Call, known: Mapping[str, set[str]]) -> Iterator[tuple[int, str]]:
    """``nuke.nodes.Read(file=...)``."""
    if ast.unparse(node.func).startswith("nuke.nodes."):
        kind = ast.unparse(node.func).rpartition(".")[2]
        if kind not in known:
            yield node.lineno, f"{kind} is no node that ships with Nuke"
        for word in node.keywords:
            if word.arg not in known.get(kind, set()):
                yield node.lineno, f"{kind} has no knob {word.arg}"


def _value_set(node: ast.Call, choices: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[int, str]]:
    """``node["output"].setValue("mate")``."""
    if isinstance(node.func, ast.Attribute) and node.func.attr == "setValue":
        knob, value = node.func.value, _text(node.args[0])
        name = _text(knob.slice) if isinstance(knob, ast.Subscript) else ""
        if value and name in choices and value not in choices[name]:
            yield node.lineno, f"{name} has no choice {value}"


def _comparison(
    node: ast.Compare, choices: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[int, str]]:
    """``node["runner"].value() == "Slrum"``."""
    left, right = node.left, _text(node.comparators[0])
    if isinstance(left, ast.Call) and isinstance(left.func, ast.Attribute):
        knob = left.func.value
        name = _text(knob.slice) if isinstance(knob, ast.Subscript) else ""
        if right and name in choices and right not in choices[name]:
            yield node.lineno, f"{name} has no choice {right}"


def _owner(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and node.attr == "node":
        return "Infusion"
    if isinstance(node, ast.Name):
        return OWNERS.get(node.id, "")
    is_root = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return "root" if is_root and node.func.attr == "root" else ""  # type: ignore[attr-defined]


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def type_faults(folder: Path, gizmo: str, cache: Path) -> set[tuple[str, int]]:
    """File and line of what mypy and Nuke's stubs say against a copy of nuke_gizmos, and against
    the Python in a gizmo's knobs."""
    body = ["import nuke"]
    for i, script in enumerate(scripts(gizmo).values()):
        body += [f"def script_{i}() -> None:", textwrap.indent(script, "    ")]
    (folder / "knob_scripts.py").write_text("\n".join(body) + "\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", "--no-error-summary",
        "--config-file", str(folder / "mypy.ini"), "--cache-dir", str(cache), str(folder),
    ]  # fmt: skip
    (folder / "mypy.ini").write_text("[mypy]\n")
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(folder)}
    )
    found = set()
    for line in done.stdout.splitlines():
        path, number, kind, *_ = [*line.split(":"), "", ""]
        if kind.strip() == "error" and number.isdigit():
            found.add((Path(path).name, int(number)))
    assert done.returncode in (0, 1) and not done.stderr, done.stdout + done.stderr
    return found

"""Writes the knobs of nuke_gizmos/Infusion.gizmo from their table; the graph below stays as it is.

``python -m infusion_cli.gizmo nuke_gizmos/Infusion.gizmo``
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from infusion_cli.gizmo_knobs import BUTTON, KNOBS, PANEL, TAB, TEXT, Knob

__all__ = ["script_of", "with_knobs"]

_BLOCK = re.compile(r"(?<=\n) addUserKnob .*?\n(?=}\n)", re.DOTALL)
"""From the first knob to the brace that closes the group's own."""

_PANEL = (
    "__import__('infusion_panel').Monitor(nuke.thisNode()) "
    "if __import__('importlib.util').util.find_spec('infusion_panel') else None"
)


def with_knobs(gizmo: str) -> str:
    """The text of a gizmo with the table's knobs in place of its own.

    Raises:
        ValueError: when it has no knobs to replace.
    """
    block = "".join(f" {line}\n" for knob in KNOBS for line in _lines(knob))
    text, count = _BLOCK.subn(lambda _: block, gizmo, count=1)
    if not count:
        raise ValueError("this is no gizmo with user knobs")
    return text


def script_of(call: str) -> str:
    """The Python of a button: it says so where Infusion is not installed."""
    return (
        "try:\n    import infusion_node\nexcept ImportError:\n"
        "    nuke.message('Infusion is not installed for this Nuke: infusion nuke install')\n"
        f"else:\n    infusion_node.{call}(nuke.thisNode())"
    )


def _lines(knob: Knob) -> list[str]:
    """The definition of a knob and the line with its value."""
    words = [str(knob.kind), knob.name]
    if knob.kind == TAB or knob.label or knob.kind == PANEL or knob.hidden:
        words += ["l", _word(knob.label)]
    elif "-STARTLINE" in knob.flags:
        words += ["l", '""']
    if knob.tooltip:
        words += ["t", _word(knob.tooltip)]
    script = {BUTTON: script_of(knob.call), PANEL: _PANEL, TEXT: str(knob.default)}
    if knob.kind in script:
        words += ["T", _word(script[knob.kind])]
    if knob.choices:
        words += ["M", "{" + " ".join(map(_word, knob.choices)) + "}"]
    if knob.limits:
        words += ["R", *(f"{limit:g}" for limit in knob.limits)]
    lines = ["addUserKnob {" + " ".join([*words, *knob.flags]) + "}"]
    if knob.default is not None and knob.kind not in script:
        lines.append(f"{knob.name} {_value(knob.default)}")
    return lines


def _value(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return text.replace("{{", '{{"').replace("}}", '"}}') if text[:2] == "{{" else _word(text)


def _word(text: str) -> str:
    """A text as one word of Tcl, written as Nuke writes it."""
    if re.fullmatch(r"[\w.:+-]+", text):
        return text
    if text.count("{") != text.count("}"):
        raise ValueError(f"unbalanced braces make a gizmo unreadable: {text!r}")
    escaped = re.sub(r'([\\"\[$])', r"\\\1", text).replace("\n", "\\n")
    return f'"{escaped}"'


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_knobs(path.read_text(encoding="utf-8")), encoding="utf-8")

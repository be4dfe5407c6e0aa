"""Puts the tables of the node's knobs into docs/nuke.md, and draws the pictures of its panels.

``python -m infusion_cli.gizmo_page docs/nuke.md``
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from infusion_cli.gizmo_knobs import BUTTON, PANEL, TEXT, Knob, tabs
from infusion_cli.gizmo_panel import draw_panel

__all__ = ["picture_name", "with_tables"]

_BLOCK = re.compile(r"<!-- knobs: made by `make docs` -->\n.*<!-- knobs end -->\n", re.DOTALL)


def with_tables(page: str) -> str:
    """The text of the page with the tables as the knobs are now.

    Raises:
        ValueError: when it has no place for them.
    """
    parts = [_section(tab.label, knobs) for tab, knobs in tabs()]
    text = "\n".join(["<!-- knobs: made by `make docs` -->", *parts, "<!-- knobs end -->\n"])
    page, count = _BLOCK.subn(lambda _: text, page)
    if count != 1:
        raise ValueError("the page has no place for the knobs")
    return page


def picture_name(title: str) -> str:
    """The file of a tab's picture, beside the page."""
    return f"nuke_{title.lower()}.png"


def _section(title: str, knobs: list[Knob]) -> str:
    head = [f"### The {title} tab", "", f"![The {title} tab, drawn]({picture_name(title)})", ""]
    rows = ["| knob | default | command line | what it does |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, *map(_row, knobs), ""])


def _row(knob: Knob) -> str:
    name = knob.label or {"first": "Frame Range, from"}.get(knob.name, knob.name)
    shown = "" if knob.kind in (BUTTON, TEXT, PANEL) else _default(knob)
    option = f"`{knob.option}`" if knob.option else ""
    text = knob.tooltip + (f" One of: {', '.join(knob.choices)}." if knob.choices else "")
    return f"| {name} | {shown} | {option} | {text.replace('|', chr(92) + '|')} |"


def _default(knob: Knob) -> str:
    if isinstance(knob.default, bool):
        return "on" if knob.default else "off"
    return f"`{knob.default}`" if knob.default not in (None, "") else "empty"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
    for tab, _ in tabs():
        draw_panel(path.parent / picture_name(tab.label), tab.label)

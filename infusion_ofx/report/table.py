"""Tables as HTML, every text in them escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["Raw", "table"]


class Raw(str):
    """Text that is HTML already."""


def table(names: Sequence[str], rows: Sequence[Sequence[Any]], *, sortable: str = "") -> str:
    """A table with a head. sortable: an id, by which web/sorting.js makes its columns sortable."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    given = f' id="{escape(sortable)}"' if sortable else ""
    return f"<table{given}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, Raw):
        return f"<td>{value}</td>"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escape(_text(value))}</td>"
    return f'<td class="number">{_text(value)}</td>'


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)

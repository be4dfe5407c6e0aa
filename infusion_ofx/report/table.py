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
    """A table with a head; a column that holds a number stands to the right.

    sortable: an id, by which web/sorting.js makes its columns sortable.
    """
    right = [any(map(_is_number, column)) for column in zip(*rows, strict=True)]
    right = right or [False] * len(names)
    kinds = [' class="number"' if each else "" for each in right]
    head = _cells("th", kinds, names)
    body = "\n".join(f"<tr>{_cells('td', kinds, row)}</tr>" for row in rows)
    given = f' id="{escape(sortable)}"' if sortable else ""
    return f"<table{given}><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def _cells(tag: str, kinds: Sequence[str], values: Sequence[Any]) -> str:
    return "".join(
        f"<{tag}{kind}>{_told(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _told(value: Any) -> str:
    return value if isinstance(value, Raw) else escape(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)

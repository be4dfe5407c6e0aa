"""Named values and tables as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["aligned", "cell", "columns"]


def aligned(values: Mapping[str, object]) -> list[str]:
    """Names in one column, values in the next; an empty value is shown as a dash."""
    width = max((len(name) for name in values), default=0)
    return [f"{name:<{width}}  {cell(value)}" for name, value in values.items()]


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of as many cells each, the cells of a column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def cell(value: object) -> str:
    """One value as text: a number with four digits that count, a mapping as ``name type`` pairs."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or "-"
    return "-" if value is None or value == "" else str(value)

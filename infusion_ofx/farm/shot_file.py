"""The text of a file of shots: YAML, JSON or CSV, into rows of settings; nothing is checked of what
they say.

The file may be anybody's. YAML builds texts, lists and mappings only, whatever its tags ask for;
what is given twice is refused, and so are aliases, a few of which can stand for a billion shots.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infusion_ofx.errors import JobError

__all__ = ["Row", "read_rows"]

MOST_BYTES = 4 * 2**20
"""Largest file that is taken: some ten thousand shots. Reading YAML takes seconds a megabyte."""


@dataclass(frozen=True)
class Row:
    """What is written of one shot, or of several whose names are a pattern."""

    where: str
    """For people: ``line 12``, or ``shot 3`` in JSON."""
    values: Mapping[str, Any]
    """By name; in YAML and CSV all are text."""


def read_rows(path: Path) -> tuple[Mapping[str, Any], list[Row]]:
    """The defaults and the rows of a file.

    Raises:
        JobError: when it cannot be read, is none of the three, or has another form.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise JobError(
            f"{str(path)!r} is no file of shots", f"its name ends in one of {', '.join(_READERS)}"
        )
    try:
        defaults, rows = read(_text(path))
    except _Malformed as error:
        raise JobError(f"{str(path)!r} {error}", "nothing was begun: mend the file") from error
    except RecursionError as error:
        raise JobError(f"{str(path)!r} is nested too deeply", "nothing was begun") from error
    if not rows:
        raise JobError(f"{str(path)!r} names no shot", "write one at least")
    return defaults, rows


class _Malformed(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its name."""


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise JobError(f"there is no file {str(path)!r}", "check the name")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise JobError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise _Malformed(f"is larger than {MOST_BYTES // 2**20} MiB, no file of shots")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Malformed(f"is no UTF-8 text, at byte {error.start}") from error


def _csv(text: str) -> tuple[Mapping[str, Any], list[Row]]:
    """The first row names the fields; cells are parted by commas, semicolons or tabs, whichever it
    has most of. An empty cell says nothing."""
    first = text.partition("\n")[0]
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    rows = []
    try:
        head = [name.strip() for name in next(lines, [])]
        _refuse_twice(head, "in its first line")
        for cells in lines:
            if len(cells) > len(head) and any(cells[len(head) :]):
                raise _Malformed(
                    f"has {len(cells)} cells in line {lines.line_num} and {len(head)} in its first"
                )
            values = {n: c.strip() for n, c in zip(head, cells, strict=False) if c.strip()}
            if values:
                rows.append(Row(f"line {lines.line_num}", values))
    except csv.Error as error:
        raise _Malformed(f"is no CSV: {error} in line {lines.line_num}") from error
    return {}, rows


def _json(text: str) -> tuple[Mapping[str, Any], list[Row]]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_twice((name for name, _ in pairs), "in one object")
        return dict(pairs)

    try:
        data = json.loads(text, object_pairs_hook=once)
    except ValueError as error:
        raise _Malformed(f"is no JSON: {error}") from error
    return _formed(data, [])


def _yaml(text: str) -> tuple[Mapping[str, Any], list[Row]]:
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f" in line {mark.line + 1}" if mark else ""
        raise _Malformed(f"is no YAML: {error.problem}{at}") from error
    except yaml.YAMLError as error:
        raise _Malformed(f"is no YAML: {' '.join(str(error).split())}") from error
    return _formed(_plain(root), _lines(root)) if root is not None else ({}, [])


class _Loader(yaml.BaseLoader):
    """Composes nodes and builds nothing."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _Malformed(
                f"has a '*' without quotes in line {self.line + 1}: a pattern wants them, and an "
                "alias is not taken; what many shots share stands in 'defaults'"
            )
        return super().compose_node(parent, index)


def _plain(node: yaml.Node) -> Any:
    """A node as text, list or mapping; None for what YAML calls null."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each) for each in node.value]
    if isinstance(node, yaml.MappingNode):
        names = [str(_plain(name)) for name, _ in node.value]
        _refuse_twice(names, f"in the mapping in line {node.start_mark.line + 1}")
        return dict(zip(names, (_plain(value) for _, value in node.value), strict=True))
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return None if plain and node.value in ("", "~", "null") else node.value


def _lines(root: yaml.Node) -> list[int]:
    """The line of each shot."""
    if isinstance(root, yaml.MappingNode):
        root = next((value for name, value in root.value if name.value == "shots"), root)
    items = root.value if isinstance(root, yaml.SequenceNode) else []
    return [item.start_mark.line + 1 for item in items]


def _formed(data: Any, lines: list[int]) -> tuple[Mapping[str, Any], list[Row]]:
    """Defaults and rows of parsed YAML or JSON; a list alone is one of shots."""
    if isinstance(data, list):
        data = {"shots": data}
    if not isinstance(data, dict) or not isinstance(data.get("shots"), list):
        raise _Malformed("has no list named 'shots'")
    if strange := sorted(data.keys() - {"shots", "defaults"}):
        raise _Malformed(f"has {strange[0]!r} beside 'shots' and 'defaults'")
    defaults = data.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise _Malformed("has 'defaults' that are no mapping of names to values")
    rows = []
    for index, values in enumerate(data["shots"]):
        where = f"line {lines[index]}" if lines else f"shot {index + 1}"
        if not isinstance(values, dict):
            raise _Malformed(f"has a shot in {where} that is no mapping of names to values")
        rows.append(Row(where, values))
    return defaults, rows


def _refuse_twice(names: Iterable[str], where: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise _Malformed(f"has {name!r} twice {where}")


_READERS = {".yaml": _yaml, ".yml": _yaml, ".json": _json, ".csv": _csv}

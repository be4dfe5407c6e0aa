"""The shots of a file, each as a job.

A setting is a field of Job, or ``shot``, the shot's name; ``{shot}`` in a value is that name. Where
the name is a pattern, as ``sh0*``, the row stands for every shot whose plate is there. Relative
paths are taken from the file's folder.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from infusion_ofx.errors import JobError
from infusion_ofx.farm.shot_file import Row, read_rows
from infusion_ofx.job import Job
from infusion_ofx.paths import PATHS, PathMap
from infusion_ofx.sequence.pattern import TOKEN
from infusion_ofx.sequence.ranges import split_range

__all__ = ["NAME", "Shot", "ShotsError", "read_shots"]

NAME = "{shot}"
"""In a value: the shot's name."""

_LONGEST = 100
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_TYPES = {f.name: str(f.type) for f in fields(Job)}


@dataclass(frozen=True)
class Shot:
    """One shot of a batch."""

    name: str
    where: str
    """Where it is written, as ``line 12``."""
    job: Job


class ShotsError(JobError):
    """A file of shots is wrong; ``faults`` are all of them, a line each."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{count} in {str(path)!r}", "nothing was begun: mend the file")
        self.faults = [f"{str(path)!r}, {fault}" for fault in faults]


def read_shots(
    path: Path,
    base: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    paths: PathMap = PathMap(),  # noqa: B008, a frozen value
) -> list[Shot]:
    """The shots of a file, in its order.

    base: settings that the file overrides. given: settings that override the file. Relative paths
    in both are taken from the working folder. paths: where the file's paths lie on this machine.

    Raises:
        JobError: when the file cannot be read.
        ShotsError: naming every fault of every shot at once.
    """
    defaults, rows = read_rows(path)
    reader = _Reader(path.absolute().parent, paths, dict(base or {}), dict(given or {}))
    shots = reader.read(defaults, rows)
    if reader.faults:
        raise ShotsError(path, reader.faults)
    return shots


@dataclass
class _Reader:
    """Makes jobs of rows, and notes what is wrong with them."""

    folder: Path
    paths: PathMap
    base: dict[str, Any]
    given: dict[str, Any]
    faults: list[str] = field(default_factory=list)

    def read(self, defaults: Mapping[str, Any], rows: Sequence[Row]) -> list[Shot]:
        """The shots that are well; ``faults`` has the others'."""
        common = {**self._placed(self.base), **self._settings("defaults", defaults)}
        wrong = Job.faults_of({**dict.fromkeys(("plate", "matte", "output"), "-"), **common})
        self.faults += [f"defaults: {fault}" for fault in wrong]
        named = [self._named(common, row) for row in rows]
        own = [values.get("shot") for _, values in named]
        shots = [
            shot
            for row, values in named
            for name in self._names(row, values, own)
            if (shot := self._shot(row, name, values, wrong)) is not None
        ]
        for name, count in Counter(shot.name for shot in shots).items():
            if count > 1:
                places = " and ".join(shot.where for shot in shots if shot.name == name)
                self.faults.append(f"{places}: the shot {name!r} is there {count} times")
        return shots

    def _named(self, common: Mapping[str, Any], row: Row) -> tuple[Row, dict[str, Any]]:
        """All that is said of a row, its name under ``shot``."""
        own = self._settings(row.where, row.values)
        return row, {**common, **own, **self._placed(self.given)}

    def _settings(self, where: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the file says, of the types that Job has, its paths as they are here."""
        settings = {}
        for name, value in values.items():
            kind = _TYPES.get(name, "str")
            if value is None and not kind.endswith("None"):
                continue
            settings[name] = typed(kind, value)
            if name in PATHS and isinstance(settings[name], str) and settings[name]:
                try:
                    settings[name] = self.paths.here(settings[name], self.folder)
                except JobError as error:
                    self.faults.append(f"{where}: '{name}': {error}")
        return settings

    @staticmethod
    def _placed(values: Mapping[str, Any]) -> dict[str, Any]:
        """Settings whose relative paths are of the working folder."""
        return {
            name: os.path.abspath(value) + os.sep * value.endswith(os.sep)
            if name in PATHS and isinstance(value, str) and value
            else value
            for name, value in values.items()
        }

    def _names(self, row: Row, values: Mapping[str, Any], own: Sequence[Any]) -> Iterator[str]:
        """The shots that a row stands for; those with a row of their own are left to it."""
        name = values.get("shot")
        if fault := _name_fault(name):
            self.faults.append(f"{row.where}: {fault}")
        elif not glob.has_magic(str(name)):
            yield str(name)
        elif NAME not in str(values.get("plate")):
            self.faults.append(
                f"{row.where}: the name {name!r} is a pattern, and 'plate' does not say with "
                f"{NAME} where it stands"
            )
        else:
            found = _find(str(values["plate"]), str(name))
            if not found:
                self.faults.append(f"{row.where}: no plate is there for {values['plate']!r}")
            yield from (each for each in found if each not in own)

    def _shot(
        self, row: Row, name: str, values: Mapping[str, Any], known: Sequence[str]
    ) -> Shot | None:
        """The job of one shot; None when it is wrong.

        known: faults of the defaults, which are told once.
        """
        settings: dict[str, Any] = {
            key: value.replace(NAME, name) if isinstance(value, str) else value
            for key, value in values.items()
            if key != "shot"
        }
        wrong = Job.faults_of(settings)
        self.faults += [f"{row.where}, shot {name!r}: {f}" for f in wrong if f not in known]
        return None if wrong else Shot(name, row.where, Job(**settings))


def typed(kind: str, value: Any) -> Any:
    """Text as the type that a field has; what is no such text is left as it is, for Job to refuse.

    kind: of a field of Job, as ``int | None``.
    """
    kind = kind.removesuffix(" | None")
    if kind == "str" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or kind == "str":
        return value
    if kind == "bool":
        return _WORDS.get(value.lower(), value)
    try:
        return int(value) if kind == "int" else float(value)
    except ValueError:
        return value


def _name_fault(name: Any) -> str:
    """What is wrong with a shot's name, which is also that of folders."""
    if name is None or name == "":
        return "'shot' is missing, the shot's name"
    if not isinstance(name, str):
        return f"'shot' is {name!r}; it takes a name"
    if len(name) > _LONGEST or name.strip(". ") != name or not name.isprintable():
        return f"'shot' is {name[:_LONGEST]!r}, which cannot be the name of a folder"
    if {"/", "\\"} & set(name):
        return f"'shot' is {name!r}; a name has no slashes"
    return ""


def _find(plate: str, pattern: str) -> list[str]:
    """The names that stand for ``{shot}`` in what is on disk, and fit a pattern; sorted."""
    parts = split_range(plate)[0].split(NAME)
    looked = "*".join(TOKEN.sub("*", glob.escape(part)) for part in parts)
    first, *others = [_matching(part) for part in parts]
    matcher = re.compile(first + r"([^/\\]+)" + r"\1".join(others))
    found = (matcher.fullmatch(path) for path in glob.iglob(looked))
    names = {match[1] for match in found if match}
    return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))


def _matching(part: str) -> str:
    """Text as a regular expression, with any frame number where one has its place."""
    literal = [re.escape(piece) for piece in TOKEN.split(part)]
    return "-?[0-9]+".join(literal)

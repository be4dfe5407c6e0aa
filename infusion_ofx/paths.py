"""Paths of a job that is opened where it was not made: on another machine, in a moved folder.

job.json holds absolute paths, of the machine that made it, and where the job folder was. Whoever
opens it elsewhere maps them: by rules that are given, then by the one that the folder's own move
stands for. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from infusion_ofx.errors import JobError
from infusion_ofx.job import Job

__all__ = ["PATHS", "PathMap", "Rule", "absolute", "is_folder", "moved", "take_output"]

PATHS = ("plate", "matte", "output", "data_dir", "job_dir", "matte_output")
"""The fields of Job that are paths; an empty one says nothing."""

_WINDOWS = re.compile(r"[A-Za-z]:|\\\\")
_ROOTED = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True)
class Rule:
    """What lies below ``source`` there lies below ``target`` here."""

    source: PurePath
    """As the machine writes it that made the job: PurePosixPath or PureWindowsPath."""
    target: PurePath
    """As this machine writes it."""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """A rule written as FROM=TO; FROM with a drive letter or ``\\\\server`` is Windows'.

        Raises:
            JobError: when it is no such text.
        """
        source, equals, target = text.partition("=")
        if not equals or not source or not target:
            raise JobError(f"the path mapping {text!r} is not FROM=TO", r"write P:\show=/mnt/show")
        return cls(_pure(source), PurePath(target))

    def apply(self, path: str) -> str | None:
        """The path here, None where the rule does not speak of it. A closing separator stays: it
        tells a folder."""
        there = type(self.source)(path)
        if not there.is_relative_to(self.source):
            return None
        here = str(self.target.joinpath(*there.parts[len(self.source.parts) :]))
        closed = path.endswith(("/", "\\") if isinstance(there, PureWindowsPath) else "/")
        return here + os.sep if closed and not here.endswith(os.sep) else here


@dataclass(frozen=True)
class PathMap:
    """Rules, of which the most specific that fits a path is taken."""

    rules: tuple[Rule, ...] = ()
    last: Rule | None = None
    """Asked where none of the others fits."""

    @classmethod
    def of(cls, pairs: Iterable[str] = (), file: Path | None = None) -> PathMap:
        """The rules of ``FROM=TO`` pairs and of an Open Job Description rules file.

        The file's form is ``pathmapping-1.0`` of specification 2023-09 ("How Jobs Are Run", path
        mapping); a session without rules writes an empty object.

        Raises:
            JobError: when one of them cannot be read.
        """
        rules = [Rule.parse(pair) for pair in pairs]
        return cls(tuple(rules + (_read(file) if file is not None else [])))

    def apply(self, path: str) -> str:
        """The path here; unchanged where no rule speaks of it."""
        rules = sorted(self.rules, key=lambda rule: -len(rule.source.parts))
        for rule in [*rules, *([self.last] if self.last else [])]:
            here = rule.apply(path)
            if here is not None:
                return here
        return path

    def here(self, path: str, folder: Path) -> str:
        """The path here, a relative one taken from ``folder``.

        Raises:
            JobError: when it is another system's and no rule maps it.
        """
        mapped = self.apply(path)
        if os.name != "nt" and _ROOTED.match(mapped):
            raise _foreign(repr(path))
        return os.path.join(folder, mapped)

    def job(self, job: Job) -> Job:
        """The job with its paths as they are here.

        Raises:
            JobError: when one is another system's and no rule maps it.
        """
        here = _paths_of(job, self.apply)
        for name, path in here.items():
            if not PurePath(path).is_absolute():
                raise _foreign(f"the job's {name} {path!r}")
        return replace(job, **here)


def _foreign(what: str) -> JobError:
    return JobError(
        f"{what} is no path of this machine, and no rule maps it",
        "say where it lies here with --path-map FROM=TO",
    )


def absolute(job: Job) -> Job:
    """The job with its paths taken from this process's working folder."""
    here = os.getcwd()
    return replace(job, **_paths_of(job, lambda path: os.path.join(here, path)))


def is_folder(output: str) -> bool:
    """Whether an output names a folder, where frames keep the plate's names, and no pattern."""
    return output.endswith(("/", os.sep)) or not Path(output).suffix or os.path.isdir(output)


def take_output(output: str, take: int) -> str:
    """Where a take goes: the first to the job's output itself, the second to ``take_02`` in its
    folder."""
    if take == 1:
        return output
    folder, name = (output, "") if is_folder(output) else os.path.split(output)
    return os.path.join(folder, f"take_{take:02d}", name)


def moved(before: str, now: Path) -> Rule | None:
    """The rule that a folder's own move stands for: the leading part of its path that has changed.

    ``P:\\show\\sh10\\out\\v001`` that is found as ``/mnt/show/sh10/out/v001`` says that ``P:\\``
    is ``/mnt`` here. None where nothing changed, or all of it.
    """
    there, here = _pure(before), PurePath(now)
    same = 0
    while same + 1 < min(len(there.parts), len(here.parts)):
        one, other = (type(there)(pure.parts[-1 - same]) for pure in (there, here))
        if one != other:
            break
        same += 1
    if not same or str(there) == str(here):
        return None
    return Rule(there.parents[same - 1], here.parents[same - 1])


def _paths_of(job: Job, change: Callable[[str], str]) -> dict[str, Any]:
    """The paths that a job names, changed, by field."""
    given = {name: getattr(job, name) for name in PATHS}
    return {name: change(path) for name, path in given.items() if path}


def _pure(path: str) -> PurePath:
    return PureWindowsPath(path) if _WINDOWS.match(path) else PurePosixPath(path)


def _read(file: Path) -> list[Rule]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return [
            Rule(_SOURCES[each["source_path_format"].upper()](each["source_path"]),
                 PurePath(each["destination_path"]))
            for each in data.get("path_mapping_rules", [])
            if each["source_path_format"].upper() != "URI"  # no job's path is one
        ]  # fmt: skip
    except OSError as error:
        raise JobError(f"the rules file {str(file)!r} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise JobError(
            f"{str(file)!r} is no path mapping rules file of Open Job Description",
            "give the file that {{Session.PathMappingRulesFile}} names",
        ) from error


_SOURCES: dict[str, type[PurePath]] = {"POSIX": PurePosixPath, "WINDOWS": PureWindowsPath}

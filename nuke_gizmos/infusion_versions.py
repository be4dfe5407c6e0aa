"""Versions of a node's work on disk. Standard library only, without Nuke.

``<data directory>/<node>/v003/``: ``nuke.json`` (what the node knew), ``plan.json`` (the commands),
``process.json`` (who runs them), ``run.log``, ``stop`` (its presence asks for an end), and for each
view a job folder of Infusion with ``settings.json`` (the job as it was asked for), ``inputs/``,
``result/`` and ``matte/``. A node remembers only ``<node>/v003``, so that all of it can move.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["NodeError", "Version", "read_json", "reserve", "versions", "write_json"]

_NAME = re.compile(r"v(\d{3,})")


class NodeError(Exception):
    """What an artist is told: what is wrong, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Version:
    """One version of one node's work."""

    data_dir: Path
    node: str
    """The folder of the node, named after it when it was started."""
    number: int

    @classmethod
    def of(cls, data_dir: Path, job_dir: str) -> Version | None:
        """The version that a node remembers as ``Infusion1/v003``; None for an empty text."""
        node, _, name = job_dir.rpartition("/")
        found = _NAME.fullmatch(name)
        return cls(data_dir, node, int(found[1])) if found and node else None

    @property
    def name(self) -> str:
        """As ``v003``."""
        return f"v{self.number:03d}"

    @property
    def job_dir(self) -> str:
        """What a node remembers of it: the way from the data directory."""
        return f"{self.node}/{self.name}"

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.data_dir / self.node / self.name

    def view(self, view: str) -> Path:
        """The job folder of a view."""
        return self.path / view

    def facts(self) -> dict[str, Any]:
        """What the node knew when it started this version; empty where that is not there."""
        return read_json(self.path / "nuke.json")

    @property
    def views(self) -> list[str]:
        """The views that it works on."""
        return [str(view) for view in self.facts().get("views", [])]

    def result_dir(self) -> str:
        """Where the result is, from the data directory; ``%V`` stands for one of several views."""
        views = self.views
        return f"{self.job_dir}/{views[0] if len(views) == 1 else '%V'}"

    def remove(self) -> None:
        """Deletes the folder with all that is in it.

        Raises:
            NodeError: when the system refuses.
        """
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            raise NodeError(f"{self.path} cannot be removed: {error.strerror}") from error


def reserve(data_dir: Path, node: str) -> Version:
    """Makes the folder of the next version, which is then nobody else's.

    Raises:
        NodeError: when the data directory cannot be written to.
    """
    number = max((each.number for each in versions(data_dir, node)), default=0) + 1
    while True:
        version = Version(data_dir, node, number)
        try:
            version.path.parent.mkdir(parents=True, exist_ok=True)
            version.path.mkdir()
            return version
        except FileExistsError:
            number += 1
            if not version.path.is_dir():
                raise NodeError(
                    f"{data_dir} is no folder", "Choose another Data Directory."
                ) from None
        except OSError as error:
            raise NodeError(
                f"{version.path} cannot be made: {error.strerror}",
                "Choose a Data Directory that you may write to.",
            ) from error


def versions(data_dir: Path, node: str) -> list[Version]:
    """The versions of a node that are there, oldest first."""
    try:
        names = os.listdir(data_dir / node)
    except OSError:
        return []
    numbers = sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)
    return [Version(data_dir, node, number) for number in numbers]


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty when it is missing, damaged or none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Writes JSON so that it appears whole or not at all."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    os.replace(making, path)

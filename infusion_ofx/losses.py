"""How the training loss fell, stage by stage: kept for curves, thinned to a bounded size.

``report/loss-train-03.json`` and so on, one file a stage, since a farm trains each in a process of
its own: nobody writes another's. Nothing of the result depends on them. Standard library only.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infusion_ofx.errors import InfusionError
from infusion_ofx.folder import JobFolder, read_json, write_json

__all__ = ["MOST", "Losses", "read_losses"]

MOST = 400
"""Points that a stage keeps: as many as a curve of a screen's width can show."""

HELD_OUT = 20
"""Times that the error on what is held out is worked out in a stage: each takes about a step."""

_LISTS = ("points", "held_out")

WRITE_SECONDS = 10.0

Curve = dict[str, Any]
"""``stage``, ``steps`` that it has, and ``points``: step and loss, in working units, ascending; in
``held_out`` likewise step and error on what training has not seen, where there is such a thing."""


@dataclass
class Losses:
    """Keeps the losses of the stages that this process trains."""

    folder: JobFolder
    _curve: Curve = field(default_factory=dict)
    _written: float = 0.0

    def note(
        self,
        stage: str,
        steps: int,
        step: int,
        loss: float,
        held_out: Callable[[], float] | None = None,
    ) -> None:
        """Takes the loss at a step; writes now and then, and at the stage's last step.

        held_out: works out the error on what training has not seen; called about ``HELD_OUT`` times
        a stage.

        What an earlier run has noted up to there stays; what it has noted beyond goes, since that
        is trained again.
        """
        if self._curve.get("stage") != stage:
            kept = read_json(_path(self.folder, stage))
            lists = {name: [p for p in _points(kept, name) if p[0] < step] for name in _LISTS}
            self._curve = {"stage": stage, "steps": steps, **lists}
        self._take("points", MOST, step, lambda: loss)
        if held_out is not None:
            self._take("held_out", HELD_OUT, step, held_out)
        if step == steps or time.monotonic() - self._written >= WRITE_SECONDS:
            self._written = time.monotonic()
            self._write(stage)

    def _take(self, name: str, most: int, step: int, value: Callable[[], float]) -> None:
        points, steps = self._curve[name], self._curve["steps"]
        if not points or step == steps or step - points[-1][0] >= steps / most:
            points.append([step, value()])

    def _write(self, stage: str) -> None:
        path = _path(self.folder, stage)
        with suppress(InfusionError, OSError):  # a curve is worth no failure
            path.parent.mkdir(exist_ok=True)
            write_json(path, self._curve)


def read_losses(folder: JobFolder, stages: Iterable[str]) -> list[Curve]:
    """The curves that there are of these stages, in their order, each after those of its smaller
    scales; a damaged one is left out."""
    found = []
    for stage in (name for task in stages for name in [*_smaller(folder, task), task]):
        facts = read_json(_path(folder, stage))
        lists = {name: _points(facts, name) for name in _LISTS}
        if lists["points"]:
            found.append({"stage": stage, "steps": facts.get("steps"), **lists})
    return found


def _smaller(folder: JobFolder, task: str) -> list[str]:
    """A stage's names at the smaller scales that have a curve, the smallest picture first."""
    scale = re.compile(rf"loss-({re.escape(task)}-x(\d+))\.json")
    names = map(scale.fullmatch, os.listdir(folder.report) if folder.report.is_dir() else ())
    return [name[1] for name in sorted(filter(None, names), key=lambda name: -int(name[2]))]


def _points(facts: dict[str, Any], name: str) -> list[list[float]]:
    points = facts.get(name)
    if not isinstance(points, list):
        return []
    return [
        [step, loss]
        for step, loss in (p for p in points if isinstance(p, list) and len(p) == 2)
        if isinstance(step, int) and isinstance(loss, int | float)
    ]


def _path(folder: JobFolder, stage: str) -> Path:
    return folder.report / f"loss-{stage}.json"

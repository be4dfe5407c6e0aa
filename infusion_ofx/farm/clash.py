"""Shots of one batch that would write over each other, or over what another one reads."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infusion_ofx.material import Material

__all__ = ["Places", "clashes"]


@dataclass(frozen=True)
class Places:
    """The files that a shot reads and those that it writes, links in their folders resolved."""

    read: frozenset[str]
    written: frozenset[str]

    @classmethod
    def of(cls, material: Material) -> Places:
        """Those of a job, its folder among them where it names one."""
        inputs, frames, job = (material.plate, material.matte), material.frames, material.job
        outputs = [material.target(f, take) for take in range(1, job.takes + 1) for f in frames]
        outputs += [path for frame in frames if (path := material.matte_target(frame))]
        if job.job_dir:
            outputs.append(Path(job.job_dir, "job.json"))
        return cls(_real(each.path(frame) for each in inputs for frame in frames), _real(outputs))


def clashes(places: Mapping[int, Places]) -> dict[int, tuple[str, int]]:
    """The shots that must not be done, each with its fault and the other shot that it is about.

    Of shots that write the same file all but the first are told.
    """
    readers: dict[str, set[int]] = defaultdict(set)
    writer: dict[str, int] = {}
    for index, each in places.items():
        for path in each.read:
            readers[path].add(index)
    found = {}
    for index, each in places.items():
        for path in sorted(each.written, reverse=True):  # the first frame is told
            if others := readers.get(path, set()) - {index}:
                found[index] = f"its output {path!r} is an input", min(others)
            elif writer.setdefault(path, index) != index:
                found[index] = f"its output {path!r} is the output", writer[path]
    return found


def _real(paths: Iterable[Path]) -> frozenset[str]:
    folders: dict[Path, str] = {}
    found = set()
    for path in paths:
        if path.parent not in folders:
            folders[path.parent] = os.path.realpath(path.parent)
        found.add(os.path.join(folders[path.parent], path.name))
    return frozenset(found)

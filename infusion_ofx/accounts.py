"""Accounts: what a job's stages took, and which fill each of its takes got and why.

A file a stage and a file a take, so that tasks of a farm that end at once take nothing from each
other. For people and benchmarks; nothing depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infusion_ofx.folder import JobFolder, read_json, write_json

__all__ = ["Verdict", "add_cost", "costs", "keep_verdict", "verdicts"]

Verdict = dict[str, Any]
"""Of one region: ``name`` of the method that was chosen, ``where`` the region is, and ``scores``,
score_self.py's figures by method."""


def add_cost(folder: JobFolder, stage: str, kind: str, seconds: float, voxels: float) -> None:
    """Adds to what a stage has taken so far; it may have been stopped and gone on with.

    kind: as in ``Stage``. voxels: passed forward through the network.

    Raises:
        TryAgainError: when the storage fails.
    """
    path = folder.accounts / f"cost-{stage}.json"
    kept = read_json(path)
    if _is_cost(kept):
        seconds, voxels = seconds + kept["seconds"], voxels + kept["voxels"]
    write_json(path, {"kind": kind, "seconds": seconds, "voxels": voxels})


def costs(folder: JobFolder) -> dict[str, dict[str, float]]:
    """By kind of stage, ``seconds`` and ``voxels`` of all of them; none where nothing was done."""
    found = dict[str, dict[str, float]]()
    for cost in map(read_json, sorted(folder.accounts.glob("cost-*.json"))):
        if _is_cost(cost):
            total = found.setdefault(cost["kind"], {"seconds": 0.0, "voxels": 0.0})
            for name in total:
                total[name] += cost[name]
    return found


def keep_verdict(folder: JobFolder, take: int, regions: Sequence[Verdict]) -> None:
    """Keeps what the self-score has said of each region of a take.

    Raises:
        TryAgainError: when the storage fails.
    """
    write_json(folder.accounts / f"score-take{take:02d}.json", {"take": take, "regions": regions})


def verdicts(folder: JobFolder) -> dict[int, list[Verdict]]:
    """By take, what ``keep_verdict`` has kept; none where the method is not ``auto``."""
    told = map(read_json, sorted(folder.accounts.glob("score-take*.json")))
    return {each["take"]: each["regions"] for each in told if _is_judged(each)}


def _is_cost(found: dict[str, Any]) -> bool:
    """Whether this is what ``add_cost`` writes, and no damage."""
    numbers = (found.get("seconds"), found.get("voxels"))
    return isinstance(found.get("kind"), str) and all(isinstance(n, int | float) for n in numbers)


def _is_judged(found: dict[str, Any]) -> bool:
    """Whether this is what ``keep_verdict`` writes, and no damage."""
    regions = found.get("regions")
    if not isinstance(found.get("take"), int) or not isinstance(regions, list):
        return False
    return all(
        isinstance(each, dict)
        and each.keys() >= {"name", "where"}
        and isinstance(each.get("scores"), dict)
        and all(isinstance(figures, dict) for figures in each["scores"].values())
        for each in regions
    )

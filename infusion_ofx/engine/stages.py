"""Stages: a recipe as a list of work, in order, and what each stage builds upon."""

from __future__ import annotations

from dataclasses import dataclass

from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import calls_by_interval

__all__ = ["PER_CENT", "Stage", "before", "stages", "trained_by"]

PER_CENT = 100
"""Steps that a fill of patches is told in."""


@dataclass(frozen=True)
class Stage:
    """A stretch of like steps: the engine's whole work is a list of these."""

    kind: str
    """``train``, ``sample``, or ``patch``: the fill without a network."""
    interval: int | None
    """0 is the noisiest; None is training over all levels."""
    steps: int
    take: int = 1
    scale: int = 1
    """How many of the plate's pixels are one of its own; scales.py."""

    @property
    def task(self) -> str:
        """``train-shared``, ``train-03``, ``sample-03-take02``, ``sample-patches``: what it is
        called at every scale. A farm's task does those that begin with its name."""
        part = "shared" if self.interval is None else f"{self.interval:02d}"
        take = f"-take{self.take:02d}" if self.take > 1 else ""
        return f"sample-patches{take}" if self.kind == "patch" else f"{self.kind}-{part}{take}"

    @property
    def name(self) -> str:
        """The same with its scale, ``train-03-x4``, if that is not the plate's: what its
        checkpoints are called by."""
        return self.task if self.scale == 1 else f"{self.task}-x{self.scale}"


def stages(recipe: Recipe) -> list[Stage]:
    """The stages of a recipe in order."""
    calls = calls_by_interval(recipe) if recipe.steps else []
    work = list[Stage]()

    def add(kind: str, interval: int | None, steps: int) -> None:
        work.append(Stage(kind, interval, steps, take, recipe.scale))

    for take in range(1, recipe.takes + 1):
        if recipe.patches:
            add("patch", None, PER_CENT)
        trained = take == 1 or recipe.takes_train
        if trained and recipe.shared_steps:
            add("train", None, recipe.shared_steps)
        for interval, count in enumerate(calls):
            if not count:  # fewer calls than intervals: some are never sampled, nor trained
                continue
            if trained:
                add("train", interval, recipe.steps)
            add("sample", interval, count)
    return work


def before(stage: Stage, work: list[Stage]) -> Stage | None:
    """The stage of ``work`` whose end this one begins from; None where it begins from nothing.

    Sampling goes on where the interval above left the clip. So does training with its network,
    as published; after a shared training each interval starts from that, and none waits for
    another.
    """
    alike = [other for other in work if (other.kind, other.take) == (stage.kind, stage.take)]
    place = alike.index(stage)
    if not place:
        return None
    return alike[0] if alike[0].interval is None else alike[place - 1]


def trained_by(stage: Stage, work: list[Stage]) -> Stage:
    """The training whose network a sampling stage calls: its take's own, or the first one's."""
    alike = [s for s in work if s.kind == "train" and s.interval == stage.interval]
    return next((s for s in alike if s.take == stage.take), alike[0])

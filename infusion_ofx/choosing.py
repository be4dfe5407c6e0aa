"""Which of several fills a shot gets: the one that fills the planted hole best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from infusion_ofx.engine.volume import Volume
from infusion_ofx.prepare import Prepared
from infusion_ofx.score_self import judge

__all__ = ["Choice", "choose"]

NAMES = {"sample": "diffusion", "patch": "patch", "smooth": "smooth"}
"""What the kinds of fills are called."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why."""

    name: str
    """``diffusion``, ``patch``, or ``smooth`` where neither is better than no texture at all."""
    scores: Mapping[str, Mapping[str, float]]
    """By name, the figures of score_self.py."""

    def __str__(self) -> str:
        faults = sorted((found["fault"], name) for name, found in self.scores.items())
        told = ", ".join(f"{name} {fault:.2f}" for fault, name in faults)
        return f"self-score, 0 is right: {told}; {self.name} is taken"


def choose(prepared: Prepared, made: Mapping[str, Volume]) -> tuple[Choice, Volume | None]:
    """Judges fills by the planted hole; returns the choice and its volume, None for the smooth.

    made: by kind, ``sample`` and ``patch``, each of ``plan.sampled``. The shot must have a planted
    hole.
    """
    planted = prepared.planted
    assert planted is not None
    truth, mask = planted.truth, planted.mask
    pictures = {"smooth": [prepared.smooth(i, planted.box) for i in planted.frames]}
    for kind, volume in made.items():
        pictures[kind] = [volume.view(i, planted.box).cpu() for i in planted.frames]
    fills = {
        NAMES[kind]: np.stack(
            [
                np.where(held, _light(prepared, frame), true)
                for frame, true, held in zip(frames, truth, mask[..., None], strict=True)
            ]
        )
        for kind, frames in pictures.items()
    }
    scores = judge(fills, truth, mask)
    best = min(scores, key=lambda name: (scores[name]["fault"], name))
    kinds = {name: kind for kind, name in NAMES.items()}
    return Choice(best, scores), made.get(kinds[best])


def _light(prepared: Prepared, frame: Tensor) -> NDArray[np.float32]:
    """(h, w, C) of a working-range picture (C, h, w)."""
    return np.asarray(prepared.working.decode(frame).permute(1, 2, 0).numpy())

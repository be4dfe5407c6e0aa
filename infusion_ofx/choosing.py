"""Which of several fills each region of a shot gets: the one that fills its planted hole best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from infusion_ofx.engine.volume import Volume, rest
from infusion_ofx.planting import Planted
from infusion_ofx.prepare import Prepared
from infusion_ofx.score import logarithm, peak_of
from infusion_ofx.score_self import judge
from infusion_ofx.score_strange import strangeness

__all__ = ["Choice", "choose"]

NAMES = {"sample": "diffusion", "patch": "patch", "smooth": "smooth"}
"""What the kinds of fills are called."""

MOST_PIXELS, LEAST_FRAMES = 2**23, 3
"""Of what is held at once to see how strange a fill is, over all its frames: about 0.5 GB."""


@dataclass(frozen=True)
class Choice:
    """What was chosen for one region, and why."""

    name: str
    """``diffusion``, ``patch``, or ``smooth`` where neither is better than no texture at all;
    diffusion where no hole could be planted."""
    where: str
    """The region's hole where it is largest: its size, place and frame."""
    scores: Mapping[str, Mapping[str, float]]
    """By name, the figures of score_self.py; none where no hole was planted."""

    def __str__(self) -> str:
        if not self.scores:
            return f"no hole could be planted for the self-score: {self.name} is taken"
        faults = sorted((found["fault"], name) for name, found in self.scores.items())
        told = ", ".join(f"{name} {fault:.2f}" for fault, name in faults)
        return f"self-score, 0 is right: {told}; {self.name} is taken"


def choose(
    prepared: Prepared, made: Mapping[str, Volume], folder: Path
) -> tuple[list[Choice], Volume]:
    """Judges fills by the planted holes; returns what each region gets of which something is left
    to be made up, and all of that as one.

    made: by kind, ``sample`` and ``patch``, each of ``plan.sampled``. folder: the fill is put
    together on its disk where regions want different ones.

    Raises:
        TryAgainError: when the disk is full.
    """
    plan = prepared.plan
    planted = {each.start // plan.length: each for each in prepared.planted}
    choices = dict[int, Choice]()
    for region, part in enumerate(plan.parts):
        if all(box.empty for box in plan.sampled[part]):
            continue  # other frames show all of it
        scores = _scores(prepared, made, planted[region]) if region in planted else {}
        best = min(scores, key=lambda name: (scores[name]["fault"], name), default="diffusion")
        choices[region] = Choice(best, _where(prepared, part), scores)
    kinds = {name: kind for kind, name in NAMES.items()}
    wanted = {region: kinds[choice.name] for region, choice in choices.items()}
    told, chosen = list(choices.values()), {*wanted.values()}
    if len(chosen) == 1 and chosen <= set(made):
        return told, made[chosen.pop()]
    whole = Volume.scratch(plan.sampled, len(prepared.shot.low), folder)
    for i, box in enumerate(plan.sampled):
        if not box.empty:
            kind = wanted[i // plan.length]
            whole.data[i].copy_(made[kind].data[i] if kind in made else prepared.smooth(i, box))
        rest(whole, *made.values())
        prepared.shot.rest()
    return told, whole


def _scores(
    prepared: Prepared, made: Mapping[str, Volume], planted: Planted
) -> dict[str, dict[str, float]]:
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
    return judge(fills, truth, mask, _strange(prepared, made, planted.frames))


def _strange(prepared: Prepared, made: Mapping[str, Volume], frames: range) -> dict[str, float]:
    """How strange each fill is in a region's hole, over the middle of some frames, in which the
    region has one box."""
    plan, shot = prepared.plan, prepared.shot
    box = plan.reached[frames.start]
    count = max(LEAST_FRAMES, MOST_PIXELS // (box.height * box.width))
    frames = frames[max(0, (len(frames) - count) // 2) :][:count]
    sampled = [plan.sampled[i] for i in frames]
    unknown = np.stack([shot.hole.view(i, box)[0].numpy() > 0 for i in frames])
    hole = np.zeros_like(unknown)  # what is sampled of it: of other regions no pixel
    for ours, all_, own in zip(hole, unknown, sampled, strict=True):
        if not own.empty:
            ours[box.slices(own)] = all_[box.slices(own)]

    def scaled(kind: str) -> NDArray[np.float32]:
        pictures = []
        for i, own in zip(frames, sampled, strict=True):
            whole = prepared.smooth(i, box) if kind == "smooth" else shot.clean.view(i, box).clone()
            if kind in made and not own.empty:
                rows, columns = box.slices(own)
                whole[:, rows, columns] = made[kind].view(i, own).cpu()
            pictures.append(_light(prepared, whole))
        return logarithm(np.stack(pictures), peak)

    plate = np.stack([_light(prepared, shot.clean.view(i, box)) for i in frames])
    peak = peak_of(plate[~unknown])
    plate = logarithm(plate, peak)
    kinds = ["smooth", *made]
    found = {NAMES[k]: strangeness(scaled(k), plate, hole, ~unknown) for k in kinds}
    rest(shot.clean, shot.hole, *made.values())
    return found


def _where(prepared: Prepared, part: slice) -> str:
    holes = zip(prepared.plan.holes[part], prepared.shot.numbers[part], strict=True)
    box, number = max(holes, key=lambda each: each[0].height * each[0].width)
    size = f"{box.width}x{box.height} pixels"
    return f"{size} at x {box.left}, y {box.top} in frame {number}"


def _light(prepared: Prepared, frame: Tensor) -> NDArray[np.float32]:
    """(h, w, C) of a working-range picture (C, h, w)."""
    return np.asarray(prepared.working.decode(frame).permute(1, 2, 0).numpy())

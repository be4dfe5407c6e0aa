"""What a job keeps between its steps: the prepared region and the finished fill."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from infusion_ofx.engine import checkpoint
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.errors import InfusionError
from infusion_ofx.folder import fill_name
from infusion_ofx.plan import Plan, Window
from infusion_ofx.planting import Planted
from infusion_ofx.prepare import Prepared
from infusion_ofx.sequence.frame import Box
from infusion_ofx.working import Working

__all__ = [
    "Fill",
    "fill_in_light",
    "has_fill",
    "laid",
    "load_fill",
    "load_prepared",
    "save_fill",
    "save_prepared",
]

Array = npt.NDArray[Any]

_PREPARED = "prepared.safetensors"
_WORKING = ("centre", "turn", "scale", "least", "most")


@dataclass(frozen=True)
class Fill:
    """A finished fill: what goes into the holes, in light."""

    numbers: tuple[int, ...]
    """Frame numbers, one for each frame of ``light``; a number may come several times."""
    light: Volume
    """(C, height, width) a frame, float32."""

    def parts(self, frame: int) -> list[tuple[Box, Tensor]]:
        """A frame's parts by its number, each with where it lies and its light; none where there is
        nothing to fill."""
        return [(self.light.boxes[i], self.light.data[i]) for i in self._places.get(frame, ())]

    @cached_property
    def _places(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for i, number in enumerate(self.numbers):
            found.setdefault(number, []).append(i)
        return found


def save_fill(folder: Path, fill: Fill, take: int = 1) -> None:
    """Keeps the finished fill of a take in ``folder``."""
    facts = {"numbers": fill.numbers, "boxes": [_edges(box) for box in fill.light.boxes]}
    checkpoint.save(folder / fill_name(take), fill.light.named("frame"), facts, fill.light.rest)


def load_fill(folder: Path, take: int = 1) -> Fill | None:
    """What ``save_fill`` kept; None when it is missing or damaged."""
    kept = checkpoint.load(folder / fill_name(take))
    if kept is None:
        return None
    boxes = _boxes(kept.facts["boxes"])
    return Fill(tuple(kept.facts["numbers"]), Volume.of(boxes, kept.tensors, "frame", kept.held))


def has_fill(folder: Path, take: int = 1) -> bool:
    """Whether ``load_fill`` would give one."""
    return checkpoint.is_whole(folder / fill_name(take))


def laid(parts: Sequence[tuple[Box, Tensor]], box: Box, channels: int) -> tuple[Array, Array]:
    """A fill's parts over a box: light, (height, width, channels) float32, and where there is any,
    (height, width) boolean. The light is 0 elsewhere."""
    light = np.zeros((box.height, box.width, channels), np.float32)
    there = np.zeros(light.shape[:2], bool)
    for own, pixels in parts:
        both = box.intersect(own)
        rows, columns = own.slices(both)
        light[box.slices(both)] = pixels[:, rows, columns].permute(1, 2, 0).numpy()
        there[box.slices(both)] = True
    return light, there


def save_prepared(folder: Path, prepared: Prepared) -> None:
    """Keeps the prepared region in ``folder``, so that no later step needs the plate to train."""
    shot, plan, working = prepared.shot, prepared.plan, prepared.working
    tensors = shot.clean.named("clean") | shot.hole.named("hole")
    tensors |= {"low": shot.low, "high": shot.high}
    tensors |= {f"working.{name}": getattr(working, name) for name in _WORKING}
    facts = {
        "numbers": shot.numbers,
        "holes": [_edges(box) for box in prepared.plan.holes],
        "gain": working.gain,
        "region": [_edges(box) for box in plan.region],
        "sampled": [_edges(box) for box in plan.sampled],
        "trained": [_edges(box) for box in plan.trained],
        "windows": [(w.start, w.stop, _edges(w.box)) for w in plan.windows],
        "regions": plan.regions,
        "scale": plan.scale,
        "blocks": [(w.start, w.stop, _edges(w.box)) for w in plan.blocks],
        "planted": [(each.start, _edges(each.box)) for each in prepared.planted],
    }
    for i, planted in enumerate(prepared.planted):
        tensors[f"planted.{i}.mask"] = torch.from_numpy(planted.mask)
        tensors[f"planted.{i}.truth"] = torch.from_numpy(planted.truth)
    checkpoint.save(folder / _PREPARED, tensors, facts, shot.rest)


def load_prepared(folder: Path) -> Prepared | None:
    """What ``save_prepared`` kept, bit for bit; None when it is missing or damaged."""
    kept = checkpoint.load(folder / _PREPARED)
    if kept is None:
        return None
    tensors, facts, held = kept
    region, sampled, trained = (_boxes(facts[name]) for name in ("region", "sampled", "trained"))
    windows, blocks = (
        tuple(Window(start, stop, Box(*box)) for start, stop, box in facts[name])
        for name in ("windows", "blocks")
    )
    shot = Shot(
        tuple(facts["numbers"]),
        Volume.of(region, tensors, "clean", held),
        Volume.of(region, tensors, "hole", held),
        tensors["low"],
        tensors["high"],
    )
    working = Working(facts["gain"], *(tensors[f"working.{name}"] for name in _WORKING))
    planted = tuple(
        Planted(
            start, Box(*edges),
            tensors[f"planted.{i}.mask"].numpy(), tensors[f"planted.{i}.truth"].numpy(),
        )
        for i, (start, edges) in enumerate(facts["planted"])
    )  # fmt: skip
    plan = Plan(
        windows, sampled, region, trained, blocks,
        _boxes(facts["holes"]), facts["regions"], facts["scale"],
    )  # fmt: skip
    return Prepared(plan, shot, working, planted)


def fill_in_light(
    prepared: Prepared,
    made: Volume | None,
    folder: Path,
    wanted: Collection[int] | None = None,
    *,
    grain: int | None = None,
) -> Fill:
    """The fill in light, frame by frame: what the shot has shown, and what the engine has made.

    made: None takes the smooth fill. folder: it lies on its disk, so that it may be larger than
    memory. wanted: frame numbers; left out, all. grain: the seed of the plate's grain that is laid
    on what was made; None lays none.

    Raises:
        InfusionError: when it holds what is no number.
        TryAgainError: when the disk is full.
    """
    shot, holes = prepared.shot, prepared.plan.holes
    chosen = [
        i
        for i, (frame, box) in enumerate(zip(shot.numbers, holes, strict=True))
        if not box.empty and (wanted is None or frame in wanted)
    ]
    light = Volume.scratch([holes[i] for i in chosen], len(shot.low), folder)
    for i, room in zip(chosen, light.data, strict=True):
        box, frame = holes[i], shot.numbers[i]
        x = shot.clean.view(i, box).clone()
        if made is None:
            x = prepared.smooth(i, box)
        else:
            inner = made.boxes[i].intersect(box)
            rows, columns = box.slices(inner)
            x[:, rows, columns] = made.view(i, inner).cpu()
            made.rest()
        if grain is not None and prepared.grain is not None:
            fill = shot.hole.view(i, box)[0] > 0
            x = prepared.grain.lay(x, fill, grain, frame, box)
        room.copy_(prepared.working.decode(x))
        if not torch.isfinite(room).all():
            raise InfusionError(
                "the fill holds values that are not finite: training went astray",
                "try another --seed, or --precision float32",
            )
        shot.rest()
        light.rest()
    return Fill(tuple(shot.numbers[i] for i in chosen), light)


def _edges(box: Box) -> list[int]:
    return [box.top, box.left, box.bottom, box.right]


def _boxes(edges: Sequence[Any]) -> tuple[Box, ...]:
    return tuple(Box(*each) for each in edges)

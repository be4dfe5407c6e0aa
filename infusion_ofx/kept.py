"""What a job keeps between its steps: the prepared region and the finished fill."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
from infusion_ofx.prepare import Planted, Prepared
from infusion_ofx.sequence.frame import Box
from infusion_ofx.working import Working

__all__ = [
    "Fill",
    "fill_in_light",
    "laid",
    "load_fill",
    "load_prepared",
    "save_fill",
    "save_prepared",
]

Fill = dict[int, list[tuple[Box, Tensor]]]
"""By frame number: its parts, each with where it lies and its light, (C, height, width) float32."""

Array = npt.NDArray[Any]

_PREPARED = "prepared.safetensors"
_WORKING = ("centre", "turn", "scale", "least", "most")


def save_fill(folder: Path, fill: Fill, take: int = 1) -> None:
    """Keeps the finished fill of a take in ``folder``."""
    light = {f"frame.{n}.{k}": part[1] for n, parts in fill.items() for k, part in enumerate(parts)}
    boxes = {str(n): [_edges(box) for box, _ in parts] for n, parts in fill.items()}
    checkpoint.save(folder / fill_name(take), light, {"boxes": boxes})


def load_fill(folder: Path, take: int = 1) -> Fill | None:
    """What ``save_fill`` kept; None when it is missing or damaged."""
    kept = checkpoint.load(folder / fill_name(take))
    if kept is None:
        return None
    tensors, facts = kept
    return {
        int(n): [(box, tensors[f"frame.{n}.{k}"]) for k, box in enumerate(_boxes(edges))]
        for n, edges in facts["boxes"].items()
    }


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
    tensors = {f"clean.{i}": frame for i, frame in enumerate(shot.clean.data)}
    tensors |= {f"hole.{i}": frame.to(torch.uint8) for i, frame in enumerate(shot.hole.data)}
    tensors |= {"low": shot.low, "high": shot.high}
    tensors |= {f"working.{name}": getattr(working, name) for name in _WORKING}
    facts = {
        "numbers": shot.numbers,
        "holes": [_edges(box) for box in prepared.plan.holes],
        "gain": working.gain,
        "region": [_edges(box) for box in plan.region],
        "sampled": [_edges(box) for box in plan.sampled],
        "windows": [(w.start, w.stop, _edges(w.box)) for w in plan.windows],
        "regions": plan.regions,
        "blocks": [(w.start, w.stop, _edges(w.box)) for w in plan.blocks],
    }
    if prepared.planted is not None:
        tensors |= {
            "planted.mask": torch.from_numpy(prepared.planted.mask),
            "planted.truth": torch.from_numpy(prepared.planted.truth),
        }
        facts |= {"planted": (prepared.planted.start, _edges(prepared.planted.box))}
    checkpoint.save(folder / _PREPARED, tensors, facts)


def load_prepared(folder: Path) -> Prepared | None:
    """What ``save_prepared`` kept, bit for bit; None when it is missing or damaged."""
    kept = checkpoint.load(folder / _PREPARED)
    if kept is None:
        return None
    tensors, facts = kept
    region, sampled = _boxes(facts["region"]), _boxes(facts["sampled"])
    windows, blocks = (
        tuple(Window(start, stop, Box(*box)) for start, stop, box in facts[name])
        for name in ("windows", "blocks")
    )
    shot = Shot(
        tuple(facts["numbers"]),
        Volume(region, [tensors[f"clean.{i}"] for i in range(len(region))]),
        Volume(region, [tensors[f"hole.{i}"].float() for i in range(len(region))]),
        tensors["low"],
        tensors["high"],
    )
    working = Working(facts["gain"], *(tensors[f"working.{name}"] for name in _WORKING))
    planted = None
    if "planted" in facts:
        start, edges = facts["planted"]
        arrays = (tensors[f"planted.{name}"].numpy() for name in ("mask", "truth"))
        planted = Planted(start, Box(*edges), *arrays)
    plan = Plan(windows, sampled, region, blocks, _boxes(facts["holes"]), facts["regions"])
    return Prepared(plan, shot, working, planted)


def fill_in_light(
    prepared: Prepared,
    made: Volume | None,
    wanted: Collection[int] | None = None,
    *,
    grain: int | None = None,
) -> Fill:
    """The fill in light, frame by frame: what the shot has shown, and what the engine has made.

    wanted: frame numbers; left out, all. grain: the seed of the plate's grain that is laid on what
    was made; None lays none.

    Raises:
        InfusionError: when it holds what is no number.
    """
    light: Fill = {}
    for i, (frame, box) in enumerate(zip(prepared.shot.numbers, prepared.plan.holes, strict=True)):
        if box.empty or (wanted is not None and frame not in wanted):
            continue
        x = prepared.shot.clean.view(i, box).clone()
        if made is None:
            x = prepared.smooth(i, box)
        else:
            inner = made.boxes[i].intersect(box)
            rows, columns = box.slices(inner)
            x[:, rows, columns] = made.view(i, inner).cpu()
        if grain is not None and prepared.grain is not None:
            fill = prepared.shot.hole.view(i, box)[0] > 0
            x = prepared.grain.lay(x, fill, grain, frame, box)
        light.setdefault(frame, []).append((box, prepared.working.decode(x)))
    if not all(torch.isfinite(pixels).all() for parts in light.values() for _, pixels in parts):
        raise InfusionError(
            "the fill holds values that are not finite: training went astray",
            "try another --seed, or --precision float32",
        )
    return light


def _edges(box: Box) -> list[int]:
    return [box.top, box.left, box.bottom, box.right]


def _boxes(edges: Sequence[Any]) -> tuple[Box, ...]:
    return tuple(Box(*each) for each in edges)

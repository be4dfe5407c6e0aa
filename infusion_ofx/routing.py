"""Routing: which pixels of the hole the shot itself has shown, and which must be made up.

The prior's pixels join the plate where they can be trusted: to the engine they are known, so that
what it makes up continues them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from infusion_ofx.engine.volume import Volume, rest
from infusion_ofx.prior.propagate import Shown, propagate
from infusion_ofx.sequence.frame import Box

__all__ = ["Routed", "route"]

TRUSTED = 0.35
"""Confidence from which a pixel is taken: there the prior beats what is made up, whose squared
error is about twice a smooth fill's (docs/experiments.md, "What is barely seen")."""

BARELY = 0.1
"""The same where nothing is made up and the rest stays smooth: what is less sure is further off,
and most often shows something else (docs/experiments.md, "What is barely seen")."""

LEAST_SHARE = 0.03
"""Of the hole. A texture that is never still agrees here and there by chance; such scraps are left
alone."""

SPECK = 7
"""Pixels across. Smaller patches of either kind join their surroundings."""


@dataclass(frozen=True)
class Routed:
    """What the prior gives of one frame."""

    box: Box
    layers: Tensor
    """(C + 2, height, width) of the box: the light, the confidence, and 1 where it is taken."""
    pixels: int = 0
    """How many are taken."""

    @property
    def light(self) -> Tensor:
        """(C, height, width) of the box."""
        return self.layers[:-2]

    @property
    def confidence(self) -> Tensor:
        """(height, width) of the box, 0 to 1; 0 where no other frame shows it."""
        return self.layers[-2]

    @property
    def taken(self) -> Tensor:
        """(height, width) of the box, boolean: where it is taken."""
        return self.layers[-1] > 0

    @classmethod
    def nothing(cls, channels: int) -> Routed:
        """What a frame gets of which nothing is shown."""
        return cls(Box(0, 0, 0, 0), torch.zeros(channels + 2, 0, 0))


def route(
    clean: Volume,
    unknown: Volume,
    into: Volume,
    *,
    shown_only: bool,
    threads: int = 1,
    on_frame: Callable[[int], None] = lambda frames: None,
) -> list[Routed]:
    """What the shot has shown of its holes, frame by frame; an empty list where that is too little.

    clean: (C, H, W) a frame, scene-linear. unknown: (1, H, W) a frame, 1 where it is not known.
    into: (C + 2, H, W) a frame of the box of its matte, all 0: where what is found is kept; what
    else is unknown is left alone. shown_only: nothing is made up, so that what is barely seen is
    taken too, however little. threads: frames that are looked at side by side. on_frame: told how
    many frames are done.
    """
    shown = propagate(
        [frame.permute(1, 2, 0).numpy() for frame in clean.data],
        [frame[0].numpy() for frame in unknown.data],
        clean.boxes,
        partial(rest, clean, unknown, into),
        threads,
    )
    routed, wanted = [], 0
    for i, found in enumerate(shown):
        routed.append(_frame(found, i, unknown, into, BARELY if shown_only else TRUSTED))
        wanted += int(unknown.data[i].count_nonzero())
        on_frame(i + 1)
    taken = sum(part.pixels for part in routed)
    return routed if taken > LEAST_SHARE * wanted or shown_only else []


def _frame(shown: Shown, i: int, unknown: Volume, into: Volume, least: float) -> Routed:
    box = shown.box.intersect(into.boxes[i])
    if box.empty:
        return Routed.nothing(into.data[i].shape[0] - 2)
    inner = shown.box.slices(box)
    sure = shown.confidence[inner]
    taken = sure > least
    if taken.any():
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SPECK, SPECK))
        mask = taken.astype(np.uint8)
        joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc)
        taken = (cv2.morphologyEx(joined, cv2.MORPH_OPEN, disc) > 0) & (sure > 0)
    taken &= unknown.view(i, box)[0].numpy() > 0
    layers = into.view(i, box)
    layers[:-2] = torch.from_numpy(shown.light[inner]).permute(2, 0, 1)
    layers[-2], layers[-1] = torch.from_numpy(sure), torch.from_numpy(taken)
    return Routed(box, layers, int(taken.sum()))

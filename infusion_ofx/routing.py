"""Routing: which pixels of the hole the shot itself has shown, and which must be made up.

The prior's pixels join the plate where they can be trusted: to the engine they are known, so that
what it makes up continues them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from infusion_ofx.prior.propagate import Prior, propagate
from infusion_ofx.sequence.frame import Box

__all__ = ["Routed", "route"]

TRUSTED = 0.5
"""Confidence from which a pixel is taken: there the prior is expected to beat what is made up."""

LEAST_SHARE = 0.03
"""Of the hole. A texture that is never still agrees here and there by chance; such scraps are left
alone."""

SPECK = 7
"""Pixels across. Smaller patches of either kind join their surroundings."""


@dataclass(frozen=True)
class Routed:
    """What the prior gives of one frame."""

    box: Box
    light: Tensor
    """(C, height, width) of the box."""
    taken: Tensor
    """(height, width) of the box, boolean: where it is taken."""
    confidence: Tensor
    """(height, width) of the box, 0 to 1; 0 where no other frame shows it."""

    @classmethod
    def nothing(cls, channels: int) -> Routed:
        """What a frame gets of which nothing is shown."""
        none = torch.zeros(0, 0)
        return cls(Box(0, 0, 0, 0), torch.zeros(channels, 0, 0), none > 0, none)


def route(
    light: Sequence[Tensor],
    unknown: Sequence[Tensor],
    boxes: Sequence[Box],
    holes: Sequence[Box],
    *,
    all_that_is_seen: bool,
    on_frame: Callable[[int], None] = lambda frames: None,
) -> list[Routed]:
    """What the shot has shown of its holes, frame by frame; an empty list where that is too little.

    light: (C, H, W) a frame, scene-linear. unknown: (1, H, W) a frame, 1 where it is not known.
    boxes: what of the plate each frame covers. holes: the box of each frame's matte; what else is
    unknown is left alone. all_that_is_seen: takes every pixel that another frame shows, trusted or
    not.
    """
    prior = propagate(
        [frame.permute(1, 2, 0).numpy() for frame in light],
        [frame[0].numpy() > 0 for frame in unknown],
        boxes,
        on_frame,
    )
    routed, taken, wanted = [], 0, 0
    for i, hole in enumerate(holes):
        found = _frame(prior, i, unknown[i], boxes[i], hole, 0.0 if all_that_is_seen else TRUSTED)
        routed.append(found)
        taken += int(found.taken.sum())
        wanted += int((unknown[i] > 0).sum())
    return routed if taken > LEAST_SHARE * wanted or all_that_is_seen else []


def _frame(prior: Prior, i: int, unknown: Tensor, own: Box, hole: Box, least: float) -> Routed:
    box = prior.boxes[i].intersect(hole)
    inner = prior.boxes[i].slices(box)
    sure = prior.confidence[i][inner]
    taken = sure > least
    if taken.any() and least:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SPECK, SPECK))
        mask = taken.astype(np.uint8)
        joined = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc)
        taken = (cv2.morphologyEx(joined, cv2.MORPH_OPEN, disc) > 0) & (sure > 0)
    taken &= unknown[0][own.slices(box)].numpy() > 0
    light = np.ascontiguousarray(prior.light[i][inner].transpose(2, 0, 1))
    confidence = torch.from_numpy(np.ascontiguousarray(sure))
    return Routed(box, torch.from_numpy(light), torch.from_numpy(taken), confidence)

"""Routing takes what the shot has shown, and leaves alone what it has not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from infusion_ofx.engine.volume import Volume
from infusion_ofx.routing import BARELY, Routed, route
from infusion_ofx.sequence.frame import Box

FRAMES, SIDE = 10, 96
BOXES = [Box(5, 7, 5 + SIDE, 7 + SIDE)] * FRAMES
HOLE = Box(40, 44, 60, 62)
"""On the plate; still, while what is behind it moves."""


def _texture(still: bool) -> list[Tensor]:
    """Frames of one wall that a camera pans over, or of noise that is new in each."""
    random = np.random.default_rng(0)
    frames = []
    wall = cv2.GaussianBlur(random.normal(0, 1, (SIDE, SIDE + 8 * FRAMES, 3)), (0, 0), 1.2)
    for i in range(FRAMES):
        fresh = cv2.GaussianBlur(random.normal(0, 1, (SIDE, SIDE, 3)), (0, 0), 1.2)
        picture = np.exp(wall[:, 8 * i : 8 * i + SIDE] if still else fresh).astype(np.float32)
        frames.append(torch.from_numpy(picture).permute(2, 0, 1).contiguous())
    return frames


def _unknown() -> list[Tensor]:
    mask = torch.zeros(1, SIDE, SIDE)
    rows, columns = BOXES[0].slices(HOLE)
    mask[:, rows, columns] = 1
    return [mask.clone() for _ in BOXES]


def _route(truth: list[Tensor], unknown: list[Tensor], shown_only: bool) -> list[Routed]:
    """What ``route`` gives of frames whose truth it is not shown."""
    hidden = [frame * (1 - mask) for frame, mask in zip(truth, unknown, strict=True)]
    return route(
        Volume(BOXES, hidden), Volume(BOXES, unknown),
        Volume.zeros([HOLE] * FRAMES, 5, torch.device("cpu")), shown_only=shown_only,
    )  # fmt: skip


@pytest.mark.parametrize("shown_only", [False, True])
def test_a_wall_that_the_camera_pans_over_is_taken_from_other_frames(shown_only: bool) -> None:
    truth, unknown = _texture(still=True), _unknown()
    routed = _route(truth, unknown, shown_only)
    assert len(routed) == FRAMES
    for frame, part in zip(truth, routed, strict=True):
        assert part.taken.float().mean() > 0.9 and part.pixels == part.taken.sum()
        rows, columns = BOXES[0].slices(part.box)
        apart = (part.light / frame[:, rows, columns]).log()[:, part.taken]
        assert apart.square().mean().sqrt() < 0.05


def test_what_never_comes_again_is_left_to_be_made_up() -> None:
    truth, unknown = _texture(still=False), _unknown()
    assert _route(truth, unknown, shown_only=False) == []
    assert len(_route(truth, unknown, shown_only=True)) == FRAMES


def test_what_is_hardly_believed_is_not_taken_even_where_nothing_is_made_up() -> None:
    pairs = zip(_texture(still=True), _texture(still=False), strict=True)
    truth = [wall**0.4 * fresh**0.6 for wall, fresh in pairs]
    routed = _route(truth, _unknown(), shown_only=True)
    sure = torch.cat([part.confidence.flatten() for part in routed])
    taken = torch.cat([part.taken.flatten() for part in routed])
    hardly = (sure > 0) & (sure < BARELY / 2)
    assert taken[sure > 0.25].float().mean() > 0.9
    assert hardly.sum() > 100 and taken[hardly].float().mean() < 0.25


def test_nothing_but_the_mattes_hole_is_taken() -> None:
    truth, unknown = _texture(still=True), _unknown()
    unknown[3][0, 5, 5] = 1  # a pixel of the plate that is not finite
    routed = _route(truth, unknown, shown_only=True)
    assert all(part.box.intersect(HOLE) == part.box for part in routed)

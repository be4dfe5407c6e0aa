"""Laws of mirror: which shots may be turned left for right in training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from infusion_ofx.engine.blocks import Blocks
from infusion_ofx.engine.mirror import symmetric
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.engine.stages import stages
from infusion_ofx.engine.train import Batch
from tests.painted import random, shot_of

SIDE, FRAMES = 96, 6


def _blobs(seed: int, width: int = SIDE + FRAMES) -> Tensor:
    """One frame of soft noise, which no side is special to."""
    return functional.avg_pool2d(random(seed, 1, 1, width + 4, width + 4), 5, 1)


def _moving(across: int, down: int, seed: int = 0) -> Tensor:
    """Soft noise that moves so many pixels a frame: (1, 1, T, SIDE, SIDE)."""
    still = _blobs(seed)
    frames = [
        still[..., down * i : down * i + SIDE, across * i : across * i + SIDE]
        for i in range(FRAMES)
    ]
    return torch.stack(frames, 2)


def _restless(seed: int = 0) -> Tensor:
    return torch.stack([_blobs(seed + 97 * i, SIDE) for i in range(FRAMES)], 2)


RAMP = torch.linspace(-0.5, 0.5, SIDE)
SAW = (torch.arange(SIDE) % 12) / 4


@pytest.mark.parametrize("seed", range(3))
def test_what_stands_rises_or_changes_as_a_whole_is_symmetric(seed: int) -> None:
    assert symmetric(shot_of(_moving(0, 0, seed)))
    assert symmetric(shot_of(_moving(0, 1, seed)))
    assert symmetric(shot_of(_restless(seed)))
    assert symmetric(shot_of(torch.full((1, 3, FRAMES, SIDE, SIDE), 0.5)))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["pans", "slopes", "is lit from a side"])
def test_what_moves_slopes_or_is_lit_to_one_side_is_not(kind: str, turned: bool) -> None:
    clip = {
        "pans": _moving(1, 0),
        "slopes": _restless() + 10 * RAMP,
        "is lit from a side": _restless() + SAW,
    }[kind]
    assert not symmetric(shot_of(clip.flip(-1) if turned else clip))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), across=st.integers(0, 1), gain=st.floats(0.01, 100))
def test_neither_a_mirror_nor_brightness_changes_the_answer(
    seed: int, across: int, gain: float
) -> None:
    clip = _moving(across, 0, seed)
    answer = symmetric(shot_of(clip))
    assert symmetric(shot_of(clip.flip(-1))) == answer
    assert symmetric(shot_of(gain * clip)) == answer


def test_the_hole_is_not_looked_at() -> None:
    clip = 5 + _restless()
    hole = torch.zeros_like(clip)
    hole[..., 2 * SIDE // 3 :] = 1
    shot = shot_of(clip, hole)
    assert symmetric(shot)
    assert not symmetric(replace(shot, hole=shot_of(clip).hole))


def test_nothing_to_tell_by_is_not_symmetric() -> None:
    clip = _restless()
    assert not symmetric(shot_of(clip[:, :, :1]))
    assert not symmetric(shot_of(clip, torch.ones_like(clip)))


@pytest.mark.parametrize(
    ("across", "mirror", "both"), [(0, True, True), (1, True, False), (0, False, False)]
)
def test_blocks_are_turned_where_the_shot_and_the_recipe_allow_it(
    across: int, mirror: bool, both: bool
) -> None:
    shot = shot_of(_moving(across, 0))
    recipe = replace(
        RECIPES["draft"], frames=FRAMES, crop=SIDE, batch=1, mirror=mirror, close=False
    )
    blocks, stage = Blocks(shot, recipe), stages(recipe)[0]
    drawn = [Batch.draw(shot, blocks, recipe, stage, address).clean for address in range(12)]
    clip = torch.stack(shot.clean.data, 1)[None]  # one block is the whole clip
    as_it_is = sum(torch.equal(block, clip) for block in drawn)
    turned = sum(torch.equal(block, clip.flip(-1)) for block in drawn)
    assert as_it_is + turned == len(drawn)
    assert as_it_is and bool(turned) == both

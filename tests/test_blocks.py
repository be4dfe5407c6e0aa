"""Laws of what is trained on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.engine.blocks import CELL, Blocks
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.sequence.frame import Box

OURS, PAPER = RECIPES["draft"], RECIPES["paper"]


def _shot(boxes: Sequence[Box], holes: Sequence[Box]) -> Shot:
    def hole(i: int, box: Box) -> torch.Tensor:
        mask = torch.zeros(1, box.height, box.width)
        rows, columns = box.slices(holes[i].intersect(box))
        mask[:, rows, columns] = 1
        return mask

    unknown = Volume.make(boxes, hole)
    limit = torch.ones(3)
    numbers = tuple(range(1001, 1001 + len(boxes)))
    clean = Volume.zeros(boxes, 3, torch.device("cpu"))
    return Shot(numbers, clean, unknown, -limit, limit)


@given(
    st.tuples(*[st.integers(1, 90)] * 2),
    st.tuples(*[st.integers(0, 90)] * 4),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_a_block_is_loaded_and_holds_a_known_pixel_close_to_the_hole(
    size: tuple[int, int], edges: tuple[int, int, int, int], frames: int, seed: int
) -> None:
    box = Box(-9, 5, size[0] - 9, size[1] + 5)
    rows, columns = sorted(edges[:2]), sorted(edges[2:])
    hole = Box(rows[0] - 9, columns[0] + 5, rows[1] - 9, columns[1] + 5).intersect(box)
    shot = _shot([box] * frames, [hole] * frames)
    blocks, draw = Blocks(shot, OURS), random.Random(seed)
    reach = OURS.context + OURS.near + 2 * CELL
    known = shot.hole.data[0][0] == 0
    told = torch.nn.functional.avg_pool2d(known[None].float(), CELL, ceil_mode=True) > 0.5
    for _ in range(5):
        block = blocks.draw(draw)
        assert box.intersect(block.box) == block.box
        assert 0 <= block.start and block.stop <= frames
        assert block.size == (min(12, frames), min(48, size[0]), min(48, size[1]))
        if not hole.empty and told.any():  # a rim thinner than a cell is told from no hole
            assert not block.box.intersect(hole.grow(reach)).empty


def test_a_large_hole_is_no_large_part_of_what_is_trained_on() -> None:
    box = Box(0, 0, 480, 480)
    shot = _shot([box] * 12, [Box(40, 40, 440, 440)] * 12)

    def known(close: bool) -> float:
        blocks, draw = Blocks(shot, replace(OURS, close=close)), random.Random(0)
        boxes = [blocks.draw(draw).box for _ in range(300)]
        return sum(float(1 - shot.hole.view(0, box).mean()) for box in boxes) / len(boxes)

    assert known(close=True) > 0.35 > 2 * known(close=False)


def test_the_published_method_draws_anywhere_and_the_same_draws_give_the_same_blocks() -> None:
    shot = _shot([Box(0, 0, 300, 300)] * 3, [Box(10, 10, 20, 20)] * 3)
    far = Box(150, 150, 300, 300)
    for recipe, anywhere in ((replace(PAPER, crop=32), True), (OURS, False)):
        found = []
        for _ in range(2):
            draw, blocks = random.Random(0), Blocks(shot, recipe)
            found.append([blocks.draw(draw) for _ in range(50)])
        assert found[0] == found[1]
        assert any(not block.box.intersect(far).empty for block in found[0]) == anywhere


@pytest.mark.parametrize("close", [False, True])
def test_no_block_goes_on_from_one_region_into_the_next(close: bool) -> None:
    boxes = [Box(0, 0, 30, 40)] * 5 + [Box(0, 90, 20, 120)] * 5
    shot = replace(_shot(boxes, [Box(3, 3, 9, 9)] * 10), numbers=(*range(1001, 1006),) * 2)
    draw, found = random.Random(0), set()
    blocks = Blocks(shot, replace(OURS, frames=3, crop=16, close=close))
    for _ in range(200):
        block = blocks.draw(draw)
        found.add(block.start)
        assert boxes[block.start].intersect(block.box) == block.box
    assert found == {0, 1, 2, 5, 6, 7}

"""What a job keeps between its steps comes back bit for bit, and a damaged file is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.kept import (
    Fill,
    has_fill,
    laid,
    load_fill,
    load_prepared,
    save_fill,
    save_prepared,
)
from infusion_ofx.plan import Plan, Window
from infusion_ofx.planting import Planted
from infusion_ofx.prepare import Prepared
from infusion_ofx.sequence.frame import Box
from infusion_ofx.working import Working

REGION = (Box(-2, 3, 6, 11), Box(0, 0, 0, 0), Box(1, 3, 9, 13))
SAMPLED = (Box(0, 4, 4, 8), Box(0, 0, 0, 0), Box(2, 4, 8, 10))


def _prepared() -> Prepared:
    random = torch.Generator().manual_seed(0)
    clean = [torch.randn(3, box.height, box.width, generator=random) for box in REGION]
    hole = [(frame[:1] > 0).float() for frame in clean]
    working = Working.fit(torch.rand(3, 50, generator=random), decorrelate=True)
    limits = torch.tensor([-1.0, -0.5, 0.1]), torch.tensor([1.0, 0.7, 0.2])
    shot = Shot((-5, 1001, 1002), Volume(REGION, clean), Volume(REGION, hole), *limits)
    return Prepared(
        Plan(
            (Window(0, 3, Box(2, 4, 4, 8)),),
            SAMPLED,
            REGION,
            SAMPLED,
            (Window(0, 3, REGION[0]),),
            SAMPLED,
            regions=3,
        ),
        shot,
        working,
    )


@pytest.mark.parametrize("planted", [0, 1, 2])
def test_a_prepared_region_comes_back_as_it_was_kept(tmp_path: Path, planted: int) -> None:
    made = _prepared()
    mask = np.arange(2 * 4 * 5).reshape(2, 4, 5) % 3 == 0
    truth = np.random.default_rng(0).random((2, 4, 5, 3), np.float32)
    holes = [Planted(1 + i, Box(i, 4, 4 + i, 9), mask ^ (i > 0), truth + i) for i in range(planted)]
    made = replace(made, planted=tuple(holes))
    save_prepared(tmp_path, made)
    found = load_prepared(tmp_path)
    assert found is not None
    assert (found.plan, found.shot.numbers) == (made.plan, made.shot.numbers)
    for one, other in zip(found.planted, made.planted, strict=True):
        assert (one.start, one.box, one.frames) == (other.start, other.box, other.frames)
        assert (one.mask == other.mask).all() and (one.truth == other.truth).all()
    assert (tuple(found.shot.clean.boxes), found.working.gain) == (REGION, made.working.gain)
    for mine, theirs in (
        *zip(made.shot.clean.data, found.shot.clean.data, strict=True),
        *zip(made.shot.hole.data, found.shot.hole.data, strict=True),
        (made.shot.low, found.shot.low),
        (made.shot.high, found.shot.high),
    ):
        assert torch.equal(mine, theirs) and mine.dtype == theirs.dtype
    light = torch.rand(3, 4, 4)
    assert torch.equal(found.working.encode(light), made.working.encode(light))
    assert torch.equal(found.working.decode(light), made.working.decode(light))


def test_a_fill_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    boxes = (Box(-2, 4, 3, 9), Box(0, 0, 1, 1), Box(4, 4, 5, 9))
    light = [torch.randn(3, 5, 5), torch.ones(3, 1, 1), torch.randn(3, 1, 5)]
    assert not has_fill(tmp_path)
    save_fill(tmp_path, Fill((-3, 7, -3), Volume(boxes, light)))
    kept = load_fill(tmp_path)
    assert kept is not None and kept.numbers == (-3, 7, -3) and has_fill(tmp_path)
    for frame, places in ((-3, (0, 2)), (7, (1,)), (8, ())):
        parts = kept.parts(frame)
        assert [box for box, _ in parts] == [boxes[i] for i in places]
        assert all(map(torch.equal, (found for _, found in parts), (light[i] for i in places)))


def test_parts_are_laid_where_they_are_and_nothing_elsewhere() -> None:
    parts = [(Box(-2, 4, 3, 9), torch.randn(3, 5, 5)), (Box(4, 4, 5, 20), torch.randn(3, 1, 16))]
    light, there = laid(parts, Box(0, 0, 6, 10), 3)
    assert there.sum() == 3 * 5 + 6 and (light[~there] == 0).all()
    assert np.array_equal(light[:3, 4:9], parts[0][1][:, 2:].permute(1, 2, 0))
    assert np.array_equal(light[4, 4:], parts[1][1][:, 0, :6].T)


def test_what_is_damaged_or_missing_is_none(tmp_path: Path) -> None:
    assert load_fill(tmp_path) is None and load_prepared(tmp_path) is None
    save_fill(tmp_path, Fill((1,), Volume((Box(0, 0, 2, 2),), [torch.ones(3, 2, 2)])))
    save_prepared(tmp_path, _prepared())
    for path in tmp_path.iterdir():
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    assert load_fill(tmp_path) is None and load_prepared(tmp_path) is None
    assert not has_fill(tmp_path)

"""Laws of the engine as a whole: it goes on from any step as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.inpaint import OnStep, State, inpaint
from infusion_ofx.engine.recipe import RECIPES, Recipe, Stage, stages
from infusion_ofx.engine.schedule import calls_by_interval, make
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.plan import Plan
from infusion_ofx.plan import make as make_plan
from infusion_ofx.sequence.frame import Box

CPU = Compute(torch.device("cpu"), "float32")
NONE = Box(0, 0, 0, 0)
HOLES = (Box(4, 4, 8, 9), Box(4, 5, 8, 10), NONE, Box(5, 6, 9, 11), Box(5, 7, 9, 12))
SMALL: dict[str, Any] = {
    "frames": 3,
    "overlap": 1,
    "context": 2,
    "reach": 3,
    "crop": 8,
    "tile": 8,
    "steps": 2,
}
KINDS = {
    "draft": replace(RECIPES["draft"], width=16, levels=1, sampling_steps=4, **SMALL),
    "final": replace(
        RECIPES["final"], width=16, levels=1, intervals=3, sampling_steps=5, shared_steps=2, **SMALL
    ),
    "paper": replace(RECIPES["paper"], width=4, intervals=2, sampling_steps=5, **SMALL),
}


class Interrupted(Exception):
    """What a test stops the engine with."""


def _material(recipe: Recipe, holes: tuple[Box, ...] = HOLES) -> tuple[Shot, Plan]:
    plan = make_plan(
        holes,
        Box(0, 0, 16, 16),
        frames=recipe.frames,
        overlap=recipe.overlap,
        context=recipe.context,
        reach=recipe.reach,
        tile=recipe.tile,
        voxels=10**6,
    )

    def mask(i: int, box: Box) -> Tensor:
        found = torch.zeros(1, box.height, box.width)
        rows, columns = box.slices(holes[i].intersect(box))
        found[:, rows, columns] = 1
        return found

    def waves(i: int, box: Box) -> Tensor:
        y = torch.arange(box.top, box.bottom)[:, None]
        x = torch.arange(box.left, box.right)
        picture = torch.stack([torch.sin(0.5 * y + 0.3 * x * c + 0.4 * i) for c in (1, 2, 3)])
        return picture * (1 - mask(i, box))

    clean, unknown = Volume.make(plan.region, waves), Volume.make(plan.region, mask)
    numbers = tuple(range(1001, 1001 + len(holes)))
    return Shot(numbers, clean, unknown, -torch.ones(3), torch.ones(3)), plan


def _run(
    recipe: Recipe, folder: Path, on_step: OnStep = lambda *_: None, seed: int = 0
) -> list[Tensor]:
    shot, plan = _material(recipe)
    return inpaint(shot, plan, recipe, CPU, seed=seed, folder=folder, on_step=on_step).data


def _steps(recipe: Recipe) -> int:
    grid = make(recipe.schedule).grid(recipe.sampling_steps)
    return sum(s.steps for s in stages(recipe, calls_by_interval(grid, recipe.intervals)))


def _stop_after(count: int, folder: Path) -> OnStep:
    done = 0

    def on_step(state: State, stage: Stage, loss: Tensor | None) -> None:
        nonlocal done
        done += 1
        if done == count:
            state.save(folder)
            raise Interrupted

    return on_step


def _equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_stopped_after_any_step_and_gone_on_is_the_same_bit_for_bit(
    kind: str, tmp_path: Path
) -> None:
    recipe = KINDS[kind]
    straight = _run(recipe, tmp_path / "none")
    for count in range(1, _steps(recipe) + 1):
        folder = tmp_path / str(count)
        folder.mkdir()
        with pytest.raises(Interrupted):
            _run(recipe, folder, _stop_after(count, folder))
        assert _equal(_run(recipe, folder), straight), f"stopped after {count}"


def test_stopped_again_and_again_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    recipe = KINDS["final"]
    straight = _run(recipe, tmp_path / "none")
    for _ in range(_steps(recipe) - 1):
        with pytest.raises(Interrupted):
            _run(recipe, tmp_path, _stop_after(1, tmp_path))
    assert len(list(tmp_path.glob("checkpoint-*"))) == 2
    assert _equal(_run(recipe, tmp_path), straight)


def test_a_damaged_checkpoint_costs_time_and_no_pixel(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    straight = _run(recipe, tmp_path / "none")
    for _ in range(2):
        with pytest.raises(Interrupted):
            _run(recipe, tmp_path, _stop_after(1, tmp_path))
    last = sorted(tmp_path.glob("checkpoint-*"))[-1]
    last.write_bytes(last.read_bytes()[:-1])
    assert _equal(_run(recipe, tmp_path), straight)


def test_bfloat16_goes_on_bit_for_bit_too(tmp_path: Path) -> None:
    recipe, compute = KINDS["draft"], Compute(torch.device("cpu"), "bfloat16")
    shot, plan = _material(recipe)
    straight = inpaint(shot, plan, recipe, compute, seed=0, folder=tmp_path / "none").data
    for count in (1, 3, 5):
        folder = tmp_path / str(count)
        folder.mkdir()
        stop = _stop_after(count, folder)
        with pytest.raises(Interrupted):
            inpaint(shot, plan, recipe, compute, seed=0, folder=folder, on_step=stop)
        again = inpaint(shot, plan, recipe, compute, seed=0, folder=folder).data
        assert _equal(again, straight)


def test_the_same_seed_gives_the_same_pixels_and_another_others(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    one = _run(recipe, tmp_path)
    torch.manual_seed(1234)
    assert _equal(_run(recipe, tmp_path), one)
    assert not _equal(_run(recipe, tmp_path, seed=1), one)


def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _run(KINDS["draft"], tmp_path)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_hole_is_filled_with_finite_values_in_range_and_the_rest_is_as_it_was(
    kind: str, tmp_path: Path
) -> None:
    shot, plan = _material(KINDS[kind])
    fill = inpaint(shot, plan, KINDS[kind], CPU, seed=0, folder=tmp_path)
    assert tuple(fill.boxes) == plan.sampled
    for i, (box, hole) in enumerate(zip(plan.sampled, HOLES, strict=True)):
        known = (shot.hole.view(i, box) == 0).expand(3, -1, -1)
        assert torch.equal(fill.data[i][known], shot.clean.view(i, box)[known])
        assert (~known).sum() == 3 * hole.height * hole.width
        assert fill.data[i].isfinite().all()
        assert fill.data[i].abs().max() <= 1


def test_every_step_is_told_in_order(tmp_path: Path) -> None:
    recipe, told = KINDS["final"], []
    _run(recipe, tmp_path, lambda s, stage, loss: told.append((s.stage, s.step, loss is None)))
    grid = make(recipe.schedule).grid(recipe.sampling_steps)
    work = stages(recipe, calls_by_interval(grid, recipe.intervals))
    assert told == [
        (number, step + 1, stage.kind == "sample")
        for number, stage in enumerate(work)
        for step in range(stage.steps)
    ]


def test_frames_long_after_the_last_hole_are_no_trouble(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    shot, plan = _material(recipe, (Box(4, 4, 8, 9), *[NONE] * 9, Box(5, 7, 9, 12)))
    assert plan.sampled[5].empty
    fill = inpaint(shot, plan, recipe, CPU, seed=0, folder=tmp_path)
    assert fill.data[5].numel() == 0
    assert fill.data[0].isfinite().all()


def test_one_frame_is_a_shot(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    shot, plan = _material(recipe, (Box(4, 4, 8, 9),))
    fill = inpaint(shot, plan, recipe, CPU, seed=0, folder=tmp_path)
    assert fill.data[0].isfinite().all()

"""Laws of the engine as a whole: it goes on from any step as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.inpaint import Engine, OnStep, Step
from infusion_ofx.engine.recipe import RECIPES, Recipe
from infusion_ofx.engine.train import Trainer
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.errors import JobError, MissingStepError
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
    "patches": False,
}
KINDS = {
    "draft": replace(RECIPES["draft"], width=16, levels=1, sampling_steps=4, **SMALL),
    "final": replace(
        RECIPES["final"], width=16, levels=1, intervals=3, sampling_steps=5, shared_steps=2, **SMALL
    ),
    "patched": replace(
        RECIPES["draft"], width=16, levels=1, sampling_steps=2, **{**SMALL, "patches": True}
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
        near=recipe.near,
        tile=recipe.tile,
        voxels=10**6,
        block=10**6,
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


def _engine(recipe: Recipe, folder: Path, seed: int = 0, compute: Compute = CPU) -> Engine:
    folder.mkdir(exist_ok=True)
    return Engine(*_material(recipe), recipe, compute, seed, folder)


def _run(
    recipe: Recipe,
    folder: Path,
    on_step: OnStep = lambda step: None,
    seed: int = 0,
    compute: Compute = CPU,
) -> list[Tensor]:
    engine = _engine(recipe, folder, seed, compute)
    for stage in engine.stages:
        engine.run(stage, on_step)
    return engine.fill().data


def _steps(recipe: Recipe) -> int:
    return sum(stage.steps for stage in _engine(recipe, Path()).stages)


def _stop_after(count: int) -> OnStep:
    done = 0

    def on_step(step: Step) -> None:
        nonlocal done
        done += 1
        if done == count:
            step.save()
            raise Interrupted

    return on_step


def _filled(engine: Engine) -> Volume:
    for stage in engine.stages:
        engine.run(stage)
    return engine.fill()


def _doubt(network: nn.Module) -> float:
    return float(network.get_buffer("doubt"))


def _equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_stopped_after_any_step_and_gone_on_is_the_same_bit_for_bit(
    kind: str, tmp_path: Path
) -> None:
    recipe = KINDS[kind]
    told: list[Step] = []
    straight = _run(recipe, tmp_path / "none", told.append)
    for count in range(1, len(told) + 1):
        folder = tmp_path / str(count)
        with pytest.raises(Interrupted):
            _run(recipe, folder, _stop_after(count))
        assert _equal(_run(recipe, folder), straight), f"stopped after {count}"


def test_stopped_again_and_again_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    recipe = KINDS["final"]
    straight = _run(recipe, tmp_path / "none")
    for _ in range(_steps(recipe) - 1):
        with pytest.raises(Interrupted):
            _run(recipe, tmp_path, _stop_after(1))
    assert _equal(_run(recipe, tmp_path), straight)
    kept = sorted(
        path.name.removesuffix("-end.safetensors")[:-8] for path in tmp_path.glob("*.safetensors")
    )
    assert kept == sorted(stage.name for stage in _engine(recipe, tmp_path).stages)


def test_a_damaged_checkpoint_costs_time_and_no_pixel(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    straight = _run(recipe, tmp_path / "none")
    for _ in range(2):
        with pytest.raises(Interrupted):
            _run(recipe, tmp_path, _stop_after(1))
    last = sorted(tmp_path.glob("train-*"))[-1]
    last.write_bytes(last.read_bytes()[:-1])
    assert _equal(_run(recipe, tmp_path), straight)


@pytest.mark.parametrize("other", [{"ensemble": 2}, {"width": 24}])
def test_a_training_of_another_network_is_refused(other: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        _run(KINDS["draft"], tmp_path, _stop_after(1))
    with pytest.raises(JobError, match="of another network"):
        _run(replace(KINDS["draft"], **other), tmp_path)


def test_bfloat16_goes_on_bit_for_bit_too(tmp_path: Path) -> None:
    recipe, compute = KINDS["draft"], Compute(torch.device("cpu"), "bfloat16")
    straight = _run(recipe, tmp_path / "none", compute=compute)
    for count in (1, 3, 5):
        folder = tmp_path / str(count)
        with pytest.raises(Interrupted):
            _run(recipe, folder, _stop_after(count), compute=compute)
        assert _equal(_run(recipe, folder, compute=compute), straight)


def test_intervals_trained_in_any_order_in_engines_of_their_own_give_the_same(
    tmp_path: Path,
) -> None:
    recipe = KINDS["final"]
    straight = _run(recipe, tmp_path / "none")
    work = _engine(recipe, tmp_path / "farm").stages
    shared, *rest = [stage for stage in work if stage.kind == "train"]
    order = [shared, *reversed(rest), *(stage for stage in work if stage.kind == "sample")]
    for stage in order:
        _engine(recipe, tmp_path / "farm").run(stage)
    assert _equal(_engine(recipe, tmp_path / "farm").fill().data, straight)


def _doubting(doubt: float) -> Callable[[Trainer], None]:
    """A trial with a given verdict."""

    def verdict(trainer: Trainer) -> None:
        trainer.network.get_buffer("doubt").fill_(doubt)

    return verdict


def test_sampling_takes_a_network_as_its_trial_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infusion_ofx.engine.inpaint.trial", _doubting(0.25))
    engine = _engine(KINDS["final"], tmp_path)
    shared, first = engine.stages[:2]
    engine.run(shared)
    engine.run(first)
    assert _doubt(engine._trained(shared)) == 0  # nothing is sampled with it
    assert _doubt(engine._trained(first)) == 0.25
    assert not engine._trained(first).training


def test_a_verdict_that_is_no_whole_number_is_kept_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infusion_ofx.engine.inpaint.trial", _doubting(1 / 3))
    straight = _run(KINDS["draft"], tmp_path / "straight")
    with pytest.raises(Interrupted):
        _run(KINDS["draft"], tmp_path / "stopped", _stop_after(KINDS["draft"].steps))
    monkeypatch.setattr("infusion_ofx.engine.inpaint.trial", _doubting(0.9))  # not asked again
    assert _equal(_run(KINDS["draft"], tmp_path / "stopped"), straight)
    assert not _equal(_run(KINDS["draft"], tmp_path / "other"), straight)


def test_the_texture_is_measured_once_and_not_by_each_machine_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = KINDS["final"]
    straight = _run(recipe, tmp_path / "straight")
    with pytest.raises(Interrupted):
        _run(recipe, tmp_path / "stopped", _stop_after(1))
    monkeypatch.delattr("infusion_ofx.engine.texture.Texture.measure")
    assert _equal(_run(recipe, tmp_path / "stopped"), straight)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_stage_whose_forerunner_is_not_done_says_so(kind: str, tmp_path: Path) -> None:
    engine = _engine(KINDS[kind], tmp_path)
    with pytest.raises(MissingStepError, match=r"train-\w+ is not done"):
        engine.run(next(stage for stage in engine.stages if stage.kind == "sample"))
    with pytest.raises(MissingStepError, match=r"sample-\w+ is not done"):
        engine.fill()


def test_the_same_seed_gives_the_same_pixels_and_another_others(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    one = _run(recipe, tmp_path / "one")
    torch.manual_seed(1234)
    assert _equal(_run(recipe, tmp_path / "same"), one)
    assert not _equal(_run(recipe, tmp_path / "other", seed=1), one)


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
    fill = _filled(Engine(shot, plan, KINDS[kind], CPU, 0, tmp_path))
    assert tuple(fill.boxes) == plan.sampled
    for i, (box, hole) in enumerate(zip(plan.sampled, HOLES, strict=True)):
        known = (shot.hole.view(i, box) == 0).expand(3, -1, -1)
        assert torch.equal(fill.data[i][known], shot.clean.view(i, box)[known])
        assert (~known).sum() == 3 * hole.height * hole.width
        assert fill.data[i].isfinite().all()
        assert fill.data[i].abs().max() <= 1


def test_every_step_is_told_in_order(tmp_path: Path) -> None:
    recipe, told = KINDS["final"], []
    _run(recipe, tmp_path, lambda step: told.append((step.stage, step.done, step.loss is None)))
    assert told == [
        (stage, step + 1, stage.kind == "sample")
        for stage in _engine(recipe, tmp_path).stages
        for step in range(stage.steps)
    ]


def test_frames_long_after_the_last_hole_are_no_trouble(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    shot, plan = _material(recipe, (Box(4, 4, 8, 9), *[NONE] * 9, Box(5, 7, 9, 12)))
    assert plan.sampled[5].empty
    fill = _filled(Engine(shot, plan, recipe, CPU, 0, tmp_path))
    assert fill.data[5].numel() == 0
    assert fill.data[0].isfinite().all()


def test_one_frame_is_a_shot(tmp_path: Path) -> None:
    recipe = KINDS["draft"]
    shot, plan = _material(recipe, (Box(4, 4, 8, 9),))
    fill = _filled(Engine(shot, plan, recipe, CPU, 0, tmp_path))
    assert fill.data[0].isfinite().all()


def test_a_moving_hole_is_filled_with_patches_in_blocks_that_go_on_from_each_other(
    tmp_path: Path,
) -> None:
    recipe = KINDS["patched"]
    holes = tuple(Box(6, 2 + 3 * i, 9, 5 + 3 * i) for i in range(4))
    shot, plan = _material(recipe, holes)
    (whole,) = plan.blocks
    plan = replace(plan, blocks=(replace(whole, stop=3), replace(whole, start=2)))
    engine = Engine(shot, plan, recipe, CPU, 0, tmp_path)
    engine.run(engine.stages[0])
    patches = engine.fill(kind="patch")
    assert tuple(patches.boxes) == plan.sampled
    for i, (box, hole) in enumerate(zip(plan.sampled, holes, strict=True)):
        known = (shot.hole.view(i, box) == 0).expand(3, -1, -1)
        assert torch.equal(patches.data[i][known], shot.clean.view(i, box)[known])
        rows, columns = box.slices(hole)
        assert patches.data[i][:, rows, columns].abs().min() > 0


@pytest.mark.gpu
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_gpu_gives_the_same_pixels_whether_it_holds_the_shot_or_not(
    kind: str, device: str, tmp_path: Path
) -> None:
    recipe, compute = KINDS[kind], Compute.choose(device)
    shot, plan = _material(recipe)
    fills = []
    for resident in (True, False):
        (folder := tmp_path / str(resident)).mkdir()
        there = shot.to(compute.device, resident=resident)
        fills.append(_filled(Engine(there, plan, recipe, compute, 0, folder)))
    held, fetched = ([frame.cpu() for frame in fill.data] for fill in fills)
    assert fills[0].device.type == "cuda" and fills[1].device.type == "cpu"
    assert _equal(held, fetched)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_gpu_goes_on_bit_for_bit_too(kind: str, device: str, tmp_path: Path) -> None:
    recipe, compute = replace(KINDS[kind], steps=6), Compute.choose(device)
    shot, plan = _material(recipe)
    shot = shot.to(compute.device)

    def engine(folder: Path) -> Engine:
        folder.mkdir(exist_ok=True)
        return Engine(shot, plan, recipe, compute, 0, folder)

    straight = _filled(engine(tmp_path / "none")).data
    for count in (1, 4, 8):
        on_step = _stop_after(count)
        with pytest.raises(Interrupted):
            for stage in engine(tmp_path / str(count)).stages:
                engine(tmp_path / str(count)).run(stage, on_step)
        assert _equal(_filled(engine(tmp_path / str(count))).data, straight)

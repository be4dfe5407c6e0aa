"""What training has not seen: the error there is the network's, and watching changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.held_out import HeldOut
from infusion_ofx.engine.network import Network, build
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.engine.stages import Stage
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.folder import JobFolder
from infusion_ofx.losses import read_losses
from infusion_ofx.material import open_material
from infusion_ofx.plan import Window
from infusion_ofx.planning import plan_work
from infusion_ofx.prepare import Prepared, prepare
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box

if TYPE_CHECKING:
    from conftest import Shot as Files

CPU = Compute(torch.device("cpu"), "float32")
WHOLE, HELD = Box(0, 0, 16, 20), Box(4, 5, 10, 12)
STAGE = Stage("train", 0, 10)


class Answer(Network):
    """A network that says one thing whatever it is shown, and remembers what that was."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor) -> Any:
        self.seen = x, first, hole, sigma
        return self.answer.expand_as(x)


@pytest.fixture
def case() -> tuple[Shot, HeldOut, Tensor]:
    """Three frames of which a part is held out; the last value is the whole truth."""
    truth = torch.randn(3, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 3, 16, 20)
    rows, columns = WHOLE.slices(HELD)
    mask[:, :, rows, columns] = 1
    boxes = [WHOLE] * 3
    clean = Volume(boxes, [truth[:, i] * (1 - mask[:, i]) for i in range(3)])
    limit = torch.full((3,), 9.0)
    shot = Shot((1001, 1002, 1003), clean, Volume(boxes, list(mask.unbind(1))), -limit, limit)
    return shot, HeldOut(Window(0, 3, WHOLE), mask, truth * mask), truth


def test_it_is_the_mean_square_of_what_is_wrong_there(case: tuple[Shot, HeldOut, Tensor]) -> None:
    shot, held, truth = case
    recipe = RECIPES["draft"]
    assert held.error(Answer(truth), shot, recipe, STAGE, CPU) == 0
    for wrong in (0.5, -2.0):
        found = held.error(Answer(truth + wrong), shot, recipe, STAGE, CPU)
        assert found == pytest.approx(wrong**2, rel=1e-5)
    elsewhere = truth + 3 * (1 - held.mask)
    assert held.error(Answer(elsewhere), shot, recipe, STAGE, CPU) == 0


def test_the_network_is_shown_the_truth_under_noise_alone(
    case: tuple[Shot, HeldOut, Tensor],
) -> None:
    shot, held, truth = case
    network = Answer(truth)
    held.error(network, shot, RECIPES["draft"], STAGE, CPU)
    x, known, hole, sigma = network.seen
    assert (known * held.mask == 0).all() and torch.equal(hole, held.mask.expand_as(hole))
    noise = (x - truth) / sigma
    assert abs(float(noise.mean())) < 0.05 and float(noise.std()) == pytest.approx(1, abs=0.05)
    assert (sigma.flatten().diff() > 0).all()
    held.error(network, shot, RECIPES["draft"], STAGE, CPU)
    assert torch.equal(network.seen[0], x)


def test_of_an_ensemble_it_is_the_error_of_the_mean(case: tuple[Shot, HeldOut, Tensor]) -> None:
    shot, held, _ = case
    recipe = replace(RECIPES["standard"], width=8, levels=1)
    network = build(recipe, shot)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    assert network.training
    together = held.error(network, shot, recipe, STAGE, CPU)
    assert network.training
    assert held.error(network.eval(), shot, recipe, STAGE, CPU) == together


def test_a_job_that_chooses_keeps_the_error_and_its_pixels_do_not_depend_on_it(
    shot: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"method": "auto", "steps": 6, "sampling_steps": 3, "prior": "off"}
    job = shot.job("watched/", **settings)
    result = run(job)
    (curve,) = read_losses(JobFolder(Path(result.folder)), ["train-00"])
    assert curve["held_out"][-1][0] == 6 and all(error > 0 for _, error in curve["held_out"])
    monkeypatch.setattr(Prepared, "held_out", None)
    run(shot.job("alone/", **settings))
    assert shot.pixels("watched") == shot.pixels("alone")


def test_nothing_is_held_out_where_no_hole_is_planted(shot: Files, tmp_path: Path) -> None:
    material = open_material(shot.job())
    prepared = prepare(material, *plan_work(material), tmp_path, lambda done: None)
    assert prepared.held_out is None

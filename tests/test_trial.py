"""Laws of the trial: how much of what a network adds is not believed, and what it is off by."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from painted import random, shot_of
from torch import Tensor

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import LightNetwork, Network, build
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.engine.schedule import noise_share
from infusion_ofx.engine.stages import stages
from infusion_ofx.engine.texture import Texture
from infusion_ofx.engine.train import Trainer, optimiser
from infusion_ofx.engine.trial import BY_HEART, trial
from infusion_ofx.engine.volume import Shot, Volume

RECIPE = replace(RECIPES["draft"], width=8, levels=1, steps=4, sampling_steps=2, frames=2, crop=16)
CPU = Compute.choose("cpu", "float32", 1)
FLAT = 0.5


class Pupil(LightNetwork):
    """Has learnt a share of the way from its guess to the truth, each one value everywhere."""

    learnt = 0.0

    def guess(self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, FLAT + 1)

    def forward(
        self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor
    ) -> Tensor:
        return self.guess(x, first, hole, sigma) - self.learnt


SHOT = shot_of(torch.full((1, 1, 2, 24, 24), FLAT))


def _tried(network: Network, shot: Shot = SHOT, seed: int = 1) -> Network:
    stage = stages(RECIPE)[0]
    trial(Trainer(network, optimiser(network, RECIPE), shot, RECIPE, stage, seed=seed, compute=CPU))
    return network


def _doubt(network: Network, shot: Shot = SHOT, seed: int = 1) -> float:
    return float(_tried(network, shot, seed).get_buffer("doubt"))


@settings(max_examples=20, deadline=None)
@given(learnt=st.floats(-1, 1), ensemble=st.integers(1, 4))
def test_what_is_learnt_by_heart_is_doubted_as_a_share_of_what_is_learnt(
    learnt: float, ensemble: int
) -> None:
    pupil = Pupil(Texture.measure(SHOT), 8, 1, ensemble)
    pupil.learnt = learnt
    gain, left = 1 - (1 - learnt) ** 2, {1: 1, 2: 3 / 4, 3: 2 / 3, 4: 5 / 8}
    expected = min(1.0, left[ensemble] * BY_HEART / gain) if gain > 1e-3 else 1.0
    assert _doubt(pupil) == pytest.approx(expected, rel=1e-3)


def test_a_network_that_has_learnt_nothing_is_not_believed() -> None:
    assert _doubt(build(RECIPE, SHOT)) == 1.0


def test_a_network_without_a_guess_is_taken_as_it_is() -> None:
    network = build(replace(RECIPE, network="paper"), SHOT)
    before = {name: part.clone() for name, part in network.state_dict().items()}
    after = _tried(network).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(part, after[name]) for name, part in before.items())


def test_the_same_seed_gives_the_same_doubt_and_another_another() -> None:
    shot = shot_of(random(3, 1, 1, 2, 24, 24))
    pupil = Pupil(Texture.measure(shot), 8, 1)
    pupil.learnt = 1.0  # of the way to FLAT, which is not the truth: how good that is, varies
    torch.manual_seed(0)
    first = _doubt(pupil, shot)
    torch.manual_seed(1)
    assert 0 < first < 1
    assert _doubt(pupil, shot) == first != _doubt(pupil, shot, seed=2)


@settings(max_examples=20, deadline=None)
@given(wrong=st.floats(-1, 1))
def test_what_a_network_is_off_by_in_units_of_the_noise_is_found(wrong: float) -> None:
    class Slanted(LightNetwork):
        """Knows the truth, but for an error that grows with the noise's share."""

        def forward(
            self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor
        ) -> Tensor:
            return FLAT + wrong * noise_share(sigma).expand_as(x)

    found = _tried(Slanted(Texture.measure(SHOT), 8, 1)).get_buffer("bias")
    torch.testing.assert_close(found, torch.full_like(found, wrong), rtol=1e-3, atol=1e-5)


def test_what_is_behind_the_shots_own_hole_has_no_say() -> None:
    hole = torch.zeros(1, 1, 2, 24, 24)
    hole[..., 8:14, 8:14] = 1
    shot = shot_of(random(5, 1, 1, 2, 24, 24), hole)
    behind = [
        torch.where(h > 0, 9.0, c) for c, h in zip(shot.clean.data, shot.hole.data, strict=True)
    ]
    other = replace(shot, clean=Volume(shot.clean.boxes, behind))
    pupil = Pupil(Texture.measure(shot), 8, 1)
    pupil.learnt = 0.5
    found = [(_doubt(pupil, each), pupil.bias.tolist()) for each in (shot, other)]
    assert found[0] == found[1]

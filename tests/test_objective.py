"""Laws of the objective."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from painted import random
from torch import Tensor, nn

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import PaperNetwork, build
from infusion_ofx.engine.objective import denoise, known_loss, level_weight
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.engine.schedule import LinearBeta, LogUniform, make
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.sequence.frame import Box

SHAPE = (1, 3, 2, 6, 6)


def _mask(seed: int) -> Tensor:
    return (random(seed, 1, 1, *SHAPE[2:]) > 0).float()


class Spy(nn.Module):
    """Keeps what it is shown and answers with zeros."""

    def forward(
        self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor
    ) -> Tensor:
        """The networks' way to be called."""
        self.x, self.first, self.hole, self.sigma, self.level = x, first, hole, sigma, level
        return torch.zeros_like(x)


@given(st.floats(0.01, 1), st.integers(0, 100))
def test_the_loss_sees_every_known_value_and_none_in_the_hole(weight: float, seed: int) -> None:
    hole, shown = _mask(seed), _mask(seed + 1)
    clean = random(seed + 2, *SHAPE)
    estimate = (clean + 1).requires_grad_()
    torch.autograd.backward(known_loss(estimate, clean, hole, shown * (1 - hole), weight).mean())
    assert estimate.grad is not None
    blind = hole.expand(SHAPE) > 0
    assert (estimate.grad[blind] == 0).all()
    assert (estimate.grad[~blind] > 0).all()


def test_with_weight_one_the_loss_is_the_published_one() -> None:
    hole, clean, estimate = _mask(0), random(1, *SHAPE), random(2, *SHAPE)
    published = (((1 - hole) * (clean - estimate)) ** 2).sum() / clean.numel()
    loss = known_loss(estimate, clean, hole, _mask(3), 1.0)
    assert loss.item() == pytest.approx(published.item(), rel=1e-6)


def test_pixels_that_were_shown_weigh_as_the_recipe_says() -> None:
    nothing, clean = torch.zeros(1, 1, *SHAPE[2:]), torch.zeros(SHAPE)
    error = torch.full(SHAPE, 2.0)
    assert known_loss(error, clean, nothing, nothing, 0.1).item() == pytest.approx(4)
    assert known_loss(error, clean, nothing, nothing + 1, 0.1).item() == pytest.approx(0.4)


def test_the_truth_has_no_loss() -> None:
    clean = random(0, *SHAPE)
    assert known_loss(clean, clean, _mask(1), _mask(2), 0.3).item() == 0


@pytest.mark.parametrize("t", [0, 1, 500, 999])
def test_the_published_network_is_shown_the_published_noisy_clip(t: int) -> None:
    clean, noise = random(0, *SHAPE), random(1, *SHAPE)
    alpha_bar = 1.0
    for i in range(t + 1):
        alpha_bar *= 1 - (1e-4 + (0.02 - 1e-4) * i / 999)
    published = alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise
    u = torch.tensor([(t + 0.5) / 1000])
    x = clean + LinearBeta().sigma(u) * noise
    network, seen = PaperNetwork(3, width=1, levels=1), []
    network.first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        denoise(network, LinearBeta(), x, clean + 5, torch.ones(1, 1, *SHAPE[2:]), u)
    assert torch.equal(seen[0][:, :3], clean + 5)
    assert torch.allclose(seen[0][:, 3:6], published, atol=1e-5)
    assert (seen[0][:, 6] == 1).all()
    rates = [t / 10_000 ** (i / 7) for i in range(8)]
    sinusoids = torch.tensor([*map(math.sin, rates), *map(math.cos, rates)])
    assert torch.allclose(seen[0][0, 7:, 0, 0, 0], sinusoids, atol=1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_a_network_is_told_the_noise_of_each_clip_of_the_batch(places: list[float]) -> None:
    u = torch.tensor(places)
    x = random(0, len(places), *SHAPE[1:])
    hole = _mask(1).expand(len(places), -1, -1, -1, -1)
    for schedule in (LinearBeta(), LogUniform(0.06, 12.0, 40.0)):
        spy = Spy()
        denoise(spy, schedule, x, x + 1, hole, u)
        assert spy.x is x and torch.equal(spy.first, x + 1) and spy.hole is hole
        assert torch.equal(spy.sigma.flatten(), schedule.sigma(u))
        assert spy.sigma.shape == (len(places), 1, 1, 1, 1)
        assert torch.equal(spy.level, schedule.level(u))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_estimate_is_float32_even_from_bfloat16(name: str, device: str) -> None:
    recipe = RECIPES[name]
    box = Box(0, 0, 6, 6)
    clean, blank = Volume([box], [random(3, 3, 6, 6)]), Volume([box], [torch.zeros(1, 6, 6)])
    shot = Shot((1,), clean, blank, -3 * torch.ones(3), 3 * torch.ones(3))
    network = build(recipe, shot.to(torch.device(device)), device).eval()
    x, hole = random(0, *SHAPE).to(device), _mask(1).to(device)
    with Compute(torch.device(device), "bfloat16").autocast():
        estimate = denoise(
            network, make(recipe), x, x * (1 - hole), hole, torch.tensor([0.5]).to(device)
        )
    assert estimate.dtype == torch.float32
    assert estimate.shape == x.shape
    assert estimate.isfinite().all()


@given(st.sampled_from(sorted(RECIPES)), st.floats(0, 0.999), st.floats(0, 0.999))
def test_less_noise_counts_more_in_our_recipes_and_the_same_as_published_in_the_papers(
    name: str, first: float, second: float
) -> None:
    schedule, power = make(RECIPES[name]), RECIPES[name].low_weight
    low, high = level_weight(schedule, torch.tensor(sorted((first, second))), power).tolist()
    assert low >= high >= 1
    assert name != "paper" or low == 1


def test_with_power_two_a_level_counts_as_if_its_errors_were_as_large_as_its_noise() -> None:
    schedule = LogUniform(0.03, 0.1, 40.0)
    u = torch.tensor([0.0, 1.0])
    low, high = (schedule.sigma(u).square() * level_weight(schedule, u, 2)).tolist()
    assert low == pytest.approx(high, rel=0.02)

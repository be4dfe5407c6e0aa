"""Laws of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.network import Network, build
from infusion_ofx.engine.recipe import RECIPES, Recipe
from infusion_ofx.engine.stages import Stage
from infusion_ofx.engine.train import Batch, Trainer, learning_rate, optimiser
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.plan import make
from infusion_ofx.sequence.frame import Box

CPU = Compute(torch.device("cpu"), "float32")
OURS = replace(RECIPES["draft"], width=16, crop=16, frames=3)
PAPER = replace(RECIPES["paper"], width=4, crop=16, frames=3)
HOLE = Box(4, 5, 9, 12)


def _shot(boxes: Sequence[Box], hole: Box = HOLE) -> Shot:
    """Waves of unit size with the same hole in every frame."""

    def mask(i: int, box: Box) -> Tensor:
        found = torch.zeros(1, box.height, box.width)
        rows, columns = box.slices(hole.intersect(box))
        found[:, rows, columns] = 1
        return found

    def waves(i: int, box: Box) -> Tensor:
        y = torch.arange(box.top, box.bottom)[:, None]
        x = torch.arange(box.left, box.right)
        picture = torch.stack([torch.sin(0.5 * y + 0.3 * x * c + 0.4 * i) for c in (1, 2, 3)])
        return picture * (1 - mask(i, box))

    clean, unknown = Volume.make(boxes, waves), Volume.make(boxes, mask)
    return Shot(tuple(range(len(boxes))), clean, unknown, -torch.ones(3), torch.ones(3))


class Gain(Network):
    """A network of one weight; it keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(
        self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor
    ) -> Tensor:
        """The networks' way to be called."""
        self.first, self.hole, self.level = first, hole, level
        self.noisy = x / (1 + sigma**2).sqrt()
        return self.weight * self.noisy


class Training:
    """A network in training on one shot."""

    def __init__(self, recipe: Recipe, network: Network | None = None) -> None:
        torch.manual_seed(0)
        self.recipe = recipe
        self.shot = _shot([Box(0, 0, 20, 24)] * 5)
        self.network = network or build(recipe, self.shot)
        self.optimizer = optimiser(self.network, recipe)

    def step(self, step: int, interval: int | None = 0, seed: int = 0) -> float:
        stage = Stage("train", interval, 100)
        trainer = Trainer(
            self.network, self.optimizer, self.shot, self.recipe, stage, seed=seed, compute=CPU
        )
        return float(trainer.step(step))


@pytest.mark.parametrize("recipe", [OURS, PAPER], ids=["ours", "paper"])
def test_a_step_draws_the_same_whatever_happened_before(recipe: Recipe) -> None:
    still = replace(recipe, learning_rate=0.0)
    trainer = Training(still)
    first = trainer.step(7)
    trainer.step(8)
    trainer.step(7, interval=1, seed=3)
    torch.manual_seed(99)
    torch.randn(5)
    assert trainer.step(7) == first
    assert Training(still).step(7) == first


def test_another_seed_step_or_interval_draws_something_else() -> None:
    trainer = Training(replace(OURS, learning_rate=0.0, intervals=4))
    found = [
        trainer.step(7),
        trainer.step(8),
        trainer.step(7, interval=1),
        trainer.step(7, interval=None),
        trainer.step(7, seed=1),
    ]
    assert len(set(found)) == len(found)


def test_the_noise_and_the_hole_of_each_draw_are_its_own() -> None:
    network = Gain()
    trainer = Training(replace(PAPER, learning_rate=0.0), network)
    trainer.shot = _shot([Box(0, 0, 16, 16)] * 3)
    clean = torch.stack(trainer.shot.clean.data, 1)[None]
    noises, holes = [], []
    for step, interval, seed in ((7, 0, 0), (8, 0, 0), (7, 1, 0), (7, 0, 1)):
        trainer.step(step, interval, seed)
        kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)[int(network.level)].item()
        noises.append(((network.noisy - kept**0.5 * clean) / (1 - kept) ** 0.5).flatten())
        holes.append(network.hole)
    assert torch.corrcoef(torch.stack(noises)).fill_diagonal_(0).abs().max() < 0.15
    for i, hole in enumerate(holes):
        assert not any(torch.equal(hole, other) for other in holes[i + 1 :])


@pytest.mark.parametrize("interval", [0, 7, 19])
def test_a_published_training_step_is_as_published(interval: int) -> None:
    network = Gain()
    trainer = Training(PAPER, network)
    # One block is all of the shot, so that the test knows what was drawn.
    shot = trainer.shot = _shot([Box(0, 0, 12, 15)] * 3)
    clean = torch.stack(shot.clean.data, 1)[None]
    hole = torch.stack(shot.hole.data, 1)[None]
    levels, noises = set(), []
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    reference = nn.Parameter(torch.tensor(0.5))
    adam = torch.optim.Adam([reference], lr=1e-4)
    for step in range(60):
        loss = trainer.step(step, interval)
        t = int(network.level)
        levels.add(t)
        kept = alpha_bar[t].item()
        noises.append((network.noisy - kept**0.5 * clean) / (1 - kept) ** 0.5)
        assert ((network.hole >= hole) & (network.hole <= 1)).all()
        assert torch.equal(network.first, clean * (1 - network.hole))
        published = ((1 - hole) * (clean - reference * network.noisy) ** 2).mean()
        assert loss == pytest.approx(published.item(), rel=1e-4)
        adam.zero_grad()
        torch.autograd.backward(published)
        adam.step()
        assert network.weight.item() == pytest.approx(reference.item(), abs=1e-6)
    assert levels <= set(range(950 - 50 * interval, 1000 - 50 * interval))
    assert len(levels) > 25
    noise = torch.cat(noises).flatten()
    if interval < 19:  # the last interval's noise is too weak to be told from rounding
        assert noise.mean().item() == pytest.approx(0, abs=0.02)
        assert noise.std().item() == pytest.approx(1, abs=0.02)


def test_the_published_network_trains_on_large_blocks_in_bfloat16_on_a_cpu() -> None:
    shot = _shot([Box(0, 0, 64, 64)] * 4)
    recipe = replace(RECIPES["paper"], frames=4)
    torch.manual_seed(0)
    network = build(recipe, shot)
    compute = Compute(torch.device("cpu"), "bfloat16")
    trainer = Trainer(
        network,
        optimiser(network, recipe),
        shot,
        recipe,
        Stage("train", 0, 10),
        seed=0,
        compute=compute,
    )
    trainer.step(0)
    assert all(weight.isfinite().all() for weight in network.parameters())


def test_the_published_optimiser_is_adam() -> None:
    shot = _shot([Box(0, 0, 8, 8)])
    networks = [build(PAPER, shot) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    ours = optimiser(networks[0], PAPER)
    adam = torch.optim.Adam(networks[1].parameters(), lr=1e-4)
    for step in range(3):
        for network, optimizer in zip(networks, (ours, adam), strict=True):
            torch.manual_seed(step)
            for weight in network.parameters():
                weight.grad = torch.randn_like(weight)
            optimizer.step()
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-7)


def test_what_nothing_asks_for_fades_from_our_convolutions_alone() -> None:
    network = build(OURS, _shot([Box(0, 0, 8, 8)]))
    optimizer = optimiser(network, OURS)
    before = [weight.detach().clone() for weight in network.parameters()]
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    kept = 1 - OURS.learning_rate * OURS.weight_decay
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.allclose(new, kept * old if new.ndim == 5 else old, rtol=1e-6, atol=0)


def test_a_step_of_the_paper_recipe_is_a_step_of_adam_on_the_real_network() -> None:
    trainer = Training(PAPER)
    before = [weight.detach().clone() for weight in trainer.network.parameters()]
    trainer.step(0)
    for old, new in zip(before, trainer.network.parameters(), strict=True):
        assert new.grad is not None
        # The first step of Adam is lr g / (|g| + eps).
        expected = old - 1e-4 * new.grad / (new.grad.abs() + 1e-8)
        assert torch.allclose(new, expected, atol=1e-7)


def test_gradients_are_held_to_the_recipes_norm() -> None:
    trainer = Training(replace(OURS, muon=False))  # Muon uses the convolutions' gradients up
    assert OURS.clip_norm is not None
    for step in range(5):
        trainer.step(step)
        slopes = [w.grad.flatten() for w in trainer.network.parameters() if w.grad is not None]
        assert torch.cat(slopes).norm().item() <= OURS.clip_norm * 1.001


@given(st.integers(1, 5000), st.data())
def test_the_learning_rate_rises_for_a_tenth_and_falls_to_a_twentieth(
    steps: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, steps - 1))
    peak, here = OURS.learning_rate, learning_rate(OURS, step, steps)
    assert 0 < here <= peak
    rises = step + 1 < steps // 10
    if step + 1 < steps:
        following = learning_rate(OURS, step + 1, steps)
        assert following > here if rises else following <= here or steps < 20
    assert learning_rate(PAPER, step, steps) == PAPER.learning_rate


def test_the_learning_rate_ends_near_a_twentieth_of_its_peak() -> None:
    assert learning_rate(OURS, 99, 1000) == pytest.approx(OURS.learning_rate)
    assert learning_rate(OURS, 999, 1000) == pytest.approx(0.05 * OURS.learning_rate, rel=0.01)


@pytest.mark.parametrize(
    "recipe", [OURS, replace(PAPER, learning_rate=1e-3)], ids=["ours", "paper"]
)
def test_training_learns(recipe: Recipe) -> None:
    still = replace(recipe, learning_rate=0.0)
    trained, untrained = Training(recipe), Training(still)
    for step in range(100):
        trained.step(step)
    trained.recipe = still
    losses = [sum(t.step(step) for step in range(100, 130)) for t in (trained, untrained)]
    assert losses[0] < 0.8 * losses[1]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
@pytest.mark.parametrize("recipe", [OURS, PAPER], ids=["ours", "paper"])
def test_the_smallest_shots_train(size: tuple[int, int], recipe: Recipe) -> None:
    trainer = Training(recipe)
    trainer.shot = _shot([Box(3, 4, 3 + size[0], 4 + size[1])])
    assert trainer.step(0) >= 0
    assert all(weight.isfinite().all() for weight in trainer.network.parameters())


def test_blocks_stay_within_what_is_loaded_when_the_hole_moves() -> None:
    trainer = Training(OURS)
    trainer.shot = _shot([Box(i, 3 * i, 20 + i, 24 + 3 * i) for i in range(6)])
    assert all(trainer.step(step) > 0 for step in range(20))


def test_a_hole_that_jumps_across_the_plate_can_be_trained_on() -> None:
    recipe, none = replace(OURS, frames=6, overlap=2), Box(0, 0, 0, 0)
    holes = [Box(9, 9, 14, 14)] * 4 + [none] * 2 + [Box(9, 800, 14, 805)] * 4
    plan = make(
        holes,
        Box(0, 0, 40, 900),
        frames=6,
        overlap=2,
        context=4,
        reach=8,
        near=8,
        tile=64,
        voxels=10**6,
        block=10**6,
    )
    trainer = Training(recipe)
    trainer.shot = _shot(plan.region)
    assert all(trainer.step(step) > 0 for step in range(12))


class _AsRecorded(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what a CUDA graph cannot hold: numbers that the host reads or brings."""

    HOST = frozenset({"_local_scalar_dense", "nonzero", "masked_select", "equal", "lift_fresh"})

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        assert func.overloadpacket.__name__ not in self.HOST, func
        if func.overloadpacket.__name__ in ("index", "index_put_"):
            assert all(i is None or i.dtype == torch.int64 for i in args[1]), "a mask counts"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", [OURS, replace(OURS, ensemble=2), PAPER])
def test_a_step_asks_nothing_of_the_host_once_it_is_warm(recipe: Recipe) -> None:
    shot, stage = _shot([Box(0, 0, 20, 24)] * 5), Stage("train", 0, 100)
    network = build(recipe, shot)
    trainer = Trainer(network, optimiser(network, recipe), shot, recipe, stage, seed=0, compute=CPU)
    batch = Batch.draw(shot, trainer.blocks, recipe, stage, 0)
    trainer.fit_now(batch)
    with _AsRecorded():  # type: ignore[no-untyped-call]
        trainer.fit_now(batch)
        with pytest.raises(AssertionError, match="_local_scalar_dense"):
            batch.clean.sum().item()


@pytest.mark.gpu
def test_steps_replayed_from_a_graph_are_the_steps_one_by_one(device: str) -> None:
    compute, weights = Compute.choose(device), []
    for recorded in (True, False):
        torch.manual_seed(0)
        shot = _shot([Box(0, 0, 20, 24)] * 5).to(compute.device)
        network = build(OURS, shot, compute.device)
        stage = Stage("train", 0, 100)
        trainer = Trainer(
            network, optimiser(network, OURS), shot, OURS, stage, seed=0, compute=compute
        )
        if not recorded:
            trainer.fit = trainer.fit_now
        losses = [trainer.step(step) for step in range(8)]
        weights.append([*network.parameters(), *losses])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))

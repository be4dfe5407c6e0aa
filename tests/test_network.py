"""Laws of the two networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from infusion_ofx.engine.krige import krige
from infusion_ofx.engine.network import (
    LightNetwork,
    Network,
    PaperNetwork,
    _fold,
    _unfold,
    build,
    weight_count,
)
from infusion_ofx.engine.recipe import RECIPES
from infusion_ofx.engine.texture import Texture
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.engine.wiener import wiener
from infusion_ofx.sequence.frame import Box

SMALL = {
    "light": replace(RECIPES["draft"], width=16, levels=2),
    "paper": replace(RECIPES["paper"], width=4, levels=3),
}


def _shot(channels: int = 3) -> Shot:
    """Two frames of white noise, all known."""
    generator = torch.Generator().manual_seed(1)
    boxes = [Box(0, 0, 16, 16)] * 2
    clean = [torch.randn(channels, 16, 16, generator=generator) for _ in boxes]
    hole = Volume(boxes, [torch.zeros(1, 16, 16) for _ in boxes])
    limit = 3 * torch.ones(channels)
    return Shot((1, 2), Volume(boxes, clean), hole, -limit, limit)


def _inputs(size: tuple[int, int, int], channels: int = 3) -> tuple[Tensor, ...]:
    """A clip in the networks' own order; its hole has known pixels round it where there is room."""
    generator = torch.Generator().manual_seed(0)
    x, known = torch.randn(2, 1, channels, *size, generator=generator)
    hole = torch.zeros(1, 1, *size)
    hole[..., size[1] // 4 : size[1] // 2 + 1, size[2] // 4 : size[2] // 2 + 1] = 1
    return x, known * (1 - hole), hole, torch.full((1, 1, 1, 1, 1), 0.7), torch.tensor([0.3])


def _small(kind: str, channels: int = 3, ensemble: int = 1) -> Network:
    """With weights that are nowhere 0: where training has been for a while."""
    torch.manual_seed(0)
    network = build(replace(SMALL[kind], ensemble=ensemble), _shot(channels))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return network


def _changes(sigma: float, **buffers: float) -> tuple[tuple[Tensor, Tensor], ...]:
    """What a network adds to the guess, in training and after it: as it varies over the hole, and
    its means, (1, C, 1, 1, 1)."""
    network = _small("light")
    assert isinstance(network, LightNetwork)
    for name, value in buffers.items():
        network.get_buffer(name).fill_(value)
    x, known, hole, _, level = _inputs((2, 16, 16))
    noise = torch.full((1, 1, 1, 1, 1), sigma)
    found = []
    for training in (True, False):
        network.train(training)
        change = network(x, known, hole, noise, level) - network.guess(x, known, hole, noise)
        mean = (change * hole).sum((2, 3, 4), keepdim=True) / hole.sum()
        found.append(((change - mean) * hole, mean))
    assert all(part.abs().max() > 1e-4 for part in found[0])
    return tuple(found)


SHARES = [(0.05, 0.05), (1.0, 0.5**0.5), (100.0, 1.0)]
"""Noise, and its share of a clip's spread."""


@pytest.mark.parametrize(("sigma", "share"), SHARES)
def test_what_is_doubted_is_held_back_as_far_as_there_is_noise(sigma: float, share: float) -> None:
    (learnt, _), (believed, _) = _changes(sigma, doubt=1.0)
    torch.testing.assert_close(
        believed, (1 - share) * learnt, rtol=0, atol=1e-3 * learnt.abs().max().item()
    )


@pytest.mark.parametrize(("sigma", "share"), SHARES)
def test_the_less_noise_the_less_a_network_says_how_bright_the_hole_is(
    sigma: float, share: float
) -> None:
    (learnt, wanted), (believed, mean) = _changes(sigma)
    torch.testing.assert_close(mean, share * wanted, rtol=5e-3, atol=1e-6)
    torch.testing.assert_close(believed, learnt, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("sigma", "share"), SHARES)
def test_what_a_network_is_off_by_is_taken_off(sigma: float, share: float) -> None:
    (_, wanted), (_, mean) = _changes(sigma, bias=0.1)
    torch.testing.assert_close(mean, share * (wanted - share * 0.1), rtol=5e-3, atol=1e-5)


def test_the_published_network_has_the_published_weights() -> None:
    network = build(RECIPES["paper"], _shot())
    assert weight_count(network) == 492_963
    kernel = (3, 3, 3)
    pair = [(32, 32, *kernel)] * 2
    up = [(32, 64, *kernel), (32, 32, *kernel)]
    expected = [(32, 23, *kernel), *pair * 3, *pair, *up * 3, (3, 32, *kernel)]
    assert [tuple(w.shape) for w in network.parameters() if w.ndim == 5] == expected


def test_the_published_network_pools_in_space_alone() -> None:
    # With positive weights every path counts: 16 convolutions reach 16 frames to each side.
    network = PaperNetwork(1, width=1, levels=3)
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(0.1)
    noisy = torch.ones(1, 1, 40, 1, 1, requires_grad=True)
    ones = torch.ones(1, 1, 40, 1, 1)
    answer = network(noisy, ones, ones, torch.ones(1, 1, 1, 1, 1), torch.zeros(1))
    for frame in (0, 3, 20):
        (slope,) = torch.autograd.grad(answer[0, 0, frame].sum(), noisy, retain_graph=True)
        seen = torch.nonzero(slope.flatten()).flatten()
        assert seen.tolist() == list(range(max(frame - 16, 0), min(frame + 17, 40)))


@pytest.mark.parametrize("kind", ["light", "paper"])
@settings(max_examples=12)
@given(size=st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(1, 19)))
def test_any_size_comes_back_as_it_went_in(kind: str, size: tuple[int, int, int]) -> None:
    with torch.no_grad():
        answer = _small(kind)(*_inputs(size))
    assert answer.shape == (1, 3, *size)
    assert answer.isfinite().all()


@pytest.mark.parametrize("kind", ["light", "paper"])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_network_takes_any_number_of_channels(kind: str, channels: int) -> None:
    answer = _small(kind, channels)(*_inputs((2, 8, 8), channels))
    assert answer.shape == (1, channels, 2, 8, 8)


@pytest.mark.parametrize("kind", ["light", "paper"])
def test_every_weight_learns(kind: str) -> None:
    network = _small(kind)
    torch.autograd.backward(network(*_inputs((3, 16, 16))).square().mean())
    still = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not weight.grad.isfinite().all() or not weight.grad.any()
    ]
    assert still == []


@pytest.mark.parametrize("kind", ["light", "paper"])
@pytest.mark.parametrize("changed", range(5), ids=["x", "known", "hole", "sigma", "level"])
def test_every_input_counts(kind: str, changed: int) -> None:
    network, before = _small(kind), _inputs((2, 16, 16))
    after = list(before)
    after[changed] = before[changed] + 0.5
    with torch.no_grad():
        assert not torch.allclose(network(*before), network(*after), atol=1e-5)


@pytest.mark.parametrize("kind", ["light", "paper"])
def test_clips_of_a_batch_do_not_see_each_other(kind: str) -> None:
    network, one = _small(kind), _inputs((2, 8, 8))
    two = tuple(torch.cat([x, x.flip(-1) + (x.numel() == 1)]) for x in one)
    with torch.no_grad():
        assert torch.allclose(network(*two)[:1], network(*one), atol=1e-5)


@given(st.tuples(*[st.integers(1, 3)] * 5))
def test_folding_and_unfolding_undo_each_other(shape: tuple[int, ...]) -> None:
    b, c, t, h, w = shape
    x = torch.arange(float(b * c * t * h * w * 4)).reshape(b, c, t, 2 * h, 2 * w)
    folded = _fold(x)
    assert folded.shape == (b, 4 * c, t, h, w)
    assert torch.equal(_unfold(folded), x)
    assert torch.equal(folded[:, 0], x[:, 0, :, ::2, ::2])


def test_each_network_of_an_ensemble_learns_its_share_of_a_batch_and_no_other() -> None:
    network = _small("light", ensemble=3)
    assert isinstance(network, LightNetwork)
    answer = network(*(torch.cat([each] * 3) for each in _inputs((2, 8, 8))))
    for clip, member in zip(answer, network.members, strict=True):
        network.zero_grad()
        torch.autograd.backward(clip.sum(), retain_graph=True)
        own = {*map(id, member.parameters())}
        assert {id(w) for w in network.parameters() if w.grad is not None and w.grad.any()} == own


def test_after_training_the_mean_of_an_ensemble_counts() -> None:
    network, given = _small("light", ensemble=3), _inputs((2, 8, 8))
    assert isinstance(network, LightNetwork)
    network.eval()
    with torch.no_grad():
        together, alone = network(*given), []
        members = [*network.members]
        for member in members:
            network.members = torch.nn.ModuleList([member])
            alone.append(network(*given))
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)
    torch.testing.assert_close(together, sum(alone) / 3, rtol=0, atol=1e-5)


def test_our_network_starts_as_the_linear_guess() -> None:
    shot, (x, known, hole, sigma, level) = _shot(), _inputs((2, 21, 18))
    with torch.no_grad():
        network = build(SMALL["light"], shot)
        answer = network(x, network.first_fill(known, hole), hole, sigma, level)
    texture = Texture.measure(shot)
    guess = wiener(x, krige(known, hole, texture.picture), hole, sigma, texture)
    assert torch.equal(answer, guess)
    assert torch.equal(answer * (1 - hole), known)


@pytest.mark.parametrize("kind", ["light", "paper"])
@pytest.mark.parametrize("sigma", [1e-3, 0.1, 1.0, 10.0, 200.0])
def test_what_convolutions_see_has_unit_size_at_every_noise_level(kind: str, sigma: float) -> None:
    seen: list[Tensor] = []
    network = build(SMALL[kind], _shot())
    where = "members.0.first" if kind == "light" else "first"
    network.get_submodule(where).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 1, 3, 2, 32, 32, generator=generator)
    hole, spread = torch.ones(1, 1, 2, 32, 32), torch.full((1, 1, 1, 1, 1), sigma)
    with torch.no_grad():
        network(clean + sigma * noise, clean * 0, hole, spread, torch.zeros(1))
    noisy = seen[0][:, :12] if kind == "light" else seen[0][:, 3:6]
    assert noisy.std().item() == pytest.approx(1, abs=0.05)


def test_the_weights_depend_on_the_seed_alone() -> None:
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        network = build(SMALL["light"], _shot())
        return torch.cat([weight.detach().flatten() for weight in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))

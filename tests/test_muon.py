"""Muon: a matrix is levelled as its singular values say, and only convolutions are moved so."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from infusion_ofx.engine.muon import LIKE_ADAM, Muon, levelled

RATE = 1e-3


@given(
    st.integers(1, 3), st.integers(2, 12), st.integers(2, 40), st.integers(0, 99),
    st.sampled_from([1e-6, 1.0, 1e6]),
)  # fmt: skip
def test_directions_stay_and_their_strengths_become_alike(
    count: int, rows: int, columns: int, seed: int, size: float
) -> None:
    draw = torch.Generator().manual_seed(seed)
    short = min(rows, columns)
    left, right = (
        torch.linalg.qr(torch.randn(count, n, short, generator=draw, dtype=torch.float64))[0]
        for n in (rows, columns)
    )
    strengths = torch.rand(count, short, generator=draw, dtype=torch.float64) + 0.1
    found = levelled(size * (left * strengths[:, None]) @ right.mT)
    turned = left.mT @ found @ right
    values = turned.diagonal(dim1=1, dim2=2)
    assert ((values > 0.6) & (values < 1.3)).all()
    assert (turned - torch.diag_embed(values)).abs().max() < 1e-6
    assert torch.allclose(left @ turned @ right.mT, found, atol=1e-6)


def test_nothing_stays_nothing() -> None:
    assert not levelled(torch.zeros(2, 3, 4)).any()


def _network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv3d(3, 8, 3), nn.GroupNorm(2, 8), nn.Conv3d(8, 8, 3), nn.Conv3d(8, 8, 3)
    )
    return made.append(nn.Linear(4, 4))


def _steps(network: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for step in range(count):
        draw = torch.Generator().manual_seed(step)
        for weight in network.parameters():
            weight.grad = torch.randn(weight.shape, generator=draw)
        optimizer.step()


def _convolutions(network: nn.Module) -> list[Tensor]:
    return [weight for weight in network.parameters() if weight.ndim == 5]


def test_a_convolution_is_moved_as_far_as_the_rate_says_and_all_else_by_adam() -> None:
    ours, theirs = _network(), _network()
    before = [weight.detach().clone() for weight in _convolutions(ours)]
    kinds = (ours, Muon), (theirs, torch.optim.AdamW)
    for network, kind in kinds:
        _steps(network, kind(network.parameters(), lr=torch.tensor(RATE), weight_decay=0), 1)
    for old, new in zip(before, _convolutions(ours), strict=True):
        moved = (new.detach() - old).square().mean().sqrt() / (RATE * LIKE_ADAM)
        assert 0.6 < moved < 1.3
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other) == (one.ndim != 5)


def test_convolutions_of_one_shape_are_moved_each_for_itself() -> None:
    network, alone = _network(), _network()
    _steps(network, Muon(network.parameters(), lr=torch.tensor(RATE)), 3)
    for wanted, weight in zip(_convolutions(network), _convolutions(alone), strict=True):
        _steps(alone, Muon([weight], lr=torch.tensor(RATE)), 3)
        assert torch.allclose(wanted, weight, atol=1e-6)


def test_a_convolution_without_a_gradient_stays_where_it_is() -> None:
    network = _network()
    before = [weight.detach().clone() for weight in network.parameters()]
    Muon(network.parameters(), lr=torch.tensor(RATE)).step()
    assert all(map(torch.equal, before, network.parameters()))


def test_a_closure_makes_the_gradients_before_anything_moves() -> None:
    given, made = _network(), _network()
    _steps(given, Muon(given.parameters(), lr=torch.tensor(RATE)), 1)

    def gradients() -> float:
        draw = torch.Generator().manual_seed(0)
        for weight in made.parameters():
            weight.grad = torch.randn(weight.shape, generator=draw)
        return 7.0

    assert Muon(made.parameters(), lr=torch.tensor(RATE)).step(gradients) == 7.0
    assert all(map(torch.equal, given.parameters(), made.parameters()))


def test_a_convolution_fades_by_the_rate_times_the_decay() -> None:
    network = nn.Conv3d(3, 8, 3)
    before = network.weight.detach().clone()
    network.weight.grad = torch.zeros_like(before)
    Muon(network.parameters(), lr=torch.tensor(0.5), weight_decay=0.2).step()
    assert torch.allclose(network.weight, 0.9 * before)


def test_a_linear_map_is_learnt() -> None:
    torch.manual_seed(0)
    wanted, network = nn.Conv3d(2, 4, 1, bias=False), nn.Conv3d(2, 4, 1, bias=False)
    clip = torch.randn(1, 2, 3, 4, 4)
    optimizer = Muon(network.parameters(), lr=torch.tensor(0.1), weight_decay=0)
    for step in range(120):
        for group in optimizer.param_groups:
            group["lr"].fill_(0.1 * (1 - step / 120))
        loss = (network(clip) - wanted(clip).detach()).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert loss < 1e-3

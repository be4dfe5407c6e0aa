"""Laws of the addressed noise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from infusion_ofx.engine.noise import key, normal
from infusion_ofx.sequence.frame import Box

LARGE = Box(-128, -128, 128, 128)


def _correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_noise_is_standard_normal() -> None:
    noise = normal(key(0, "noise", 1), 1001, LARGE, 3)
    assert noise.shape == (3, 256, 256)
    assert noise.dtype == torch.float32
    assert noise.isfinite().all()
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
    assert noise.pow(3).mean().item() == pytest.approx(0, abs=0.05)
    assert noise.pow(4).mean().item() == pytest.approx(3, abs=0.1)
    for limit, share in ((1, 0.1587), (2, 0.02275), (3, 0.00135)):
        assert (noise > limit).float().mean().item() == pytest.approx(share, rel=0.15)


def test_neighbours_in_every_direction_are_uncorrelated() -> None:
    noise = normal(5, 0, LARGE, 3)
    pairs = [
        (noise[:, 1:], noise[:, :-1]),
        (noise[:, :, 1:], noise[:, :, :-1]),
        (noise[:, 1:, 1:], noise[:, :-1, :-1]),
        (noise[1:], noise[:-1]),
        (noise, normal(5, 1, LARGE, 3)),
    ]
    for one, other in pairs:
        assert abs(_correlation(one, other)) < 0.015
        assert abs(_correlation(one.square(), other.square())) < 0.015


@pytest.mark.parametrize(
    "other",
    [(key(1, "noise", 7), 40), (key(0, "noise", 8), 40), (key(0, "noise", 7), 41)],
    ids=["seed", "step", "frame"],
)
def test_another_address_gives_other_noise(other: tuple[int, int]) -> None:
    here = normal(key(0, "noise", 7), 40, LARGE, 3)
    there = normal(other[0], other[1], LARGE, 3)
    assert (here == there).float().mean() < 0.001
    assert abs(_correlation(here, there)) < 0.015


@settings(max_examples=30)
@given(
    top=st.integers(-(2**19), 2**19 - 40),
    left=st.integers(-(2**19), 2**19 - 40),
    inner=st.tuples(*[st.integers(0, 39)] * 4),
    frame=st.integers(-(2**20), 2**20),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_pixel_keeps_its_value_whatever_box_asks(
    top: int, left: int, inner: tuple[int, int, int, int], frame: int, seed: int
) -> None:
    box = Box(top, left, top + 40, left + 40)
    rows, columns = sorted(inner[:2]), sorted(inner[2:])
    part = Box(top + rows[0], left + columns[0], top + rows[1] + 1, left + columns[1] + 1)
    whole = normal(seed, frame, box, 3)
    y, x = box.slices(part)
    assert torch.equal(whole[:, y, x], normal(seed, frame, part, 3))


def test_the_four_quarters_round_the_origin_are_different() -> None:
    noise = normal(3, 0, Box(-64, -64, 64, 64), 1)[0]
    quarters = [noise[:64, :64], noise[:64, 64:], noise[64:, :64], noise[64:, 64:]]
    for i, one in enumerate(quarters):
        for other in quarters[i + 1 :]:
            for turned in (other, other.flip(0), other.flip(1), other.flip(0, 1), other.T):
                assert abs(_correlation(one, turned)) < 0.06


def test_an_empty_box_has_no_noise() -> None:
    assert normal(1, 0, Box(5, 5, 5, 9), 3).shape == (3, 0, 4)


def test_a_key_depends_on_every_part_and_on_the_order() -> None:
    addresses: list[tuple[int | str, ...]] = [
        (0, "noise", 1),
        (1, "noise", 0),
        (0, "train", 1),
        (0, "noise", 11),
        (0, 1, "noise"),
        (0, "noise"),
    ]
    found = {key(*address) for address in addresses}
    assert len(found) == len(addresses)
    assert all(0 <= number < 2**63 for number in found)
    assert key(0, "noise", 1) == key(0, "noise", 1)

"""Laws of the working range."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from infusion_ofx.working import KNEE, Working, curve, uncurve

LIGHT = st.floats(-1e4, 1e4, width=32)
WAYS = pytest.mark.parametrize("decorrelate", [True, False], ids=["components", "range"])


def _halves() -> Tensor:
    """Every finite half there is."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return torch.from_numpy(halves[np.isfinite(halves)])


def _plate(channels: int = 3, pixels: int = 5000, seed: int = 0) -> Tensor:
    """Scene-linear light with correlated channels, bright spots and some negative values."""
    random = np.random.default_rng(seed)
    light = np.exp(random.normal(-2, 1.5, pixels)) * random.uniform(0.5, 1.5, (channels, pixels))
    light[:, :5] = -0.02
    light[:, 5:10] *= 1000
    return torch.from_numpy(light.astype(np.float32))


def _round_trip_holds(working: Working, light: Tensor) -> bool:
    """To a part in 10^5 of the value, or in the linear shadows of the curve's knee."""
    back = working.decode(working.encode(light))
    room = 1e-5 * (light.abs().amax(0) + 1 / (KNEE * working.gain))
    return bool(((back - light).abs() <= room).all())


def test_every_finite_half_comes_back_from_the_curve() -> None:
    halves = _halves()
    assert len(halves) == 63_488
    for dtype in (torch.float64, torch.float32):
        assert torch.equal(uncurve(curve(halves.to(dtype))).half(), halves)


def test_the_curve_rises_is_odd_and_keeps_black_and_white() -> None:
    light = _halves().double().sort().values
    light = light[light.diff(prepend=light[:1] - 1) > 0]  # 0 and -0 are one
    curved = curve(light)
    assert (curved.diff() > 0).all()
    assert torch.equal(curved, -curve(-light))
    ends = curve(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert ends.tolist() == pytest.approx([0, 1])


def test_the_curve_keeps_what_is_not_finite() -> None:
    odd = torch.tensor([float("inf"), float("-inf"), float("nan")])
    assert torch.equal(curve(odd[:2]), odd[:2])
    assert curve(odd[2:]).isnan().all()


@WAYS
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_light_comes_back_from_the_working_range(channels: int, decorrelate: bool) -> None:
    light = _plate(channels)
    working = Working.fit(light, decorrelate=decorrelate)
    assert working.encode(light).dtype == working.decode(light).dtype == torch.float32
    assert _round_trip_holds(working, light)


@WAYS
@given(
    pixels=st.integers(1, 3).flatmap(
        lambda c: st.lists(st.tuples(*[LIGHT] * c), min_size=1, max_size=20)
    )
)
def test_any_light_in_the_fitted_range_comes_back(
    decorrelate: bool, pixels: list[tuple[float, ...]]
) -> None:
    light = torch.tensor(pixels).T
    working = Working.fit(light, decorrelate=decorrelate)
    encoded = working.encode(light)
    assert encoded.isfinite().all()
    assert _round_trip_holds(working, light)


@WAYS
@pytest.mark.parametrize("value", [0.0, 0.18, -0.3, 1e4, 1e-6, 65504.0])
@pytest.mark.parametrize("pixels", [1, 50])
def test_a_flat_plate_is_no_trouble(value: float, pixels: int, decorrelate: bool) -> None:
    light = torch.full((3, pixels), value)
    working = Working.fit(light, decorrelate=decorrelate)
    assert working.encode(light).abs().max() < 0.01
    wild = working.decode(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(wild, torch.full((3, 8), value), rtol=1e-6, atol=0)


@WAYS
def test_decoding_never_leaves_the_known_range_of_a_channel(decorrelate: bool) -> None:
    light = _plate()
    working = Working.fit(light, decorrelate=decorrelate)
    wild = working.decode(100 * torch.randn(3, 20, 20, generator=torch.Generator().manual_seed(0)))
    assert wild.shape == (3, 20, 20)
    for channel, known in zip(wild, light, strict=True):
        assert known.min() <= channel.min() and channel.max() <= known.max()


def test_the_fill_may_be_as_bright_as_the_brightest_known_pixel() -> None:
    light = _plate()
    brightest = light[:, light.sum(0).argmax()][:, None]
    assert brightest.max() > 50
    working = Working.fit(light, decorrelate=True)
    assert torch.allclose(working.decode(working.encode(brightest)), brightest, rtol=1e-5)


def test_components_have_half_unit_spread_at_most_and_no_correlation() -> None:
    light = _plate()
    encoded = Working.fit(light, decorrelate=True).encode(light)
    assert encoded.mean(1).abs().max() < 1e-4
    spread = encoded.std(1, correction=0)
    assert spread[0].item() == pytest.approx(0.5, abs=0.01)
    assert (spread <= 0.51).all()
    assert torch.corrcoef(encoded).fill_diagonal_(0).abs().max() < 1e-3


def test_the_published_range_is_minus_one_to_one_over_all_channels() -> None:
    light = _plate()
    working = Working.fit(light, decorrelate=False)
    encoded = working.encode(light)
    assert (encoded.min().item(), encoded.max().item()) == pytest.approx((-1, 1))
    assert (encoded.flatten()[light.flatten().argsort()].diff() >= 0).all()
    assert torch.equal(working.turn, torch.eye(3).double())


@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 100))
def test_the_turn_is_orthogonal_and_the_scale_above_zero(
    channels: int, pixels: int, seed: int
) -> None:
    for decorrelate in (True, False):
        working = Working.fit(_plate(channels, pixels, seed), decorrelate=decorrelate)
        one = torch.eye(channels, dtype=torch.float64)
        assert torch.allclose(working.turn @ working.turn.T, one, atol=1e-9)
        assert (working.scale > 0).all()
        assert working.gain > 0


@given(st.floats(1e-3, 1e3))
def test_exposure_makes_no_difference_to_what_the_network_sees(stops: float) -> None:
    light = _plate(pixels=300)
    one, other = (Working.fit(x, decorrelate=True).encode(x) for x in (light, light * stops))
    assert torch.allclose(one, other, atol=1e-3)

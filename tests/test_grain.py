"""Grain is measured as it is, and laid where the fill lacks it; where there is none, none comes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from infusion_ofx.demo import make_shot
from infusion_ofx.engine.noise import normal
from infusion_ofx.engine.volume import Shot, Volume
from infusion_ofx.grain import Grain, octaves
from infusion_ofx.job import Job
from infusion_ofx.kept import Fill, fill_in_light
from infusion_ofx.plan import Plan, Window
from infusion_ofx.prepare import Prepared
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sheet import read_clip
from infusion_ofx.working import Working, curve, uncurve

FRAMES = 12
BOX = Box(-20, 30, 156, 206)
HOLE = Box(10, 70, 60, 140)
ASIS = torch.eye(3)
MIX = torch.tensor([[1.0, 0.3, 0.2], [0.3, 0.8, 0.0], [0.2, 0.0, 0.5]])
"""Channels that share some of their grain, and differ in its strength."""

RAMP = torch.linspace(-1, 1, BOX.width).expand(3, BOX.height, BOX.width)
"""A still picture without texture, from dark to light."""
STRENGTH = 0.02 - 0.008 * RAMP
"""Spread of the grain: most in the shadows."""

HALF = curve(uncurve((RAMP + 1) / 2).half().float())
CLEAN = [RAMP] * FRAMES


def _noise(key: int, i: int, wide: int) -> Tensor:
    """Unit noise of a frame, three channels: white, or blurred a few times."""
    noise = normal(key, i, BOX.grow(8), 3)
    for _ in range(wide):
        for axis in (-1, -2):
            noise = noise + noise.roll(1, axis)
    return (noise / noise.std())[:, 8:-8, 8:-8]


@cache
def _grained(wide: int = 1, key: int = 0) -> list[Tensor]:
    mixed = (torch.einsum("cd,dhw->chw", MIX, _noise(key, i, wide)) for i in range(FRAMES))
    return [RAMP + STRENGTH * noise for noise in mixed]


def _mask() -> Tensor:
    mask = torch.zeros(BOX.height, BOX.width, dtype=torch.bool)
    rows, columns = BOX.slices(HOLE)
    mask[rows, columns] = True
    return mask


def _measured(frames: list[Tensor]) -> Grain | None:
    """What is measured round the hole, into which nobody may look."""
    boxes, mask = [BOX] * len(frames), _mask()
    hidden = [torch.where(mask, torch.nan, frame) for frame in frames]
    return Grain.measure(
        Volume(boxes, [frame.nan_to_num(1e3) for frame in hidden]),
        Volume(boxes, [mask[None].float()] * len(frames)),
        ASIS,
    )


def _spread(frames: list[Tensor]) -> Tensor:
    """(OCTAVES, C): of the octaves of what differs from the clean picture, in the hole's middle."""
    rows, columns = BOX.slices(HOLE.grow(-7))
    apart = torch.stack([octaves(frame - RAMP)[0][..., rows, columns] for frame in frames])
    return apart.square().mean((0, 3, 4)).sqrt()


def _covariance(frames: list[Tensor]) -> Tensor:
    rows, columns = BOX.slices(HOLE.grow(-7))
    return torch.cov(torch.cat([(f - RAMP)[:, rows, columns].flatten(1) for f in frames], 1))


@pytest.mark.parametrize("wide", [0, 1, 2])
def test_grain_is_measured_by_brightness_and_channel(wide: int) -> None:
    grain = _measured(_grained(wide))
    assert grain is not None
    measured = grain.variance[:, 0].sqrt()
    true = torch.stack([octaves(noise)[0][0] for noise in (_noise(9, i, wide) for i in range(4))])
    unit = torch.einsum("cd,tdhw->tchw", MIX, true).std((0, 2, 3))
    strength = 0.02 - 0.008 * grain.levels
    assert measured / (strength * unit) == pytest.approx(np.ones((8, 3)), abs=0.15)


@pytest.mark.parametrize("wide", [0, 1, 2])
def test_a_fill_without_grain_gets_the_plates(wide: int) -> None:
    plate = _grained(wide)
    grain = _measured(plate)
    assert grain is not None
    laid = [grain.lay(frame, _mask(), 5, i, BOX) for i, frame in enumerate(CLEAN)]
    assert _spread(laid) / _spread(plate) == pytest.approx(np.ones((3, 3)), abs=0.15)
    true = _covariance(plate)
    assert (_covariance(laid) - true).abs().max() < 0.15 * true.max()


def test_a_fill_with_half_of_the_grain_gets_the_rest_and_one_with_all_next_to_nothing() -> None:
    plate = _grained()
    grain = _measured(plate)
    assert grain is not None
    for share in (0.5, 1.0, 3.0):
        fill = [torch.lerp(RAMP, frame, share) for frame in _grained(key=1)]
        laid = [grain.lay(frame, _mask(), 5, i, BOX) for i, frame in enumerate(fill)]
        wanted = _spread(fill if share > 1 else plate)
        assert _spread(laid) / wanted == pytest.approx(np.ones((3, 3)), abs=0.1)


def test_pixels_that_are_not_filled_stay_as_they_are_to_the_bit() -> None:
    grain, mask = _measured(_grained()), _mask()
    assert grain is not None
    plate = _grained()[0]
    laid = grain.lay(torch.where(mask, RAMP, plate), mask, 5, 1001, BOX)
    assert torch.equal(laid[:, ~mask], plate[:, ~mask])
    assert not torch.isclose(laid[:, mask], RAMP[:, mask]).all(1).any()


def test_the_noise_of_a_pixel_is_its_own_whatever_the_box_and_the_rest_of_the_hole() -> None:
    grain, mask = _measured(_grained()), _mask()
    assert grain is not None
    inner = HOLE.grow(-4)
    rows, columns = BOX.slices(inner)
    whole = grain.lay(RAMP, mask, 5, 1001, BOX)[:, rows, columns]
    part = grain.lay(RAMP[:, rows, columns], mask[rows, columns], 5, 1001, inner)
    assert torch.equal(whole[:, 16:-16, 16:-16], part[:, 16:-16, 16:-16])
    for seed, frame in ((6, 1001), (5, 1002)):
        assert not torch.equal(whole, grain.lay(RAMP, mask, seed, frame, BOX)[:, rows, columns])


def _moving_texture() -> list[Tensor]:
    """Hard discs that are elsewhere in each frame: the most grain-like that has none."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: BOX.height, : BOX.width]
    frames = []
    for _ in range(FRAMES):
        picture = np.zeros((3, BOX.height, BOX.width), np.float32)
        for cy, cx, radius in random.uniform((0, 0, 2), (BOX.height, BOX.width, 12), (60, 3)):
            disc = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
            picture[:, disc] = random.uniform(-1, 1, 3)[:, None]
        frames.append(torch.from_numpy(picture))
    return frames


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(CLEAN, id="a still picture"),
        pytest.param([HALF.roll(i, -1) for i in range(FRAMES)], id="a moving one in half floats"),
        pytest.param([_grained()[0]] * FRAMES, id="a still texture"),
        pytest.param(_moving_texture(), id="a moving texture"),
        pytest.param(
            [RAMP + torch.tensor([0, 0, 0.02])[:, None, None] * _noise(3, i, 1) for i in range(12)],
            id="noise in one channel",
        ),
        pytest.param(_grained()[:1], id="one frame"),
        pytest.param([frame[:, :8, :8] for frame in CLEAN], id="a tiny one"),
    ],
)
def test_a_plate_without_grain_has_none(frames: list[Tensor]) -> None:
    height, width = frames[0].shape[1:]
    boxes = [Box(0, 0, height, width)] * len(frames)
    unknown = Volume(boxes, [torch.zeros(1, height, width)] * len(frames))
    assert Grain.measure(Volume(boxes, frames), unknown, ASIS) is None


def test_texture_in_the_lights_is_not_taken_for_grain_where_the_shadows_tell() -> None:
    bright = RAMP > 0.25  # as a wall of leaves: of one roughness throughout, and all of it moves
    rough = [torch.where(bright, f + 0.3 * _noise(7, i, 1), f) for i, f in enumerate(_grained())]
    pure, found = _measured(_grained()), _measured(rough)
    assert pure is not None and found is not None
    for level in range(7):
        above = found.levels[level] > 0.25  # there the texture is 20 times as strong
        ratio = (found.variance[level, 0] / pure.variance[level, 0]).sqrt()
        assert (ratio < torch.where(above, 5, 1.3)).all() and (ratio > 0.7).all()


def _prepared(frames: list[Tensor]) -> Prepared:
    """A shot in light, its hole filled with the clean picture."""
    mask = _mask()
    light = [frame.add(1.5).exp() for frame in frames]
    working = Working.fit(torch.cat([frame[:, ~mask] for frame in light], 1), decorrelate=True)
    coded = [working.encode(torch.where(mask, RAMP.add(1.5).exp(), frame)) for frame in light]
    boxes = (BOX,) * FRAMES
    flat = torch.cat([frame.flatten(1) for frame in coded], 1)
    shot = Shot(
        tuple(range(1001, 1001 + FRAMES)),
        Volume(boxes, coded),
        Volume(boxes, [mask[None].float()] * FRAMES),
        flat.amin(1),
        flat.amax(1),
    )
    block = Window(0, FRAMES, BOX)
    return Prepared(Plan((), boxes, boxes, boxes, (block,), (HOLE,) * FRAMES), shot, working)


def _light(fill: Fill, frame: int) -> Tensor:
    """The light of a fill of one part."""
    [(_, light)] = fill.parts(frame)
    return light


def test_the_finished_fill_has_the_grain_of_the_plate_in_light(tmp_path: Path) -> None:
    prepared = _prepared(_grained())
    made = prepared.shot.clean
    with_grain, without = (
        fill_in_light(prepared, made, tmp_path, grain=seed) for seed in (0, None)
    )
    apart = torch.cat(
        [
            (_light(with_grain, n).log() - _light(without, n).log()).flatten(1)
            for n in with_grain.numbers
        ],
        1,
    )
    rows, columns = BOX.slices(HOLE)
    plate = torch.cat([(f - RAMP)[:, rows, columns].flatten(1) for f in _grained()], 1)
    assert apart.std(1) / plate.std(1) == pytest.approx(np.ones(3), abs=0.15)
    some = fill_in_light(prepared, made, tmp_path, [1003], grain=0)
    assert some.numbers == (1003,) and torch.equal(_light(some, 1003), _light(with_grain, 1003))


def test_the_fill_of_a_plate_without_grain_is_left_to_the_bit(tmp_path: Path) -> None:
    prepared = _prepared(CLEAN)
    made = prepared.shot.clean
    with_grain, without = (
        fill_in_light(prepared, made, tmp_path, grain=seed) for seed in (0, None)
    )
    assert all(torch.equal(_light(with_grain, n), _light(without, n)) for n in without.numbers)


def test_a_job_lays_grain_in_the_hole_alone_and_none_when_told_so(tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", frames=8, width=96, height=80)
    plate, matte = read_clip(shot.plate, shot.frames), read_clip(shot.matte, shot.frames, ("A",))
    cheap: dict[str, Any] = {"method": "patch", "prior": "off", "device": "cpu", "threads": 1}
    fills = {}
    for grain in ("auto", "off"):
        output = f"{tmp_path}/{grain}/"
        run(Job(shot.plate, shot.matte, output, grain=grain, **cheap))
        fills[grain] = read_clip(f"{output}plate.####.exr", shot.frames)
    known = matte[..., 0] == 0
    assert all((fill[known] == plate[known]).all() for fill in fills.values())
    assert (fills["auto"] != fills["off"])[~known].any()


def test_what_the_shot_itself_shows_keeps_the_grain_it_has(tmp_path: Path) -> None:
    prepared = _prepared(_grained())
    known = Volume(prepared.plan.region, [torch.zeros(1, BOX.height, BOX.width)] * FRAMES)
    shown = replace(prepared, shot=replace(prepared.shot, hole=known))
    fills = [fill_in_light(shown, shown.shot.clean, tmp_path, grain=seed) for seed in (0, None)]
    assert shown.grain is not None
    assert all(torch.equal(_light(fills[0], n), _light(fills[1], n)) for n in fills[1].numbers)

"""The prior: a surface that was seen elsewhere comes back; what was never seen is not believed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from infusion_ofx.prior import propagate as propagating
from infusion_ofx.prior.propagate import Shown, propagate
from infusion_ofx.sequence.frame import Box

FRAMES, SIDE, STEP = 8, 96, 5
BOXES = [Box(3, 2, 3 + SIDE, 2 + SIDE)] * FRAMES

Array = NDArray[Any]


def wall(seed: int = 0, width: int = SIDE + STEP * FRAMES + 8) -> Array:
    """A still picture of light, with structure of many sizes: (SIDE, width, 3), values to about
    20."""
    random = np.random.default_rng(seed)
    sizes = (1.2, 3.0, 8.0)
    picture = sum(
        cv2.GaussianBlur(random.normal(0, 2 * s, (SIDE, width, 3)), (0, 0), s) for s in sizes
    )
    return np.asarray(np.exp(0.7 * picture), np.float32)


def panned(picture: Array, step: float = STEP) -> list[Array]:
    """The picture as a camera sees it that pans ``step`` pixels a frame."""
    frames = []
    for i in range(FRAMES):
        shift = np.array([[1, 0, -step * i], [0, 1, 0]], np.float32)
        frames.append(cv2.warpAffine(picture, shift, (SIDE, SIDE), flags=cv2.INTER_CUBIC))
    return frames


def still_hole(top: int = 38, left: int = 40, size: int = 16) -> list[Array]:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + size, left : left + size] = True
    return [mask] * FRAMES


def hidden(frames: list[Array], holes: list[Array]) -> list[Array]:
    """The frames with something absurd in their holes."""
    return [np.where(h[..., None], np.float32(777), f) for f, h in zip(frames, holes, strict=True)]


def shown(light: list[Array], holes: list[Array]) -> list[Shown]:
    return list(propagate(light, holes, BOXES))


def seen(prior: list[Shown], i: int, frame: Array, hole: Array) -> tuple[Array, Array, Array]:
    """Of the hole of one frame: the prior's light, the truth and the confidence, (N, ...)."""
    inside = BOXES[i].slices(prior[i].box)
    held = hole[inside]
    return prior[i].light[held], frame[inside][held], prior[i].confidence[held]


def decibels(light: Array, truth: Array) -> float:
    """Peak signal to noise of log2(1 + 64 x), the peak being the truth's."""
    ours, true = (np.log2(1 + 64 * np.maximum(each, 0)) for each in (light, truth))
    return float(-10 * np.log10(np.mean((ours - true) ** 2) / true.max() ** 2))


@pytest.mark.parametrize("step", [STEP, 4.5], ids=["whole pixels", "half pixels"])
def test_a_still_wall_under_a_panning_camera_comes_back(step: float) -> None:
    truth, holes = panned(wall(), step), still_hole()
    prior = shown(hidden(truth, holes), holes)
    for i in range(FRAMES):
        light, true, sure = seen(prior, i, truth[i], holes[i])
        assert decibels(light, true) > 32
        assert (sure > 0.5).mean() > 0.95


def layered(near: float = 9, far: float = 3) -> list[Array]:
    """A wall before a street, as a camera sees them that moves sideways: pixels a frame."""
    front, back = (
        panned(wall(seed, SIDE + 9 * FRAMES), step) for seed, step in ((4, near), (5, far))
    )
    return [np.vstack([b[: SIDE // 2], f[SIDE // 2 :]]) for f, b in zip(front, back, strict=True)]


def test_a_hole_over_two_planes_comes_back_from_each(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, holes = layered(), still_hole()
    edge = np.arange(SIDE)[:, None] // 4 == SIDE // 8  # where they meet no one can say to the pixel
    edge |= np.arange(SIDE)[:, None] // 4 == SIDE // 8 - 1
    inner = [hole & ~edge for hole in holes]

    def tried() -> tuple[list[float], float]:
        prior = shown(hidden(truth, holes), holes)
        parts = [seen(prior, i, truth[i], inner[i]) for i in range(FRAMES)]
        trusted = np.mean([(sure > 0.5).mean() for _, _, sure in parts])
        return [decibels(light, true) for light, true, _ in parts], float(trusted)

    found, trusted = tried()
    assert min(found) > 26 and np.mean(found) > 30 and trusted > 0.6
    monkeypatch.setattr(propagating, "ENOUGH", -1)  # one motion is always enough
    assert max(tried()[0]) < 22


def test_what_moves_by_itself_before_a_still_camera_is_no_plane() -> None:
    still, holes = [panned(wall(6))[0]] * FRAMES, still_hole()
    truth = [frame.copy() for frame in still]
    for frame, sliding in zip(truth, panned(wall(7)), strict=True):
        frame[30:62, 20:80] = sliding[30:62, 20:80]
    prior = shown(hidden(truth, holes), holes)
    for i in range(FRAMES):
        assert (seen(prior, i, truth[i], holes[i])[2] == 0).all()


def test_what_stands_still_under_flickering_light_comes_back_as_sharp_as_it_is() -> None:
    random, still = np.random.default_rng(11), panned(wall(6))[0]
    y, x = np.mgrid[:SIDE, :SIDE]
    truth, holes = [], []
    for i in range(FRAMES):  # tongues of light of many widths, elsewhere in each frame
        glow = sum(
            cv2.GaussianBlur(random.normal(0, 2 * s, (SIDE, SIDE)), (0, 0), s) for s in (3, 9)
        )
        lit = np.exp(np.maximum(glow, 0) * (y < 40))[..., None]
        truth.append((still * lit).astype(np.float32))
        holes.append((abs(y - 58) < 10) & (abs(x - 24 - 6 * i) < 10))
    prior = shown(hidden(truth, holes), holes)
    for i in range(FRAMES):
        light, true, sure = seen(prior, i, truth[i], holes[i])
        assert (sure > 0.5).mean() > 0.9
        np.testing.assert_allclose(light[sure > 0.5], true[sure > 0.5], rtol=0.02)


@pytest.mark.parametrize("step", [0.5, 2.0])
def test_clouds_that_drift_over_still_ground_are_followed(step: float) -> None:
    ground, clouds = panned(wall(13))[0], panned(wall(14), step)
    y, x = np.mgrid[:SIDE, :SIDE]
    truth, holes = [], []
    for i in range(FRAMES):
        truth.append(np.vstack([clouds[i][:64], ground[64:]]))
        holes.append((abs(y - 30) < 8) & (abs(x - 24 - 6 * i) < 8))
    prior = shown(hidden(truth, holes), holes)
    for i in range(FRAMES):
        light, true, sure = seen(prior, i, truth[i], holes[i])
        assert (sure > 0.5).mean() > 0.9 and decibels(light, true) > 45


def test_nothing_is_brighter_or_darker_than_what_the_shot_shows() -> None:
    random, holes = np.random.default_rng(12), still_hole()
    lit = np.exp(random.normal(0, 1, FRAMES))
    truth = [f * light for f, light in zip(panned(wall(2), 4.5), lit, strict=True)]
    for frame in truth:
        frame[random.random((SIDE, SIDE)) < 0.01] = 500  # sparks
    known = np.concatenate([f[~hole] for f, hole in zip(truth, holes, strict=True)])
    for each in shown(hidden(truth, holes), holes):
        held = each.light[each.confidence > 0]
        assert (held >= known.min(0)).all() and (held <= known.max(0)).all()


def test_a_change_of_exposure_is_mended() -> None:
    truth, holes = panned(wall(1)), still_hole()
    truth = [frame * np.float32(1.15**i) for i, frame in enumerate(truth)]
    prior = shown(hidden(truth, holes), holes)
    light, true, sure = seen(prior, 3, truth[3], holes[3])
    assert decibels(light, true) > 30 and (sure > 0.5).mean() > 0.9


def test_what_no_frame_sees_has_no_confidence() -> None:
    still, holes = [panned(wall())[0]] * FRAMES, still_hole()
    prior = shown(hidden(still, holes), holes)
    for i in range(FRAMES):
        light, _, sure = seen(prior, i, still[i], holes[i])
        assert (sure == 0).all() and np.isfinite(light).all()


def _spotted(frame: Array, left: int) -> Array:
    """The frame with something black, 6 pixels across, in a hole of 16 that has moved to
    ``left``."""
    spotted: Array = frame.copy()
    spotted[40:46, left + 2 : left + 8] = 0
    return spotted


@pytest.mark.parametrize("others", [1, 5])
def test_what_is_far_from_its_surroundings_takes_a_second_witness(others: int) -> None:
    # Something black is on the wall, or has passed before it: of one frame no one can tell.
    truth, holes = [f**0.2 for f in panned(wall(width=SIDE + 20 * FRAMES), 20)], still_hole()
    shot, mattes = hidden(truth, holes)[:1], holes[:1]
    for _ in range(others):
        shot.append(_spotted(truth[1], 20))
        mattes.append(np.zeros_like(holes[0]))
    prior = next(iter(propagate(shot, mattes, BOXES[: 1 + others])))
    inside = BOXES[0].slices(prior.box)
    black = _spotted(np.ones((SIDE, SIDE)), 40)[inside] == 0
    wide = cv2.dilate(black.astype(np.uint8), np.ones((9, 9))) > 0
    sure = prior.confidence > 0.5
    assert (sure[black].mean() > 0.9) == (others > 1) and (sure[black].any() == (others > 1))
    assert sure[holes[0][inside] & ~wide].mean() > 0.9


def test_a_texture_that_is_never_still_is_not_believed() -> None:
    random, holes = np.random.default_rng(2), still_hole()
    fire = [
        np.exp(2 * cv2.GaussianBlur(random.normal(0, 4, (SIDE, SIDE, 3)), (0, 0), 2)).astype("f4")
        for _ in range(FRAMES)
    ]
    prior = shown(hidden(fire, holes), holes)
    sure = np.concatenate([seen(prior, i, fire[i], holes[i])[2] for i in range(FRAMES)])
    assert (sure > 0.5).mean() < 0.05


def test_nothing_outside_the_hole_and_nothing_that_is_no_number() -> None:
    truth, holes = panned(wall()), still_hole()
    plates = hidden(truth, holes)
    plates[2] = plates[2].copy()
    plates[2][5, 7] = np.nan
    plates[4] = plates[4].copy()
    plates[4][60, 60] = np.inf
    prior = shown(plates, holes)
    for i, part in enumerate(prior):
        inside = BOXES[i].slices(part.box)
        unknown = holes[i][inside] | ~np.isfinite(plates[i][inside]).all(-1)
        assert np.isfinite(part.light).all()
        assert (part.confidence[~unknown] == 0).all()
        assert (part.confidence >= 0).all() and (part.confidence <= 1).all()


def test_it_never_looks_into_the_hole() -> None:
    truth, holes = panned(wall()), still_hole()
    other = [frame * 3 + 1 for frame in hidden(truth, holes)]
    other = [np.where(h[..., None], o, f) for h, o, f in zip(holes, other, truth, strict=True)]
    first, second = (shown(plates, holes) for plates in (truth, other))
    for ours, theirs in zip(first, second, strict=True):
        assert (ours.light == theirs.light).all()


def test_many_threads_show_the_same_as_one() -> None:
    truth, holes = layered(), still_hole()
    light = hidden(truth, holes)
    for one, many in zip(
        propagate(light, holes, BOXES), propagate(light, holes, BOXES, threads=99), strict=True
    ):
        assert (one.light == many.light).all() and (one.confidence == many.confidence).all()
        assert one.box == many.box


def test_a_frame_without_a_hole_gets_nothing() -> None:
    truth, holes = panned(wall()), still_hole()
    holes[3] = np.zeros_like(holes[3])
    prior = shown(hidden(truth, holes), holes)
    assert len(prior) == FRAMES
    assert prior[3].box.empty and prior[3].light.size == 0


def test_what_was_looked_at_is_let_go_of_after_each_frame_and_opencv_has_its_threads_back() -> None:
    truth, holes, threads = panned(wall()), still_hole(), cv2.getNumThreads()
    rests = 0

    def rest() -> None:
        nonlocal rests
        rests += 1

    counts = [rests for _ in propagate(hidden(truth, holes), holes, BOXES, rest)]
    assert all(later > earlier for earlier, later in pairwise(counts)) and rests > counts[-1]
    assert cv2.getNumThreads() == threads


def test_light_keeps_its_brightness_and_its_sign() -> None:
    truth, holes = panned(wall() * 50 - 40), still_hole()
    prior = shown(hidden(truth, holes), holes)
    light, true, _ = seen(prior, 4, truth[4], holes[4])
    assert light.max() > 0.8 * true.max() and light.min() < 0


def test_the_grain_of_the_plate_is_kept() -> None:
    random, holes = np.random.default_rng(5), still_hole()
    truth = [
        frame * np.exp(random.normal(0, 0.1, frame.shape)).astype("f4")
        for frame in panned(cv2.GaussianBlur(wall(3), (0, 0), 3))
    ]
    prior = shown(hidden(truth, holes), holes)
    light, true, _ = seen(prior, 4, truth[4], holes[4])
    side = (16, 16, 3)
    ours, theirs = (
        cv2.Laplacian(np.log(np.maximum(each, 1e-4)).reshape(side), cv2.CV_32F).std()
        for each in (light, true)
    )
    assert 0.6 < ours / theirs < 1.3

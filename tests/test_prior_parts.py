"""The parts of the prior: smooth interpolation, the camera's motion, the choice of sources."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from infusion_ofx.prior.motion import Corners, camera, places, steady
from infusion_ofx.prior.planes import Planes
from infusion_ofx.prior.sources import Sources
from infusion_ofx.prior.spread import average, blur, spread
from infusion_ofx.prior.view import GUARD, View
from infusion_ofx.sequence.frame import Box

SIDE = 80
BOX = Box(10, 20, 10 + SIDE, 20 + SIDE)

Picture = NDArray[np.float32]


def picture(seed: int = 0) -> Picture:
    random = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(random.normal(0, 3, (2 * SIDE, 2 * SIDE)), (0, 0), 1.5)
    return np.exp(rough).astype(np.float32)


def view_of(light: Picture, hole: NDArray[np.bool_] | None = None, box: Box = BOX) -> View:
    hole = np.zeros(light.shape, bool) if hole is None else hole
    return View.make(np.repeat(light[..., None], 3, -1), hole, box, 1.0)


@pytest.mark.parametrize("shape", [(31, 40), (31, 40, 2), (1, 1), (1, 9)])
def test_a_spread_keeps_what_is_known_and_stays_within_it(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    value = random.normal(0, 1, shape).astype(np.float32)
    weight = (random.random(shape[:2]) > 0.6).astype(np.float32)
    weight[0, 0] = 1
    found = spread(value, weight)
    assert found.shape == shape
    np.testing.assert_allclose(found[weight == 1], value[weight == 1], atol=1e-6)
    assert found.min() >= value[weight == 1].min() - 1e-4
    assert found.max() <= value[weight == 1].max() + 1e-4


def test_a_spread_of_nothing_is_nothing_and_of_one_value_that_value() -> None:
    value, weight = np.full((20, 30), 7, np.float32), np.zeros((20, 30), np.float32)
    assert (spread(value, weight) == 0).all()
    weight[3, 4] = 1
    np.testing.assert_allclose(spread(value, weight), 7, rtol=1e-3)


def test_an_average_does_not_see_what_weighs_nothing() -> None:
    value = np.ones((30, 30), np.float32)
    weight = np.ones((30, 30), np.float32)
    value[10:20, 10:20], weight[10:20, 10:20] = 1e6, 0
    np.testing.assert_allclose(average(value, weight, 2.0)[weight > 0], 1, rtol=1e-4)


@pytest.mark.parametrize("sigma", [1.0, 9.0])
def test_a_blur_keeps_a_constant(sigma: float) -> None:
    np.testing.assert_allclose(blur(np.full((25, 33), 4, np.float32), sigma), 4, rtol=1e-5)


def test_the_camera_is_found_and_told_in_the_plates_coordinates() -> None:
    big = picture()
    first = view_of(big[20 : 20 + SIDE, 30 : 30 + SIDE])
    second = view_of(big[23 : 23 + SIDE, 26 : 26 + SIDE], box=Box(12, 17, 12 + SIDE, 17 + SIDE))
    homography = camera(Corners.find(first, second))
    assert homography is not None
    y, x = 50, 60  # of the plate; in the big picture that is row 20 + 40, column 30 + 40
    there = places(Box(y, x, y + 1, x + 1), homography)[0, 0]
    np.testing.assert_allclose(there, [17 + 70 - 26, 12 + 60 - 23], atol=0.2)


def test_a_cut_has_no_camera() -> None:
    first, second = (view_of(picture(seed)[:SIDE, :SIDE]) for seed in (1, 2))
    assert camera(Corners.find(first, second)) is None


def layers(frames: int = 5, near: int = 7, far: int = 2) -> list[View]:
    """Two planes, above and below the middle, each moving to the left by so many pixels a frame."""
    pictures, half = (picture(3), picture(4)), SIDE // 2
    views = []
    for i in range(frames):
        parts = (
            p[20 : 20 + half, s * i : s * i + SIDE]
            for p, s in zip(pictures, (far, near), strict=True)
        )
        views.append(view_of(np.vstack(list(parts))))
    return views


def between(views: list[View]) -> Callable[[int], Corners]:
    return lambda i: Corners.find(views[i], views[i + 1])


def test_planes_are_told_apart_and_keep_their_numbers() -> None:
    views = layers()
    planes = Planes(between(views), lambda: None)
    for i in range(len(views) - 1):
        links = planes.link(i)
        assert sorted(links) == [0, 1]
        steps = sorted(
            (places(Box(50, 60, 51, 61), link)[0, 0, 0] - 60, plane)
            for plane, link in links.items()
        )
        np.testing.assert_allclose([step for step, _ in steps], [-7, -2], atol=0.3)
        near, far = (planes.share(i, plane, BOX) for _, plane in steps)
        assert far[:25].min() > 0.7 and near[-25:].min() > 0.7
        np.testing.assert_allclose(near + far, 1, atol=0.05)
        assert [plane for _, plane in steps] == [plane for _, plane in sorted(steps)]


def test_planes_end_at_a_cut_and_are_still_known_in_the_frame_before_it() -> None:
    views, rests = [*layers()[:3], view_of(np.full((SIDE, SIDE), 0.5, np.float32))], []
    planes = Planes(between(views), lambda: rests.append(1))
    assert planes.link(2) == {} and len(rests) == 3
    shares = [planes.share(2, plane, BOX) for plane in planes.link(1)]
    assert len(shares) == 2
    np.testing.assert_allclose(sum(shares), 1, atol=0.05)


def test_a_camera_is_still_where_a_third_of_the_corners_are_though_the_rest_moves() -> None:
    random = np.random.default_rng(0)
    begin = random.uniform(0, SIDE, (90, 2))
    moving = np.where(np.arange(90)[:, None] < 30, 0.05, 1.5)
    assert Corners(begin, begin + moving, 90, BOX).still
    assert not Corners(begin, begin + 0.4, 90, BOX).still
    low = picture(8)[20 : 20 + SIDE // 2, :SIDE]
    first, second = (
        view_of(np.vstack([low, picture(9)[20 : 20 + SIDE // 2, i : i + SIDE]])) for i in (0, 1)
    )
    homography = camera(Corners.find(first, second))
    assert homography is not None
    np.testing.assert_array_equal(homography, np.eye(3))


def test_a_homography_with_a_horizon_in_the_frame_is_refused() -> None:
    assert steady(np.eye(3), BOX)
    assert steady(np.array([[1, 0, 900], [0, 1, -7], [0, 0, 1.0]]) * -2, BOX)
    assert not steady(np.array([[1, 0, 0], [0, 1, 0], [-1 / (BOX.left + 30), 0, 1.0]]), BOX)
    assert not steady(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1.0]]), BOX)
    assert not steady(np.full((3, 3), np.nan), BOX)


def test_one_motion_is_no_choice_of_planes() -> None:
    big = picture()
    frames = [big[20 : 20 + SIDE, 4 * i : 4 * i + SIDE] for i in range(4)]
    light, holes = (
        [np.repeat(f[..., None], 3, -1) for f in frames],
        [np.zeros((SIDE, SIDE), bool)] * 4,
    )
    sources = Sources(light, holes, [BOX] * 4)
    assert all(not list(sources.planes(i, BOX)) for i in range(4))
    two = [np.repeat(view.light[..., :1], 3, -1) for view in layers(4)]
    sources = Sources(two, holes, [BOX] * 4)
    assert all(len(list(sources.planes(i, BOX))) == 2 for i in range(4))


def test_a_flat_picture_has_no_camera() -> None:
    flat = view_of(np.full((SIDE, SIDE), 0.5, np.float32))
    assert camera(Corners.find(flat, flat)) is None


def test_a_view_is_safe_only_away_from_what_is_unknown() -> None:
    hole = np.zeros((SIDE, SIDE), bool)
    hole[40, 40] = True
    safe = view_of(picture()[:SIDE, :SIDE], hole).safe[0] > 0
    near = slice(40 - GUARD, 41 + GUARD)
    assert not safe[near, near].any()
    assert safe[40, 40 - GUARD - 1] and safe[40, 41 + GUARD]
    assert not safe[0].any() and not safe[:, -1].any()


def test_a_place_between_pixels_shows_no_more_and_no_less_than_those_next_to_it() -> None:
    random = np.random.default_rng(3)
    light = np.exp(random.normal(0, 3, (SIDE, SIDE))).astype(np.float32)  # 12 beside 0.01
    view = view_of(light)
    at = random.uniform(2, SIDE - 3, (40, 40, 2)).astype(np.float32)
    found = np.sinh(view.look(at + [BOX.left, BOX.top]))[..., 0]
    for (x, y), value in zip(at.reshape(-1, 2), found.flat, strict=True):
        near = light[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
        assert 0.99 * near.min() <= value <= 1.01 * near.max()


def test_the_nearest_frames_that_see_the_hole_are_chosen() -> None:
    big, hole = picture(), np.zeros((SIDE, SIDE), bool)
    hole[30:42, 30:42] = True
    frames = [big[20 : 20 + SIDE, 4 * i : 4 * i + SIDE] for i in range(9)]
    light = [np.repeat(frame[..., None], 3, -1) for frame in frames]
    sources = Sources(light, [hole] * 9, [BOX] * 9)
    points = np.array([[BOX.left + 36], [BOX.top + 36]])
    chosen = sources.best(4, points)
    assert chosen
    for view, homography in chosen:
        x, y, w = homography @ [points[0, 0], points[1, 0], 1]
        assert view.safe[0][round(y / w) - BOX.top, round(x / w) - BOX.left]

"""What the OFX plug-in renders: the source, and the finished fill over its hole."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from infusion_ofx.ofx.plain import Fill, write_fill
from infusion_ofx.sequence.frame import Box
from ofx_host.host import Host, Instance
from ofx_host.objects import FAILED, Array, Layout
from ofx_host.shots import (
    HEIGHT,
    HOLE,
    LAYOUTS,
    WIDTH,
    finished,
    frames,
    halved,
    plate,
    same,
    show,
)

pytest_plugins = ("ofx_host.fixtures",)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_finished_frame_is_the_engines_and_any_other_the_source_bit_for_bit(
    layout: Layout, node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with(layout=layout)
    show(folder, 1, 2, -7)
    for frame in (1, 2, -7):
        assert not node.is_identity(frame)
        assert same(node.render(frame), finished(frame))
    assert node.is_identity(3)
    assert same(node.render(3), plate(3))


def test_without_a_job_folder_the_node_is_its_source(binary: Path) -> None:
    node = Host(binary).instance(frames, "Filter")
    assert node.is_identity(1)
    assert same(node.render(1), plate(1))
    node.destroy()


def test_outside_the_hole_the_sources_own_bits_stay(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    # The host has changed the picture since: a grade before the node, say.
    node = node_with(frames=lambda name, time: plate(time + 50))
    show(folder, 1)
    seen, rows, columns = node.render(1), *Box(0, 0, HEIGHT, WIDTH).slices(HOLE)
    assert same(seen[rows, columns, :3], finished(1)[rows, columns, :3])
    seen[rows, columns] = plate(51)[rows, columns]
    assert same(seen, plate(51))


def test_only_the_window_is_rendered(node_with: Callable[..., Instance], folder: Path) -> None:
    node = node_with(layout=LAYOUTS["padded rows from the top down"])
    show(folder, 1)
    seen = node.render(1, (6, 2, 13, 7))
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[HEIGHT - 7 : HEIGHT - 2, 6:13] = True
    assert same(seen[inside], finished(1)[inside]) and np.isnan(seen[~inside]).all()


def test_a_proxy_shows_the_finished_frame_scaled_down(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with(frames=lambda name, time: halved(plate(time)), scale=(0.5, 0.5))
    show(folder, 1)
    touched = np.zeros((HEIGHT, WIDTH, 1))
    touched[Box(0, 0, HEIGHT, WIDTH).slices(HOLE)] = 1
    inside = halved(touched)[..., 0] > 0
    seen = node.render(1)
    np.testing.assert_allclose(seen[inside], halved(finished(1))[inside], rtol=1e-6)
    assert same(seen[~inside], halved(plate(1))[~inside])


def test_a_result_of_another_size_is_not_shown_and_refresh_says_why(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    large = np.ones((2 * HEIGHT, 2 * WIDTH, 4), np.float32)
    node = node_with(frames=lambda name, time: large, aspect=2.0)
    show(folder, 1)
    assert same(node.render(1), large)
    assert node.press("refresh") == "not shown: the result is 16 x 12, this picture is 32 x 24"
    fits = node_with(aspect=2.0)
    assert fits.press("refresh") == "done" and not fits.is_identity(1)
    half = node_with(frames=lambda name, time: halved(plate(time)), scale=(0.5, 0.5))
    assert half.press("refresh") == "done"


def test_a_source_that_is_not_premultiplied_gets_its_fill_divided(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    pixels = plate(1)
    pixels[..., 3] = 0.5
    pixels[5, :, 3] = 0
    node = node_with(frames=lambda name, time: pixels, alpha="UnPremultiplied")
    show(folder, 1)
    seen, rows, columns = node.render(1), *Box(0, 0, HEIGHT, WIDTH).slices(HOLE)
    factor = np.where(pixels[..., 3:] > 0, np.float32(2), np.float32(1))
    assert same(seen[rows, columns, :3], (finished(1)[..., :3] * factor)[rows, columns])
    assert same(seen[..., 3], pixels[..., 3])


def test_the_frame_offset_counts_from_the_hosts_frames_to_the_files(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    node.set(frame_offset=1000)
    show(folder, 1001)
    assert node.is_identity(1001) and not node.is_identity(1)
    rows, columns = Box(0, 0, HEIGHT, WIDTH).slices(HOLE)
    assert same(node.render(1)[rows, columns, :3], finished(1001)[rows, columns, :3])


def test_the_take_that_is_asked_for_is_shown(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    show(folder, 1)
    (folder / "plate/v001/fills/take_02").mkdir()
    (folder / "plate/v001/fills/1.fill").rename(folder / "plate/v001/fills/take_02/1.fill")
    assert node.is_identity(1)
    node.set(shown_take=2)
    assert same(node.render(1), finished(1))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[:-1],
    "too long": lambda data: data + b"\0",
    "another magic": lambda data: b"X" + data[1:],
    "a newer version": lambda data: data[:8] + struct.pack("<i", 2) + data[12:],
    "a box that ends before it begins": lambda data: data[:28] + struct.pack("<i", -9) + data[32:],
    "a box beyond measure": lambda data: data[:28] + struct.pack("<2i", 2**31 - 1, 9) + data[36:],
    "a box that is large": lambda data: data[:28] + struct.pack("<2i", 60000, 60000) + data[36:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_fill_is_no_fill(
    damage: Callable[[bytes], bytes], node_with: Callable[..., Instance], folder: Path
) -> None:
    show(folder, 1)
    path = folder / "plate/v001/fills/1.fill"
    path.write_bytes(damage(path.read_bytes()))
    assert same(node_with().render(1), plate(1))


def test_a_frame_without_a_hole_is_passed_on(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    (folder / "fills").mkdir()
    none = Box(0, 0, 0, 0)
    empty = Fill(Box(0, 0, HEIGHT, WIDTH), none, np.zeros((0, 0, 4)), np.zeros((0, 0)))
    write_fill(folder / "fills/1.fill", empty)
    (folder / "shown").write_text("fills\n")
    assert node_with().is_identity(1)


@pytest.mark.parametrize(
    "pointer", [b"", b"\n", b"../" * 2000 + b"\n", b"nowhere\n", b"\xff\xfe\n", b"x" * 9000]
)
def test_a_pointer_that_leads_nowhere_shows_the_source(
    pointer: bytes, node_with: Callable[..., Instance], folder: Path
) -> None:
    (folder / "shown").write_bytes(pointer)
    (folder / "current").write_bytes(pointer)
    node = node_with()
    assert same(node.render(1), plate(1))
    assert node.press("refresh")


def test_four_threads_render_while_another_refreshes(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    nodes = [node_with() for _ in range(2)]
    show(folder, *range(1, 5))
    wrong: list[int] = []

    def render(thread: int) -> None:
        for turn in range(25):
            frame = 1 + 4 * turn + thread
            expected = finished(frame) if frame < 5 else plate(frame)
            if not same(nodes[thread % 2].render(frame), expected):
                wrong.append(frame)

    threads = [threading.Thread(target=render, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        nodes[0].press("refresh")
        show(folder, *range(1, 5))
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_missing_image_fails_unless_the_host_has_asked_for_a_stop(
    node_with: Callable[..., Instance],
) -> None:
    given: list[Array] = [plate(1)]
    node = node_with(frames=lambda name, time: given.pop() if given else None)
    node.render(1, expect=FAILED)
    given.append(plate(1))
    node.aborted = True
    node.render(1)


def test_an_image_that_is_no_picture_of_floats_is_refused_and_given_back(
    node_with: Callable[..., Instance],
) -> None:
    node = node_with(frames=lambda name, time: plate(time)[..., :1])
    node.render(1, expect=FAILED)

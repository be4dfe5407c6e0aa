"""The OFX plug-in's Launch: how the engine is called, and the frames that the host gives."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infusion_ofx.ofx.plain import read_frame
from ofx_host.build import make_bundle
from ofx_host.host import Host, Instance
from ofx_host.objects import Layout
from ofx_host.shots import (
    HEIGHT,
    LAYOUTS,
    RUNNING,
    WIDTH,
    finished,
    frames,
    halved,
    plate,
    same,
    show,
    status,
)

pytest_plugins = ("ofx_host.fixtures",)


def seen(folder: Path) -> dict[str, Any]:
    """How the engine was called."""
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def options(folder: Path) -> dict[str, str]:
    """The options that it was given; the last one of a name counts."""
    given = [text.partition("=") for text in seen(folder)["arguments"][3:]]
    return {name: value for name, _, value in given}


def test_launch_by_files_hands_over_every_setting(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    node.set(
        plate='/sh ow/"pl\u00e4te".####.exr', matte="/show/m.exr", recipe=0, steps=7, memory=2.5,
        frames="1-3",
    )  # fmt: skip
    assert node.press("launch") == "launched; Refresh says how it stands"
    assert seen(folder)["arguments"][:3] == ["ofx", "work", f"{folder}/"]
    given = options(folder)
    assert given["--plate"] == '/sh ow/"pl\u00e4te".####.exr'
    assert (given["--recipe"], given["--steps"], given["--memory"]) == ("draft", "7", "2.5")
    assert "--intervals" not in given and "--layer" not in given
    assert (given["--data-dir"], given["--output"]) == (f"{folder}/", f"{folder}/result/")
    assert (given["--frames"], given["--seed"]) == ("1-3", "0")
    assert node.press("refresh") == "the engine speaks"
    assert node.fetched == []


def test_the_engine_is_the_hosts_no_longer(
    node_with: Callable[..., Instance], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = {
        "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "LD_LIBRARY_PATH": "/nowhere",
        "QT_PLUGIN_PATH": "/nowhere", "DYLD_INSERT_LIBRARIES": "/nowhere",
        "__PYVENV_LAUNCHER__": "/nowhere", "OCIO": "/show/config.ocio",
    }  # fmt: skip
    for name, value in poison.items():
        monkeypatch.setenv(name, value)
    node_with().press("launch")
    found = seen(folder)
    kept = {name for name in poison if name in found["environment"]}
    assert kept == {"OCIO"} and not {"LD_PRELOAD", "LD_AUDIT"} & found["environment"].keys()
    assert found["session"] == found["pid"] != os.getsid(0)
    log = str(folder / "engine.log")
    assert (found["stdin"], found["out"], found["err"]) == ("/dev/null", log, log)
    assert Path(log).read_text() == "the engine is starting\nthe engine speaks\n"
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_an_engine_that_does_not_start_is_told(
    node_with: Callable[..., Instance], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_ENDS_WITH", "9")
    node = node_with()
    assert "did not start (9)" in node.press("launch")
    assert node.host.messages == [node.get("status")]


def test_launch_needs_a_folder_of_its_own(binary: Path, tmp_path: Path) -> None:
    node = Host(binary).instance(frames)
    assert node.press("launch") == "name a job folder first"
    for name, said in [("here", "whole path"), (f"{tmp_path}/no/where", "cannot be made")]:
        node.set(job_folder=name)
        assert said in node.press("launch")
    node.set(job_folder="/" + 5000 * "x")
    assert node.press("launch") == "name a job folder first"
    assert node.press("refresh") == "no job yet" and same(node.render(1), plate(1))
    node.destroy()


def test_two_engines_are_not_started_in_one_folder(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    status(folder, **RUNNING)
    assert "Stop it first" in node.press("launch")
    (folder / "current").unlink()
    (folder / "engine.log").write_text("the engine is starting\n")
    assert "Stop it first" in node.press("launch")
    assert not (folder / "seen.json").exists()
    (folder / "engine.log").write_text("the engine is starting\nERROR: it could not\n")
    assert node.press("launch").startswith("launched")


def test_an_engine_with_a_long_path_is_called_whole(
    binary: Path, folder: Path, tmp_path: Path
) -> None:
    for length, said in ((20_000, "launched"), (40_000, "too long")):
        code = f"import sys; open(sys.argv[3] + 'length', 'w').write('{length * 'x'}'); print(1)"
        engine = [sys.executable, "-I", "-c", code]
        node = Host(make_bundle(tmp_path / said, engine, binary)).instance(frames)
        node.set(job_folder=str(folder))
        assert said in node.press("launch")
        assert (folder / "length").stat().st_size == 20_000
        node.destroy()


def test_settings_that_are_too_long_are_refused(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    node.set(channels="R" * 5000)
    assert "too long" in node.press("launch") and not (folder / "seen.json").exists()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_launch_by_the_hosts_frames_writes_every_one_of_them(
    layout: Layout, node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with(connected=("Source", "Matte"), span=(-1.2, 2.7), layout=layout)
    node.set(input=1, frame_offset=10)
    assert node.press("launch").startswith("launched")
    assert sorted(p.name for p in (folder / "plate").iterdir()) == [
        "10.frame", "11.frame", "12.frame", "9.frame",
    ]  # fmt: skip
    for frame in range(-1, 3):
        assert same(read_frame(folder / f"plate/{frame + 10}.frame"), plate(frame))
    assert (read_frame(folder / "matte/9.frame") == 0.25).all()
    given = options(folder)
    assert given["--frames"] == "9-12"
    assert given["--plate"] == f"{folder}/plate/plate.####.exr"
    assert given["--matte"] == f"{folder}/matte/matte.####.exr"
    assert node.host.progress == [0.0, 0.25, 0.5, 0.75, 1.0, -1.0]


def test_frames_are_written_premultiplied(node_with: Callable[..., Instance], folder: Path) -> None:
    pixels = np.full((HEIGHT, WIDTH, 4), 0.5, np.float32)
    node = node_with(frames=lambda name, time: pixels, alpha="UnPremultiplied", span=(1, 1))
    node.set(input=1)
    node.press("launch")
    assert same(
        read_frame(folder / "plate/1.frame"), pixels * np.array([0.5, 0.5, 0.5, 1], np.float32)
    )


@pytest.mark.parametrize(
    ("host_options", "node_options", "said"),
    [
        ({"temporal": False}, {}, "this host gives one frame at a time: use files, or Capture"),
        ({}, {"scale": (0.5, 0.5)}, "frame 1: the host gave a proxy or a part: switch proxies off"),
        ({"cancel_after": 1}, {}, "fetching the frames was stopped; nothing was launched"),
        ({}, {"frames": lambda n, t: None}, "frame 1: the host gave no picture of floats"),
        ({}, {"span": (5, 4)}, "the host does not say which frames Source has: use files"),
        (
            {},
            {"span": (float("nan"), 4)},
            "the host does not say which frames Source has: use files",
        ),
    ],
    ids=["one frame at a time", "a proxy", "cancelled", "no image", "no range", "no numbers"],
)
def test_launch_says_why_it_cannot_fetch_the_frames(
    host_options: dict[str, Any], node_options: dict[str, Any], said: str,
    node_with: Callable[..., Instance], binary: Path, folder: Path,
) -> None:  # fmt: skip
    node = node_with(Host(binary, **host_options), **node_options)
    node.set(input=1)
    assert node.press("launch") == said
    assert not (folder / "seen.json").exists()


def test_message_and_progress_may_be_missing(
    node_with: Callable[..., Instance], binary: Path, folder: Path
) -> None:
    node = node_with(Host(binary, without=["OfxMessageSuite", "OfxProgressSuite"]))
    node.set(input=1)
    assert node.press("launch").startswith("launched")
    node.set(job_folder="")
    assert node.press("launch") == "name a job folder first"


def test_capture_keeps_what_is_rendered_and_shows_the_source(
    node_with: Callable[..., Instance], binary: Path, folder: Path
) -> None:
    node = node_with(Host(binary, temporal=False), connected=("Source", "Matte"))
    show(folder, 1)
    node.set(capture=1)
    for frame in (1, 2):
        assert not node.is_identity(frame)
        assert same(node.render(frame), plate(frame))
        assert same(read_frame(folder / f"plate/{frame}.frame"), plate(frame))
        assert (read_frame(folder / f"matte/{frame}.frame") == 0.25).all()
    assert {time for _, name, time in node.fetched if name == "Matte"} == {1, 2}
    node.set(capture=0, input=2)
    node.press("launch")
    assert options(folder)["--plate"] == f"{folder}/plate/plate.####.exr"
    assert same(node.render(1), finished(1))


def test_a_proxy_is_not_captured(node_with: Callable[..., Instance], folder: Path) -> None:
    node = node_with(frames=lambda name, time: halved(plate(time)), scale=(0.5, 0.5))
    node.set(capture=1)
    node.render(1)
    assert not (folder / "plate").exists()


def test_a_full_disk_leaves_no_part_of_a_frame(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    (folder / "plate").write_text("no folder")
    node = node_with()
    node.set(input=1)
    assert node.press("launch") == "frame 1: it cannot be written into the job folder"


def test_without_an_installed_engine_launch_says_what_to_do(
    binary: Path, folder: Path, tmp_path: Path
) -> None:
    node = Host(make_bundle(tmp_path / "bare", binary=binary)).instance(frames)
    node.set(job_folder=str(folder))
    assert node.press("launch") == "no engine is known here: run `infusion ofx install` again"
    node.destroy()

"""The OFX plug-in in a strict host: what it says of itself, what it renders, what it launches.

No engine and no torch: ``test_ofx_sanitised`` runs this file again under the sanitisers, without
conftest. INFUSION_OFX_BINARY names a binary that is built already.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infusion_ofx.job import Job
from infusion_ofx.ofx.plain import Fill, read_frame, write_fill
from infusion_ofx.ofx.table import OWN, job_fields
from infusion_ofx.sequence.frame import Box
from ofx_host.build import make_bundle
from ofx_host.host import Host, Instance
from ofx_host.objects import FAILED, Array, Effect, Layout, faults

HEIGHT, WIDTH = 12, 16
HOLE = Box(3, 4, 9, 11)
"""Of every frame; top row first, as in files."""
LAYOUTS = {
    "plain rows": Layout(),
    "padded rows": Layout(padding=48),
    "rows that begin where no float may": Layout(padding=7),
    "rows from the top down": Layout(negative=True),
    "padded rows from the top down": Layout(padding=32, negative=True),
    "more than the picture": Layout(padding=16, margin=3),
}

ENGINE = """
import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[3])
ignored = [int(s) for s in signal.Signals if signal.getsignal(s) == signal.SIG_IGN]
(folder / "seen.json").write_text(json.dumps({
    "arguments": sys.argv[1:], "environment": dict(os.environ), "session": os.getsid(0),
    "pid": os.getpid(), "stdin": os.readlink("/proc/self/fd/0"), "ignored": ignored,
    "out": os.readlink("/proc/self/fd/1"), "err": os.readlink("/proc/self/fd/2"),
}))
print("the engine speaks")
sys.exit(int(os.environ.get("ENGINE_ENDS_WITH", 0)))
"""


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in in a bundle, with an engine that writes down how it was called."""
    folder = tmp_path_factory.mktemp("plugins")
    engine = folder / "engine.py"
    engine.write_text(ENGINE)
    built = os.environ.get("INFUSION_OFX_BINARY")
    return make_bundle(folder, [sys.executable, "-I", str(engine)], Path(built) if built else None)


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    faults.clear()
    yield
    assert faults == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job folder with a name that is no easy one."""
    made = tmp_path / "jöb folder"
    made.mkdir()
    return made


def plate(frame: float) -> Array:
    """RGBA of a frame with every kind of float in it, opaque."""
    random = np.random.default_rng([abs(int(frame)), frame < 0])
    pixels = random.normal(1, 2, (HEIGHT, WIDTH, 4)).astype(np.float32)
    pixels[..., 3] = 1
    pixels[0, :5, 0] = [np.nan, np.inf, -np.inf, -0.0, 1e-42]
    return pixels


def frames(name: str, time: float) -> Array | None:
    """What the host's clips show."""
    return plate(time) if name == "Source" else np.ones((HEIGHT, WIDTH, 1), np.float32) * 0.25


def finished(frame: float) -> Array:
    """A frame as the engine would have left it."""
    pixels = plate(frame)
    rows, columns = slice(HOLE.top, HOLE.bottom), slice(HOLE.left, HOLE.right)
    pixels[rows, columns, :3] = np.arange(3) + np.float32(frame) + plate(-frame)[rows, columns, :3]
    return pixels


def show(folder: Path, *frame_numbers: int, margin: int = 2) -> None:
    """Leaves finished fills in a job folder as the engine does."""
    (folder / "plate/v001/fills").mkdir(parents=True, exist_ok=True)
    box = HOLE.grow(margin)
    rows, columns = Box(0, 0, HEIGHT, WIDTH).slices(box)
    inside = np.zeros((box.height, box.width), np.uint8)
    inside[box.slices(HOLE)] = 7
    for frame in frame_numbers:
        fill = Fill(Box(0, 0, HEIGHT, WIDTH), box, finished(frame)[rows, columns], inside)
        write_fill(folder / f"plate/v001/fills/{frame}.fill", fill)
    (folder / "shown").write_text("plate/v001/fills\n")


def same(ours: Array, theirs: Array) -> bool:
    """Whether two pictures are the same to the last bit."""
    return ours.tobytes() == np.ascontiguousarray(theirs).tobytes()


# What it says of itself ---------------------------------------------------------------------------


def test_it_describes_itself_as_a_filter_and_for_general_use(binary: Path) -> None:
    host = Host(binary)
    props = host.describe().props
    assert host.plugin.pluginApi == b"OfxImageEffectPluginAPI" and host.plugin.apiVersion == 1
    contexts = ["OfxImageEffectContextFilter", "OfxImageEffectContextGeneral"]
    assert props.all("ImageEffectPropSupportedContexts") == contexts
    assert props.all("ImageEffectPropSupportedPixelDepths") == ["OfxBitDepthFloat"]
    assert props.get("ImageEffectPluginRenderThreadSafety") == "OfxImageEffectRenderFullySafe"
    assert list(host.describe_in("Filter").clips) == ["Output", "Source"]
    general = host.describe_in("General")
    assert list(general.clips) == ["Output", "Source", "Matte"]
    matte = general.clips["Matte"].props
    assert matte.get("ImageClipPropOptional") == matte.get("ImageClipPropIsMask") == 1
    assert "OfxImageComponentAlpha" in matte.all("ImageEffectPropSupportedComponents")


@pytest.mark.parametrize("context", ["Filter", "General"])
def test_every_setting_of_a_job_is_a_parameter_with_its_range_and_default(
    context: str, binary: Path
) -> None:
    params = Host(binary).describe_in(context).params.params
    for f in job_fields():
        props, kind = params[f.name].props, params[f.name].kind.removeprefix("OfxParamType")
        nullable = "None" in str(f.type)
        assert str(f.metadata["help"]) in props.get("ParamPropHint")
        assert props.get("ParamPropAnimates") == props.get("ParamPropEvaluateOnChange") == 0
        if "choices" in f.metadata:
            assert kind == "Choice"
            assert tuple(props.all("ParamPropChoiceOption")) == f.metadata["choices"]
            assert f.metadata["choices"][props.get("ParamPropDefault")] == f.default
        elif "minimum" in f.metadata:
            assert kind == ("Double" if "float" in str(f.type) else "Integer")
            assert props.get("ParamPropMin") == (0 if nullable else f.metadata["minimum"])
            assert props.get("ParamPropMax") == f.metadata["maximum"]
            assert props.get("ParamPropDefault") == (0 if nullable else f.default)
        elif f.type == "str":
            assert kind == "String"
            assert props.get("ParamPropDefault") == ("" if f.default is MISSING else f.default)
        else:
            assert (kind, props.get("ParamPropDefault")) == ("Boolean", int(bool(f.default)))


def test_no_setting_of_a_job_is_left_out_unknowingly() -> None:
    assert {f.name for f in fields(Job)} - {f.name for f in job_fields()} <= set(OWN)


@pytest.mark.parametrize("suite", ["PropertySuite", "ImageEffectSuite", "ParameterSuite"])
def test_a_host_without_a_needed_suite_is_told_so(suite: str, binary: Path) -> None:
    assert Host(binary, without=[f"Ofx{suite}"]).loaded == 4


def test_an_unknown_action_gets_the_default_reply(binary: Path) -> None:
    assert Host(binary).call("OfxActionFromTheFuture") == 14


def test_it_says_that_frames_differ_though_nothing_changes(binary: Path) -> None:
    node = Host(binary).instance(frames)
    assert node.preferences.get("ImageEffectFrameVarying") == 1
    node.destroy()


# What it renders ----------------------------------------------------------------------------------


@pytest.fixture
def node_with(binary: Path, folder: Path) -> Iterator[Callable[..., Instance]]:
    """Makes nodes on the job folder, and ends them."""
    made: list[Instance] = []

    def make(host: Host | None = None, **options: Any) -> Instance:
        node = (host or Host(binary)).instance(options.pop("frames", frames), **options)
        node.set(job_folder=str(folder))
        made.append(node)
        return node

    yield make
    for node in made:
        node.destroy()


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


def halved(pixels: Array) -> Array:
    """A picture as a host's proxy of half the size."""
    height, width, channels = pixels.shape
    blocks = pixels.astype(np.float64).reshape(height // 2, 2, width // 2, 2, channels)
    small: Array = blocks.mean(axis=(1, 3)).astype(np.float32)
    return small


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
    assert fits.press("refresh") == "no job yet" and not fits.is_identity(1)
    half = node_with(frames=lambda name, time: halved(plate(time)), scale=(0.5, 0.5))
    assert half.press("refresh") == "no job yet"


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


# Refresh and Stop ---------------------------------------------------------------------------------


def status(folder: Path, age: float = 0, **facts: Any) -> None:
    """Leaves a status as the engine does."""
    job = folder / "plate/v001"
    job.mkdir(parents=True, exist_ok=True)
    path = job / "status.json"
    path.write_text(json.dumps(facts, indent=2))
    os.utime(path, (time.time() - age, time.time() - age))
    (folder / "current").write_text("plate/v001\n")


RUNNING: dict[str, Any] = {
    "state": "running",
    "stage": "train",
    "percent": 42.5,
    "seconds_left": 3723.4,
}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (RUNNING, "running: train, 42.5 %, 1:02:03 left"),
        ({**RUNNING, "seconds_left": None}, "running: train, 42.5 %"),
        ({**RUNNING, "age": 1000}, "lost: nothing heard for 1000 s; Launch goes on from there"),
        (
            {"state": "failed", "error": {"code": 2, "message": 'no "Gr\u00f6\u00dfe"\n\u2026'}},
            'failed: no "Gr\u00f6\u00dfe" \u2026',
        ),
        ({"state": "stopped", "error": {"message": "by \U0001f3ac"}}, "stopped: by ??"),
        ({"state": "done"}, "done; the frames are on their way"),
    ],
    ids=["running", "at the start", "lost", "failed", "stopped", "done"],
)
def test_refresh_says_how_the_job_stands(
    facts: dict[str, Any], said: str, node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    assert node.press("refresh") == "no job yet"
    status(folder, **facts)
    assert node.press("refresh") == said


def test_refresh_makes_the_host_render_anew(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    props = node.params.params["result_version"].props
    assert props.get("ParamPropCacheInvalidation") == "OfxParamInvalidateAll"
    status(folder, state="done")
    show(folder, 1)
    assert (node.press("refresh"), node.get("result_version")) == ("done", 1)
    node.set(result_version=2**31 - 1)
    node.press("refresh")
    assert node.get("result_version") == 0


def test_stop_leaves_the_file_that_the_engine_looks_for(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    assert "no job to stop" in node.press("stop")
    status(folder, state="running")
    assert "asked to stop" in node.press("stop")
    assert (folder / "plate/v001/cancel").exists()


def test_what_the_plugin_sets_itself_presses_no_button(node_with: Callable[..., Instance]) -> None:
    node = node_with()
    assert node.changed("launch", "OfxChangePluginEdited") == 14
    assert node.changed("launch", "OfxChangeTime") == 14


# Launch -------------------------------------------------------------------------------------------


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


def test_the_host_sees_a_plugin_that_is_at_fault() -> None:
    # The host of these tests must be able to find something.
    from ofx_host.objects import find

    with pytest.raises(LookupError):
        find(1, Effect)

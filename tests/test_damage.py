"""The law of damage: whatever the bytes are, a frame or one line that names the file.

Never another exception, a hang, a crash, or a file that is there in part.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion_cli.info import describe
from infusion_ofx.colour import encoding
from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

ROOT = Path(__file__).parents[1]
SIZE = (18, 23)
SEEDS: dict[str, dict[str, Any]] = {
    "none.exr": {"compression": "none"},
    "zip.exr": {"compression": "zip"},
    "piz.exr": {"compression": "piz"},
    "pxr24.exr": {"compression": "pxr24"},
    "b44.exr": {"compression": "b44"},
    "dwaa.exr": {"compression": "dwaa"},
    "htj2k.exr": {"compression": "htj2k"},
    "tiles.exr": {"compression": "zips", "tile": 8},
    "8.dpx": {"oiio:BitsPerSample": 8},
    "10.dpx": {"oiio:BitsPerSample": 10},
    "12.dpx": {"oiio:BitsPerSample": 12},
    "16.dpx": {"oiio:BitsPerSample": 16, "oiio:Endian": "big"},
    "16.png": {},
    "lzw.tif": {"compression": "lzw"},
    "tiles.tif": {"compression": "zip", "tile": 16},
    "8.jpg": {},
}


def seed(path: Path, attributes: dict[str, Any], size: tuple[int, int] = SIZE) -> bytes:
    """A small sound picture."""
    extension = path.suffix
    kind = {".exr": "half", ".jpg": "uint8"}.get(extension, "uint16")
    spec = oiio.ImageSpec(*size, 3, "uint8" if path.name == "8.dpx" else kind)
    for name, value in attributes.items():
        spec.attribute(name, value)
    spec.tile_width = spec.tile_height = attributes.get("tile", 0)
    spec.attribute("Software", "a test")
    out = oiio.ImageOutput.create(str(path))
    assert out is not None and out.open(str(path), spec), oiio.geterror()
    assert out.write_image(np.random.default_rng(1).random((size[1], size[0], 3), np.float32))
    assert out.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


places = st.floats(0, 1, exclude_max=True)
numbers = st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31), 65535, 1 << 20]) | st.integers(
    -(2**31), 2**31 - 1
)
edits = st.one_of(
    st.tuples(st.just("flip"), places, st.integers(0, 7)),
    st.tuples(st.just("number"), places, st.tuples(st.sampled_from("<>"), numbers)),
    st.tuples(st.just("drop"), places, st.integers(1, 40)),
    st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("cut"), places, st.just(0)),
)


def damaged(data: bytes, how: list[tuple[str, float, Any]], head: bool) -> bytes:
    """Bytes after some edits, in the head of the file or anywhere."""
    new = bytearray(data)
    for kind, place, value in how:
        at = int(place * (min(len(new), 800) if head else len(new)))
        if kind == "flip" and new:
            new[at] ^= 1 << value
        elif kind == "number":
            new[at : at + 4] = struct.pack(f"{value[0]}i", value[1])
        elif kind == "drop":
            del new[at : at + value]
        elif kind == "insert":
            new[at:at] = value
        elif kind == "cut":
            del new[at:]
    return bytes(new)


def with_sums(data: bytes) -> bytes:
    """A PNG whose checksums are right again, so that what is behind them is met as well."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        out += data[at:end] + struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(out)


def use(path: Path, target: Path) -> None:
    """All that is ever done with a file: looked at, read, edited, copied."""
    describe(str(path))
    sequence = Sequence.open(str(path))
    header = sequence.header(sequence.frames[0])
    encoding("auto", header)
    chosen = sequence.choose(header.names()[:1])
    chosen.check_rewrite()
    window = chosen.data(sequence.frames[0])
    chosen.read(sequence.frames[0], window)
    box = Box(window.top, window.left, window.top + 3, window.left + 5)
    pixels = chosen.read(sequence.frames[0], box)
    for edit in (True, False):
        chosen.write(sequence.frames[0], target, box, pixels, np.full((3, 5), edit))


@pytest.mark.parametrize("name", SEEDS)
def test_any_damage_gives_a_frame_or_one_line_that_names_the_file(folder: Path, name: str) -> None:
    sound = seed(folder / name, SEEDS[name])
    path = folder / f"damaged{Path(name).suffix}"
    target = folder / f"out{'.png' if path.suffix == '.jpg' else path.suffix}"
    path.write_bytes(sound)
    use(path, target)

    @settings(max_examples=150)
    @given(st.lists(edits, min_size=1, max_size=4), st.booleans(), st.booleans())
    def law(how: list[tuple[str, float, Any]], head: bool, sums: bool) -> None:
        data = damaged(sound, how, head)
        path.write_bytes(with_sums(data) if sums and path.suffix == ".png" else data)
        try:
            use(path, target)
        except SequenceError as error:
            assert path.name in str(error) and error.hint and "\n" not in str(error)
        assert not [each for each in os.listdir(folder) if each.startswith(".")]
        Sequence.open(str(target))

    law()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zip.exr", "tiles.exr", "10.dpx", "16.png", "lzw.tif", "8.jpg"])
def test_whatever_a_byte_of_the_head_becomes_the_answer_is_facts_or_one_line(
    tmp_path: Path, name: str
) -> None:
    sound, path = seed(tmp_path / name, SEEDS[name], (2, 2)), tmp_path / f"p{Path(name).suffix}"
    for at in range(min(len(sound), 2048)):
        numbers = (bytes(4), b"\xff" * 4) if at % 4 == 0 else ()
        for new in (b"\0", bytes([sound[at] ^ 128]), *numbers):
            data = sound[:at] + new + sound[at + len(new) :]
            path.write_bytes(with_sums(data) if path.suffix == ".png" else data)
            try:
                describe(str(path))
            except SequenceError as error:
                assert path.name in str(error) and error.hint and "\n" not in str(error)


def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
    return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value


def exr(
    channels: int = 1, size: tuple[int, int] = (4, 4), more: bytes = b"", tile: int = 0
) -> bytes:
    """An OpenEXR file of half zeros, whole so far as ``size`` is 4 x 4 without tiles."""
    names = (b"c%d\0" % i + struct.pack("<iB3xii", 1, 0, 1, 1) for i in range(channels))
    window = struct.pack("<4i", 0, 0, size[0] - 1, size[1] - 1)
    head = b"".join(
        (
            struct.pack("<II", 20000630, 0x202 if tile else 2),
            attribute(b"channels", b"chlist", b"".join(names) + b"\0"),
            attribute(b"compression", b"compression", b"\0"),
            attribute(b"dataWindow", b"box2i", window),
            attribute(b"displayWindow", b"box2i", window),
            attribute(b"lineOrder", b"lineOrder", b"\0"),
            attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
            attribute(b"screenWindowCenter", b"v2f", bytes(8)),
            attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)),
            attribute(b"tiles", b"tiledesc", struct.pack("<IIB", tile, tile, 0)) if tile else b"",
            more,
            b"\0",
        )
    )
    row = 8 * channels
    table = (len(head) + 32 + y * (8 + row) for y in range(4))
    chunks = (struct.pack("<ii", y, row) + bytes(row) for y in range(4))
    return head + struct.pack("<4Q", *table) + b"".join(chunks)


def many(count: int) -> bytes:
    return b"".join(attribute(b"%d" % i, b"int", bytes(4)) for i in range(count))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a million pixels a side": lambda: exr(size=(1_000_000, 1_000_000)),
    "65536 pixels a side": lambda: exr(size=(65536, 65536)),
    "10000 channels": lambda: exr(10_000),
    "a million attributes": lambda: exr(more=many(1_000_000)),
    "16 million views": lambda: exr(more=attribute(b"multiView", b"stringvector", bytes(64 << 20))),
    "a name of 20 MB for 1000 channels": lambda: exr(
        1000, more=attribute(b"name", b"string", b"n" * (20 << 20))
    ),
    "tiles of one pixel": lambda: exr(size=(4096, 4096), tile=1) + bytes(8 << 24),
}


def test_a_hostile_builder_builds_what_is_sound_otherwise(folder: Path) -> None:
    (folder / "sound.exr").write_bytes(exr(3, more=many(5)))
    use(folder / "sound.exr", folder / "out.exr")


LAW = """
import resource
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
from infusion_cli.main import main
main()
"""


def answer(path: Path) -> tuple[int, str]:
    """Exit code and stderr of ``infusion info`` with a gigabyte and five seconds."""
    done = subprocess.run(
        [sys.executable, "-c", LAW, "info", str(path), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])},
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_answered_at_once_and_within_a_gigabyte(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.exr").write_bytes(HOSTILE[name]())
    code, text = answer(tmp_path / "a.exr")
    assert (code, text.count("\n")) in ((0, 0), (2, 1)), text
    assert code == 0 or ("a.exr" in text and "Traceback" not in text)


@pytest.mark.slow
def test_a_folder_of_everything_that_is_no_frame_is_told_frame_by_frame(tmp_path: Path) -> None:
    (tmp_path / "p.1.exr").write_bytes(exr())
    (tmp_path / "p.2.exr").mkdir()
    os.mkfifo(tmp_path / "p.3.exr")
    (tmp_path / "p.4.exr").symlink_to("nowhere")
    (tmp_path / "p.5.exr").symlink_to("/dev/zero")
    (tmp_path / "p.6.exr").write_text("text")
    (tmp_path / "p.7.exr").write_bytes(b"")
    found = describe(str(tmp_path / "p.#.exr"))
    assert list(found["damaged_frames"]) == list("234567")
    for frame in range(2, 8):
        code, text = answer(tmp_path / f"p.{frame}.exr")
        assert (code, text.count("\n")) == (2, 1) and f"p.{frame}.exr" in text


@pytest.mark.slow
def test_a_frame_that_is_cut_short_and_rewritten_all_the_time_is_never_half_read(
    tmp_path: Path,
) -> None:
    sound, path = seed(tmp_path / "a.exr", {"compression": "zip"}), tmp_path / "a.exr"
    whole = Sequence.open(str(path)).choose("RGB").read(1, Box(0, 0, SIZE[1], SIZE[0]))
    ended = threading.Event()

    def churn() -> None:
        keep = 0
        while not ended.is_set():
            keep = (keep + 37) % len(sound)
            path.write_bytes(sound[:keep])
            path.write_bytes(sound)
            ended.wait(0.01)  # long enough that some readings find it whole

    thread = threading.Thread(target=churn)
    thread.start()
    began, read = time.monotonic(), 0
    try:
        while time.monotonic() < began + (1 if read else 30):
            try:
                pixels = Sequence.open(str(path)).choose("RGB").read(1, Box(0, 0, SIZE[1], SIZE[0]))
            except SequenceError as error:
                assert "a.exr" in str(error)
                continue
            read += 1
            assert np.array_equal(pixels, whole)
    finally:
        ended.set()
        thread.join()
    assert read

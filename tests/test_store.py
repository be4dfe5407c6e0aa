"""Sequences opened whole, and frames that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest

from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.sequence.atomic import clock_of, whole_file
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence, sweep

Where = npt.NDArray[np.bool_]

ALL = Box(0, 0, 8, 10)
YES, NO = np.ones((8, 10), bool), np.zeros((8, 10), bool)


def exr_output() -> oiio.ImageOutput:
    out = oiio.ImageOutput.create("openexr")
    assert out is not None, oiio.geterror()
    return out


def plate(path: Path, value: float = 0.5, width: int = 10, channels: str = "RGB") -> Path:
    spec = oiio.ImageSpec(width, 8, len(channels), "half")
    spec.channelnames = tuple(channels)
    spec.attribute("DateTime", "")
    out = exr_output()
    assert out.open(str(path), spec)
    assert out.write_image(np.full((8, width, len(channels)), value, np.float16)) and out.close()
    return path


def rewrite(source: Path, target: Path, value: float, where: Where = YES, **how: bool) -> None:
    """Writes a file with one value in its RGB."""
    still = Sequence.open(str(source)).choose("RGB")
    still.write(still.frames[0], target, ALL, filled(value), where, **how)


def red(path: Path) -> npt.NDArray[Any]:
    """The R of a file."""
    still = Sequence.open(str(path)).choose("R")
    return still.read(still.frames[0], ALL)


def filled(value: float) -> npt.NDArray[np.float32]:
    return np.full((8, 10, 3), value, np.float32)


def test_a_sequence_opens_with_all_its_frames_or_those_asked_for(tmp_path: Path) -> None:
    for frame in (1001, 1002, 1003):
        plate(tmp_path / f"p.{frame}.exr", frame)
    text = str(tmp_path / "p.####.exr")
    assert Sequence.open(text).frames == (1001, 1002, 1003)
    some = Sequence.open(text, (1002, 1003))
    assert (some.frames, some.still, some.text) == ((1002, 1003), False, text)
    assert some.path(1003) == tmp_path / "p.1003.exr"
    assert (some.choose("G").read(1002, ALL) == np.float16(1002)).all()
    with pytest.raises(SequenceError, match="has no frame 1001; it has 1002-1003"):
        some.path(1001)


def test_a_folder_stands_for_its_only_sequence(tmp_path: Path) -> None:
    for frame in (998, 999, 1000):
        plate(tmp_path / f"p_v2.{frame}.exr")
    (tmp_path / "notes_1.txt").write_text("x")
    assert Sequence.open(str(tmp_path)).frames == (998, 999, 1000)
    plate(tmp_path / "q.1.exr")
    with pytest.raises(SequenceError, match=r"holds 2 .*'p_v2.###.exr', 'q.1.exr'; name one"):
        Sequence.open(str(tmp_path))
    (tmp_path / "none").mkdir()
    with pytest.raises(SequenceError, match="holds 0 sequences of pictures"):
        Sequence.open(str(tmp_path / "none"))


def test_a_still_serves_every_frame(tmp_path: Path) -> None:
    still = Sequence.open(str(plate(tmp_path / "matte.0007.exr", 1)), (1, 2, 3))
    assert still.still and still.frames == (1, 2, 3)
    assert still.path(99) == tmp_path / "matte.0007.exr"
    assert (still.choose("R").read(2, ALL) == 1).all()
    assert Sequence.open(str(tmp_path / "matte.0007.exr")).frames == (7,)
    assert Sequence.open(str(plate(tmp_path / "a#b.exr"))).still


def test_a_frame_of_another_size_or_without_a_channel_is_named(tmp_path: Path) -> None:
    for frame in (1, 2, 3):
        plate(tmp_path / f"p.{frame}.exr", width=12 if frame == 3 else 10)
    with pytest.raises(SequenceError, match="frame 3 .*12 x 8.*frame 1 is openexr 10 x 8"):
        Sequence.open(str(tmp_path / "p.#.exr"))
    plate(tmp_path / "p.2.exr", channels="RG")
    sequence = Sequence.open(str(tmp_path / "p.#.exr"), (1, 2))
    sequence.choose("RG").check_rewrite()
    with pytest.raises(SequenceError, match=r"p.2.exr' has no channel 'B'; it has G, R"):
        sequence.choose("RB")
    with pytest.raises(ValueError, match="no channels .* are chosen"):
        sequence.read(1, ALL)


def test_channels_may_lie_in_another_part_in_each_frame(tmp_path: Path) -> None:
    for frame, order in ((1, "ab"), (2, "ba")):
        parts(tmp_path / f"p.{frame}.exr", {name: value for value, name in enumerate(order)})
    sequence = Sequence.open(str(tmp_path / "p.#.exr"))
    chosen = sequence.choose("R", layer="b")
    assert [float(chosen.read(frame, ALL).max()) for frame in (1, 2)] == [1, 0]
    assert [channel.type for channel in chosen.channels] == ["half"]


def parts(path: Path, values: dict[str, int]) -> None:
    """A file with a part of one channel R for each name, all of one value."""
    specs = []
    for name in values:
        spec = oiio.ImageSpec(10, 8, 1, "half")
        spec.channelnames = ("R",)
        spec.attribute("oiio:subimagename", name)
        specs.append(spec)
    out = exr_output()
    assert out.open(str(path), tuple(specs)), out.geterror()
    for i, (spec, value) in enumerate(zip(specs, values.values(), strict=True)):
        assert i == 0 or out.open(str(path), spec, "AppendSubimage")
        assert out.write_image(np.full((8, 10, 1), value, np.float16))
    assert out.close()


def test_the_eye_is_looked_for_in_the_file_unless_its_name_has_told_it(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(10, 8, 2, "half")
    spec.channelnames = ("R", "right.R")
    spec.attribute("multiView", oiio.TypeDesc("string[2]"), ("left", "right"))
    (tmp_path / "right").mkdir()
    out = exr_output()
    assert out.open(str(tmp_path / "p.1.exr"), spec)
    assert out.write_image(np.full((8, 10, 2), [1, 2], np.float16)) and out.close()
    for view, value in (("", 1), ("left", 1), ("right", 2)):
        both = Sequence.open(str(tmp_path / "p.#.exr"), view=view).choose("R")
        assert (both.read(1, ALL) == value).all()
    plate(tmp_path / "right" / "p.1.exr", 7)
    named = Sequence.open(str(tmp_path / "%V" / "p.#.exr"), view="right").choose("R")
    assert (named.read(1, ALL) == 7).all()


def test_a_matte_is_the_same_channel_in_every_frame(tmp_path: Path) -> None:
    for frame, channels in ((1, "RGBA"), (2, "A"), (3, "RGB")):
        plate(tmp_path / f"m.{frame}.exr", channels=channels)
    two = Sequence.open(str(tmp_path / "m.#.exr"), (1, 2))
    assert two.choose_matte().channels[0].name == "A"
    with pytest.raises(SequenceError, match=r"m.3.exr' has no channel A; it has B, G, R; name one"):
        Sequence.open(str(tmp_path / "m.#.exr")).choose_matte()
    assert Sequence.open(str(tmp_path / "m.#.exr"), (1, 3)).choose_matte("R").frames == (1, 3)


def test_a_missing_frame_reads_as_its_neighbour_or_black_and_is_written_so(tmp_path: Path) -> None:
    for frame in (1, 3):
        plate(tmp_path / f"p.{frame}.exr", frame, channels="RGBZ")
    text, where = str(tmp_path / "p.#.exr"), NO.copy()
    where[2, 3] = True
    for missing, value in (("hold", 1), ("black", 0)):
        sequence = Sequence.open(text, missing=missing).choose("RGB")
        assert (sequence.frames, sequence.missing, sequence.name(2)) == ((1, 2, 3), (2,), "p.2.exr")
        pixels = sequence.read(2, ALL)
        assert pixels.dtype == np.float16 and (pixels == value).all()
        target = tmp_path / f"{missing}.2.exr"
        sequence.write(2, target, ALL, filled(9), where)
        after = Sequence.open(str(target)).choose("RGBZ").read(2, ALL)
        assert (after[where][:, :3] == 9).all() and (after[~where][:, :3] == value).all()
        assert (after[..., 3] == 1).all()  # what is not chosen is the neighbour's


@pytest.mark.parametrize(
    "name",
    [
        *(
            "fifo.exr",
            "empty.exr",
            "text.exr",
            "link.exr",
            "loop.exr",
            "folder.1.exr",
        ),
        *("renamed.dpx", "renamed.png", "renamed.tif", "renamed.jpg", "renamed.txt"),
    ],
)
def test_what_is_no_frame_is_one_error_with_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "fifo.exr":
        os.mkfifo(path)
    elif name == "link.exr":
        path.symlink_to("nowhere")
    elif name == "loop.exr":
        path.symlink_to(path)
    elif name == "folder.1.exr":
        path.mkdir()
    elif name.startswith("renamed"):
        plate(path.with_suffix(".exr")).rename(path)
    else:
        path.write_bytes({"text.exr": b"text"}.get(name, b""))
    with pytest.raises(SequenceError, match=name):
        Sequence.open(str(path))


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user that may not read everything, whoever runs the tests."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_a_file_that_may_not_be_read_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plate(tmp_path / "open.exr")
    plate(tmp_path / "locked.exr").chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above are not for everyone
    with without_rights():
        Sequence.open("open.exr")
        with pytest.raises(SequenceError, match=r"cannot read 'locked.exr': Permission denied"):
            Sequence.open("locked.exr")


@pytest.mark.parametrize("name", ["a b", "q'u\"o", "x+(y)[z]", "new\nline", "é中", "5%", "c:d?e=f"])
def test_any_name_opens_reads_and_writes(tmp_path: Path, name: str) -> None:
    plate(tmp_path / f"{name}.0001.exr")
    sequence = Sequence.open(str(tmp_path / f"{name}.####.exr"))
    target = tmp_path / f"out {name}.0001.exr"
    sequence.choose("RGB").write(1, target, ALL, filled(2), YES)
    assert (Sequence.open(f"{tmp_path}/out {name}.#.exr").choose("B").read(1, ALL) == 2).all()
    assert sorted(os.listdir(tmp_path)) == sorted([f"{name}.0001.exr", f"out {name}.0001.exr"])


def test_an_edited_frame_is_written_and_an_unedited_one_is_copied(tmp_path: Path) -> None:
    source = plate(tmp_path / "p.exr")
    (tmp_path / "out").mkdir()
    rewrite(source, tmp_path / "out" / "p.exr", 3)
    assert (red(tmp_path / "out" / "p.exr") == 3).all()
    rewrite(source, tmp_path / "out" / "p.exr", 3, NO)
    assert (tmp_path / "out" / "p.exr").read_bytes() == source.read_bytes()
    assert os.listdir(tmp_path / "out") == ["p.exr"]


def test_the_plate_itself_is_written_only_when_that_is_meant(tmp_path: Path) -> None:
    source = plate(tmp_path / "p.exr")
    (tmp_path / "link.exr").symlink_to(source)
    for target in (source, tmp_path / "link.exr"):
        with pytest.raises(JobError, match="--in-place"):
            rewrite(source, target, 3)
    rewrite(source, source, 3, in_place=True)
    assert (red(source) == 3).all()


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="formats are not converted"):
        rewrite(plate(tmp_path / "p.exr"), tmp_path / "p.dpx", 3)


def test_a_folder_that_is_not_there_is_an_error_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"cannot write '.*none/p.exr': No such file"):
        rewrite(plate(tmp_path / "p.exr"), tmp_path / "none" / "p.exr", 1)


def test_a_failed_write_leaves_the_old_frame_and_no_temporary(tmp_path: Path) -> None:
    source, target = plate(tmp_path / "p.exr"), plate(tmp_path / "out.exr", 9)
    old, whole = target.read_bytes(), source.read_bytes()
    sequence = Sequence.open(str(source)).choose("RGB")
    for keep in (0, 100, len(whole) - 1, None):
        source.unlink() if keep is None else source.write_bytes(whole[:keep])
        for where in (YES, NO):
            with pytest.raises(SequenceError, match="/p.exr'"):
                sequence.write(1, target, ALL, filled(1), where)
    assert target.read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["out.exr"]


def test_a_plate_that_changes_its_size_while_it_is_used_is_an_error(tmp_path: Path) -> None:
    sequence = Sequence.open(str(plate(tmp_path / "p.exr"))).choose("RGB")
    plate(tmp_path / "p.exr", width=12)
    with pytest.raises(SequenceError, match="p.exr"):
        sequence.read(1, ALL)
    with pytest.raises(SequenceError, match="p.exr"):
        sequence.write(1, tmp_path / "out.exr", ALL, filled(1), YES)
    assert os.listdir(tmp_path) == ["p.exr"]


def test_an_output_folder_that_vanishes_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    source, folder = plate(tmp_path / "p.exr"), tmp_path / "out"
    folder.mkdir()
    gone = threading.Event()

    def vanish() -> None:
        while not gone.is_set():
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.001)

    thread = threading.Thread(target=vanish)
    thread.start()
    try:
        with pytest.raises(InfusionError, match="out/p.exr"):
            for _ in range(200):
                with suppress(FileExistsError):  # it may vanish while that is looked at
                    folder.mkdir(exist_ok=True)
                rewrite(source, folder / "p.exr", 1)
    finally:
        gone.set()
        thread.join()
    shutil.rmtree(folder, ignore_errors=True)
    assert os.listdir(tmp_path) == ["p.exr"]


DISK_FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from infusion_ofx.errors import TryAgainError
from infusion_ofx.sequence.atomic import clock_of
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence
noise = np.random.default_rng(2).random((64, 64, 1))
for name in sys.argv[1:]:
    source, target = Path(name), Path(name).with_stem("out")
    plate, size = Sequence.open(name).choose(["R"]), source.stat().st_size
    for limit in (0, 1, 8, 100, 330, 500, 2000, size // 2, size - 400):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for edit in (True, False):
            try:
                plate.write(1, target, Box(0, 0, 64, 64), noise, np.full((64, 64), edit))
                sys.exit(f"{target} was written with {limit} bytes, {edit}")
            except TryAgainError as error:
                if repr(str(target)) not in str(error):
                    sys.exit(f"{error} does not name {target}")
"""


def test_a_full_disk_at_any_byte_leaves_the_old_frame_and_says_try_again(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).random((64, 64, 3))
    sources = [tmp_path / f"p{extension}" for extension in (".exr", ".dpx", ".png", ".tif")]
    for source in sources:
        kind = "half" if source.suffix == ".exr" else "uint16"
        out = oiio.ImageOutput.create(str(source))
        assert out is not None and out.open(str(source), oiio.ImageSpec(64, 64, 3, kind))
        assert out.write_image(noise.astype(np.float32)) and out.close()
        source.with_stem("out").write_bytes(b"old")
    before = sorted(os.listdir(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, *map(str, sources)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(source.with_stem("out").read_bytes() == b"old" for source in sources)
    assert sorted(os.listdir(tmp_path)) == before


def test_two_writers_and_a_reader_never_see_a_torn_frame(tmp_path: Path) -> None:
    source, target = plate(tmp_path / "p.exr"), plate(tmp_path / "out.exr", 1)

    def writes(value: float) -> None:
        for _ in range(15):
            rewrite(source, target, value)

    seen = set()
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(writes, value) for value in (1.0, 2.0)]
        while not all(writer.done() for writer in writers):
            pixels = Sequence.open(str(target)).choose("RGB").read(1, ALL)
            assert (pixels == pixels.flat[0]).all()
            seen.add(float(pixels.flat[0]))
    for writer in writers:
        writer.result()
    assert seen <= {1.0, 2.0} and seen
    assert sorted(os.listdir(tmp_path)) == ["out.exr", "p.exr"]


def test_the_same_file_is_read_by_many_threads_alike(tmp_path: Path) -> None:
    sequence = Sequence.open(str(plate(tmp_path / "p.exr", 7))).choose("BGR")
    with ThreadPoolExecutor(8) as pool:
        for pixels in pool.map(lambda _: sequence.read(1, ALL), range(64)):
            assert (pixels == 7).all()


def test_the_clock_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    before = clock_of(tmp_path)
    (tmp_path / "file").write_text("x")
    assert before <= os.stat(tmp_path / "file").st_mtime <= clock_of(tmp_path)
    assert abs(clock_of(tmp_path / "none") - time.time()) < 60
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_process_has_left_is_swept_at_once_and_a_live_ones_is_not(
    tmp_path: Path,
) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from infusion_ofx.sequence.atomic import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as file: print(file.name, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "p.exr"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as writer, whole_file(tmp_path / "q.exr") as ours:  # fmt: skip
        assert writer.stdout is not None
        theirs = writer.stdout.readline().strip()
        sweep(tmp_path)
        assert set(os.listdir(tmp_path)) == {theirs, ours.name}
        writer.kill()
        writer.wait()
        sweep(tmp_path)
        assert os.listdir(tmp_path) == [ours.name]
    assert os.listdir(tmp_path) == ["q.exr"]


def test_only_our_own_old_temporaries_are_swept(tmp_path: Path) -> None:
    ours = f".p.1001.exr.host-1.42.{'0' * 32}.tmp"
    young = f".p.1002.exr.host-1.42.{'1' * 32}.tmp"
    for name in (ours, young, ".other.tmp", "p.1001.exr"):
        (tmp_path / name).write_bytes(b"")
        if name != young:
            os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    sweep(tmp_path)
    sweep(tmp_path / "none")
    assert set(os.listdir(tmp_path)) == {young, ".other.tmp", "p.1001.exr"}

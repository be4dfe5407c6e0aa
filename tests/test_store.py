"""Sequences opened whole, and frames that appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
import pytest

from infusion_ofx.errors import InfusionError, JobError, SequenceError
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence, sweep, write_frame

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


def filled(value: float) -> npt.NDArray[np.float32]:
    return np.full((8, 10, 3), value, np.float32)


def test_a_sequence_opens_with_all_its_frames_or_those_asked_for(tmp_path: Path) -> None:
    for frame in (1001, 1002, 1004):
        plate(tmp_path / f"p.{frame}.exr", frame)
    text = str(tmp_path / "p.####.exr")
    assert Sequence.open(text).frames == (1001, 1002, 1004)
    some = Sequence.open(text, (1002, 1004))
    assert (some.frames, some.still, some.text) == ((1002, 1004), False, text)
    assert some.path(1004) == tmp_path / "p.1004.exr"
    assert (some.read(1002, ["G"], ALL) == np.float16(1002)).all()
    with pytest.raises(SequenceError, match="has no frame 1001; it has 1002,1004"):
        some.path(1001)


def test_missing_frames_are_one_error_that_lists_them_as_ranges(tmp_path: Path) -> None:
    for frame in (1001, 1005):
        plate(tmp_path / f"p.{frame}.exr")
    with pytest.raises(SequenceError, match="lacks frames 1002-1004,1006; it has 1001,1005"):
        Sequence.open(str(tmp_path / "p.####.exr"), tuple(range(1001, 1007)))


def test_a_wrong_name_gets_the_likely_one(tmp_path: Path) -> None:
    for frame in (1001, 1002):
        plate(tmp_path / f"plate_v002.{frame}.exr")
    with pytest.raises(SequenceError, match=r"no sequence .*did you mean '.*plate_v002.####.exr'"):
        Sequence.open(str(tmp_path / "plate_v02.####.exr"))
    with pytest.raises(SequenceError, match="no file"):
        Sequence.open(str(tmp_path / "x.exr"))


def test_a_folder_stands_for_its_only_sequence(tmp_path: Path) -> None:
    for frame in (998, 1000):
        plate(tmp_path / f"p_v2.{frame}.exr")
    (tmp_path / "notes_1.txt").write_text("x")
    assert Sequence.open(str(tmp_path)).frames == (998, 1000)
    plate(tmp_path / "q.1.exr")
    with pytest.raises(SequenceError, match=r"holds 2 .*'p_v2.###.exr', 'q.1.exr'; name one"):
        Sequence.open(str(tmp_path))
    (tmp_path / "none").mkdir()
    with pytest.raises(SequenceError, match="holds 0"):
        Sequence.open(str(tmp_path / "none"))


def test_a_still_serves_every_frame(tmp_path: Path) -> None:
    still = Sequence.open(str(plate(tmp_path / "matte.0007.exr", 1)), (1, 2, 3))
    assert still.still and still.frames == (1, 2, 3)
    assert still.path(99) == tmp_path / "matte.0007.exr"
    assert (still.read(2, ["R"], ALL) == 1).all()
    assert Sequence.open(str(tmp_path / "matte.0007.exr")).frames == (7,)
    assert Sequence.open(str(plate(tmp_path / "a#b.exr"))).still


def test_a_frame_of_another_size_or_without_a_channel_is_named(tmp_path: Path) -> None:
    for frame in (1, 2, 3):
        plate(tmp_path / f"p.{frame}.exr", width=12 if frame == 3 else 10)
    with pytest.raises(SequenceError, match="frame 3 .*12 x 8.*frame 1 is openexr 10 x 8"):
        Sequence.open(str(tmp_path / "p.#.exr"))
    plate(tmp_path / "p.2.exr", channels="RG")
    sequence = Sequence.open(str(tmp_path / "p.#.exr"), (1, 2))
    sequence.check_rewrite()
    sequence.check_channels(["R", "G"])
    with pytest.raises(SequenceError, match=r"p.2.exr' has no channel 'B'; it has G, R"):
        sequence.check_channels(["R", "B"])


@pytest.mark.parametrize(
    "name",
    ["fifo.exr", "empty.exr", "text.exr", "link.exr", "a.tif", "folder.1.exr", "renamed.dpx"],
)
def test_what_is_no_frame_is_one_error_with_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "fifo.exr":
        os.mkfifo(path)
    elif name == "link.exr":
        path.symlink_to("nowhere")
    elif name == "folder.1.exr":
        path.mkdir()
    else:
        path.write_bytes({"text.exr": b"text", "a.tif": b"II*\0"}.get(name, b""))
    if name == "renamed.dpx":
        plate(tmp_path / "x.exr").rename(path)
    with pytest.raises(SequenceError, match=name):
        Sequence.open(str(path))


@pytest.mark.parametrize("name", ["a b", "q'u\"o", "x+(y)[z]", "new\nline", "é中", "5%", "c:d?e=f"])
def test_any_name_opens_reads_and_writes(tmp_path: Path, name: str) -> None:
    plate(tmp_path / f"{name}.0001.exr")
    sequence = Sequence.open(str(tmp_path / f"{name}.####.exr"))
    target = tmp_path / f"out {name}.0001.exr"
    write_frame(sequence.path(1), target, "RGB", ALL, filled(2), YES)
    assert (Sequence.open(str(target)).read(1, ["B"], ALL) == 2).all()


def test_an_edited_frame_is_written_and_an_unedited_one_is_copied(tmp_path: Path) -> None:
    source = plate(tmp_path / "p.exr")
    (tmp_path / "out").mkdir()
    write_frame(source, tmp_path / "out" / "p.exr", "RGB", ALL, filled(3), YES)
    assert (Sequence.open(str(tmp_path / "out" / "p.exr")).read(1, ["R"], ALL) == 3).all()
    write_frame(source, tmp_path / "out" / "p.exr", "RGB", ALL, filled(3), NO)
    assert (tmp_path / "out" / "p.exr").read_bytes() == source.read_bytes()
    assert os.listdir(tmp_path / "out") == ["p.exr"]


def test_the_plate_itself_is_written_only_when_that_is_meant(tmp_path: Path) -> None:
    source = plate(tmp_path / "p.exr")
    (tmp_path / "link.exr").symlink_to(source)
    for target in (source, tmp_path / "link.exr"):
        with pytest.raises(JobError, match="--in-place"):
            write_frame(source, target, "RGB", ALL, filled(3), YES)
    write_frame(source, source, "RGB", ALL, filled(3), YES, in_place=True)
    assert (Sequence.open(str(source)).read(1, ["R"], ALL) == 3).all()


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="formats are not converted"):
        write_frame(plate(tmp_path / "p.exr"), tmp_path / "p.dpx", "RGB", ALL, filled(3), YES)


def test_a_folder_that_is_not_there_is_an_error_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"cannot write '.*none/p.exr': No such file"):
        write_frame(
            plate(tmp_path / "p.exr"), tmp_path / "none" / "p.exr", "RGB", ALL, filled(1), YES
        )


def test_a_failed_write_leaves_the_old_frame_and_no_temporary(tmp_path: Path) -> None:
    source, target = plate(tmp_path / "p.exr"), plate(tmp_path / "out.exr", 9)
    old, cut = target.read_bytes(), source.read_bytes()
    for keep in (100, len(cut) - 1):
        source.write_bytes(cut[:keep])
        for where in (YES, NO):
            with pytest.raises(InfusionError, match="p.exr|out.exr"):
                write_frame(source, target, "RGB", ALL, filled(1), where)
    assert target.read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["out.exr", "p.exr"]


DISK_FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from infusion_ofx.errors import TryAgainError
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import write_frame
source, target = map(Path, sys.argv[1:3])
noise = np.random.default_rng(2).random((64, 64, 1))
where = np.full((64, 64), sys.argv[3] == "edit")
for limit in map(int, sys.argv[4:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_frame(source, target, ["R"], Box(0, 0, 64, 64), noise, where)
        sys.exit("was written")
    except TryAgainError as error:
        print(error)
"""


@pytest.mark.parametrize("kind", ["edit", "copy"])
def test_a_full_disk_at_any_byte_leaves_the_old_frame_and_says_try_again(
    tmp_path: Path, kind: str
) -> None:
    source, out = tmp_path / "p.exr", exr_output()
    noise = np.random.default_rng(1).random((64, 64, 3)).astype(np.float16)
    assert out.open(str(source), oiio.ImageSpec(64, 64, 3, "half"))
    assert out.write_image(noise) and out.close()
    target = plate(tmp_path / "out.exr")
    old, limits = target.read_bytes(), [0, 1, 8, 100, 330, 500, 2000, source.stat().st_size - 400]
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(source), str(target), kind, *map(str, limits)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(limits) and all(repr(str(target)) in line for line in lines)
    assert target.read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["out.exr", "p.exr"]


def test_two_writers_and_a_reader_never_see_a_torn_frame(tmp_path: Path) -> None:
    source, target = plate(tmp_path / "p.exr"), plate(tmp_path / "out.exr", 1)

    def writes(value: float) -> None:
        for _ in range(15):
            write_frame(source, target, "RGB", ALL, filled(value), YES)

    seen = set()
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(writes, value) for value in (1.0, 2.0)]
        while not all(writer.done() for writer in writers):
            pixels = Sequence.open(str(target)).read(1, "RGB", ALL)
            assert (pixels == pixels.flat[0]).all()
            seen.add(float(pixels.flat[0]))
    for writer in writers:
        writer.result()
    assert seen <= {1.0, 2.0} and seen
    assert sorted(os.listdir(tmp_path)) == ["out.exr", "p.exr"]


def test_the_same_file_is_read_by_many_threads_alike(tmp_path: Path) -> None:
    sequence = Sequence.open(str(plate(tmp_path / "p.exr", 7)))
    with ThreadPoolExecutor(8) as pool:
        for pixels in pool.map(lambda _: sequence.read(1, "BGR", ALL), range(64)):
            assert (pixels == 7).all()


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

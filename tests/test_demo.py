"""Laws of the demo's shot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from infusion_ofx.demo import Shot, make_shot
from infusion_ofx.sheet import read_clip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return make_shot(tmp_path_factory.mktemp("small"), frames=3, width=48, height=36)


def _bits(clip: NDArray[np.float16]) -> NDArray[np.uint16]:
    bits: NDArray[np.uint16] = clip.view(np.uint16)
    return bits


def test_outside_the_matte_the_plate_is_the_truth_bit_for_bit(small: Shot) -> None:
    plate, clean = read_clip(small.plate), read_clip(small.clean)
    matte = read_clip(small.matte, channels=("A",))[..., 0]
    assert plate.dtype == clean.dtype == matte.dtype == np.float16
    assert (_bits(plate)[matte == 0] == _bits(clean)[matte == 0]).all()
    differs = (_bits(plate) != _bits(clean)).any(axis=-1)
    assert differs.any(axis=(1, 2)).all()
    assert (matte[differs] == 1).all()


def test_the_matte_has_a_soft_edge_and_moves(small: Shot) -> None:
    matte = read_clip(small.matte, channels=("A",))
    assert matte.min() == 0 and matte.max() == 1
    assert ((matte > 0) & (matte < 1)).any()
    assert (matte[0] != matte[-1]).any()


def test_the_fire_is_brighter_than_a_display_and_its_surroundings_are_dark(small: Shot) -> None:
    clean = read_clip(small.clean).astype(np.float32)
    assert np.isfinite(clean).all()
    assert clean.max() > 10
    assert np.median(clean[:, :9]) < 0.05
    red, green, blue = (clean[..., i].mean() for i in range(3))
    assert red > green > blue


def test_the_fire_moves_and_goes_on_where_it_was(small: Shot) -> None:
    levels = np.log2(1 + 64 * np.maximum(read_clip(small.clean).astype(np.float32), 0))
    steps = [np.abs(levels[i] - levels[j]).mean() for i, j in ((0, 1), (0, 2))]
    assert 0 < steps[0] < steps[1] < levels.std()


def test_the_same_seed_gives_the_same_files_and_leaves_them_alone(tmp_path: Path) -> None:
    shots = [make_shot(tmp_path, frames=1, width=24, height=18, seed=3) for _ in range(2)]
    dates = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    make_shot(tmp_path, frames=1, width=24, height=18, seed=3)
    assert shots[0] == shots[1]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == dates
    assert sorted(path.name for path in dates) == [
        "clean.1001.exr",
        "matte.1001.exr",
        "plate.1001.exr",
    ]


def test_another_seed_is_another_fire_in_the_same_place(tmp_path: Path, small: Shot) -> None:
    before = read_clip(small.clean)
    other = make_shot(tmp_path, frames=3, width=48, height=36, seed=8)
    assert (read_clip(other.clean) != before).any()
    mattes = [read_clip(shot.matte, channels=("A",)) for shot in (small, other)]
    assert (mattes[0] == mattes[1]).all()


def test_a_longer_shot_begins_with_the_same_frames(tmp_path: Path) -> None:
    clips = []
    for frames in (1, 3):
        shot = make_shot(tmp_path / str(frames), frames=frames, width=24, height=18)
        clips.append(read_clip(shot.plate)[0])
    assert (clips[0] == clips[1]).all()


def test_frames_carry_a_running_timecode_and_the_rate(small: Shot) -> None:
    assert small.frames == (1001, 1002, 1003)
    for part, frame in enumerate(small.frames):
        source = oiio.ImageInput.open(small.plate.replace("####", str(frame)))
        assert source is not None
        spec = source.spec()
        source.close()
        assert spec.get_string_attribute("smpte:TimeCode") == f"01:00:00:{part:02d}"
        assert spec.getattribute("FramesPerSecond") == (24, 1)
        assert "Infusion" in spec.get_string_attribute("ImageDescription")

"""What several tests share: the device that is asked for, and a tiny shot."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from infusion_ofx.job import Job

# Test files run side by side: threads of several networks would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure, and CI must not fail on luck: there the examples are fixed.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")

FRAMES, HEIGHT, WIDTH = 8, 24, 32


@dataclass(frozen=True)
class Shot:
    """A plate and a matte on disk."""

    folder: Path
    plate: str
    """Pattern of the plate: half R, G, B."""
    matte: str
    """Pattern of the matte: one half channel A, 1 in the hole."""
    frames: tuple[int, ...]

    def job(self, output: str = "out/", **settings: Any) -> Job:
        """The cheapest job there is on this shot; output lies in its folder."""
        tiny = {"recipe": "draft", "steps": 2, "sampling_steps": 3, "threads": 1, "device": "cpu"}
        return Job(self.plate, self.matte, f"{self.folder}/{output}", **{**tiny, **settings})

    def pixels(self, output: str = "out") -> dict[str, bytes]:
        """The samples of each frame in a folder of the shot's, without the headers."""
        import OpenImageIO as oiio

        found = {}
        for path in sorted((self.folder / output).glob("*.exr")):
            file = oiio.ImageInput.open(str(path))
            assert file is not None, oiio.geterror()
            pixels = file.read_image(0, 0, 0, file.spec().nchannels, oiio.HALF)
            assert pixels is not None, file.geterror()
            found[path.name] = pixels.tobytes()
            file.close()
        return found

    def hidden(self) -> list[str]:
        """Temporaries that were left anywhere below the shot."""
        return [str(path) for path in self.folder.rglob(".*")]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", help="where tests that take a device run: cpu, cuda"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--device") != "cpu":
        return
    reason = pytest.mark.skip(reason="needs a GPU: run it with --device cuda")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(reason)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny tensors lose time to threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """The device of ``--device``."""
    return str(request.config.getoption("--device"))


class FullDisk:
    """Inside it no file may grow beyond a size: the system's own way to fill a disk."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *error: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@pytest.fixture
def full_disk() -> type[FullDisk]:
    """Takes the size in bytes that no file may grow beyond while inside."""
    return FullDisk


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    """Eight frames of 24 x 32 from 1001 on: drifting waves in HDR light with a square hole."""
    frames = tuple(range(1001, 1001 + FRAMES))
    for frame in frames:
        write_exr(tmp_path / f"plate.{frame}.exr", _light(frame), ("R", "G", "B"))
        write_exr(tmp_path / f"matte.{frame}.exr", _hole(frame), ("A",))
    return Shot(
        tmp_path, str(tmp_path / "plate.####.exr"), str(tmp_path / "matte.####.exr"), frames
    )


@pytest.fixture
def two_holes(tmp_path: Path) -> Job:
    """A job on six frames of a wide plate of waves, 24 x 400, with a hole near each end, in which
    the plate is brighter than elsewhere; the right one begins in the third frame."""
    for frame in range(1001, 1007):
        light, matte = _light(frame, 400), np.zeros((HEIGHT, 400, 1), np.float32)
        matte[8:15, 20:27] = 1
        if frame > 1002:
            matte[4:12, 360:369] = 1
        light[matte[..., 0] > 0] = 9  # what must go
        write_exr(tmp_path / f"plate.{frame}.exr", light, ("R", "G", "B"))
        write_exr(tmp_path / f"matte.{frame}.exr", matte, ("A",))
    plate, matte_pattern = (str(tmp_path / f"{name}.####.exr") for name in ("plate", "matte"))
    return Job(plate, matte_pattern, str(tmp_path / "out/fill.####.exr"), recipe="draft")


def write_exr(path: Path, pixels: NDArray[np.float32], channels: tuple[str, ...]) -> None:
    """Writes a half EXR with OpenImageIO alone: no code of ours makes a test's input.

    pixels: (height, width, channels).
    """
    import OpenImageIO as oiio

    height, width, depth = pixels.shape
    spec = oiio.ImageSpec(width, height, depth, oiio.HALF)
    spec.channelnames = channels
    output = oiio.ImageOutput.create(str(path))
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    assert output.write_image(np.ascontiguousarray(pixels)) and output.close(), output.geterror()


def _light(frame: int, width: int = WIDTH) -> NDArray[np.float32]:
    y, x = np.mgrid[:HEIGHT, :width].astype(np.float32)
    wave = np.sin(0.5 * x + 0.3 * y + 0.4 * frame) + np.cos(0.2 * x - 0.6 * y + 0.2 * frame)
    return np.stack([np.exp(wave * k) for k in (1.0, 0.7, 0.4)], axis=2).astype(np.float32)


def _hole(frame: int) -> NDArray[np.float32]:
    matte = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    left = 10 + (frame - 1001) // 2
    matte[8:15, left : left + 7] = 1
    return matte

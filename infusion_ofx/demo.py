"""A shot that we make ourselves, with its truth: a fire (fire.py), and a rig swaying before it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from infusion_ofx.errors import TryAgainError
from infusion_ofx.fire import blurred, fire
from infusion_ofx.job import Job
from infusion_ofx.progress import OnProgress, ignore
from infusion_ofx.run import run
from infusion_ofx.score import peak_of, scores
from infusion_ofx.sheet import clip_sheet, read_clip

__all__ = ["DemoResult", "Shot", "demo", "make_shot"]

FIRST = 1001
RATE = 24  # frames a second
STEPS = 1000  # of training: a demo is looked at and not delivered

Array = NDArray[Any]


@dataclass(frozen=True)
class Shot:
    """A shot on disk: frame patterns, and the frames that they have."""

    plate: str
    matte: str
    clean: str
    frames: tuple[int, ...]


@dataclass(frozen=True)
class DemoResult:
    """What the demo leaves behind."""

    picture: Path
    """The contact sheet, a PNG."""
    output: str
    """Pattern of the repaired frames."""
    scores: dict[str, float]
    """The fill against the truth, see score.py."""
    seconds: float
    """Wall time of the repair."""


def demo(folder: Path, on_progress: OnProgress = ignore) -> DemoResult:
    """Makes the shot in a folder, repairs it with the draft recipe and a third of its training,
    scores it, draws the sheet."""
    shot = make_shot(folder)
    frames = list(shot.frames)
    job = Job(
        plate=shot.plate,
        matte=shot.matte,
        output=str(folder / "fill.####.exr"),
        frames=f"{frames[0]}-{frames[-1]}",
        recipe="draft",
        steps=STEPS,
    )
    started = time.monotonic()
    result = run(job, on_progress)
    seconds = time.monotonic() - started
    plate, fill, truth = (
        read_clip(text, frames) for text in (shot.plate, result.output, shot.clean)
    )
    matte = read_clip(shot.matte, frames, ("A",))[..., 0]
    picture = folder / "contact_sheet.png"
    clip_sheet(picture, {"plate": plate, "matte": matte, "fill": fill, "truth": truth}, frames)
    found = scores(fill, truth, matte > 0, peak=peak_of(plate[matte == 0]))
    return DemoResult(picture, result.output, found, seconds)


def make_shot(
    folder: Path, *, seed: int = 7, frames: int = 24, width: int = 144, height: int = 112
) -> Shot:
    """Writes plate, matte and clean sequences of half float EXR from frame 1001.

    The same arguments give the same samples; what is there of an earlier shot is replaced, frame by
    frame. Where the matte is 0, plate and clean are equal bit for bit.

    Raises:
        TryAgainError: when the storage fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clean = fire(seed, frames, width, height)
    plate, matte = _with_rig(clean)
    noise = _grain(np.random.default_rng((seed, 1)), clean.shape)
    shot = Shot(
        str(folder / "plate.####.exr"),
        str(folder / "matte.####.exr"),
        str(folder / "clean.####.exr"),
        tuple(range(FIRST, FIRST + frames)),
    )
    for i, frame in enumerate(shot.frames):
        for pattern, light in ((shot.plate, plate[i]), (shot.clean, clean[i])):
            _write(pattern, frame, "RGB", light + noise[i] * np.sqrt(2.5e-4 * light + 2e-6))
        _write(shot.matte, frame, "A", matte[i, ..., None])
    return shot


def _with_rig(clean: Array) -> tuple[Array, Array]:
    """The fire with a ball on a swaying rod before it, (T, H, W, 3), and its matte, (T, H, W)."""
    frames, height, width, _ = clean.shape
    y, x = np.mgrid[:height, :width] + 0.5
    shutter = np.linspace(0, 0.5, 7)
    seconds = (np.arange(frames)[:, None] + shutter)[..., None, None] / RATE
    lean = 0.24 * np.sin(4.4 * seconds + 0.4) + 0.05 * np.sin(11 * seconds)
    x, y = x - 0.48 * width, y - 1.08 * height  # from the foot of the rod
    side, ahead, length = np.sin(lean), -np.cos(lean), 0.52 * height
    along = np.clip(x * side + y * ahead, 0, length)
    rod = np.hypot(x - side * along, y - ahead * along)
    ball = np.hypot(x - side * length, y - ahead * length)
    thin, thick = 0.026 * height, 0.09 * height
    distance = np.minimum(rod - thin, ball - thick)
    depth = np.clip(np.maximum(1 - rod / thin, 1 - ball / thick), 0, 1)
    facing = np.sqrt(1 - (1 - depth) ** 2)  # 1 towards the camera, 0 at the rim

    cover = np.clip(0.5 - distance, 0, 1)
    shade = (cover * (0.10 + 0.9 * (1 - facing) ** 2)).mean(axis=1)[..., None]
    cover = cover.mean(axis=1)[..., None]
    fire = np.moveaxis(blurred(np.moveaxis(clean, -1, 1), 0.12), 1, -1)
    plate = np.where(cover > 0, clean * (1 - cover) + 0.9 * fire * shade + 0.004 * cover, clean)
    matte = np.clip((3.5 - distance) / 2, 0, 1).max(axis=1)
    return plate.astype(np.float32), matte.astype(np.float32)


def _grain(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Film-like grain of unit spread, (T, H, W, 3): a little wider than a pixel."""
    noise: Array = rng.standard_normal(shape, np.float32)
    for axis in (1, 2):
        noise = 0.94 * noise + 0.24 * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    return noise


def _write(pattern: str, frame: int, channels: str, light: Array) -> None:
    """Writes one half float EXR frame, whole or not at all. light: (H, W, C)."""
    path = Path(pattern.replace("####", str(frame)))
    private = path.with_name(f".{path.stem}.{os.getpid()}.exr")
    spec = oiio.ImageSpec(light.shape[1], light.shape[0], len(channels), "half")
    spec.channelnames = tuple(channels)
    second, part = divmod(frame - FIRST, RATE)
    timecode = int(f"01{second // 60:02d}{second % 60:02d}{part:02d}", 16)  # SMPTE: decimal nibbles
    spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (timecode, 0))
    spec.attribute("FramesPerSecond", oiio.TypeDesc("rational"), (RATE, 1))
    spec.attribute("compression", "zip")
    spec.attribute("ImageDescription", "Infusion demo: a fire, scene-linear, made by infusion demo")
    spec.attribute("DateTime", "2026:01:01 00:00:00")  # else the time of writing, new each time
    output = oiio.ImageOutput.create(str(private))
    try:
        if not (
            output
            and output.open(str(private), spec)
            and output.write_image(light.astype(np.float16))
            and output.close()
        ):
            reason = output.geterror() if output else oiio.geterror()
            raise TryAgainError(
                f"{path} cannot be written: {reason}",
                "see that the folder is writable and has room",
            )
        # A file that is right already stays, with its date: a job on it goes on where it stopped.
        if not (path.is_file() and path.read_bytes() == private.read_bytes()):
            private.replace(path)
    finally:
        private.unlink(missing_ok=True)

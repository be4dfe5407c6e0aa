"""What the process does that Launch has started: the host's frames become files, the job is run,
and the fills go to where the plug-in finds them.

The plug-in follows two files of one line in the node's job folder, each the path of a folder in it:
``current``, the engine's own folder of the newest job, once that is begun; ``shown``, its fills,
once all of them are there. A result that is shown stays until the next one is whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio

from infusion_ofx.errors import MissingStepError, TryAgainError
from infusion_ofx.folder import JobFolder
from infusion_ofx.job import Job
from infusion_ofx.material import Material, open_material
from infusion_ofx.ofx.plain import Fill, read_frame, write_fill
from infusion_ofx.progress import OnProgress, ignore
from infusion_ofx.run import Result, run
from infusion_ofx.sequence.atomic import storage_error, whole_file
from infusion_ofx.sequence.formats import read_header
from infusion_ofx.sequence.pattern import Pattern

__all__ = ["cache", "work"]

Array = npt.NDArray[Any]

MARGIN = 8
"""Pixels round the hole that a fill holds as well: a proxy's pixel is a mean over them."""

_SLOTS = {"r": 0, "red": 0, "g": 1, "green": 1, "b": 2, "blue": 2, "a": 3, "alpha": 3}


def work(folder: Path, job: Job, on_progress: OnProgress = ignore) -> Result:
    """Does a node's job from end to end. folder: the node's job folder.

    Raises:
        InfusionError: whatever ``run`` raises.
    """
    for name, path, channels in (("plate", job.plate, "RGBA"), ("matte", job.matte, "A")):
        if Path(path).parent == folder / name:
            _gather(folder / name, Pattern.parse(path), channels)
    result = run(job, on_progress, lambda path: _point(folder / "current", path))
    _write_fills(Path(result.folder))
    _point(folder / "shown", Path(result.folder) / "fills")
    return result


def cache(folder: Path) -> int:
    """Makes a finished job's own folder one that a node can be given, whoever has run the job.

    Returns how many frames there are to show.

    Raises:
        JobError: when it is no job folder, or its plate has changed.
        MissingStepError: when the job is not done.
    """
    count = _write_fills(folder)
    _point(folder / "current", folder)
    _point(folder / "shown", folder / "fills")
    return count


def _point(pointer: Path, target: Path) -> None:
    """Writes the file that says where something lies, from its own folder on: that may be moved."""
    with whole_file(pointer) as temporary:
        text = Path(os.path.relpath(target, pointer.parent)).as_posix()
        temporary.write_text(text + "\n", encoding="utf-8")


def _write_fills(path: Path) -> int:
    folder = JobFolder(path.absolute())
    job = folder.read().job
    if not folder.result.exists():
        raise MissingStepError(f"the job in {str(path)!r} is not done", "run it to the end first")
    material = open_material(job)
    for take in range(1, job.takes + 1):
        fills = folder.path / "fills" / (f"take_{take:02d}" if take > 1 else "")
        try:
            fills.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(fills, error) from error
        for frame in material.frames:
            write_fill(fills / f"{frame}.fill", _fill(material, frame, take))
    return len(material.frames)


def _fill(material: Material, frame: int, take: int) -> Fill:
    """A finished frame's hole and what is round it, as it was written."""
    hole, target = material.hole(frame), material.target(frame, take)
    header = read_header(target)
    box = hole.box.grow(MARGIN).intersect(material.plate.data(frame))
    values = material.plate.read_written(frame, target, box)
    if header.format != "openexr":
        # Hosts hand on the numbers of an EXR, and take coded pictures to light.
        values = material.colour.to_light(values)
    inside = np.zeros((box.height, box.width), np.uint8)
    rgba = np.zeros((box.height, box.width, 4), np.float32)
    for channel, places in enumerate(_places(material.channels)):
        for place in places:
            rgba[..., place] = values[..., channel]
            inside[box.slices(hole.box)] |= np.where(hole.alpha > 0, 1 << place, 0).astype(np.uint8)
    return Fill(header.display, box, rgba, inside)


def _places(channels: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Which of R, G, B, A each channel of the job is to a host; one alone is a grey picture."""
    names = [name.rpartition(".")[2].lower() for name in channels]
    if len(names) == 1 and names[0] not in _SLOTS:
        return [(0, 1, 2)]
    known = all(name in _SLOTS for name in names)
    return [(_SLOTS[name] if known else i,) for i, name in enumerate(names)]


def _gather(folder: Path, pattern: Pattern, channels: str) -> None:
    """Makes EXR of the frames that the host has left in a folder, and removes those."""
    for path in sorted(folder.glob("*.frame")):
        target = pattern.path(int(path.stem))
        with whole_file(target) as temporary:
            _write_exr(temporary, read_frame(path), channels)
            if target.is_file() and target.read_bytes() == temporary.read_bytes():
                # One that has not changed keeps its date: a job on it goes on where it stopped.
                date = target.stat().st_mtime_ns
                os.utime(temporary, ns=(date, date))
        path.unlink()


def _write_exr(path: Path, pixels: Array, channels: str) -> None:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(channels), "float")
    spec.channelnames = tuple(channels)
    spec.attribute("compression", "zip")
    spec.attribute("DateTime", "2026:01:01 00:00:00")  # else the time of writing, new each time
    output = oiio.ImageOutput.create("openexr")
    if not (
        output
        and output.open(str(path), spec)
        and output.write_image(np.ascontiguousarray(pixels))
        and output.close()
    ):
        reason = output.geterror() if output else oiio.geterror()
        raise TryAgainError(f"{str(path)!r} cannot be written: {reason}", "see that it has room")

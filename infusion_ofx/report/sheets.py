"""Contact sheets of what is written: the takes side by side, and the fill beside the truth."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from infusion_ofx.material import Material
from infusion_ofx.preview import COLUMNS, EXPOSURES, WIDEST, crops, rgb
from infusion_ofx.report.results import channels_of, open_result
from infusion_ofx.sequence.store import Sequence as Frames
from infusion_ofx.sheet import averaged, contact_sheet, evenly

__all__ = ["takes_sheet", "truth_sheet", "within"]

Array = npt.NDArray[Any]
Row = list[Array]


def takes_sheet(material: Material, frames: Sequence[int]) -> bytes | None:
    """One row a take, a PNG; None where there is one take, or no hole.

    frames: those that may be shown. A take is left out where one of them is not there yet.

    Raises:
        SequenceError: when a frame cannot be read.
    """
    chosen = _chosen(material, frames)
    takes = [
        take
        for take in range(1, material.job.takes + 1)
        if all(material.target(frame, take).is_file() for frame in chosen)
    ]
    if len(takes) < 2 or not chosen:
        return None
    opened = {f"take {take}": _take(material, take) for take in takes}
    return _sheet(_rows(material, chosen, opened), chosen, "takes")


def truth_sheet(material: Material, frames: Sequence[int], truth: str) -> bytes | None:
    """Plate, fill, truth, and how far the fill is from the truth, a PNG; None without a hole.

    truth: a sequence as the plate is one, without what was taken out.

    Raises:
        SequenceError: when it has no such frame, or one cannot be read.
    """
    chosen = _chosen(material, frames)
    if not chosen:
        return None
    clean = channels_of(material, Frames.open(truth, tuple(chosen)))
    opened = {
        "plate": lambda frame: material.plate,
        "fill": _take(material, 1),
        "truth": lambda frame: clean,
    }
    rows = _rows(material, chosen, opened)
    rows["fill from\ntruth"] = [
        np.abs(fill - true) for fill, true in zip(rows["fill"], rows["truth"], strict=True)
    ]
    return _sheet(rows, chosen, truth, EXPOSURES)


def within(png: bytes, most: int) -> tuple[str, bytes]:
    """A picture as a page can hold it: its media type, and ``most`` bytes of it or fewer.

    A PNG that is larger, as of grain, becomes a JPEG, and that is halved until it fits.
    """
    if len(png) <= most:
        return "image/png", png
    picture = Image.open(BytesIO(png)).convert("RGB")
    while True:
        file = BytesIO()
        picture.save(file, "JPEG", quality=90, subsampling=0)
        if file.tell() <= most:
            return "image/jpeg", file.getvalue()
        picture = picture.reduce(2)


def _chosen(material: Material, frames: Sequence[int]) -> list[int]:
    held = [frame for frame in frames if not material.hole(frame).box.empty]
    return evenly(held, COLUMNS) if held else []


def _take(material: Material, take: int) -> Callable[[int], Frames]:
    return lambda frame: open_result(material, frame, take)


def _rows(
    material: Material, frames: Sequence[int], opened: Mapping[str, Callable[[int], Frames]]
) -> dict[str, Row]:
    """Each clip at the frames, light, in the region of each frame's hole."""
    boxes = crops([material.hole(frame).box for frame in frames], material.area)
    factor = max(1, -(-boxes[0].width // WIDEST))
    rows: dict[str, Row] = {}
    for name, clip in opened.items():
        for frame, box in zip(frames, boxes, strict=True):
            light = material.colour.to_light(clip(frame).read(frame, box))
            rows.setdefault(name, []).append(averaged(rgb(light.astype(np.float32)), factor))
    return rows


def _sheet(
    rows: Mapping[str, Row], frames: Sequence[int], title: str, stops: Sequence[float] = (0.0,)
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.png"
        again = ("plate", "fill", "truth")
        contact_sheet(path, list(rows.items()), frames, exposures=stops, again=again, title=title)
        return path.read_bytes()

"""The takes of a job side by side: one row a take, at five frames of the region of the hole."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.material import Material
from infusion_ofx.preview import COLUMNS, WIDEST, crops, rgb
from infusion_ofx.report.results import open_result
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sheet import averaged, contact_sheet, evenly

__all__ = ["takes_sheet"]

Array = npt.NDArray[Any]


def takes_sheet(material: Material, frames: Sequence[int]) -> bytes | None:
    """A contact sheet of the takes, a PNG; None where there is one take, or no hole.

    frames: those that may be shown. A take is shown where all of the chosen frames of it are there.

    Raises:
        SequenceError: when a frame cannot be read.
    """
    held = [frame for frame in frames if not material.hole(frame).box.empty]
    if material.job.takes < 2 or not held:
        return None
    chosen = evenly(held, COLUMNS)
    boxes = crops([material.hole(frame).box for frame in chosen], material.area)
    rows = [
        (f"take {take}", [_cut(material, f, take, b) for f, b in zip(chosen, boxes, strict=True)])
        for take in range(1, material.job.takes + 1)
        if all(material.target(frame, take).is_file() for frame in chosen)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "takes.png"
        contact_sheet(path, rows, chosen, title="takes")
        return path.read_bytes()


def _cut(material: Material, frame: int, take: int, box: Box) -> Array:
    light = material.colour.to_light(open_result(material, frame, take).read(frame, box))
    factor = max(1, -(-box.width // WIDEST))
    return averaged(rgb(light.astype(np.float32)), factor)

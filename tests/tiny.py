"""What tests of the steps share: a draft job on the tiny shot, and a frame that is painted over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from infusion_ofx.job import Job
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

if TYPE_CHECKING:
    from conftest import Shot

ALL = Box(0, 0, 24, 32)
RGB = ["R", "G", "B"]


def job_of(shot: Shot, **settings: Any) -> Job:
    """A draft job on a shot."""
    paths = {"plate": shot.plate, "matte": shot.matte, "output": f"{shot.folder}/out/"}
    return Job(**{**paths, "recipe": "draft", **settings})


def paint(path: str | Path, channels: list[str], box: Box, value: float) -> None:
    """Sets a box of a frame to one value."""
    shape = (box.height, box.width)
    pixels = np.full((*shape, len(channels)), value, np.float32)
    still = Sequence.open(str(path)).choose(channels)
    still.write(still.frames[0], Path(path), box, pixels, np.ones(shape, bool), in_place=True)

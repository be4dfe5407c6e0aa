"""The matte as it was used, grown and faded, as a plain EXR sequence beside the result.

A comp lays the result over its own plate through it (nuke_gizmos/Infusion.gizmo).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR

from infusion_ofx.material import Hole, Material
from infusion_ofx.sequence.atomic import whole_file
from infusion_ofx.sequence.frame import Box

__all__ = ["missing_mattes", "write_used_matte"]


def write_used_matte(material: Material, frame: int, hole: Hole) -> None:
    """Writes a frame of ``Job.matte_output``: one float channel A over the plate's display window.

    Nothing where the job does not ask for it. The file appears whole or not at all.

    Raises:
        JobError: when it may not be written.
        TryAgainError: when the storage fails.
    """
    target = material.matte_target(frame)
    if target is None:
        return
    display = material.plate.header(frame).display
    alpha = np.zeros((display.height, display.width), np.float32)
    shown = hole.box.intersect(display)
    if not shown.empty:
        alpha[display.slices(shown)] = hole.alpha[hole.box.slices(shown)]
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as path:
        OpenEXR.File(_header(display), {"A": alpha}).write(str(path))


def _header(display: Box) -> dict[str, object]:
    low = np.array([display.left, display.top], np.int32)
    high = np.array([display.right - 1, display.bottom - 1], np.int32)
    return {
        "type": OpenEXR.scanlineimage,
        "compression": OpenEXR.ZIP_COMPRESSION,
        "displayWindow": (low, high),
        "dataWindow": (low, high),
    }


def missing_mattes(material: Material) -> list[Path]:
    """Files of ``Job.matte_output`` that are not there."""
    targets = (material.matte_target(frame) for frame in material.frames)
    return [target for target in targets if target is not None and not target.is_file()]

"""A frame of a result, opened as the plate is: the same channels, layer and view."""

from __future__ import annotations

from infusion_ofx.material import Material
from infusion_ofx.sequence.pattern import wants_view
from infusion_ofx.sequence.store import Sequence

__all__ = ["open_result"]


def open_result(material: Material, frame: int, take: int = 1) -> Sequence:
    """One frame of a take, with the channels chosen that were filled.

    Raises:
        SequenceError: when it is not there, or cannot be read.
    """
    job = material.job
    view = "" if wants_view(job.plate) else job.view  # else the file's name has told it
    result = Sequence.open(str(material.target(frame, take)), (frame,), view=view)
    return result.choose([name.strip() for name in job.channels.split(",")], job.layer)

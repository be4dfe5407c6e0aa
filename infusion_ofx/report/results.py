"""A frame of a result, opened as the plate is: the same channels, layer and view."""

from __future__ import annotations

from infusion_ofx.material import Material
from infusion_ofx.sequence.pattern import wants_view
from infusion_ofx.sequence.store import Sequence

__all__ = ["channels_of", "open_result"]


def open_result(material: Material, frame: int, take: int = 1) -> Sequence:
    """One frame of a take, with the channels chosen that were filled.

    Raises:
        SequenceError: when it is not there, or cannot be read.
    """
    job = material.job
    view = "" if wants_view(job.plate) else job.view  # else the file's name has told it
    return channels_of(
        material, Sequence.open(str(material.target(frame, take)), (frame,), view=view)
    )


def channels_of(material: Material, clip: Sequence) -> Sequence:
    """A clip with the channels chosen that the job fills.

    Raises:
        SequenceError: when it lacks one.
    """
    names = [name.strip() for name in material.job.channels.split(",")]
    return clip.choose(names, material.job.layer)

"""A batch as an OpenTimelineIO file: the results one after the other, their plates below them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infusion_ofx.errors import InfusionError, JobError
from infusion_ofx.material import open_material
from infusion_ofx.report.batch import Shot
from infusion_ofx.report.review import as_printf
from infusion_ofx.sequence.atomic import whole_file

__all__ = ["write_timeline"]


def write_timeline(shots: Sequence[Shot], target: Path, rate: float) -> int:
    """Writes an .otio file of the shots that are done, whole or not at all; returns how many.

    rate: frames a second.

    Raises:
        JobError: where opentimelineio is not installed, or the file may not be written.
        TryAgainError: when the storage fails.
    """
    try:
        import opentimelineio as otio
    except ImportError as error:
        raise JobError(
            "a timeline needs the package opentimelineio", "pip install 'infusion-ofx[review]'"
        ) from error
    tracks = [otio.schema.Track(name=name) for name in ("plate", "result")]
    count = 0
    for shot in shots:
        clips = _clips(otio, shot, rate)
        for track, clip in zip(tracks, clips, strict=False):
            track.append(clip)
        count += bool(clips)
    timeline = otio.schema.Timeline(name=target.stem)
    timeline.tracks.extend(tracks)
    with whole_file(target) as temporary:
        temporary.write_text(timeline.to_json_string(indent=2), encoding="utf-8")
    return count


def _clips(otio: Any, shot: Shot, rate: float) -> list[Any]:
    """The plate's clip and the result's; none of a shot that cannot be played."""
    if shot.facts is None or shot.state != "done":
        return []
    try:
        material = open_material(shot.facts.job)
    except InfusionError:
        return []
    frames, name = material.frames, shot.name
    files = (material.plate.path(frames[0]), material.target(frames[0]))
    return [_clip(otio, name, path, frames, rate) for path in files]


def _clip(otio: Any, name: str, path: Path, frames: Sequence[int], rate: float) -> Any:
    span = otio.opentime.TimeRange(
        otio.opentime.RationalTime(frames[0], rate),
        otio.opentime.RationalTime(frames[-1] - frames[0] + 1, rate),
    )
    pattern = re.split(r"%0(\d+)d", Path(as_printf(path, frames[0])).name)
    if len(pattern) != 3:  # a still
        reference = otio.schema.ExternalReference(path.absolute().as_uri(), span)
    else:
        reference = otio.schema.ImageSequenceReference(
            target_url_base=path.absolute().parent.as_uri() + "/",
            name_prefix=pattern[0],
            name_suffix=pattern[2],
            start_frame=frames[0],
            frame_step=1,
            frame_zero_padding=int(pattern[1]),
            rate=rate,
            available_range=span,
        )
    return otio.schema.Clip(name=name, media_reference=reference, source_range=span)

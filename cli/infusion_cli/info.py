"""``infusion info``: what a file, a folder or a sequence holds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import click

from infusion_cli.table import aligned
from infusion_ofx.progress import visible

if TYPE_CHECKING:
    from infusion_ofx.sequence.files import Files
    from infusion_ofx.sequence.frame import Box, Header, Part

__all__ = ["describe", "describe_folder", "info"]

Facts = dict[str, Any]

_MOST_LINES = 10
"""Damaged or refused frames that are shown to a person; JSON has them all."""


@click.command(
    epilog="""\b
Examples:
  infusion info plate.####.exr
  infusion info shots/010/plates --json
  infusion info 'stereo.%V.####.exr 1001-1100' --view left

Exit code 2 when there is no such sequence, or none of its frames can be read."""
)
@click.argument("path")
@click.option("--view", default="", metavar="NAME", help="The eye, as left: stands for %V and %v.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(path: str, view: str, as_json: bool) -> None:
    """Say what PATH holds: a pattern such as plate.####.exr, a folder, or one file.

    Frames that are there, missing or damaged; parts, views, layers, channels, windows, compression
    and colour; what `infusion run` would take from it as a plate and as a matte; and what it could
    not keep. A folder with several sequences is listed. No pixel is read.
    """
    found = describe_folder(path) if os.path.isdir(path) else describe(path, view)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in _listing(found) if "sequences" in found else _lines(found):
        click.echo(visible(line))


def describe_folder(folder: str) -> Facts:
    """What a folder holds, in JSON-ready values: its only sequence, or a list of all of them.

    Raises:
        SequenceError: when it holds none, or the only one cannot be read.
    """
    from infusion_ofx.errors import SequenceError
    from infusion_ofx.sequence.files import Files
    from infusion_ofx.sequence.listing import list_sequences

    patterns = list_sequences(folder)
    if len(patterns) < 2:
        return describe(folder)
    rows: list[Facts] = []
    for pattern in patterns:
        try:
            rows.append(_frames(Files.find(pattern.text)))
        except SequenceError as error:
            rows.append({"sequence": pattern.text, "fault": str(error)})
    return {"folder": folder, "sequences": rows}


def describe(text: str, view: str = "") -> Facts:
    """What a sequence, or the range of it that is named, holds; pixels are not read.

    Raises:
        SequenceError: when there is no such sequence, or no frame of it can be read.
    """
    from infusion_ofx.errors import SequenceError
    from infusion_ofx.sequence.files import Files
    from infusion_ofx.sequence.formats import read_header

    files = Files.find(text, view)
    headers: dict[int, Header] = {}
    damaged: dict[str, str] = {}
    error: SequenceError | None = None
    for frame in _asked(files):
        try:
            headers[frame] = read_header(files.by_frame[frame])
        except SequenceError as caught:
            error, damaged[str(frame)] = caught, str(caught)
    if not headers:
        files.select(missing="skip")  # says so where none of the range is there
        raise error or SequenceError(f"{text!r} holds no frame")
    return {
        **_frames(files),
        "damaged_frames": damaged,
        **_picture(next(iter(headers.values()))),
        "changes": _changes(headers),
        **_use(headers, view),
    }


def _asked(files: Files) -> list[int]:
    """The frames that are there, of the range after the name if there is one."""
    named = set(files.named or files.by_frame)
    return [frame for frame in files.by_frame if frame in named]


def _frames(files: Files) -> Facts:
    from infusion_ofx.sequence.ranges import format_frames

    frames = _asked(files)
    return {
        "sequence": files.pattern.text,
        "still": files.still,
        "first_file": str(files.by_frame[frames[0]]),
        "frames": format_frames(frames),
        "frame_count": len(frames),
        "missing_frames": format_frames(files.gaps()),
    }


def _picture(header: Header) -> Facts:
    """What the first readable frame holds."""
    return {
        "described_file": str(header.path),
        "format": header.format,
        "size": f"{header.display.width}x{header.display.height}",
        "display_window": _box_text(header.display),
        "pixel_aspect": header.pixel_aspect,
        "views": list(header.views),
        "layers": sorted({name.rpartition(".")[0] for name in header.names()} - {""}),
        "parts": [_part(part) for part in header.parts],
        "transfer": header.transfer,
        "encoding": _encoding(header),
        "facts": dict(header.facts),
    }


def _part(part: Part) -> Facts:
    return {
        "name": part.name,
        "view": part.view,
        "data_window": _box_text(part.data),
        "compression": part.compression,
        "channels": {channel.name: channel.type for channel in part.channels},
        "unread": part.unread,
    }


def _encoding(header: Header) -> str:
    """What ``--colorspace auto`` takes it for."""
    from infusion_ofx.colour import encoding

    return encoding("auto", header).name


def _box_text(box: Box) -> str:
    """Corners as OpenEXR and Nuke's reader tell them: x y of the first and of the last pixel."""
    return f"{box.left} {box.top} - {box.right - 1} {box.bottom - 1}"


def _changes(headers: dict[int, Header]) -> dict[str, str]:
    """What is not the same in all frames, each with the frames that differ from the first."""
    from infusion_ofx.sequence.ranges import format_frames

    looks: dict[str, Callable[[Header], Any]] = {
        "size": lambda header: (header.format, header.display),
        "data_windows": lambda header: [part.data for part in header.parts],
        "channels": lambda header: [(part.name, part.channels) for part in header.parts],
        "compression": lambda header: [part.compression for part in header.parts],
        "encoding": lambda header: header.transfer,
    }
    first = next(iter(headers.values()))
    found = {
        name: format_frames(n for n, header in headers.items() if look(header) != look(first))
        for name, look in looks.items()
    }
    return {name: frames for name, frames in found.items() if frames}


def _use(headers: dict[int, Header], view: str) -> Facts:
    """What a job would make of it: channels of a plate, channel of a matte, and what it refuses."""
    from infusion_ofx.errors import SequenceError
    from infusion_ofx.sequence.formats import check_rewrite
    from infusion_ofx.sequence.ranges import format_frames

    first = next(iter(headers.values()))
    eye = view if len(first.views) > 1 else ""
    plate = _plate(first.names(eye))
    refused, changed = {}, {}
    for frame, header in headers.items() if plate else ():
        try:
            picked = header.pick(plate["channels"].split(","), plate["layer"], eye)
            changed[frame] = check_rewrite(header, picked)
        except SequenceError as error:
            refused[str(frame)] = str(error)
    return {
        "as_a_plate": plate,
        "as_a_matte": first.matte_channel(eye),
        "cannot_be_kept": refused,
        "would_change": {
            what: format_frames(frame for frame, change in changed.items() if change == what)
            for what in dict.fromkeys(filter(None, changed.values()))
        },
    }


def _plate(names: Collection[str]) -> dict[str, str]:
    """The first channels that can be a plate: R, G, B, or those of a layer, else any one."""
    for layer, _, channel in (name.rpartition(".") for name in ("R", *names)):
        prefix = f"{layer}." if layer else ""
        if channel == "R" and {f"{prefix}{name}" for name in "RGB"} <= set(names):
            return {"layer": layer, "channels": "R,G,B"}
    return {"layer": "", "channels": next(iter(names))} if names else {}


def _lines(found: Facts) -> list[str]:
    """The facts about one sequence for people: aligned, empty ones left out."""
    shown: Facts = {
        "sequence": found["sequence"],
        "frames": found["frames"] + (", a still" if found["still"] else ""),
        "missing": found["missing_frames"],
        **_some("damaged", found["damaged_frames"]),
        "format": found["format"],
        "size": found["size"],
        "display window": found["display_window"],
        "pixel aspect": "" if found["pixel_aspect"] == 1 else found["pixel_aspect"],
        "views": found["views"],
        "layers": found["layers"],
    }
    for i, part in enumerate(found["parts"]):
        shown[f"part {i + 1}"] = _part_text(part)
    shown |= {**found["facts"], "transfer": found["transfer"], "encoding": found["encoding"]}
    shown |= {f"{what.replace('_', ' ')} differ": f"in {n}" for what, n in found["changes"].items()}
    plate = found["as_a_plate"]
    if plate:
        layer = f"--layer {plate['layer']} " if plate["layer"] else ""
        shown["as a plate"] = f"{layer}--channels {plate['channels']}"
    if found["as_a_matte"]:
        shown["as a matte"] = f"--matte-channel {found['as_a_matte']}"
    shown |= _some("not kept", found["cannot_be_kept"])
    changes = [f"{what} (in {frames})" for what, frames in found["would_change"].items()]
    shown["would change"] = "; ".join(changes)
    return aligned({name: value for name, value in shown.items() if value not in ("", [])})


def _some(name: str, frames: dict[str, str]) -> dict[str, str]:
    """A line for each of the first frames, and one for how many more there are."""
    lines = {f"{name} {frame}": why for frame, why in list(frames.items())[:_MOST_LINES]}
    more = len(frames) - len(lines)
    return {**lines, f"{name} ...": f"and {more} more"} if more > 0 else lines


def _part_text(part: Facts) -> str:
    """One part in a line: name and eye, channels by type, data window, compression."""
    kinds: dict[str, list[str]] = {}
    for name, kind in part["channels"].items():
        kinds.setdefault(kind, []).append(name)
    told = [
        part["name"],
        part["view"] and f"view {part['view']}",
        *(f"{', '.join(names)} {kind}" for kind, names in kinds.items()),
        part["data_window"],
        part["compression"],
        part["unread"] and f"not read: {part['unread']}",
    ]
    return "; ".join(text for text in told if text)


def _listing(found: Facts) -> list[str]:
    """The sequences of a folder, one a line: name, frames, what is missing."""
    rows = {}
    for row in found["sequences"]:
        text = row.get("fault") or f"{row['frames']}, {row['frame_count']} files"
        if row.get("missing_frames"):
            text += f", missing {row['missing_frames']}"
        rows[os.path.basename(row["sequence"])] = "a still" if row.get("still") else text
    return aligned(rows)

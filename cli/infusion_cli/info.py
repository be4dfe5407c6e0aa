"""``infusion info``: what a file, a folder or a sequence holds."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import click

from infusion_cli.table import aligned

if TYPE_CHECKING:
    from infusion_ofx.sequence.frame import Box, Header
    from infusion_ofx.sequence.store import Sequence

__all__ = ["describe", "info"]


@click.command(
    epilog="""\b
Examples:
  infusion info plate.####.exr
  infusion info shots/010/plates --json

Exit code 2 when there is no such sequence, or its first frame cannot be read."""
)
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(path: str, as_json: bool) -> None:
    """Say what PATH holds: a pattern such as plate.####.exr, a folder, or one file.

    Frames present and missing; size, windows, channels and their types in the first frame; and
    which channels `infusion run` would take from it by default, as a plate and as a matte.
    """
    from infusion_ofx.sequence.store import Sequence

    found = describe(Sequence.open(path))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for line in aligned({name.replace("_", " "): value for name, value in found.items()}):
        click.echo(line)


def describe(sequence: Sequence) -> dict[str, Any]:
    """What the sequence holds, in JSON-ready values; pixels are not read."""
    from infusion_ofx.sequence.pattern import format_frames

    frames = list(sequence.frames)
    missing = sorted(set(range(frames[0], frames[-1] + 1)) - set(frames))
    header = sequence.header(frames[0])
    return {
        "first_file": str(sequence.path(frames[0])),
        "frames": format_frames(frames),
        "frame_count": len(frames),
        "missing_frames": format_frames(missing) if missing else "",
        **_picture(header),
    }


def _picture(header: Header) -> dict[str, Any]:
    names = [channel.name for channel in header.channels]
    return {
        "format": header.format,
        "size": f"{header.display.width}x{header.display.height}",
        "display_window": _box_text(header.display),
        "data_window": _box_text(header.data),
        "pixel_aspect": header.pixel_aspect,
        "compression": header.compression,
        "transfer": header.transfer,
        "parts": [name for name in header.parts if name],
        "channels": {channel.name: channel.type for channel in header.channels},
        "as_a_plate": _plate_channels(names),
        "as_a_matte": header.matte_channel,
    }


def _box_text(box: Box) -> str:
    """Corners as OpenEXR and Nuke's reader tell them: x y of the first and of the last pixel."""
    return f"{box.left} {box.top} - {box.right - 1} {box.bottom - 1}"


def _plate_channels(channels: Collection[str]) -> str:
    """The default of ``Job.channels`` where it is there; empty where --channels must be given."""
    return "R,G,B" if {"R", "G", "B"} <= set(channels) else ""

"""Moving an OpenEXR header over: a rewritten file gets the source's own header bytes.

OpenImageIO drops, adds or changes some attributes on the way through (previews, empty strings,
opaque types, capDate, textureformat, ...); what is carried here is whole. Standard library only.
"""

from __future__ import annotations

import struct
from pathlib import Path

from infusion_ofx.errors import SequenceError
from infusion_ofx.sequence.exr_file import DEEP, MAGIC, MULTIPART, TILED, Layout, read_layout

__all__ = ["carry_header"]


def carry_header(source: Path, target: Path) -> None:
    """Gives ``target`` every header byte of ``source``, save compression and chunk count.

    ``target`` must hold the same parts, channels and windows in the same layout: then its chunks
    are as valid under the source's header, and every attribute, known or not, is the source's.

    Raises:
        SequenceError: when the two are not laid out alike; ``target`` is left as it was.
    """
    old, new = read_layout(target), read_layout(source)
    _check_alike(new, old, source)
    header = _joined(new, old)
    data = target.read_bytes()
    shift = len(header) - old.header_end
    count = (old.table_end - old.header_end) // 8
    offsets = struct.unpack_from(f"<{count}Q", data, old.header_end)
    table = struct.pack(f"<{count}Q", *(offset + shift for offset in offsets))
    with target.open("r+b") as file:
        file.write(header + table)
        file.write(memoryview(data)[old.table_end :])
        file.truncate()


def _check_alike(source: Layout, target: Layout, path: Path) -> None:
    kinds = TILED | DEEP | MULTIPART
    alike = source.flags & kinds == target.flags & kinds and len(source.parts) == len(target.parts)
    for ours, theirs in zip(source.parts, target.parts, strict=False):
        alike = (
            alike
            and ours.channels == theirs.channels
            and all(ours.value(name) == theirs.value(name) for name in ("dataWindow", "tiles"))
        )
        alike = alike and ours.value("lineOrder") in (theirs.value("lineOrder"), b"\2")
    if not alike:
        raise SequenceError(
            f"{str(path)!r} is of a layout that cannot be written without loss",
            "write the plate as plain scan lines, as Nuke does",
        )


def _joined(source: Layout, target: Layout) -> bytes:
    """The source's header bytes, with the compression and chunk count of the target."""
    out = MAGIC + struct.pack("<I", source.flags)
    for ours, theirs in zip(source.parts, target.parts, strict=True):
        for name, (kind, value) in ours.attributes.items():
            if name in (b"compression", b"chunkCount"):
                value = theirs.value(name.decode()) or value
            out += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
        out += b"\0"
    return out + (b"\0" if source.is_multipart else b"")

"""What the job is given: the plate and the matte as files, rendered raw, or the plate's own."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nuke

from infusion_settings import Span, group_node, span, views
from infusion_versions import NodeError, Version, versions

__all__ = ["Inputs", "digest", "hand_over", "is_source", "stamp", "unrecorded"]

_LAYOUT = ("xpos", "ypos", "selected", "note_font", "tile_color", "label", "postage_stamp", "name",
           "gl_color", "dope_sheet", "bookmark", "hide_input", "cached", "indicators")  # fmt: skip
"""Knobs that change no pixel."""

_NUMBER = re.compile(r"%0?(\d*)d|#+")

_UNTOUCHED = {
    "raw": True, "premultiplied": False, "auto_alpha": False, "on_error": "error",
    "frame_mode": "expression", "frame": "", "disable": False,
}  # fmt: skip
"""How a Read must stand for its files to be what it shows."""


@dataclass(frozen=True)
class Inputs:
    """Where the job finds plate and matte."""

    files: dict[str, tuple[str, str]]
    """Plate and matte by view: patterns from the view's folder, or absolute ones."""
    owner: str
    """The version that has rendered them, as ``v003``."""
    is_source: bool
    """Whether the plate's are its own files."""


@contextmanager
def unrecorded() -> Iterator[None]:
    """Inside it nothing can be undone, and the script does not ask to be saved for it."""
    root, undo = nuke.root(), nuke.Undo
    was = root.modified()
    undo.disable()
    try:
        yield
    finally:
        undo.enable()
        root.setModified(was)


def digest(node: nuke.Node) -> str:
    """Names what would be rendered: the knobs of all that is upstream, the frames and the form.

    The same in every session, unlike Nuke's own hashes, and whatever frame is shown.
    """
    total = hashlib.sha1()
    own = ("matte_channel", "export_format", "use_source_files")
    total.update(repr([str(span(node)), views(node), *(node[n].value() for n in own)]).encode())
    for i in range(2):
        total.update(f"input {i}\n".encode())
        for each in _upstream(node.input(i)):
            total.update(_told(each).encode())
    return total.hexdigest()


def stamp(node: nuke.Node) -> str:
    """Names the files that all Reads upstream read, by size and time of change: a plate that was
    rendered anew under its old name is another."""
    total = hashlib.sha1()
    sources = [each for i in range(2) for each in _upstream(node.input(i))]
    for read in (each for each in sources if each.Class() == "Read"):
        for view in views(node):
            for frame in range(int(read["first"].value()), int(read["last"].value()) + 1):
                total.update(_status(_for_view(_file(read), view), frame).encode())
    return total.hexdigest()


def _status(pattern: str, frame: int) -> str:
    path = _NUMBER.sub(lambda sign: f"{frame:0{_width(sign)}d}", pattern)
    try:
        status = os.stat(path)
    except OSError:
        return f"{path} is not there\n"
    return f"{path} {status.st_size} {status.st_mtime_ns}\n"


def _width(sign: re.Match[str]) -> int:
    """Digits of a place for the frame number: ``%04d`` and ``####`` have four."""
    return len(sign[0]) if sign[0][0] == "#" else int(sign[1] or 1)


def _file(read: nuke.Node) -> str:
    knob = read["file"]
    assert isinstance(knob, nuke.File_Knob), knob.name()
    return str(knob.getEvaluatedValue() or "").replace("\\", "/")


def _upstream(node: nuke.Node | None) -> list[nuke.Node]:
    """A node and all that it depends on, each once, in one order."""
    found: dict[str, nuke.Node] = {}
    waiting = [node] if node is not None else []
    while waiting:
        each = waiting.pop()
        if each.fullName() not in found:
            found[each.fullName()] = each
            waiting += each.dependencies(nuke.INPUTS | nuke.HIDDEN_INPUTS | nuke.EXPRESSIONS)
            waiting += each.nodes() if isinstance(each, nuke.Group) else []
    return list(found.values())


def _told(node: nuke.Node) -> str:
    names = str(node.writeKnobs(nuke.WRITE_NON_DEFAULT_ONLY)).split()
    knobs = [(name, node.knob(name)) for name in sorted(names) if name not in _LAYOUT]
    kept = [f"{name} {knob.toScript()}" for name, knob in knobs if knob is not None]
    return "\n".join([node.Class(), *kept, ""])


def hand_over(node: nuke.Node, version: Version, name: str) -> Inputs:
    """Makes the inputs of a version: as few files as can be. ``job_dir`` is the version's already.

    name: the digest of what would be rendered.

    Raises:
        NodeError: when the artist stops the render, or it fails.
    """
    frames, wanted = span(node), views(node)
    earlier = _rendered_before(node, version, name, frames, wanted)
    owner = earlier or version
    source = _source(node)
    if earlier is None:
        writes = [group_node(node, "WriteMatte")]
        if source is None:
            writes.append(group_node(node, "WritePlate"))
        _render(node, writes, frames, wanted)
        _check_rendered(version, [write.name() for write in writes], frames, wanted)
    files = {}
    for view in wanted:
        plate = _for_view(source, view) if source else _path(version, owner, view, "plate")
        files[view] = (plate, _path(version, owner, view, "matte"))
    return Inputs(files, owner.name, source is not None)


def _path(version: Version, owner: Version, view: str, what: str) -> str:
    """The pattern of an input, from the view's folder: the whole can be moved."""
    folder = os.path.relpath(owner.view(view) / "inputs", version.view(view))
    return f"{folder}/{what}.####.exr".replace("\\", "/")


def _rendered_before(
    node: nuke.Node, version: Version, name: str, frames: Span, wanted: list[str]
) -> Version | None:
    """An earlier version of the same inputs, whose files are all there."""
    files = stamp(node)
    for earlier in reversed(versions(version.data_dir, version.node)):
        facts = earlier.facts()
        same = facts.get("digest") == name and facts.get("stamp") == files
        whole = same and facts.get("inputs_of") == earlier.name
        kinds = ["WriteMatte"] + ([] if facts.get("source") else ["WritePlate"])
        if whole and not _missing(earlier, kinds, frames, wanted):
            return earlier
    return None


def _missing(version: Version, kinds: list[str], frames: Span, wanted: list[str]) -> list[Path]:
    names = [kind[5:].lower() for kind in kinds]
    paths = [
        version.view(view) / "inputs" / f"{name}.{frame:04d}.exr"
        for view in wanted
        for name in names
        for frame in range(frames.first, frames.last + 1)
    ]
    return [path for path in paths if not path.is_file() or not path.stat().st_size]


def _check_rendered(version: Version, kinds: list[str], frames: Span, wanted: list[str]) -> None:
    missing = _missing(version, kinds, frames, wanted)
    if missing:
        raise NodeError(
            f"Nuke has not rendered {missing[0]}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            "Look at the node's inputs at that frame, then press Start again.",
        )


def _render(node: nuke.Node, writes: list[nuke.Node], frames: Span, wanted: list[str]) -> None:
    """Renders both in one pass, at full size whatever the viewer is set to."""
    proxy = nuke.root()["proxy"]
    was = proxy.value()
    with unrecorded():
        proxy.setValue(False)
        try:
            for write in writes:
                _prepare(node, write)
            nuke.executeMultiple(writes, ([frames.first, frames.last, 1],), wanted)
        except (RuntimeError, nuke.CancelledError) as error:
            stopped = isinstance(error, nuke.CancelledError) or "cancel" in str(error).lower()
            said = "the render of the inputs was stopped" if stopped else f"Nuke says: {error}"
            raise NodeError(said, "Nothing was started.") from error
        finally:
            for write in writes:
                write["disable"].setValue(True)
            proxy.setValue(was)


def _prepare(node: nuke.Node, write: nuke.Node) -> None:
    if write.name() == "WriteMatte":
        write["channels"].setValue(node["matte_channel"].value())
    else:
        write["datatype"].setValue(node["export_format"].value())
    write["disable"].setValue(False)


def _source(node: nuke.Node) -> str | None:
    """The plate's own files as a pattern, where they are what its untouched Read shows."""
    plate = node.input(0)
    if not node["use_source_files"].value() or plate is None or not is_source(plate, span(node)):
        return None
    text = _file(plate)
    return text if os.path.isabs(text) else None


def is_source(plate: nuke.Node, frames: Span) -> bool:
    """Whether a node is a Read of EXR files that changes nothing in them, and has all frames."""
    if plate.Class() != "Read" or str(plate["file_type"].value() or "exr") != "exr":
        return False
    if not str(plate["file"].value()).lower().endswith(".exr"):
        return False
    if any(plate[name].value() != value for name, value in _UNTOUCHED.items()):
        return False
    return bool(plate["first"].value() <= frames.first and frames.last <= plate["last"].value())


def _for_view(text: str, view: str) -> str:
    return text.replace("%V", view).replace("%v", view[:1])

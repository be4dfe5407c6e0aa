"""What the fake's stock nodes give for a frame: pictures as float32, read from real files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenImageIO as oiio
from nuke_fake.knobs import File_Knob, number
from nuke_fake.nodes import Node

Array = npt.NDArray[Any]
SHORT = {"rgba.red": "R", "rgba.green": "G", "rgba.blue": "B", "rgba.alpha": "A"}
LONG = {short: name for name, short in SHORT.items()}
RGB = ("rgba.red", "rgba.green", "rgba.blue")
ALPHA = "rgba.alpha"

Picture = dict[str, Array]
"""(height, width) float32 by channel."""


class RenderError(RuntimeError):
    """A node cannot give its picture; the text names the file."""


@dataclass(frozen=True)
class Context:
    """What is asked for: a frame of a view, with an interface or without."""

    frame: int
    view: str = "main"
    gui: bool = False


def picture(node: Node | None, context: Context) -> Picture:
    """A node's channels at a frame.

    Raises:
        RenderError: when a file that it needs is not there.
    """
    if node is None:
        return {}
    if node.Class() in ("Group", "Output", "Dot"):
        return picture(_through(node), context)
    return _RENDER[node.Class()](node, context)


def read_file(node: Node, context: Context) -> str:
    """The file that a Read reads at a frame, held at the ends of its range as Nuke does."""
    knob = node["file"]
    assert isinstance(knob, File_Knob)
    low, high = (int(node[end].value()) for end in ("first", "last"))
    if node["first"]._raw.startswith("{"):
        low, high = (int(number(node, node[end]._raw)) for end in ("first", "last"))
    frame = min(max(context.frame, low), high) if high > low else context.frame
    return _file(knob.getEvaluatedValue(), frame, context.view)


def chosen(node: Node, context: Context) -> Node | None:
    """What a Switch lets through."""
    which = int(number(node, node["which"]._raw, context.frame, context.gui))
    return node.input(min(max(which, 0), node.inputs() - 1))


def source_of(node: Node | None, context: Context) -> Node | None:
    """The node behind all Switches at a frame: what the picture really is."""
    while node is not None and node.Class() in ("Switch", "Group", "Output", "Dot"):
        node = chosen(node, context) if node.Class() == "Switch" else _through(node)
    return node


def write_frame(node: Node, frame: int, view: str) -> str:
    """Renders a frame of a Write into its file; at half size where the script is at proxy."""
    knob = node["file"]
    assert isinstance(knob, File_Knob) and node["raw"].value()
    path = _file(knob.getEvaluatedValue(), frame, view)
    pixels = picture(node.input(0), Context(frame, view))
    wanted = RGB if node["channels"].value() == "rgb" else (str(node["channels"].value()),)
    planes = {SHORT.get(name, name): pixels.get(name, zeros(pixels)) for name in wanted}
    if node._session.root["proxy"].value():
        planes = {name: plane[::2, ::2] for name, plane in planes.items()}
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save(Path(path), planes, "half" if "half" in str(node["datatype"].value()) else "float")
    return path


def zeros(pixels: Picture) -> Array:
    """Black of a picture's size."""
    return np.zeros_like(next(iter(pixels.values())))


def save(path: Path, planes: dict[str, Array], kind: str = "half") -> None:
    """Writes an EXR."""
    stacked = np.stack(list(planes.values()), 2).astype(np.float32)
    spec = oiio.ImageSpec(stacked.shape[1], stacked.shape[0], stacked.shape[2], kind)
    spec.channelnames = tuple(planes)
    output = oiio.ImageOutput.create(str(path))
    assert output is not None and output.open(str(path), spec), oiio.geterror()
    assert output.write_image(stacked) and output.close(), output.geterror()


def load(path: str) -> Picture:
    """Reads an EXR's channels under Nuke's names.

    Raises:
        RenderError: when it is not there.
    """
    file = oiio.ImageInput.open(path) if os.path.isfile(path) else None
    if file is None:
        raise RenderError(f"{path}: No such file or directory")
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, oiio.FLOAT)
    assert pixels is not None, file.geterror()
    file.close()
    return {LONG.get(name, name): pixels[:, :, i] for i, name in enumerate(spec.channelnames)}


def size_of(node: Node) -> tuple[int, int]:
    """Width and height at the node's first frame."""
    plane = next(iter(picture(node, Context(node.frameRange().first())).values()))
    return plane.shape[1], plane.shape[0]


def channels_of(node: Node) -> list[str]:
    """Channels at the node's first frame."""
    return list(picture(node, Context(node.frameRange().first())))


def _file(text: str, frame: int, view: str) -> str:
    text = text.replace("%V", view).replace("%v", view[:1])
    return re.sub(r"%0?(\d*)d", lambda m: f"{frame:0{int(m[1] or 1)}d}", text)


def _through(node: Node) -> Node | None:
    if node.Class() == "Group":
        return node._session.nodes[f"{node.fullName()}.Output1"].input(0)
    return node.input(0)


def _input(node: Node, context: Context) -> Picture:
    group = node._parent
    return picture(group.input(int(float(node["number"]._raw))), context)


def _read(node: Node, context: Context) -> Picture:
    assert node["on_error"].value() == "error"
    return load(read_file(node, context))


def _switch(node: Node, context: Context) -> Picture:
    return picture(chosen(node, context), context)


def _keymix(node: Node, context: Context) -> Picture:
    below, above, mask = (picture(node.input(i), context) for i in range(3))
    key = mask[str(node["maskChannel"].value())]
    mixed = dict(below)
    for name in RGB:
        with np.errstate(invalid="ignore", over="ignore"):
            blend = below[name] * (1 - key) + above[name] * key
        mixed[name] = np.where(key == 0, below[name], np.where(key == 1, above[name], blend))
    return mixed


def _expression(node: Node, context: Context) -> Picture:
    pixels = picture(node.input(0), context)
    made = dict(pixels)
    for i, name in enumerate((*RGB, ALPHA)):
        text = str(node[f"expr{i}"].value())
        if text:
            plane = {"a": pixels.get(ALPHA, zeros(pixels)), "0": zeros(pixels)}
            plane["a > 0"] = (plane["a"] > 0).astype(np.float32)
            made[name] = plane[text]
    return made


def _merge(node: Node, context: Context) -> Picture:
    below, above = (picture(node.input(i), context) for i in range(2))
    assert node["operation"].value() == "difference"
    return {**below, **{name: np.abs(below[name] - above[name]) for name in RGB}}


def _copy(node: Node, context: Context) -> Picture:
    below, above = (picture(node.input(i), context) for i in range(2))
    return {**below, str(node["to0"].value()): above[str(node["from0"].value())]}


def _premult(node: Node, context: Context) -> Picture:
    pixels = picture(node.input(0), context)
    return {**pixels, **{name: pixels[name] * pixels[ALPHA] for name in RGB}}


_RENDER = {
    "Input": _input, "Read": _read, "Switch": _switch, "Keymix": _keymix, "Copy": _copy,
    "Expression": _expression, "Merge2": _merge, "Premult": _premult,
}  # fmt: skip

"""The fake's ``nuke`` module. Every public name of it is in Nuke's own stubs; a test says so.

``_session`` is the Nuke of the moment; ``_begin`` starts another, as closing and opening does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nuke_fake.knobs import (
    DISABLED,
    DO_NOT_WRITE,
    INVISIBLE,
    NO_UNDO,
    Boolean_Knob,
    Channel_Knob,
    Double_Knob,
    Enumeration_Knob,
    File_Knob,
    Int_Knob,
    Knob,
    PyCustom_Knob,
    PyScript_Knob,
    String_Knob,
    Tab_Knob,
    Text_Knob,
)
from nuke_fake.nodes import (
    FrameRange,
    Group,
    Node,
    Root,
    Session,
    build,
    create,
    dump,
    load_gizmo,
    read_script,
)
from nuke_fake.script import parse

__all__ = [
    "DISABLED", "DO_NOT_WRITE", "INVISIBLE", "NO_UNDO", "Boolean_Knob", "Channel_Knob",
    "Double_Knob", "Enumeration_Knob", "File_Knob", "FrameRange", "Group", "Int_Knob", "Knob",
    "Node", "PyCustom_Knob", "PyScript_Knob", "Root", "String_Knob", "Tab_Knob", "Text_Knob",
]  # fmt: skip

INPUTS, HIDDEN_INPUTS, EXPRESSIONS = 1, 2, 4
TO_SCRIPT, WRITE_NON_DEFAULT_ONLY = 1, 2
NUKE_VERSION_STRING = "0.0v0-fake"
EXE_PATH = "/opt/Nuke0.0v0/Nuke0.0"

GUI = True

_session = Session()
_main = threading.main_thread()


class CancelledError(Exception):
    """The artist has stopped a render."""


def _begin(*, gui: bool = True, script: str = "", views: Sequence[str] = ("main",)) -> Session:
    """A new Nuke with a new script of that name."""
    global _session, GUI
    _session, GUI = Session(gui=gui, views=list(views)), gui
    _session.root["name"]._raw = script
    return _session


def root() -> Root:
    assert isinstance(_session.root, Root)
    return _session.root


def thisNode() -> Node:
    found = _session.this[0]
    assert isinstance(found, Node)
    return found


def thisKnob() -> Knob:
    found = _session.this[1]
    assert isinstance(found, Knob)
    return found


def toNode(s: str) -> Node | None:
    _on_main("toNode")
    return _session.nodes.get(s)


def allNodes(
    filter: str = "", group: Group | None = None, recurseGroups: bool = False
) -> list[Node]:
    _on_main("allNodes")
    nodes = list(_session.nodes.values())
    inside = nodes if recurseGroups else [n for n in nodes if n._above is (group or root())]
    return [node for node in inside if filter in ("", node.Class())]


def createNode(typ: str, knobs: str = "", inpanel: bool = True) -> Node:
    return load_gizmo(_session) if typ == "Infusion" else create(_session, typ, {})


def delete(n: Node) -> None:
    name = n.fullName()
    for key in [k for k in _session.nodes if k == name or k.startswith(name + ".")]:
        del _session.nodes[key]
    for node in _session.nodes.values():
        node._inputs = [None if each is n else each for each in node._inputs]


def scriptReadText(s: str) -> None:
    """Opens or pastes a text: its groups are made and told so."""
    nodes = parse(s)
    group = build(_session, nodes, nodes[0].name if nodes[0].name not in _session.nodes
                  else f"{nodes[0].name}_copy")  # fmt: skip
    group._call("onCreate")


def scriptSaveAs(filename: str, overwrite: int = 0) -> None:
    root()["name"]._raw = filename
    Path(filename).write_text(dump(_session), encoding="utf-8")
    _session.modified = False


def scriptClear() -> None:
    _begin(gui=_session.gui, views=_session.views)


def scriptOpen(filename: str) -> None:
    root()["name"]._raw = filename
    read_script(_session, Path(filename).read_text(encoding="utf-8"))


def sample(node: Node, channel: str, x: int, y: int) -> float:
    from nuke_fake.render import Context, picture

    plane = picture(node, Context(node.frameRange().first(), gui=GUI))[channel]
    return float(plane[plane.shape[0] - 1 - y, x])


def execute(nameOrNode: Node, start: int, end: int) -> None:
    nameOrNode["disable"].setValue(False)
    executeMultiple([nameOrNode], [[start, end, 1]], ["main"])


def views() -> list[str]:
    return list(_session.views)


def message(prompt: str) -> None:
    _on_main("message")
    _session.messages.append(prompt)


def ask(prompt: str) -> bool:
    _session.messages.append(prompt)
    return _session.answers.pop(0)


def tprint(*args: Any) -> None:
    _session.printed.append(" ".join(map(str, args)))


def executing() -> bool:
    return _session.executing


def executeInMainThread(call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> None:
    """As Foundry's: an argument that is no tuple is one argument; errors are swallowed."""
    if threading.current_thread() is _main:
        raise RuntimeError("executeInMainThread is called from the main thread")
    _session.printed.append(f"main thread: {call.__name__}")
    _MAIN_THREAD.append((call, args if isinstance(args, tuple) else (args,), kwargs or {}))


_MAIN_THREAD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []


def _serve() -> None:
    """What the main thread does when it has nothing else to do."""
    while _MAIN_THREAD:
        call, args, kwargs = _MAIN_THREAD.pop(0)
        call(*args, **kwargs)


def _on_main(name: str) -> None:
    if threading.current_thread() is not _main:
        raise RuntimeError(f"nuke.{name} is called from a thread")


def executeMultiple(
    nodes: Sequence[Node], ranges: Sequence[Sequence[int]], views: Sequence[str],
    continueOnError: bool = False,
) -> None:  # fmt: skip
    """Renders Writes, frame by frame, into real EXR files."""
    from nuke_fake.render import write_frame

    _on_main("executeMultiple")
    count = 0
    for first, last, step in ranges:
        for frame in range(first, last + 1, step):
            if _session.cancel_after is not None and count >= _session.cancel_after:
                raise CancelledError("Cancelled")
            for view in views:
                for node in nodes:
                    if not node["disable"].value():
                        _session.rendered.append(write_frame(node, frame, view))
            count += 1


class Undo:
    """What an artist can undo."""

    def __init__(self, name: str = "") -> None:
        self._name = name

    @classmethod
    def disable(cls) -> None:
        _session.undo_off += 1

    @classmethod
    def enable(cls) -> None:
        _session.undo_off -= 1

    def __enter__(self) -> Undo:
        if not _session.undo_off:
            _session.undone.append(self._name)
        return self

    def __exit__(self, *error: object) -> None:
        return None


class _Nodes:
    """``nuke.nodes.Read(file=...)``."""

    def __getattr__(self, kind: str) -> Callable[..., Node]:
        return lambda **knobs: create(_session, kind, knobs)


nodes = _Nodes()


class Menu:
    """A menu that remembers what is put into it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._commands: dict[str, Any] = {}

    def addCommand(self, name: str, command: Any = None) -> None:
        self._commands[name] = command


_MENUS: dict[str, Menu] = {}
_LOADS: list[Callable[[], None]] = []


def menu(name: str) -> Menu:
    return _MENUS.setdefault(name, Menu(name))


def addOnScriptLoad(call: Callable[[], None]) -> None:
    _LOADS.append(call)


@contextmanager
def _rendering() -> Iterator[None]:
    """Inside it Nuke is at a render."""
    _session.executing = True
    try:
        yield
    finally:
        _session.executing = False

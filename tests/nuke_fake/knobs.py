"""The fake's knobs: values kept as the text that a script saves, given out in Nuke's types."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuke_fake.script import UserKnob, find_tclsh

if TYPE_CHECKING:
    from nuke_fake.nodes import Node

DISABLED, INVISIBLE, DO_NOT_WRITE, NO_UNDO = 0x80, 0x400, 0x200, 0x80000

_EVALUATOR = Path(__file__).with_name("evaluate.tcl")


class Knob:
    """A knob of a fake node. ``_raw`` is what the script says after its name."""

    def __init__(self, node: Node, name: str, raw: str, user: UserKnob | None = None) -> None:
        self._node, self._name, self._raw, self._user = node, name, raw, user
        self._flags = 0
        self._enabled = self._visible = True

    def name(self) -> str:
        return self._name

    def node(self) -> Node:
        return self._node

    def label(self) -> str:
        return self._user.label if self._user else self._name

    def tooltip(self) -> str:
        return self._user.tooltip if self._user else ""

    def value(self) -> Any:
        return self._raw

    def getValue(self) -> Any:
        return self.value()

    def setValue(self, val: Any) -> bool:
        text = self._text(val)
        changed = text != self._raw
        self._raw = text
        if changed:
            self._node._changed(self)
        return True

    def toScript(self) -> str:
        return self._raw

    def fromScript(self, script: str) -> None:
        changed, self._raw = script != self._raw, script
        if changed:
            self._node._changed(self)

    def setFlag(self, flag: int) -> None:
        self._flags |= flag

    def getFlag(self, flag: int) -> bool:
        return bool(self._flags & flag)

    def setEnabled(self, enabled: bool) -> None:
        self._enabled = enabled

    def enabled(self) -> bool:
        return self._enabled

    def setVisible(self, visible: bool) -> None:
        self._visible = visible

    def visible(self) -> bool:
        return self._visible

    def _text(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return str(value)


class String_Knob(Knob):  # noqa: N801, Nuke's names here and below
    pass


class Text_Knob(Knob):
    pass


class Channel_Knob(Knob):
    pass


class Tab_Knob(Knob):
    pass


class File_Knob(Knob):
    def getEvaluatedValue(self) -> str:
        return evaluate(self._node, self._raw)


class Int_Knob(Knob):
    def value(self) -> int:
        return int(float(_number(self)))

    def _text(self, value: Any) -> str:
        return str(int(value))


class Double_Knob(Knob):
    def value(self) -> float:
        return float(_number(self))


class Boolean_Knob(Knob):
    def value(self) -> bool:
        if self._raw.startswith("{"):
            return bool(float(_number(self)))
        return self._raw in ("true", "1")

    def _text(self, value: Any) -> str:
        return "true" if value else "false"


class Enumeration_Knob(Knob):
    def values(self) -> list[str]:
        assert self._user is not None
        return list(self._user.choices)

    def _text(self, value: Any) -> str:
        text = self.values()[value] if isinstance(value, int) else str(value)
        if text not in self.values():
            raise TypeError(f"{self._name} has no item {text!r}")
        return text


class PyScript_Knob(Knob):
    def execute(self) -> None:
        """Presses the button: runs its script with this node as ``nuke.thisNode()``."""
        self._node._press(self)

    def value(self) -> str:
        return self.command()

    def command(self) -> str:
        assert self._user is not None
        return self._user.target


class PyCustom_Knob(Knob):
    pass


KINDS: dict[int, type[Knob]] = {
    1: String_Knob, 2: File_Knob, 3: Int_Knob, 4: Enumeration_Knob, 6: Boolean_Knob,
    7: Double_Knob, 11: Channel_Knob, 20: Tab_Knob, 22: PyScript_Knob, 26: Text_Knob,
    52: PyCustom_Knob,
}  # fmt: skip


def stock_knob(node: Node, name: str, raw: str) -> Knob:
    """A knob of a node that ships with Nuke, its kind told from its name and value."""
    if name in ("file", "project_directory", "proxy_file"):
        return File_Knob(node, name, raw)
    if raw in ("true", "false"):
        return Boolean_Knob(node, name, raw)
    if name in ("first", "last", "xpos", "ypos", "tile_color", "first_frame", "last_frame"):
        return Int_Knob(node, name, str(int(raw, 0)) if raw[:2] == "0x" else raw)
    return String_Knob(node, name, raw)


def evaluate(node: Node, text: str) -> str:
    """A text with its Tcl in brackets evaluated; frame and view signs stay."""
    return _tcl("text", text, node) if "[" in text else text


def number(node: Node, expression: str, frame: int = 1, gui: bool = False) -> float:
    """An expression of Nuke's, in the words of Tcl's own: knobs by name, ``frame``, ``$gui``."""
    found = re.fullmatch(r'\{\{?"?(.*?)"?\}?\}', expression.strip())
    text = (found[1] if found else expression).replace("\\[", "[").replace("$gui", str(int(gui)))
    words = re.compile(r"\[[^]]*\]|\bparent\.(\w+)|\b([a-z_]\w*)\b")

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("["):
            return match[0]
        if match[0] == "frame":
            return str(frame)
        owner = node._parent if match[1] else node
        knob = owner[match[1] or match[2]]
        if isinstance(knob, Enumeration_Knob):
            return str(knob.values().index(knob.value()))
        return str(number(owner, knob._raw, frame, gui) if knob._raw[:1] == "{" else knob.value())

    return float(_tcl("number", words.sub(value, text), node))


def _number(knob: Knob) -> float:
    if knob._raw.startswith("{"):
        return number(knob._node, knob._raw)
    return float(knob._raw)


def _tcl(kind: str, text: str, node: Node) -> str:
    words = [kind, text, _list([word for pair in _values(node).items() for word in pair])]
    code, said = _evaluated(_list(words))
    if code:
        raise RuntimeError(f"{node.fullName()}: {said.splitlines()[0]} in {text}")
    return said


@lru_cache(maxsize=4096)
def _evaluated(request: str) -> tuple[int, str]:
    """What the interpreter says to a request, and its exit code; the same each time."""
    done = subprocess.run(
        [find_tclsh(), str(_EVALUATOR)], input=request, capture_output=True, text=True,
        encoding="utf-8",
    )  # fmt: skip
    return done.returncode, done.stdout if not done.returncode else done.stderr


def _values(node: Node) -> dict[str, str]:
    """What Tcl's ``value`` and ``exists`` may ask for at a node."""
    parent, found = node._parent, {}
    root = node._session.root
    found["root.name"] = root["name"]._raw
    if parent is not root:
        texts = (String_Knob, File_Knob)
        found.update(
            {f"parent.{n}": k._raw for n, k in parent.knobs().items() if isinstance(k, texts)}
        )
        for i in range(2):
            if parent.input(i) is not None:
                found[f"exists.parent.input{i}"] = "1"
    return found


def _list(words: list[str]) -> str:
    """Words as a Tcl list, whatever they hold."""
    return " ".join('"' + re.sub(r'([\\"\[\]${}])', r"\\\1", word) + '"' for word in words)

"""The fake's nodes and the script that they are in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nuke_fake.knobs import DO_NOT_WRITE, KINDS, Knob, stock_knob
from nuke_fake.script import COMMON, GIZMO, STOCK, Parsed, parse

ROOT_KNOBS = {
    "name": "", "project_directory": "", "first_frame": "1", "last_frame": "100", "proxy": "false",
    "colorManagement": "Nuke", "OCIO_config": "nuke-default", "workingSpaceLUT": "linear",
}  # fmt: skip


@dataclass
class Session:
    """One Nuke: a script, whether it has an interface, and what was asked of the artist."""

    gui: bool = True
    views: list[str] = field(default_factory=lambda: ["main"])
    messages: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    answers: list[bool] = field(default_factory=list)
    """What ``nuke.ask`` gets, in turn."""
    rendered: list[str] = field(default_factory=list)
    """Files that Writes have made."""
    undone: list[str] = field(default_factory=list)
    """Names of what can be undone."""
    undo_off: int = 0
    modified: bool = False
    executing: bool = False
    cancel_after: int | None = None
    """Frames after which the artist stops a render."""
    this: tuple[Any, Any] = (None, None)
    nodes: dict[str, Node] = field(default_factory=dict)
    """By full name, in the order of their making."""
    root: Node = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.root = Root(self, "Root", "root", None, dict(ROOT_KNOBS))


class Node:
    """A node. Only knobs that its class or the text has can be asked for."""

    def __init__(
        self, session: Session, kind: str, name: str, parent: Node | None, knobs: dict[str, str]
    ) -> None:
        self._session, self._kind, self._name, self._above = session, kind, name, parent
        self._inputs: list[Node | None] = []
        defaults = {**COMMON, **STOCK.get(kind, {})} if parent is not None else {}
        unknown = [each for each in knobs if parent is not None and each not in defaults]
        if unknown:
            raise ValueError(f"{kind} has no knob {unknown[0]!r}")
        self._saved = set(knobs)
        self._defaults = defaults
        every = {**defaults, **knobs}
        self._knobs = {each: stock_knob(self, each, raw) for each, raw in every.items()}

    @property
    def _parent(self) -> Node:
        assert self._above is not None
        return self._above

    def _changed(self, knob: Knob) -> None:
        self._saved.add(knob.name())
        if not knob.getFlag(DO_NOT_WRITE):
            self._session.modified = True
        self._call("knobChanged", knob)

    def _press(self, knob: Any) -> None:
        self._run(knob.command(), knob)

    def _call(self, event: str, knob: Knob | None = None) -> None:
        script = self._knobs[event]._raw if event in self._knobs else ""
        if script:
            self._run(script, knob)

    def _run(self, script: str, knob: Knob | None) -> None:
        before, self._session.this = self._session.this, (self, knob)
        try:
            import nuke

            exec(compile(script, self._name, "exec"), {"nuke": nuke})
        finally:
            self._session.this = before

    # What Nuke has

    def Class(self) -> str:
        return self._kind

    def name(self) -> str:
        return self._name

    def fullName(self) -> str:
        above = self._above
        if above is None or above is self._session.root:
            return self._name
        return f"{above.fullName()}.{self._name}"

    def setName(self, name: str) -> None:
        nodes, old = self._session.nodes, self.fullName()
        self._name = name
        self._session.nodes = {
            new: node
            for key, node in nodes.items()
            for new in [self.fullName() + key[len(old) :] if (key + ".").startswith(old + ".")
                        else key]
        }  # fmt: skip

    def knob(self, p: str) -> Knob | None:
        return self._knobs.get(p)

    def knobs(self) -> dict[str, Knob]:
        return dict(self._knobs)

    def __getitem__(self, name: str) -> Knob:
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def input(self, index: int) -> Node | None:
        return self._inputs[index] if index < len(self._inputs) else None

    def inputs(self) -> int:
        return len(self._inputs)

    def setInput(self, i: int, node: Node | None) -> bool:
        self._inputs += [None] * (i + 1 - len(self._inputs))
        self._inputs[i] = node
        self._call("knobChanged", Knob(self, "inputChange", ""))
        return True

    def dependencies(self, mask: int) -> list[Node]:
        return [node for node in self._inputs if node is not None]

    def dependent(self, mask: int) -> list[Node]:
        every = self._session.nodes.values()
        return [node for node in every if any(each is self for each in node._inputs)]

    def parent(self) -> Node:
        return self._parent

    def writeKnobs(self, flags: int = 0) -> str:
        """Without TO_SCRIPT, the names alone: of the knobs that are not as they were made."""
        return " ".join(self._kept())

    def _kept(self) -> list[str]:
        return [
            name
            for name, knob in self._knobs.items()
            if name in self._saved
            and knob._raw != self._defaults.get(name)
            and not knob.getFlag(DO_NOT_WRITE)
        ]

    def frameRange(self) -> FrameRange:
        if self._kind == "Read":
            return FrameRange(self["first"].value(), self["last"].value())
        sources = [node for node in self._inputs if node is not None]
        return sources[0].frameRange() if sources else FrameRange(1, 1)

    def width(self) -> int:
        return self._size()[0]

    def height(self) -> int:
        return self._size()[1]

    def channels(self) -> list[str]:
        from nuke_fake.render import channels_of

        return channels_of(self)

    def setXYpos(self, x: int, y: int) -> None:
        self["xpos"].setValue(x)
        self["ypos"].setValue(y)

    def xpos(self) -> int:
        return int(self["xpos"].value())

    def ypos(self) -> int:
        return int(self["ypos"].value())

    def _size(self) -> tuple[int, int]:
        from nuke_fake.render import size_of

        return size_of(self)


class Group(Node):
    """A node with nodes inside."""

    def node(self, s: str) -> Node | None:
        return self._session.nodes.get(f"{self.fullName()}.{s}")

    def nodes(self) -> list[Node]:
        return [node for node in self._session.nodes.values() if node._above is self]


class Root(Group):
    """The script itself."""

    def firstFrame(self) -> int:
        return int(self["first_frame"].value())

    def lastFrame(self) -> int:
        return int(self["last_frame"].value())

    def modified(self) -> bool:
        return self._session.modified

    def setModified(self, modified: bool) -> None:
        self._session.modified = modified


@dataclass(frozen=True)
class FrameRange:
    """Frames of a node."""

    _first: int
    _last: int

    def first(self) -> int:
        return self._first

    def last(self) -> int:
        return self._last


def create(session: Session, kind: str, knobs: dict[str, Any]) -> Node:
    """A stock node at the top of the script."""
    raw = {name: str(v).lower() if isinstance(v, bool) else str(v) for name, v in knobs.items()}
    name = raw.pop("name", "") or _free(session, kind)
    node = Node(session, kind, name, session.root, raw)
    session.nodes[node.fullName()] = node
    return node


def load_gizmo(session: Session, text: str = "") -> Group:
    """What ``nuke.createNode('Infusion')`` makes: the shipped gizmo, read by Tcl."""
    nodes = parse(text or GIZMO.read_text(encoding="utf-8"))
    group = build(session, nodes, _free(session, nodes[0].name))
    group._call("onCreate")
    return group


def build(session: Session, nodes: tuple[Parsed, ...], name: str) -> Group:
    """A group and all in it, from a text."""
    top = nodes[0]
    own = {knob.name for knob in top.user}
    stock = {n: raw for n, raw in top.knobs.items() if n not in own and n != "name"}
    group = Group(session, "Group", name, session.root, stock)
    for user in top.user:
        raw = user.target if user.kind == 26 else top.knobs.get(user.name, "")
        group._knobs[user.name] = KINDS[user.kind](group, user.name, raw, user)
        group._knobs[user.name]._visible = "+INVISIBLE" not in user.flags
        group._saved.add(user.name)
        if "+DO_NOT_WRITE" in user.flags:
            group._knobs[user.name].setFlag(DO_NOT_WRITE)
    session.nodes[name] = group
    made: dict[str, Node] = {top.id: group}
    for each in nodes[1:]:
        node = Node(session, each.kind, each.name, group, {n: r for n, r in each.knobs.items()})
        node._inputs = [made.get(id_) for id_ in each.inputs]
        made[each.id] = node
        session.nodes[node.fullName()] = node
    return group


def dump(session: Session) -> str:
    """The whole script as Nuke saves it: each node after those that it is connected to."""
    tops = [node for node in session.nodes.values() if node._above is session.root]
    parts = []
    for node in sorted(tops, key=lambda each: isinstance(each, Group)):
        for source in reversed(node._inputs):
            parts.append(f"push ${source.name()}" if source else "push 0")
        if isinstance(node, Group):
            parts.append(saved(node).partition("\n")[2].rstrip())
        else:
            lines = [f" {name} {_quoted(node[name]._raw)}" for name in node._kept()]
            head = f"{node.Class()} {{\n inputs {node.inputs()}\n name {node.name()}"
            parts.append("\n".join([head, *lines, "}"]))
        parts.append(f"set {node.name()} [stack 0]")
    return "\n".join(parts) + "\n"


def read_script(session: Session, text: str) -> None:
    """Makes the nodes of a whole script."""
    nodes = parse(text)
    made: dict[str, Node] = {}
    for i, each in enumerate(nodes):
        if each.depth:
            continue
        if each.kind == "Group":
            inner = tuple(node for node in nodes[i + 1 :] if node.id.startswith(each.id + "."))
            made[each.id] = build(session, (each, *inner), each.name)
        else:
            made[each.id] = create(session, each.kind, {**each.knobs, "name": each.name})
        made[each.id]._inputs = [made.get(source) for source in each.inputs]
    for node in made.values():
        node._call("onCreate")


def saved(node: Group) -> str:
    """The group's text with the values that it has now: what a script or a paste buffer holds."""
    text = GIZMO.read_text(encoding="utf-8")
    head, _, tail = text.partition("\n}\n")
    kept = []
    for line in head.splitlines():
        name = line.strip().split(" ")[0]
        if name == "name" and line.startswith(" name "):
            kept.append(f" name {node.name()}")
            continue
        knob = node.knob(name) if line.startswith(" ") else None
        is_value = knob is not None and name not in ("onCreate", "knobChanged", "help", "label")
        if is_value and knob is not None and knob.getFlag(DO_NOT_WRITE):
            continue
        kept.append(f" {name} {_quoted(node[name]._raw)}" if is_value else line)
    return "\n".join(kept) + "\n}\n" + tail


def _quoted(raw: str) -> str:
    """As Nuke writes a value: braces round expressions stay, all else is quoted."""
    if raw.startswith("{"):
        return "{" + raw + "}"
    text = raw.replace("\\", "\\\\").replace('"', '\\"').replace("[", "\\[").replace("$", "\\$")
    return '"' + text.replace("\n", "\\n") + '"'


def _free(session: Session, kind: str) -> str:
    numbers = (f"{kind}{i}" for i in range(1, 1000))
    return next(name for name in numbers if name not in session.nodes)

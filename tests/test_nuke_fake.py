"""The fake is strict: it has no name that Nuke has not, and refuses what Nuke would."""

from __future__ import annotations

import ast
import inspect
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from nuke_fake import nuke, shot
from nuke_fake.knobs import Knob
from nuke_fake.nodes import FrameRange, Group, Node, Root


def stubs() -> ast.Module:
    """Nuke's own stubs, all files in one."""
    import importlib.metadata

    files = importlib.metadata.files("types-nuke") or []
    texts = [Path(str(f.locate())).read_text() for f in files if f.suffix == ".pyi"]
    assert texts, "types-nuke is not installed: it is in the 'dev' extra"
    return ast.Module([node for text in texts for node in ast.parse(text).body], [])


STUBS = stubs()
FUNCTIONS: dict[str, list[ast.FunctionDef]] = {}
"""By name; several where the stubs tell several ways to call one."""
for _node in STUBS.body:
    if isinstance(_node, ast.FunctionDef):
        FUNCTIONS.setdefault(_node.name, []).append(_node)
CLASSES = {node.name: node for node in STUBS.body if isinstance(node, ast.ClassDef)}
NAMES = {n.target.id for n in STUBS.body
         if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}  # fmt: skip


def public(thing: object) -> list[str]:
    return [name for name in vars(thing) if not name.startswith("_")]


def methods(name: str) -> dict[str, ast.FunctionDef]:
    """The methods of a class of the stubs, inherited ones too."""
    node = CLASSES[name]
    found: dict[str, ast.FunctionDef] = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in CLASSES:
            found |= methods(base.id)
    return found | {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}


def test_every_name_of_the_fake_is_nukes() -> None:
    ours = {name for name in public(nuke) if getattr(nuke, name) is not None}
    borrowed = {"annotations", "threading", "Callable", "Iterator", "Sequence", "Any", "Session",
                "contextmanager", "build", "create", "dump", "load_gizmo", "parse", "read_script",
                "Path"}  # fmt: skip
    assert ours - borrowed <= FUNCTIONS.keys() | CLASSES.keys() | NAMES | {"FrameRange"}


@pytest.mark.parametrize("kind", [Knob, Node, Group, Root, FrameRange, nuke.Undo, nuke.Menu,
                                  nuke.File_Knob, nuke.Enumeration_Knob, nuke.PyScript_Knob],
                         ids=lambda kind: kind.__name__)  # fmt: skip
def test_every_method_of_the_fake_is_nukes_and_takes_no_more(kind: type) -> None:
    theirs = methods(kind.__name__)
    for name in public(kind):
        assert name in theirs, f"{kind.__name__}.{name}"
        _takes_no_more(getattr(kind, name), [theirs[name]])


@pytest.mark.parametrize("name", [n for n in public(nuke) if n in FUNCTIONS])
def test_every_function_of_the_fake_takes_no_more_than_nukes(name: str) -> None:
    _takes_no_more(getattr(nuke, name), FUNCTIONS[name])


def _takes_no_more(ours: object, theirs: list[ast.FunctionDef]) -> None:
    if any(each.args.vararg is not None for each in theirs) or not callable(ours):
        return
    names = [p.name for p in inspect.signature(ours).parameters.values()]
    allowed = [[argument.arg for argument in each.args.args] for each in theirs]
    assert any(names == each[: len(names)] for each in allowed), f"{names}, Nuke's has {allowed}"


def test_a_knob_that_is_not_there_is_an_error() -> None:
    _, node = shot.begin_empty()
    with pytest.raises(NameError, match="stepz"):
        node["stepz"]
    with pytest.raises(ValueError, match="no knob 'fiel'"):
        nuke.nodes.Read(fiel="a.exr")
    with pytest.raises(TypeError, match="no item"):
        node["recipe"].setValue("darft")
    with pytest.raises(AttributeError):
        nuke.isExecuting()  # type: ignore[attr-defined]


def test_nuke_may_be_touched_by_its_main_thread_only() -> None:
    shot.begin_empty()
    said: list[str] = []

    def touch() -> None:
        for call in (lambda: nuke.toNode("a"), lambda: nuke.message("a"), lambda: nuke.allNodes()):
            try:
                call()
            except RuntimeError as error:
                said.append(str(error))

    thread = threading.Thread(target=touch)
    thread.start()
    thread.join()
    assert len(said) == 3
    with pytest.raises(RuntimeError):
        nuke.executeInMainThread(print)


def test_the_stubs_are_there_for_mypy_too() -> None:
    assert find_spec("nuke-stubs") is not None

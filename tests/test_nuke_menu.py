"""What Nuke pays at its start, and on which Pythons the node's code can run."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nuke_fake.lint_python import GIZMOS

CODE = """
import sys, time, types
sys.path.insert(0, {folder!r})
class Nuke(types.ModuleType):
    def menu(self, name): return self
    def addCommand(self, *words): self.added = words
    def addOnScriptLoad(self, call): self.call = call
sys.modules["nuke"] = Nuke("nuke")
before = set(sys.modules)
began = time.perf_counter()
import init, menu
spent = time.perf_counter() - began
print(round(1000 * spent, 2), *sorted(set(sys.modules) - before - {{"init", "menu"}}))
"""

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")

NEWER_THAN_3_9 = {
    "pairwise", "bit_count", "aiter", "anext", "EncodingWarning", "StrEnum", "tomllib",
    "TaskGroup", "ExceptionGroup", "batched", "override", "add_note",
}  # fmt: skip


def interpreters() -> dict[str, str]:
    """The Pythons of this machine that answer to their version."""
    own = Path.home() / ".pyenv" / "versions"
    found = {}
    for version in VERSIONS:
        for place in (f"python{version}", *own.glob(f"{version}.*/bin/python")):
            path = shutil.which(str(place))
            if path and _version(path) == version:
                found[version] = path
    return found


def _version(path: str) -> str:
    ask = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(ask, capture_output=True, text=True).stdout.strip()


PYTHONS = interpreters()


@pytest.mark.parametrize("version", PYTHONS)
def test_the_start_of_nuke_loads_nothing_else_and_takes_no_time(version: str) -> None:
    code = CODE.format(folder=str(GIZMOS))
    # -S and -I: no third-party module could be found, were one asked for.
    runs = [
        subprocess.run([PYTHONS[version], "-I", "-S", "-c", code], capture_output=True, text=True)
        for _ in range(3)
    ]
    assert all(not run.stderr for run in runs), runs[0].stderr
    assert {run.stdout.split(" ", 1)[1:] == [] for run in runs} == {True}, runs[0].stdout
    assert min(float(run.stdout.split()[0]) for run in runs) < 50, "milliseconds"


@pytest.mark.parametrize("version", PYTHONS)
def test_all_of_the_nodes_code_loads_with_the_standard_library_alone(version: str) -> None:
    names = sorted(path.stem for path in GIZMOS.glob("infusion_*.py"))
    code = (
        "import sys, types\n"
        f"sys.path.insert(0, {str(GIZMOS)!r})\n"
        "sys.modules['nuke'] = types.ModuleType('nuke')\n"
        f"import {', '.join(names)}\n"
    )
    done = subprocess.run(
        [PYTHONS[version], "-I", "-S", "-c", code], capture_output=True, text=True
    )
    assert done.stderr == ""


def test_this_machine_has_a_python_to_try_it_on() -> None:
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in PYTHONS or os.name == "nt"


@pytest.mark.parametrize("path", sorted(GIZMOS.glob("*.py")), ids=lambda path: path.name)
def test_the_code_is_written_for_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & NEWER_THAN_3_9
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def test_the_menu_makes_the_node(tmp_path: Path) -> None:
    from nuke_fake import nuke

    source = (GIZMOS / "menu.py").read_text(encoding="utf-8")
    exec(compile(source, "menu.py", "exec"), {})
    (command,) = nuke.menu("Nodes")._commands.values()
    nuke._begin()
    exec(command, {"nuke": nuke})
    assert [node.name() for node in nuke.allNodes("Group")] == ["Infusion1"]
    nuke._LOADS[-1]()

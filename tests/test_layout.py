"""The shape of the project: which way imports go, what stays light, what is public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = (
    "errors",
    "progress",
    "stopping",
    "job",
    "sequence",
    "mapped",
    "sheet",
    "plan",
    "colour",
    "working",
    "score_patches",
    "score_pictures",
    "score",
    "score_strange",
    "score_self",
    "prior",
    "patch_level",
    "patch_match",
    "patch",
    "engine",
    "grain",
    "estimate",
    "composite",
    "paths",
    "folder",
    "accounts",
    "losses",
    "outputs",
    "material",
    "regions",
    "planning",
    "planting",
    "routing",
    "prepare",
    "choosing",
    "kept",
    "preview",
    "used_matte",
    "check",
    "assemble",
    "attempt",
    "watch",
    "leftovers",
    "steps",
    "begin",
    "run",
    "farm",
    "ofx",
    "law",
    "report",
    "fire",
    "demo",
    "bench_case",
    "bench_fills",
    "bench_cost",
    "bench_table",
    "bench_plot",
    "bench",
)
LIGHT = (
    "infusion_ofx",
    "infusion_ofx.errors",
    "infusion_ofx.progress",
    "infusion_ofx.job",
    "infusion_ofx.sequence.pattern",
    "infusion_cli.main",
)
HEAVY = ("torch", "numpy", "OpenImageIO", "cv2", "PIL")
SOURCES = sorted(
    path for top in ("infusion_ofx", "cli", "nuke_gizmos") for path in (ROOT / top).rglob("*.py")
)


def test_a_module_imports_only_from_its_left() -> None:
    for path in SOURCES:
        if (
            path.is_relative_to(ROOT / "infusion_ofx")
            and path.parent.name + path.stem != "infusion_ofx__init__"
        ):
            here = _place(path.relative_to(ROOT).with_suffix("").parts[1])
            for name in _imported(path):
                assert _allowed(name, here), f"{path.relative_to(ROOT)} imports {name}"


def test_every_module_has_its_place_in_the_order() -> None:
    tops = {p.stem for p in (ROOT / "infusion_ofx").iterdir() if p.suffix == ".py" or p.is_dir()}
    assert tops - {"__init__", "__pycache__", "__main__"} <= set(ORDER)


def test_the_order_test_sees_a_violation(tmp_path: Path) -> None:
    planted = tmp_path / "job.py"
    planted.write_text("def f():\n    from infusion_ofx.engine import train\n")
    assert [_allowed(name, _place("job")) for name in _imported(planted)] == [False]


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_half_stays_light(module: str) -> None:
    # Isolated (-I), so that nothing but the two source roots and the installed packages is seen.
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'cli')!r}]\n"
        f"import {module}\n"
        f"print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")


def test_the_package_needs_the_standard_library_only() -> None:
    # -S leaves the installed packages out altogether.
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import infusion_ofx, infusion_ofx.job, infusion_ofx.sequence.pattern\n"
        "infusion_ofx.Job, infusion_ofx.Progress, infusion_ofx.InfusionError"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_the_public_names_are_what_they_say() -> None:
    import infusion_ofx
    from infusion_ofx.errors import InfusionError
    from infusion_ofx.job import Job
    from infusion_ofx.progress import Progress

    assert set(infusion_ofx.__all__) <= set(dir(infusion_ofx))
    assert (infusion_ofx.InfusionError, infusion_ofx.Job) == (InfusionError, Job)
    assert infusion_ofx.Progress is Progress
    assert re.fullmatch(r"\d+\.\d+\.\d+", infusion_ofx.__version__)
    with pytest.raises(AttributeError, match="no attribute 'jbo'"):
        getattr(infusion_ofx, "jbo")  # noqa: B009  # a name that mypy knows is wrong


def test_run_is_the_function_whoever_imports_the_module_first() -> None:
    import infusion_ofx
    from infusion_ofx.run import run

    assert infusion_ofx.run is run
    assert infusion_ofx.run is run


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 350
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"


def test_no_file_is_named_for_nothing() -> None:
    forbidden = {
        "utils",
        "util",
        "helpers",
        "common",
        "core",
        "base",
        "misc",
        "manager",
        "registry",
    }
    for path in SOURCES:
        assert not forbidden & set(path.relative_to(ROOT).with_suffix("").parts), path


def test_every_module_says_what_it_is() -> None:
    for path in SOURCES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def _imported(path: Path) -> Iterator[str]:
    """Names of our own modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = node.module or ""
            whole = module == "infusion_ofx"
            names = [f"{module}.{alias.name}" for alias in node.names] if whole else [module]
        yield from (name for name in names if name.split(".")[0].startswith("infusion_"))


def _place(top: str) -> int:
    return ORDER.index(top)


def _allowed(name: str, here: int) -> bool:
    """Whether what stands at ``here`` in the order may import ``name``."""
    parts = name.split(".")
    if parts[0] != "infusion_ofx":
        return False
    if len(parts) == 1 or parts[1] == "__version__":
        return True
    return parts[1] in ORDER and _place(parts[1]) <= here

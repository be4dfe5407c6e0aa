"""Builds the plug-in for a test, every warning an error, with an engine that the test gives."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from infusion_ofx.ofx.bundle import NAME, architecture
from infusion_ofx.ofx.table import header

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "infusion_ofx" / "ofx" / "plugin"
STRICT = (
    "-std=c99", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow",
    "-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes",
)  # fmt: skip


def compiler() -> str:
    """A C compiler; a test that needs one is skipped where there is none, but not in CI."""
    found = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if found is None and os.environ.get("CI"):
        pytest.fail("there is no C compiler")
    return found or pytest.skip("needs a C compiler")


def compile_plugin(binary: Path, *flags: str) -> None:
    """Compiles and links the plug-in."""
    table = binary.parent / "job_table.h"
    table.write_text(header(), encoding="utf-8")
    sources = [path for path in SOURCES.glob("*.c") if path.stem != "system_windows"]
    command = [
        compiler(), *STRICT, *flags, "-fPIC", "-shared", f"-I{binary.parent}", "-o", binary,
        *sources, "-ldl",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def make_bundle(folder: Path, engine: Sequence[str] = (), binary: Path | None = None) -> Path:
    """A bundle as ``infusion ofx install`` makes it; returns its binary.

    engine: the command that Launch calls. binary: one that is built already.
    """
    contents = folder / NAME / "Contents"
    target = contents / architecture() / "Infusion.ofx"
    target.parent.mkdir(parents=True)
    if binary is not None:
        shutil.copy(binary, target)
    else:
        compile_plugin(target, "-O1", "-g")
    if engine:
        (contents / "Resources").mkdir()
        (contents / "Resources" / "engine").write_text("\n".join(engine) + "\n")
    return target

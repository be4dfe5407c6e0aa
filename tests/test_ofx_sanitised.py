"""The plug-in's own tests once more, under the address and undefined behaviour sanitisers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ofx_host.build import ROOT, compile_plugin, compiler

PARTS = ("plugin", "render", "refresh", "launch")

pytestmark = pytest.mark.slow


def runtime(name: str) -> str:
    """A sanitiser's library: who loads the plug-in later must have it from the start."""
    command = [compiler(), f"-print-file-name={name}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(said).is_absolute(), f"the C compiler has no {name}: install its sanitisers"
    return said


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sanitised") / "Infusion.ofx"
    flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
    compile_plugin(made, "-O1", "-g", *flags)
    return made


def sanitised(log: Path, **environment: str) -> dict[str, str]:
    """An environment in which every report ends the process and lies in ``log``."""
    settings = f"halt_on_error=1:log_path={log}"
    return {
        **os.environ, **environment, "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}:{ROOT / 'tests'}",
        "LD_PRELOAD": f"{runtime('libasan.so')} {runtime('libubsan.so')}",
        "ASAN_OPTIONS": f"{settings}:detect_leaks=1:exitcode=0", "UBSAN_OPTIONS": settings,
        "PYTHONMALLOC": "malloc",
    }  # fmt: skip


def test_the_sanitisers_have_nothing_to_say(binary: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "pytest", "-q", "-x", "--noconftest", "-p", "no:cacheprovider",
        *(ROOT / "tests" / f"test_ofx_{name}.py" for name in PARTS),
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True,
        env=sanitised(tmp_path / "report", INFUSION_OFX_BINARY=str(binary)),
    )  # fmt: skip
    assert " passed" in done.stdout and "failed" not in done.stdout, done.stdout + done.stderr
    reports = "\n".join(path.read_text() for path in tmp_path.glob("report*"))
    # Python itself frees little when it ends: only what was asked for in the plug-in counts.
    ours = [part for part in reports.split("\n\n") if "Infusion.ofx" in part or "/plugin/" in part]
    assert ours == []


def test_the_sanitisers_would_have_something_to_say(binary: Path, tmp_path: Path) -> None:
    # An action whose name has no end: the plug-in reads on where it may not.
    code = (
        "import ctypes, sys; from ofx_host.host import Host; host = Host(sys.argv[1])\n"
        "libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; name = libc.malloc(8)\n"
        "ctypes.memmove(name, b'OfxActio', 8); entry = ctypes.cast(host.plugin.mainEntry,\n"
        "ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)); entry(name, None, None, None)"
    )
    environment = sanitised(tmp_path / "report")
    subprocess.run([sys.executable, "-c", code, str(binary)], env=environment, cwd=ROOT)
    reports = "\n".join(path.read_text() for path in tmp_path.glob("report*"))
    assert "heap-buffer-overflow" in reports

"""Fixtures of the plug-in's tests, for files that name this module in ``pytest_plugins``.

No engine and no torch: the files are run again under the sanitisers, without conftest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ofx_host.build import make_bundle
from ofx_host.host import Host, Instance
from ofx_host.objects import faults
from ofx_host.shots import frames

ENGINE = """
import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[3])
ignored = [int(s) for s in signal.Signals if signal.getsignal(s) == signal.SIG_IGN]
(folder / "seen.json").write_text(json.dumps({
    "arguments": sys.argv[1:], "environment": dict(os.environ), "session": os.getsid(0),
    "pid": os.getpid(), "stdin": os.readlink("/proc/self/fd/0"), "ignored": ignored,
    "out": os.readlink("/proc/self/fd/1"), "err": os.readlink("/proc/self/fd/2"),
}))
print("the engine speaks")
sys.exit(int(os.environ.get("ENGINE_ENDS_WITH", 0)))
"""


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in in a bundle, with an engine that writes down how it was called.

    INFUSION_OFX_BINARY names a binary that is built already.
    """
    folder = tmp_path_factory.mktemp("plugins")
    engine = folder / "engine.py"
    engine.write_text(ENGINE)
    built = os.environ.get("INFUSION_OFX_BINARY")
    return make_bundle(folder, [sys.executable, "-I", str(engine)], Path(built) if built else None)


@pytest.fixture
def binary(_built: Path) -> Iterator[Path]:
    """The plug-in's library; whatever the host has to say against it fails the test."""
    faults.clear()
    yield _built
    assert faults == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job folder with a name that is no easy one."""
    made = tmp_path / "jöb folder"
    made.mkdir()
    return made


@pytest.fixture
def node_with(binary: Path, folder: Path) -> Iterator[Callable[..., Instance]]:
    """Makes nodes on the job folder, and ends them."""
    made: list[Instance] = []

    def make(host: Host | None = None, **options: Any) -> Instance:
        node = (host or Host(binary)).instance(options.pop("frames", frames), **options)
        node.set(job_folder=str(folder))
        made.append(node)
        return node

    yield make
    for node in made:
        node.destroy()

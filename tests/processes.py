"""Starts the program as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(*command: object) -> subprocess.Popen[str]:
    """The program in a process of its own, from the checkout."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    return subprocess.Popen(
        [sys.executable, "-m", "infusion_cli", *map(str, command)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip

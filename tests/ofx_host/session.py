"""A host in a process of its own, for tests that end it in the middle of things.

``python -m ofx_host.session BINARY SETTINGS.json``: a node is made, launched, and kept open.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import numpy as np

from ofx_host.host import Host


def main(binary: Path, settings: Path) -> None:
    """Presses Launch, prints the status, and stays."""
    blank = np.zeros((24, 32, 4), np.float32)
    node = Host(binary).instance(lambda name, time: blank)
    node.set(**json.loads(settings.read_text()))
    print(node.press("launch"), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

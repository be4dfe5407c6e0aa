"""Looks after the jobs of all nodes while Nuke's interface is open.

A thread of its own reads the folders, so that a share that hangs cannot freeze the interface; a
timer of the main thread shows what it has found. Never a dialog, never while Nuke renders, never
from a watcher's callback: that crashes Nuke.
"""

from __future__ import annotations

import importlib
import queue
import threading
from typing import Any

import nuke

from infusion_launch import reap
from infusion_settings import current
from infusion_show import find_nodes, show
from infusion_versions import NodeError, Version
from infusion_watch import Status, look

__all__ = ["POLLER", "Poller", "begin", "qt"]

SECONDS = 2.0


def qt(module: str) -> Any:
    """A module of the Qt that this Nuke has, as ``QtCore``; None where it has none."""
    for binding in ("PySide6", "PySide2"):
        try:
            return importlib.import_module(f"{binding}.{module}")
        except ImportError:
            continue
    return None


class Poller:
    """One of it serves all nodes."""

    def __init__(self) -> None:
        self._asked: queue.Queue[list[tuple[str, Version]]] = queue.Queue()
        self._found: queue.Queue[list[tuple[str, Version, Status]]] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._timer: Any = None
        self._waits = self._busy = False

    def begin(self) -> None:
        """Starts the timer, once. Without Qt somebody else must call ``tick``."""
        core = qt("QtCore") if nuke.GUI and self._timer is None else None
        if core is not None:
            self._timer = core.QTimer()
            self._timer.timeout.connect(self.tick)
            self._timer.start(int(1000 * SECONDS))

    def tick(self) -> None:
        """Shows what the thread has found since, and sends it to look again. Main thread only."""
        if self._busy or nuke.executing():
            return
        self._busy = True
        try:
            reap()
            self._show_found()
            if not self._waits:
                self._ask()
        finally:
            self._busy = False

    def _show_found(self) -> None:
        try:
            found = self._found.get_nowait()
        except queue.Empty:
            return
        self._waits = False
        for name, version, status in found:
            node = nuke.toNode(name)
            if node is not None and _version_of(node) == version:
                show(node, version, status)

    def _ask(self) -> None:
        pairs = ((str(node.fullName()), _version_of(node)) for node in find_nodes())
        wanted = [(name, version) for name, version in pairs if version is not None]
        if not wanted:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._read, daemon=True, name="infusion")
            self._thread.start()
        self._waits = True
        self._asked.put(wanted)

    def _read(self) -> None:
        """The thread: never touches Nuke."""
        while True:
            wanted = self._asked.get()
            found = []
            for name, version in wanted:
                try:
                    found.append((name, version, look(version)))
                except OSError:  # the storage is away for a while: nothing new is known
                    continue
            self._found.put(found)


def _version_of(node: nuke.Node) -> Version | None:
    try:
        return current(node)
    except NodeError:
        return None


POLLER = Poller()


def begin() -> None:
    """Starts looking after the jobs of this session."""
    POLLER.begin()
    POLLER.tick()

"""Serves the report of a job that runs, to this machine alone, at an address that holds a token.

The server listens on 127.0.0.1 only, knows four names and opens no path that anybody asks for.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infusion_ofx.errors import InfusionError
from infusion_ofx.paths import PathMap
from infusion_ofx.progress import clock_text
from infusion_ofx.report.build import build
from infusion_ofx.report.curves import curve_of
from infusion_ofx.report.facts import Facts, gather
from infusion_ofx.report.page import document

__all__ = ["Live", "server"]

HTML, JSON, PNG = "text/html; charset=utf-8", "application/json", "image/png"
Answer = tuple[str, bytes]
"""Content type and body."""


@dataclass
class Live:
    """One job, as it is served."""

    folder: Path
    paths: PathMap = field(default_factory=PathMap)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _building: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, name: str) -> Answer | None:
        """What there is under a name below the token; None for any other.

        Raises:
            InfusionError: when the job cannot be read.
        """
        known: dict[str, Callable[[], Answer]] = {
            "": self._page,
            "status.json": self._status,
            "contact_sheet.png": self._sheet,
            "report.html": self._report,
        }
        return known[name]() if name in known else None

    def _page(self) -> Answer:
        facts = gather(self.folder, self.paths)
        body = [
            f"<h1>{escape(facts.name)}</h1>",
            '<p id="said"></p><progress id="bar" max="100" value="0"></progress>',
            '<p id="done" hidden><a href="report.html">The whole report</a></p>',
            '<h2>Contact sheet</h2><img id="sheet" alt="contact sheet" hidden>',
            '<h2>Training loss</h2><div id="curves"></div>',
        ]
        text = "".join(document(f"{facts.name}: live", ("live.js",), body, live=True))
        return HTML, text.encode()

    def _status(self) -> Answer:
        facts = gather(self.folder, self.paths)
        curves = [curve_of(each) for each in facts.losses]
        told = {
            "said": _said(facts),
            "percent": facts.status.percent,
            "done": facts.status.state == "done",
            "curves": "".join(curves),
            "sheet": _changed(facts.folder.report / "contact_sheet.png"),
        }
        return JSON, json.dumps(told).encode()

    def _sheet(self) -> Answer:
        path = gather(self.folder, self.paths).folder.report / "contact_sheet.png"
        return PNG, path.read_bytes()

    def _report(self) -> Answer:
        with self._building:  # two that ask at once share one machine
            return HTML, build(self.folder, None, self.paths).read_bytes()


def server(live: Live, port: int = 0) -> ThreadingHTTPServer:
    """A server that is bound to 127.0.0.1 and waits for ``serve_forever``.

    port: 0 takes one that is free; ``server_address`` says which.
    """
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, live))


class _Handler(BaseHTTPRequestHandler):
    """Answers GET for the names of ``Live`` under its token, and nothing else."""

    server_version, sys_version = "Infusion", ""

    def __init__(self, live: Live, *given: Any) -> None:
        self.live = live
        super().__init__(*given)

    def do_GET(self) -> None:
        """Answers with what there is, or with 404 whatever the reason."""
        try:
            found = self.live.answer(self._name()) if self._may() else None
        except (InfusionError, OSError):
            found = None
        if found is None:
            self.send_error(404)
            return
        kind, body = found
        self.send_response(200)
        for name, value in _headers(kind, len(body)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *given: Any) -> None:
        """Says nothing: the address holds the token."""

    def _may(self) -> bool:
        """Whether the address holds the token, and names this machine: a page of another site that
        has its name point here is refused."""
        token = self.path.split("/")[1] if self.path.startswith("/") else ""
        host = self.headers.get("Host", "").rpartition(":")[0]
        right = hmac.compare_digest(token.encode(), self.live.token.encode())
        return right and host in ("127.0.0.1", "localhost")

    def _name(self) -> str:
        return self.path.partition("?")[0].removeprefix(f"/{self.live.token}/")


def _headers(kind: str, length: int) -> dict[str, str]:
    return {
        "Content-Type": kind,
        "Content-Length": str(length),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def _said(facts: Facts) -> str:
    status = facts.status
    left = [task.seconds_left for task in status.tasks if task.state == "running"]
    parts = [f"{status.state}, {status.percent:.0f}%"]
    if left and left[0] is not None:
        parts.append(f"{clock_text(left[0])} left")
    parts += [f"{t.task}: {t.said}" for t in status.tasks if t.state in ("failed", "lost")]
    return "; ".join(parts)


def _changed(path: Path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except OSError:
        return ""

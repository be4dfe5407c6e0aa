"""The page of many jobs: one row a shot, the worst first, with a picture and a way to its page."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infusion_ofx.errors import InfusionError
from infusion_ofx.folder import read_json
from infusion_ofx.paths import PathMap
from infusion_ofx.progress import clock_text
from infusion_ofx.report.build import SUMMARY, THUMBNAIL, build
from infusion_ofx.report.facts import Facts, gather
from infusion_ofx.report.page import document
from infusion_ofx.report.table import Raw, table
from infusion_ofx.sequence.atomic import whole_file

__all__ = ["Shot", "batch_page", "look_at", "write_batch"]

NAMES = (
    "look", "shot", "state", "fault", "differ outside", "frames", "filled", "recipe", "seed",
    "took", "said",
)  # fmt: skip
ORDER = ("failed", "lost", "no job", "stopped", "waiting", "running", "done")


@dataclass(frozen=True)
class Shot:
    """One job of a batch."""

    folder: Path
    facts: Facts | None
    """None where there is no job to speak of."""
    said: str = ""
    """Why not, or what is wrong with it."""

    @property
    def state(self) -> str:
        """As ``infusion status`` has it."""
        return self.facts.status.state if self.facts else "no job"

    @property
    def summary(self) -> dict[str, Any]:
        """What its report has found; empty where there is none."""
        return read_json(self.facts.folder.report / SUMMARY) if self.facts else {}

    @property
    def badness(self) -> tuple[int, int, float]:
        """Sorts the worst first: what has no result, what breaks law 1, then seam and flicker."""
        found = self.summary
        outside = int(found.get("outside") or 0)
        return ORDER.index(self.state), -outside, -float(found.get("fault") or 0)


def look_at(folders: Sequence[Path], paths: PathMap) -> list[Shot]:
    """Builds the page of every job that has none of its present result; the worst shot first.

    A folder that cannot be read has its row, and stops no other.
    """
    return sorted((_looked_at(folder, paths) for folder in folders), key=lambda s: s.badness)


def write_batch(shots: Sequence[Shot], target: Path) -> None:
    """Writes the table, whole or not at all.

    Raises:
        JobError: when it may not be written.
        TryAgainError: when the storage fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as temporary:
        temporary.write_text("".join(batch_page(shots, target.parent)), encoding="utf-8")


def batch_page(shots: Sequence[Shot], where: Path) -> Iterator[str]:
    """The page. where: the folder that it will lie in, from which it leads to the shots' pages."""
    done = sum(shot.state == "done" for shot in shots)
    broken = sum(bool(shot.summary.get("outside")) for shot in shots)
    law = "bad" if broken else "good"
    body = [
        "<h1>Infusion batch</h1>",
        f"<p>{done} of {len(shots)} shots are done. "
        f'<span class="{law}">{broken} differ from their plate outside the matte.</span></p>',
        '<p class="quiet">The worst first: what failed, what differs outside, then the fault of '
        "its worst frame, in octaves of seam or flicker; 0 is ideal. A head sorts by its column."
        "</p>",
        table(NAMES, [_row(shot, where) for shot in shots], sortable="shots"),
    ]
    return document("Infusion batch", ("sorting.js",), body)


def _looked_at(folder: Path, paths: PathMap) -> Shot:
    try:
        facts = gather(folder, paths)
        if not _is_fresh(facts):
            build(folder, None, paths)
        failed = [task.said for task in facts.status.tasks if task.state in ("failed", "lost")]
        return Shot(folder, facts, " ".join(failed[:1]))
    except InfusionError as error:
        return Shot(folder, None, str(error))


def _is_fresh(facts: Facts) -> bool:
    """Whether the page is newer than the result that it shows."""
    try:
        shown = (facts.folder.report / SUMMARY).stat().st_mtime_ns
        return shown > facts.folder.result.stat().st_mtime_ns
    except OSError:
        return False


def _row(shot: Shot, where: Path) -> list[Any]:
    facts, found = shot.facts, shot.summary
    if facts is None:
        return ["", str(shot.folder), shot.state, *[""] * 7, shot.said]
    page = facts.folder.report / "report.html"
    address = quote(os.path.relpath(page, where.absolute()).replace(os.sep, "/"))
    took = sum(attempt.seconds for attempt in facts.attempts)
    return [
        _picture(facts),
        Raw(f'<a href="{address}">{escape(facts.name)}</a>'),
        shot.state,
        found.get("fault"),
        found.get("outside"),
        found.get("frames"),
        found.get("filled"),
        facts.job.recipe,
        facts.job.seed,
        clock_text(took),
        shot.said,
    ]


def _picture(facts: Facts) -> Raw | str:
    try:
        png = (facts.folder.report / THUMBNAIL).read_bytes()
    except OSError:
        return ""
    text = base64.b64encode(png).decode("ascii")
    return Raw(f'<img alt="" src="data:image/png;base64,{text}">')

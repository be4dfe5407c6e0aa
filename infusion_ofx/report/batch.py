"""The page of many jobs: one row a shot, the worst first, with a picture and a way to its page."""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infusion_ofx.errors import InfusionError, JobError
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
    "plate | result", "shot", "state", "fault", "differ outside", "frames", "pixels filled",
    "method", "seed", "took",
)  # fmt: skip
ORDER = ("failed", "lost", "no job", "stopped", "waiting", "running", "done")


@dataclass(frozen=True)
class Shot:
    """One job of a batch."""

    name: str
    folder: Path | None
    """None where the batch never came to make one."""
    facts: Facts | None = None
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


def look_at(given: Sequence[Path], paths: PathMap) -> list[Shot]:
    """The shots of job folders, and of reports that ``infusion batch`` wrote, in their order.

    Builds the page of every job that has none of its present result. A folder that cannot be read
    has its row, and stops no other.

    Raises:
        JobError: when a file is no report of a batch.
    """
    return _told_apart([_looked_at(shot, paths) for path in given for shot in _named(path)])


def write_batch(shots: Sequence[Shot], target: Path) -> None:
    """Writes the table, the worst shot first; whole or not at all.

    Raises:
        JobError: when it may not be written.
        TryAgainError: when the storage fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as temporary:
        worst_first = sorted(shots, key=lambda shot: shot.badness)
        temporary.write_text("".join(batch_page(worst_first, target.parent)), encoding="utf-8")


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
        "its worst frame, in octaves of seam or flicker, which leads to that frame; 0 is ideal. A "
        "head sorts by its column.</p>",
        table(NAMES, [_row(shot, where) for shot in shots], sortable="shots"),
    ]
    return document("Infusion batch", ("sorting.js",), body)


def _named(path: Path) -> list[Shot]:
    """A job folder as a shot, or the shots of a batch's report."""
    if not path.is_file():
        return [Shot("", path)]
    shots = read_json(path).get("shots")
    if not isinstance(shots, list) or not all(isinstance(shot, dict) for shot in shots):
        raise JobError(
            f"{str(path)!r} is neither a job folder nor the report of a batch",
            "give job folders, or the JSON that `infusion batch` has written",
        )
    return [
        Shot(
            str(shot.get("shot", "")),
            Path(str(shot["folder"])) if shot.get("folder") else None,
            said=str(shot.get("message") or ""),
        )
        for shot in shots
    ]


def _looked_at(shot: Shot, paths: PathMap) -> Shot:
    if shot.folder is None:
        return shot
    try:
        facts = gather(shot.folder, paths)
        if not _is_fresh(facts):
            build(shot.folder, None, paths)
        failed = [task.said for task in facts.status.tasks if task.state in ("failed", "lost")]
        return replace(shot, name=shot.name or facts.name, facts=facts, said=" ".join(failed[:1]))
    except InfusionError as error:
        return replace(shot, name=shot.name or str(shot.folder), said=str(error))


def _told_apart(shots: list[Shot]) -> list[Shot]:
    """Shots that share a name with another are called by where they lie."""
    folders = [str(shot.folder.absolute()) for shot in shots if shot.folder]
    if len(folders) < 2:
        return shots
    common, counts = os.path.commonpath(folders), Counter(shot.name for shot in shots)
    return [
        replace(shot, name=os.path.relpath(shot.folder.absolute(), common))
        if shot.folder and counts[shot.name] > 1
        else shot
        for shot in shots
    ]


def _is_fresh(facts: Facts) -> bool:
    """Whether the page is newer than the result that it shows."""
    try:
        shown = (facts.folder.report / SUMMARY).stat().st_mtime_ns
        return shown > facts.folder.result.stat().st_mtime_ns
    except OSError:
        return False


def _row(shot: Shot, where: Path) -> list[Any]:
    facts, found = shot.facts, shot.summary
    said = f'<br><span class="bad">{escape(shot.said)}</span>' if shot.said else ""
    if facts is None:
        return ["", Raw(escape(shot.name) + said), _state(shot), *[""] * 7]
    page = facts.folder.report / "report.html"
    address = quote(os.path.relpath(page, where.absolute()).replace(os.sep, "/"))
    took = sum(attempt.seconds for attempt in facts.attempts)
    return [
        _picture(facts),
        Raw(
            f'<a class="shot" href="{address}">{escape(shot.name)}</a><br>'
            f'<span class="quiet">{escape(facts.job.output)}</span>{said}'
        ),
        _state(shot),
        _fault(found, address),
        found.get("outside"),
        found.get("frames"),
        found.get("filled"),
        _method(facts),
        facts.job.seed,
        clock_text(took),
    ]


def _state(shot: Shot) -> Raw:
    said = "good" if shot.state == "done" else "bad" if ORDER.index(shot.state) < 3 else "quiet"
    return Raw(f'<span class="state {said}">{escape(shot.state)}</span>')


def _method(facts: Facts) -> str:
    """How the shot was filled; the recipe where a network was trained."""
    job = facts.job
    trained = job.method in ("diffusion", "auto") and job.prior != "only"
    return f"{job.method}, {job.recipe}" if trained else job.method


def _fault(found: Mapping[str, Any], address: str) -> Any:
    """The fault of the worst frame, and the way to it, where one stands out."""
    fault, worst = found.get("fault"), found.get("worst")
    if not fault or not worst:
        return fault
    return Raw(f'<a href="{address}#frame={int(worst[0])}">{fault:.3g}</a>')


def _picture(facts: Facts) -> Raw | str:
    try:
        png = (facts.folder.report / THUMBNAIL).read_bytes()
    except OSError:
        return ""
    text = base64.b64encode(png).decode("ascii")
    return Raw(f'<img alt="" src="data:image/png;base64,{text}">')

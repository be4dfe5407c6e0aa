"""Builds a report: what the folder says, what the frames show, and one page of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from infusion_ofx.assemble import finished
from infusion_ofx.errors import InfusionError
from infusion_ofx.folder import write_json
from infusion_ofx.material import Material, open_material
from infusion_ofx.paths import PathMap
from infusion_ofx.report.examine import Examined, examine, worst
from infusion_ofx.report.facts import Facts, gather
from infusion_ofx.report.page import Page, page
from infusion_ofx.report.review import viewers
from infusion_ofx.report.sheets import takes_sheet, truth_sheet
from infusion_ofx.sequence.atomic import whole_file

__all__ = ["SUMMARY", "THUMBNAIL", "build", "players"]

SUMMARY, THUMBNAIL = "summary.json", "thumbnail.png"
"""Beside the page, for the page of a batch: what was found, and a picture."""


def build(
    path: Path,
    target: Path | None = None,
    paths: PathMap = PathMap(),  # noqa: B008, a frozen value
    on_frame: Callable[[int, int], None] = lambda done, frames: None,
    truth: str = "",
) -> Path:
    """Writes the page of the job in a folder, whole or not at all; returns where.

    A job that is not done has its page as well: with what there is. target: the file; left out, it
    is ``report/report.html`` in the folder. on_frame: told how many frames are looked at, of how
    many. truth: a sequence without what was taken out, where there is one.

    Raises:
        JobError: when there is no job, or the page may not be written.
        TryAgainError: when the storage fails.
    """
    facts = gather(path, paths)
    target = target or facts.folder.report / "report.html"
    content = _content(facts, truth, on_frame)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as temporary, temporary.open("w", encoding="utf-8") as file:
        for piece in page(content):
            file.write(piece)
    if content.examined:
        _keep_summary(facts, content.examined)
    return target


def players(path: Path, paths: PathMap = PathMap()) -> list[list[str]]:  # noqa: B008
    """What opens the result of the job in a folder, see ``viewers``; nothing where there is none.

    Raises:
        JobError: when there is no job.
    """
    facts = gather(path, paths)
    try:
        material = open_material(facts.job)
    except InfusionError:
        return []
    return _players(material, _there(material))


def _players(material: Material, frames: list[int]) -> list[list[str]]:
    if not frames:
        return []
    return viewers(material.plate.path(frames[0]), material.target(frames[0]), frames)


def _there(material: Material) -> list[int]:
    """The frames that are written."""
    return [frame for frame in material.frames if material.target(frame).is_file()]


def _keep_summary(facts: Facts, examined: Examined) -> None:
    with whole_file(facts.folder.report / THUMBNAIL) as temporary:
        temporary.write_bytes(examined.thumbnail)
    checks = examined.checks
    outside = [check.outside for check in checks if check.outside is not None]
    summary = {
        "frames": len(checks),
        "filled": sum(check.filled for check in checks),
        "outside": sum(outside) if outside else None,
        "fault": max(check.fault for check in checks),
        "worst": worst(checks),
    }
    write_json(facts.folder.report / SUMMARY, summary)


def _content(facts: Facts, truth: str, on_frame: Callable[[int, int], None]) -> Page:
    bare = Page(facts, None, "", _sheet(facts), None, None, [])
    try:
        material = open_material(facts.job)
        there = _there(material)
        bare = replace(bare, note=_note(facts, material, len(there)))
        return _with_frames(bare, material, there, truth, on_frame) if there else bare
    except InfusionError as error:
        return replace(bare, note=f"The frames cannot be shown: {error}")


def _with_frames(
    bare: Page,
    material: Material,
    frames: list[int],
    truth: str,
    on_frame: Callable[[int, int], None],
) -> Page:
    return replace(
        bare,
        examined=examine(material, frames, lambda done: on_frame(done, len(frames))),
        takes=takes_sheet(material, frames),
        truth=truth_sheet(material, frames, truth) if truth else None,
        players=_players(material, frames),
    )


def _note(facts: Facts, material: Material, there: int) -> str:
    notes = []
    if material.digest() != facts.record.inputs and not facts.job.in_place:
        notes.append("The plate or the matte has changed since the job was made.")
    if there < len(material.frames):
        notes.append(f"{there} of {len(material.frames)} frames are written.")
    elif facts.folder.result.exists() and finished(facts.folder, material) is None:
        notes.append("What is shown was written or changed after this job, perhaps by a later one.")
    return " ".join(notes)


def _sheet(facts: Facts) -> bytes | None:
    try:
        return (facts.folder.report / "contact_sheet.png").read_bytes()
    except OSError:
        return None

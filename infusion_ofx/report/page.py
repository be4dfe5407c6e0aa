"""The page of one job: everything in one HTML file that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from infusion_ofx import __version__
from infusion_ofx.accounts import Verdict
from infusion_ofx.progress import clock_text
from infusion_ofx.report.curves import curve_of, strip
from infusion_ofx.report.examine import SHIFT, Checked, Examined, worst
from infusion_ofx.report.facts import Facts, command
from infusion_ofx.report.sheets import within
from infusion_ofx.report.table import table

__all__ = ["Page", "document", "page"]

SCRIPTS = ("frames.js", "painters.js", "viewer.js", "controls.js")
RATE = 24  # frames a second, where the plate says nothing
PICTURE_BYTES = 2_250_000  # of each sheet, a third more as text


@dataclass(frozen=True)
class Page:
    """What a page is made of."""

    facts: Facts
    examined: Examined | None
    """None while there is no result to look at."""
    note: str
    """Why not, or what else is to be known; may be empty."""
    sheet: bytes | None
    """The contact sheet, a PNG."""
    takes: bytes | None
    """The takes side by side, a PNG; None where there is one alone."""
    truth: bytes | None
    """The fill beside the truth, a PNG; None where no truth is known."""
    players: list[list[str]]
    """What opens the result in a player, arguments with the program first."""


def page(content: Page) -> Iterator[str]:
    """The page of one job, in pieces: it may be large.

    What the viewer needs for its first picture comes first, so that nobody waits for the rest.
    """
    facts, examined = content.facts, content.examined
    head = [
        f"<h1>{escape(facts.name)}</h1>",
        f"<p>{escape(facts.job.plate)} → {escape(facts.job.output)}</p>",
        *_verdict(content),
    ]
    told = [
        _picture("Contact sheet", "five frames", content.sheet),
        _picture("Truth", "plate, fill, truth, and the fill's distance from it", content.truth),
        _picture("Takes", "side by side, the first as it was delivered", content.takes),
        _losses(facts),
        _self_score(facts.self_score),
        _settings(content),
    ]
    title = f"{facts.name}: Infusion report"
    if examined is None:
        yield from document(title, (), [*head, *told])
        return
    first, *others = _blocks(examined)
    viewer = [*head, *_viewer(examined), _manifest(examined), first]
    yield from document(title, SCRIPTS, viewer, [*_checks(examined), *told, *others])


def document(
    title: str,
    scripts: Sequence[str],
    body: Sequence[str],
    rest: Iterable[str] = (),
    *,
    live: bool = False,
) -> Iterator[str]:
    """A whole HTML document with our style and scripts in it, and leave for nothing else.

    scripts: files of web/, run in that order after the body. body: HTML. rest: HTML after the
    scripts, which may be large, and is still to come when they run. live: the page may ask the
    server that gave it, and no other. The policy names style and script by their digests.
    """
    style = _web("report.css")
    script = '"use strict";\n(() => {\n' + "\n".join(map(_web, scripts)) + "})();\n"
    allowed = f"'{_digest(script)}'" if scripts else "'none'"
    asks = " 'self'; connect-src 'self'" if live else ""
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src '{_digest(style)}'; "
        f"img-src data:{asks}; base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    yield "\n".join(part for part in body if part)
    if scripts:
        yield f"\n<script>{script}</script>"
    yield from rest
    yield "\n</body>\n</html>\n"


def _verdict(content: Page) -> Iterator[str]:
    status = content.facts.status
    said = f"{status.state}, {status.percent:.0f}%"
    if content.examined:
        yield _law(content.examined.checks, said)
    else:
        yield f"<p><b>{escape(said)}</b></p>"
    for task in status.tasks:
        if task.state in ("failed", "lost", "stopped"):
            yield f'<p class="bad">{escape(f"{task.task}: {task.state}. {task.said}")}</p>'
    if content.note:
        yield f'<p class="bad">{escape(content.note)}</p>'


def _law(checks: Sequence[Checked], said: str) -> str:
    known = [check for check in checks if check.outside is not None]
    differ = [check for check in known if check.outside]
    frames = f"{len(checks)} frames, {sum(check.filled for check in checks)} pixels filled"
    if not known:
        law = "The result has replaced the plate, so that nothing is left to compare it with."
        return f"<p><b>{said}</b>: {frames}. {law}</p>"
    if not differ:
        law = f"Outside the matte, 0 samples differ from the plate in {len(known)} frames."
        return f'<p><b>{said}</b>: {frames}. <span class="good" id="law">{law}</span></p>'
    total = sum(check.outside or 0 for check in differ)
    places = " ".join(_link(check.frame) for check in differ[:20])
    law = f"Outside the matte, {total} samples differ from the plate in {len(differ)} frames: "
    return f'<p><b>{said}</b>: {frames}. <span class="bad" id="law">{law}{places}</span></p>'


def _viewer(examined: Examined) -> Iterator[str]:
    yield "<h2>Before and after</h2>" + _web("viewer.html")
    exact = len(examined.region)
    shown = "every frame" if exact == len(examined.shot) else f"{exact} frames"
    yield (
        '<p class="quiet">View transform: light × 2^stops, ^1/gamma, then the sRGB curve; white at '
        "1. The whole frame is "
        + (
            f"averaged over {examined.factor} × {examined.factor} pixels and "
            if examined.factor > 1
            else ""
        )
        + f"rounded to 1 part in {2 ** (11 - SHIFT)}; the region at 1:1, of {shown}, holds the "
        "pixels as half floats, untouched. Magenta is what is no number.</p>"
    )


def _checks(examined: Examined) -> Iterator[str]:
    checks = examined.checks
    yield "<h2>Seam and flicker, frame by frame</h2>"
    found = worst(checks)
    far = " ".join(map(_link, found)) or "none stands out"
    yield f"<p>Furthest off, worst first: {far}.</p>"
    yield (
        '<p class="quiet">Seam: steps across the edge of the hole over steps beside it. Flicker: '
        "change from the frame before, in the hole over round it. 1 is ideal. A seam above 1 may "
        "show; flicker below 1 is too still or too soft, above 1 too restless. They find frames to "
        "look at; they do not judge them.</p>"
    )
    yield strip("seam", [(check.frame, check.seam) for check in checks])
    yield strip("flicker", [(check.frame, check.flicker) for check in checks])
    yield "<details><summary>All frames</summary>"
    names = ["frame", "differ outside", "filled", "seam", "flicker"]
    yield table(names, [_row(check) for check in checks]) + "</details>"


def _row(check: Checked) -> list[Any]:
    return [check.frame, check.outside, check.filled, check.seam, check.flicker]


def _picture(head: str, said: str, png: bytes | None) -> str:
    if png is None:
        return ""
    media, kept = within(png, PICTURE_BYTES)
    text = base64.b64encode(kept).decode("ascii")
    picture = f'<img alt="{head}" src="data:{media};base64,{text}">'
    return f"<h2>{head}</h2><details open><summary>{said}</summary>{picture}</details>"


def _losses(facts: Facts) -> str:
    if not facts.losses:
        return ""
    curves = [curve_of(each) for each in facts.losses]
    unseen = (
        "Orange: the error on the pixels of the hole that was planted for the self-score, which "
        "training has never seen, interval by interval; where it rises while the loss falls, fewer "
        "steps would have done."
        if any(each["held_out"] for each in facts.losses)
        else "Nothing was held out of this training: with --method auto a hole is planted over "
        "known pixels, and the error on it stands beside the loss."
    )
    return (
        "<h2>Training loss</h2>" + "\n".join(curves) + '<p class="quiet">Over known pixels under '
        "training holes, in working units (blue). It tells whether training still gained, not how "
        f"the fill looks. {unseen}</p>"
    )


def _self_score(score: Mapping[int, list[Verdict]]) -> str:
    """Which method's fill was taken, take by take and region by region, and by what figures."""
    tables = [_chosen(take, verdict) for take, told in score.items() for verdict in told]
    if not tables:
        return ""
    return (
        "<h2>Self-score</h2><p>A hole like the real one was planted beside it, where the truth is "
        "known, kept out of all that was learnt, and filled by each method; holes that are far "
        "apart have one each. It is scored once a take, when the fills are finished. The one with "
        "the least fault was taken; 0 is right. It says which method suits this shot, not that the "
        f"fill is good enough.</p>{''.join(tables)}"
    )


def _chosen(take: int, verdict: Verdict) -> str:
    """One row a method, one column a figure."""
    methods = verdict["scores"]
    figures = list(dict.fromkeys(figure for each in methods.values() for figure in each))
    figures.sort(key=lambda figure: figure != "fault")
    rows = [[method, *(each.get(figure) for figure in figures)] for method, each in methods.items()]
    said = f"Take {take}, hole of {verdict['where']}: {verdict['name']} was taken"
    why = "." if methods else ": no hole could be planted."
    return f"<p>{escape(said)}{why}</p>" + (table(["method", *figures], rows) if rows else "")


def _settings(content: Page) -> str:
    facts = content.facts
    job, status = facts.job, facts.status
    made = {"Infusion": facts.record.version, "report by Infusion": __version__}
    used = {f"{name}, in use": value for name, value in facts.arithmetic.items()}
    told = {**made, **used, **job.to_dict()}
    rows = [[name, "" if value is None else str(value)] for name, value in told.items()]
    took = [[kind, each["seconds"], each["voxels"]] for kind, each in facts.cost.items()]
    heads = ["task", "attempt", "began, UTC", "took", "by", "ended"]
    logs = [
        [a.task, a.number, a.began, clock_text(a.seconds), a.first, a.last] for a in facts.attempts
    ]
    opened = map(shlex.join, content.players)
    shown = [shlex.join(["infusion", "status", status.folder]), command(job), *opened]
    return (
        "<h2>Attempts</h2>"
        + (table(heads, logs) if logs else "<p>None yet.</p>")
        + (table(["engine", "seconds", "voxels passed forward"], took) if took else "")
        + "<h2>To do it again, and to look further</h2><pre>"
        + escape("\n".join(shown))
        + "</pre><h2>Settings</h2>"
        + table(["setting", "value"], rows)
    )


def _blocks(examined: Examined) -> Iterator[str]:
    """The frames as blocks that no browser runs, the first to be seen first."""
    for name, blocks in (("shot", examined.shot), ("region", examined.region)):
        for frame, block in blocks.items():
            yield f'\n<script type="text/plain" id="{name}-{frame}">{block["text"]}</script>\n'


def _manifest(examined: Examined) -> str:
    """What the viewer must know of the frames, as a block of JSON."""
    sizes = {"shot": (examined.proxy, SHIFT), "region": (examined.region_size, 0)}
    blocks = {"shot": examined.shot, "region": examined.region}
    layers = {
        name: {
            "width": size[0],
            "height": size[1],
            "shift": shift,
            "frames": {frame: block["box"] for frame, block in blocks[name].items()},
        }
        for name, (size, shift) in sizes.items()
    }
    said = {check.frame: _said(check) for check in examined.checks}
    facts = {"frames": list(said), "rate": RATE, "layers": layers, "said": said}
    text = json.dumps(facts, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="manifest">{text}</script>'


def _said(check: Checked) -> str:
    outside = f"{check.outside} samples differ outside"
    if check.outside is None:
        outside = "no plate to compare with"
    figures = [("seam", check.seam), ("flicker", check.flicker)]
    return ", ".join([outside, *(f"{n} {v:.2f}" for n, v in figures if math.isfinite(v))])


def _link(frame: int) -> str:
    return f'<a href="#frame={frame}">{frame}</a>'


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _web(name: str) -> str:
    return (files("infusion_ofx.report") / "web" / name).read_text(encoding="utf-8")

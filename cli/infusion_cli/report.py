"""``infusion report``: what a person looks at, of one job or of many."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from infusion_cli.step_options import path_options
from infusion_ofx.errors import JobError
from infusion_ofx.paths import PathMap

__all__ = ["report"]


@click.command(
    epilog="""\b
Examples:
  infusion report /show/sh010/infusion/plate/v001
  infusion report /show/*/infusion/plate/v001 -o /review/batch.html --otio /review/batch.otio
  infusion report today.batch.json -o /review/batch.html
  infusion report /show/sh010/infusion/plate/v001 --serve

For one job it prints, too, what opens the result in RV, DJV, mrv2 or Nuke, where one is on the
path. The pages need no network and ask for none. --serve listens on this machine alone, at an
address with a token in it, until Ctrl-C. Exit code 0 when the page is written, 2 when there is no
job, 75 when the storage fails."""
)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@path_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Where the page goes. Default: report/report.html in the job folder; needed for several.",
)
@click.option(
    "--truth",
    metavar="PATTERN",
    default="",
    help="Of one job: a clean plate, as clean.####.exr, to show the fill beside.",
)
@click.option(
    "--otio",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.otio",
    help="Write an OpenTimelineIO file of the results in order as well.",
)
@click.option(
    "--rate", type=click.FloatRange(1, 1000), default=24.0, show_default=True,
    help="Frames a second, for --otio.",
)  # fmt: skip
@click.option("--serve", is_flag=True, help="Serve the report of one running job, and follow it.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print as JSON where the page is and, for one job, the players' arguments.",
)
def report(
    folders: tuple[Path, ...],
    pairs: tuple[str, ...],
    rules: Path | None,
    output: Path | None,
    truth: str,
    otio: Path | None,
    rate: float,
    serve: bool,
    as_json: bool,
) -> None:
    """Write an HTML page that shows a job, or a table of many, the worst first.

    FOLDERS are job folders, as `infusion run` names them, or reports of `infusion batch`. A page
    has before and after under a wipe, every frame, what was measured, and the command to do it
    again.
    """
    paths = PathMap.of(pairs, rules)
    if serve:
        _serve(folders, paths)
        return
    if len(folders) == 1 and not folders[0].is_file() and otio is None:
        found = _one(folders[0], output, paths, truth)
    elif output is not None:
        found = {"report": str(_batch(folders, output, otio, rate, paths))}
    else:
        raise JobError("a report of several jobs needs a file", "say which with -o FILE.html")
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"The report is {found['report']}")
    for words in found.get("players", []):
        click.echo(f"  {shlex.join(words)}")


def _one(folder: Path, output: Path | None, paths: PathMap, truth: str) -> dict[str, Any]:
    from infusion_ofx.report.build import build, players

    def tell(done: int, frames: int) -> None:
        if done in (1, frames) or done % 20 == 0:
            click.echo(f"frame {done} of {frames}", err=True)

    written = build(folder, output, paths, tell, truth)
    return {"report": str(written), "players": players(folder, paths)}


def _batch(
    folders: tuple[Path, ...], output: Path, otio: Path | None, rate: float, paths: PathMap
) -> Path:
    from infusion_ofx.report.batch import look_at, write_batch
    from infusion_ofx.report.timeline import write_timeline

    shots = look_at(folders, paths)
    write_batch(shots, output)
    if otio is not None:
        count = write_timeline(shots, otio, rate)
        click.echo(f"{count} shots are in {otio}", err=True)
    return output


def _serve(folders: tuple[Path, ...], paths: PathMap) -> None:
    from infusion_ofx.report.serve import Live, server

    if len(folders) > 1:
        raise JobError("--serve follows one job", "give one job folder")
    live = Live(folders[0].absolute(), paths)
    live.answer("")  # a folder without a job is told now
    with server(live) as listening:
        port = listening.server_address[1]
        click.echo(f"http://127.0.0.1:{port}/{live.token}/ until Ctrl-C")
        try:
            listening.serve_forever()
        except KeyboardInterrupt:
            click.echo("served no more", err=True)

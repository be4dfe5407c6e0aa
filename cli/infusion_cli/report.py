"""``infusion report``: one page about a job, for whoever has to judge it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from infusion_cli.step_options import path_options
from infusion_ofx.paths import PathMap

__all__ = ["report"]


@click.command(
    epilog="""\b
Examples:
  infusion report /show/sh010/infusion/plate/v001
  infusion report /show/sh010/infusion/plate/v001 -o /review/sh010.html

The page needs no network and asks for none. A job that is not done has its page as well."""
)
@click.argument("folder", type=click.Path(path_type=Path))
@path_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Where the page goes. Default: report/report.html in the job folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print where the page is as JSON.")
def report(
    folder: Path, pairs: tuple[str, ...], rules: Path | None, output: Path | None, as_json: bool
) -> None:
    """Write one HTML page that shows a job: before and after, and what was measured."""
    from infusion_ofx.report.build import build

    def tell(done: int, frames: int) -> None:
        if done in (1, frames) or done % 20 == 0:
            click.echo(f"frame {done} of {frames}", err=True)

    written = build(folder, output, PathMap.of(pairs, rules), tell)
    click.echo(json.dumps({"report": str(written)}) if as_json else f"The report is {written}")

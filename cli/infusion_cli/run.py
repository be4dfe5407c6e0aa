"""``infusion run``: a whole shot, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from infusion_cli.check import report
from infusion_cli.job_options import job_from, job_options
from infusion_cli.printers import Printer, clock_text, one_line, size_text
from infusion_cli.showing import printing, progress_options
from infusion_ofx.attempt import header
from infusion_ofx.job import Job
from infusion_ofx.stopping import loading

if TYPE_CHECKING:
    from infusion_ofx.run import Result

__all__ = ["run"]


@click.command(
    epilog="""\b
Examples:
  infusion run --plate plate.####.exr --matte matte.####.exr --output out/ --recipe draft
  infusion run --job shot.json --frames 1001-1100x2,1200 --seed 7
  infusion run --job shot.json --progress deadline

Stop it with Ctrl-C or TERM: it writes a checkpoint, and the same command goes on from there.
Exit codes: 0 done, 1 failed, 2 the job is wrong, 75 try again, 130/143 stopped; `infusion --help`
has them all."""
)
@job_options
@progress_options
@click.option("--dry-run", is_flag=True, help="Say what would happen, as `infusion check` does.")
@click.pass_context
def run(context: click.Context, /, form: str, as_json: bool, dry_run: bool, **_: object) -> None:
    """Repair a sequence on this machine.

    The network is trained on this shot only: no download, no pretrained weights. Where the matte
    is 0 the output is the plate, bit for bit.
    """
    if dry_run:
        report(job_from(context), as_json)
        return
    with printing(form, as_json) as show:
        job = job_from(context)
        for line in header(job).splitlines():
            show.say(line)
        result = _run(job, show)
        show.close()
        if form != "jsonl" and not as_json:
            show.say(_summary(result))
    if as_json or form == "jsonl":
        click.echo(json.dumps({"result": asdict(result)} if not as_json else asdict(result)))


def _run(job: Job, show: Printer) -> Result:
    with loading():
        from infusion_ofx.run import run as run_job
    return run_job(job, show)


def _summary(result: Result) -> str:
    return one_line(
        f"wrote {result.frames} frames to {result.output}: {result.filled} pixels filled in "
        f"{clock_text(result.seconds)} on {result.device}, peak memory "
        f"{size_text(result.peak_memory)}; the job folder is {result.folder}"
    )

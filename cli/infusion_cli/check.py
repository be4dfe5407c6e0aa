"""``infusion check``: what a job would do, and what it needs, before it starts."""

from __future__ import annotations

import json

import click

from infusion_cli.job_options import job_from, job_options
from infusion_ofx.job import Job

__all__ = ["check", "report"]


@click.command(
    epilog="""\b
Examples:
  infusion check --plate plate.####.exr --matte matte.####.exr --output out/
  infusion check --job shot.json --memory 24 --json

Exit code 0 when the job can run, 2 when it cannot; every fault is named at once."""
)
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def check(context: click.Context, /, as_json: bool, **_: object) -> None:
    """Say what a job would do and need; write nothing.

    Frames, the size of the hole, the region that is worked on, memory and time, and every fault.
    """
    report(job_from(context), as_json)


def report(job: Job, as_json: bool) -> None:
    """Prints what the job would do, for people or as JSON.

    Raises:
        JobError: when the job cannot run.
    """
    from infusion_ofx.check import check as check_job

    found = check_job(job)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    for line in found.lines():
        click.echo(line)

"""``infusion farm``: hand a job to a farm."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import click

from infusion_cli.job_options import given_options, job_from, job_options
from infusion_ofx.farm import openjd as bundle
from infusion_ofx.farm.graph import Step, graph
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.stopping import stopping

__all__ = ["farm"]


@click.group()
def farm() -> None:
    """Hand a job to a farm: its steps as tasks for many machines over a shared folder."""


@farm.group()
def export() -> None:
    """Write a job in the form of a farm; nothing is sent anywhere."""


@export.command(
    epilog="""\b
Examples:
  infusion farm export openjd --plate plate.####.exr --matte matte.####.exr --output out/ -o bundle/
  infusion farm export openjd out/infusion/plate/v001 -o bundle/
  openjd run bundle/template.yaml -p JobFolder=/show/sh010/out/infusion/plate/v001
  deadline bundle submit bundle/"""
)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "bundle_folder",
    metavar="BUNDLE",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the bundle's files go.",
)
@job_options
@click.option("--json", "as_json", is_flag=True, help="Print the job folder and the steps as JSON.")
@click.option("--dry-run", is_flag=True, help="Print the template; write no bundle, make no job.")
@click.pass_context
def openjd(
    context: click.Context,
    /,
    folder: Path | None,
    bundle_folder: Path,
    as_json: bool,
    dry_run: bool,
    **_: object,
) -> None:
    """Write an Open Job Description bundle: the job template, for `openjd run` and many farms.

    It is a job bundle of AWS Deadline Cloud as well. FOLDER is the folder of a job that was made
    before; without it, the job's options make one, and the bundle names it.
    """
    if dry_run:
        record = _planned(context, folder)
        click.echo(json.dumps(bundle.template(record, "infusion"), indent=2))
        return
    job = _job_folder(context, folder)
    bundle.export(job, bundle_folder)
    steps = graph(job.read())
    if as_json:
        facts = {"folder": str(job.path), "bundle": str(bundle_folder.absolute())}
        click.echo(json.dumps({**facts, "steps": [asdict(step) for step in steps]}, indent=2))
        return
    click.echo(f"the job folder is {job.path}")
    for line in _table(steps):
        click.echo(line)
    shell = [str(bundle_folder / "template.yaml"), "-p", f"JobFolder={job.path}"]
    click.echo(f"on this machine: openjd run {shlex.join(shell)}")
    click.echo(f"AWS Deadline Cloud: deadline bundle submit {shlex.join([str(bundle_folder)])}")


def _job_folder(context: click.Context, folder: Path | None) -> JobFolder:
    """The job that a submission is about: the one in a folder, free to go on, or a new one.

    Raises:
        JobError: when it is wrong, or not there.
    """
    if folder is not None:
        _planned(context, folder)
        job = JobFolder(folder.absolute())
        job.cancel(False)
        return job
    given = job_from(context)
    with stopping() as signals:  # an interrupted import of numpy or torch ends in a riddle
        from infusion_ofx.begin import submit
    if signals.received is not None:
        raise signals.stopped("nothing has begun")
    return submit(given)


def _planned(context: click.Context, folder: Path | None) -> Record:
    """What the job's record says, or would say."""
    if folder is None:
        from infusion_ofx.begin import plan

        return plan(job_from(context))
    if given := given_options(context):
        raise click.UsageError(f"{given[0]} cannot change the job that is in {folder}")
    return JobFolder(folder.absolute()).read()


def _table(steps: list[Step]) -> list[str]:
    """The steps for people, one a line."""
    lines = []
    for step in steps:
        count = f"{len(step.tasks)} tasks" if step.intervals else "1 task"
        gpu = f", 1 GPU with {step.gpu_memory} MiB" if step.gpu else ""
        after = f", after {' and '.join(step.needs)}" if step.needs else ""
        lines.append(f"{step.name:<13} {count:<9} {step.memory} MiB{gpu}{after}")
    return lines

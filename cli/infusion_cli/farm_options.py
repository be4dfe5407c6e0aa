"""What the verbs of ``infusion farm`` share: how the job is named, and what is said of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from infusion_cli.job_options import given_options, job_from, job_options
from infusion_ofx.farm.graph import Step, graph
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.stopping import loading

__all__ = ["ENDS", "export_options", "exported", "farm_options", "job_folder", "program_option"]

Command = TypeVar("Command", bound=Callable[..., Any])

ENDS = """\b
Exit codes: 0 done; 1 the farm has refused the job; 2 the job or the command is wrong; 75 try again.
`infusion --help` has them all, those of the job's own tasks too."""


def farm_options(command: Command) -> Command:
    """Gives a command the job, as the folder of one that is there or by a job's options."""
    command = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(
        job_options(command)
    )
    return click.argument("folder", required=False, type=click.Path(path_type=Path))(command)


def export_options(command: Command) -> Command:
    """Gives a command the job, where its files go, and a way to look before anything is done."""
    command = click.option(
        "--dry-run", is_flag=True, help="Print the steps; write no file, make no job."
    )(command)
    return click.option(
        "-o",
        "where",
        metavar="DIR",
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Where the files go.",
    )(farm_options(command))


def program_option(command: Command) -> Command:
    """Gives a command what the farm's machines call the program."""
    return click.option(
        "--program",
        default="infusion",
        show_default=True,
        metavar="PATH",
        help="The infusion command on the farm's machines, or a script that ends in "
        'exec infusion "$@".',
    )(command)


def job_folder(context: click.Context) -> JobFolder:
    """The job that a call is about: the one in its folder, free to go on, or a new one.

    Raises:
        JobError: when it is wrong, or not there.
    """
    folder: Path | None = context.params["folder"]
    if folder is not None:
        _record(context)
        job = JobFolder(folder.absolute())
        job.cancel(False)
        return job
    given = job_from(context)
    with loading():
        from infusion_ofx.begin import submit
    return submit(given)


def exported(context: click.Context, write: Callable[[JobFolder, Path], None], *then: str) -> None:
    """Has the files written of the job that a call is about, and says what its steps are.

    then: what is to be done with the files, a line each; ``{where}`` and ``{folder}`` are the
    folders of the files and of the job, as a shell takes them.

    Raises:
        JobError: when the job is wrong or not there, or the files may not be written.
    """
    given = context.params
    where: Path = given["where"]
    if given["dry_run"]:
        _tell(graph(_record(context)), given["as_json"], {})
        return
    job = job_folder(context)
    write(job, where)
    places = {"folder": str(job.path), "where": str(where.absolute())}
    quoted = {name: shlex.quote(path) for name, path in places.items()}
    _tell(graph(job.read()), given["as_json"], places, *(line.format(**quoted) for line in then))


def _record(context: click.Context) -> Record:
    """What the job's record says, or would say."""
    folder: Path | None = context.params["folder"]
    if folder is None:
        from infusion_ofx.begin import plan

        return plan(job_from(context))
    if given := given_options(context):
        raise click.UsageError(f"{given[0]} cannot change the job that is in {folder}")
    return JobFolder(folder.absolute()).read()


def _tell(steps: list[Step], as_json: bool, places: dict[str, str], *then: str) -> None:
    if as_json:
        facts = {**places, "steps": [asdict(step) for step in steps]}
        click.echo(json.dumps(facts, indent=2))
        return
    head = [f"the job folder is {places['folder']}"] if places else []
    for line in [*head, *map(_line, steps), *then]:
        click.echo(line)


def _line(step: Step) -> str:
    """A step for people."""
    count = f"{len(step.tasks)} tasks" if step.parts else "1 task"
    gpu = f", 1 GPU with {step.gpu_memory} MiB" if step.gpu else ""
    after = f", after {' and '.join(step.needs)}" if step.needs else ""
    asked = f"{step.cpus} CPUs, {step.memory} MiB"
    return f"{step.name:<13} {count:<9} {asked}{gpu}{after}"

"""``infusion farm export`` and ``submit`` for the farms that are not Open Job Description's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from infusion_cli.farm import _job_folder, export, farm
from infusion_cli.job_options import job_options
from infusion_ofx.farm import slurm
from infusion_ofx.folder import JobFolder

__all__ = ["farm"]

Command = TypeVar("Command", bound=Callable[..., Any])


@farm.group()
def submit() -> None:
    """Send a job to a farm that this machine is part of."""


def _job_of_a_farm(command: Command) -> Command:
    """Gives a command the job, as a folder or by its options, and how machines call the program."""
    command = click.option(
        "--program",
        default="infusion",
        show_default=True,
        metavar="PATH",
        help="The infusion command on the farm's machines, or a script that ends in "
        'exec infusion "$@".',
    )(job_options(command))
    return click.argument("folder", required=False, type=click.Path(path_type=Path))(command)


def _into(command: Command) -> Command:
    return click.option(
        "-o",
        "where",
        metavar="DIR",
        required=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Where the files go.",
    )(command)


def _slurm_options(command: Command) -> Command:
    """Gives a command what a user tells Slurm; the rest comes from the job."""
    command = click.option(
        "--sbatch",
        "arguments",
        multiple=True,
        metavar="ARG",
        help="Given to every sbatch as it is: --sbatch=--constraint=a100. May be repeated.",
    )(command)
    command = click.option(
        "--cpus",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Processors for each task. Default: the job's --threads, else {slurm.CPUS}.",
    )(command)
    for name, example in (("time", "1-00:00:00"), ("account", "vfx"), ("partition", "gpu")):
        shown = f"Slurm's --{name}, as {example}. Default: the cluster's."
        command = click.option(f"--{name}", f"slurm_{name}", metavar="TEXT", help=shown)(command)
    return command


@export.command(
    "slurm",
    epilog="""\b
Examples:
  infusion farm export slurm --plate plate.####.exr --matte matte.####.exr --output out/ -o slurm/
  infusion farm export slurm out/infusion/plate/v001 -o slurm/ --partition gpu --time 8:00:00
  bash slurm/submit.sh""",
)
@_into
@_slurm_options
@_job_of_a_farm
@click.pass_context
def export_slurm(context: click.Context, /, folder: Path | None, where: Path, **_: object) -> None:
    """Write batch scripts for Slurm, one a step, and submit.sh, which submits them.

    FOLDER is the folder of a job that was made before; without it, the job's options make one.
    """
    job = _job_folder(context, folder)
    _write_slurm(context, job, where)
    click.echo(f"the job folder is {job.path}")
    click.echo(f"submit it with: bash {where / 'submit.sh'}")


@submit.command(
    "slurm",
    epilog="""\b
Examples:
  infusion farm submit slurm --plate plate.####.exr --matte matte.####.exr --output out/
  infusion farm submit slurm out/infusion/plate/v001 --partition gpu --sbatch=--constraint=a100
  infusion status out/infusion/plate/v001

Submitted again, it goes on from what is done. The scripts are left in FOLDER/slurm.""",
)
@_slurm_options
@click.option("--json", "as_json", is_flag=True, help="Print the job folder and ids as JSON.")
@_job_of_a_farm
@click.pass_context
def submit_slurm(
    context: click.Context, /, folder: Path | None, as_json: bool, **_: object
) -> None:
    """Submit a job to Slurm: its steps in order, intervals side by side. Prints the job ids.

    FOLDER is the folder of a job that was made before; without it, the job's options make one.
    """
    job = _job_folder(context, folder)
    where = job.path / "slurm"
    _write_slurm(context, job, where)
    ids = slurm.submit(where)
    if as_json:
        click.echo(json.dumps({"folder": str(job.path), "jobs": ids}, indent=2))
        return
    click.echo(f"the job folder is {job.path}")
    for step, number in ids.items():
        click.echo(f"{step:<13} {number}")


def _write_slurm(context: click.Context, job: JobFolder, where: Path) -> None:
    given = context.params
    named = {name: given[f"slurm_{name}"] for name in ("partition", "account", "time")}
    arguments = [f"--{name}={value}" for name, value in named.items() if value]
    arguments += given["arguments"]
    slurm.export(job, where, given["program"], given["cpus"] or 0, arguments)

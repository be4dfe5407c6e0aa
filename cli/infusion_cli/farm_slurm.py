"""``infusion farm export slurm`` and ``infusion farm submit slurm``."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from infusion_cli.farm_options import (
    ENDS,
    export_options,
    exported,
    farm_options,
    job_folder,
    program_option,
)
from infusion_ofx.farm import slurm as scripts
from infusion_ofx.farm.graph import CPUS
from infusion_ofx.folder import JobFolder

__all__ = ["slurm", "submit_slurm"]

Command = TypeVar("Command", bound=Callable[..., Any])
NAMED = (("time", "1-00:00:00"), ("account", "vfx"), ("partition", "gpu"))


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
        help=f"Processors for each task. Default: the job's --threads, else {CPUS}.",
    )(command)
    for name, example in NAMED:
        shown = f"Slurm's --{name}, as {example}. Default: the cluster's."
        command = click.option(f"--{name}", f"slurm_{name}", metavar="TEXT", help=shown)(command)
    return program_option(command)


@click.command(
    epilog=f"""\b
Examples:
  infusion farm export slurm --plate plate.####.exr --matte matte.####.exr --output out/ -o slurm/
  infusion farm export slurm out/infusion/plate/v001 -o slurm/ --partition gpu --time 8:00:00
  bash slurm/submit.sh

{ENDS}"""
)
@export_options
@_slurm_options
@click.pass_context
def slurm(context: click.Context, /, **_: object) -> None:
    """Write batch scripts for Slurm, one a step, and submit.sh, which submits them.

    FOLDER is the folder of a job that was made before; without it, the job's options make one.
    """
    exported(context, partial(_write, context), "submit it with: bash {where}/submit.sh")


@click.command(
    "slurm",
    epilog=f"""\b
Examples:
  infusion farm submit slurm --plate plate.####.exr --matte matte.####.exr --output out/
  infusion farm submit slurm out/infusion/plate/v001 --partition gpu --sbatch=--constraint=a100
  infusion status out/infusion/plate/v001

Submitted again, it goes on from what is done. The scripts are left in FOLDER/slurm.

{ENDS}""",
)
@farm_options
@_slurm_options
@click.pass_context
def submit_slurm(context: click.Context, /, as_json: bool, **_: object) -> None:
    """Submit a job to Slurm: its steps in order, intervals side by side. Prints the job ids.

    FOLDER is the folder of a job that was made before; without it, the job's options make one.
    """
    job = job_folder(context)
    where = job.path / "slurm"
    _write(context, job, where)
    ids = scripts.submit(where)
    if as_json:
        click.echo(json.dumps({"folder": str(job.path), "jobs": ids}, indent=2))
        return
    click.echo(f"the job folder is {job.path}")
    for step, number in ids.items():
        click.echo(f"{step:<13} {number}")


def _write(context: click.Context, job: JobFolder, where: Path) -> None:
    given = context.params
    named = {name: given[f"slurm_{name}"] for name in ("partition", "account", "time")}
    arguments = [f"--{name}={value}" for name, value in named.items() if value]
    arguments += given["arguments"]
    scripts.export(job, where, given["program"], given["cpus"] or 0, arguments)

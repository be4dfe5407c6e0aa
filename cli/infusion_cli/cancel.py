"""``infusion cancel``: stop a job, wherever its tasks run."""

from __future__ import annotations

from pathlib import Path

import click

from infusion_cli.step_options import folder_argument
from infusion_ofx.folder import JobFolder

__all__ = ["cancel"]


@click.command(
    epilog="""\b
Examples:
  infusion cancel /show/sh010/infusion/plate/v001
  infusion cancel /show/sh010/infusion/plate/v001 --undo

Exit code 0 when it is asked for, 2 when there is no job, 75 when the storage fails."""
)
@folder_argument
@click.option("--undo", is_flag=True, help="Let the job go on: its tasks may run again.")
def cancel(folder: Path, undo: bool) -> None:
    """Ask every task of a job to stop, on whichever machine it runs.

    Each writes a checkpoint and ends with exit code 130; those that start later end at once.
    `infusion run` and `infusion farm export` of the same job take it back, as --undo does.
    """
    JobFolder(folder.absolute()).cancel(not undo)
    click.echo(f"{folder} " + ("may go on" if undo else "is asked to stop"))

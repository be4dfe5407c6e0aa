"""``infusion sample``: a step of a job in a process of its own, for a farm."""

from __future__ import annotations

from typing import Any

import click

from infusion_cli.step_options import ENDS, do_task, step_options

__all__ = ["sample"]


@click.command(
    epilog=f"""\b
Examples:
  infusion sample /show/sh010/infusion/plate/v001
  infusion sample /show/sh010/infusion/plate/v001 --take 2
  infusion sample /mnt/show/sh010/infusion/plate/v001 --path-map 'P:\\show=/mnt/show'

{ENDS}"""
)
@step_options
@click.option(
    "--take",
    type=click.IntRange(min=1),
    metavar="N",
    help="Sample this take only. Default: all takes of the job, in a row.",
)
def sample(take: int | None, **options: Any) -> None:
    """Turn noise into the fill, through the trained networks.

    FOLDER is the job folder that `infusion farm export` or `infusion run` has named. The third
    step. Windows of the clip exchange what they have at every noise level, so a take is one task;
    takes do not wait for each other.
    """
    do_task("sample" if take is None else f"sample-take{take:02d}", **options)

"""``infusion prepare``: a step of a job in a process of its own, for a farm."""

from __future__ import annotations

from typing import Any

import click

from infusion_cli.step_options import ENDS, do_task, step_options

__all__ = ["prepare"]


@click.command(
    epilog=f"""\b
Examples:
  infusion prepare /show/sh010/infusion/plate/v001
  infusion prepare /mnt/show/sh010/infusion/plate/v001 --path-map 'P:\\show=/mnt/show'

{ENDS}"""
)
@step_options
def prepare(**options: Any) -> None:
    """Read the part of the plate that the network works on into the job folder.

    FOLDER is the job folder that `infusion farm export` or `infusion run` has named. The first
    step of a job on a farm: training and sampling need neither plate nor matte. Needs no GPU.
    """
    do_task("prepare", **options)

"""``infusion assemble``: a step of a job in a process of its own, for a farm."""

from __future__ import annotations

from typing import Any

import click

from infusion_cli.step_options import ENDS, do_task, step_options

__all__ = ["assemble"]


@click.command(
    epilog=f"""\b
Examples:
  infusion assemble /show/sh010/infusion/plate/v001
  infusion assemble /mnt/show/sh010/infusion/plate/v001 --path-map 'P:\\show=/mnt/show'

{ENDS}"""
)
@step_options
def assemble(**options: Any) -> None:
    """Write every frame: the plate, and the fill through the matte.

    FOLDER is the job folder that `infusion farm export` or `infusion run` has named. The last
    step. Frames that are as they were written last are left alone. Needs no GPU.
    """
    do_task("assemble", **options)

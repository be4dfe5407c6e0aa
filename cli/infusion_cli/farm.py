"""``infusion farm``: hand a job to a farm."""

from __future__ import annotations

import click

from infusion_cli.farm_deadline10 import deadline10
from infusion_cli.farm_opencue import opencue
from infusion_cli.farm_openjd import openjd
from infusion_cli.farm_slurm import slurm, submit_slurm

__all__ = ["farm"]


@click.group()
def farm() -> None:
    """Hand a job to a farm: its steps as tasks for many machines over a shared folder."""


@farm.group()
def export() -> None:
    """Write a job in the form of a farm; nothing is sent anywhere."""


@farm.group()
def submit() -> None:
    """Send a job to a farm that this machine is part of."""


for _verb in (openjd, slurm, opencue, deadline10):
    export.add_command(_verb)
submit.add_command(submit_slurm)

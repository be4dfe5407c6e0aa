"""``infusion farm export openjd``."""

from __future__ import annotations

import click

from infusion_cli.farm_options import ENDS, export_options, exported
from infusion_ofx.farm import openjd as bundle

__all__ = ["openjd"]


@click.command(
    epilog=f"""\b
Examples:
  infusion farm export openjd --plate plate.####.exr --matte matte.####.exr --output out/ -o bundle/
  infusion farm export openjd out/infusion/plate/v001 -o bundle/
  openjd run bundle/template.yaml -p JobFolder=/show/sh010/out/infusion/plate/v001
  deadline bundle submit bundle/

{ENDS}"""
)
@export_options
@click.pass_context
def openjd(context: click.Context, /, **_: object) -> None:
    """Write an Open Job Description bundle: the job template, for `openjd run` and many farms.

    It is a job bundle of AWS Deadline Cloud as well. FOLDER is the folder of a job that was made
    before; without it, the job's options make one, and the bundle names it.
    """
    exported(
        context, bundle.export,
        "on this machine: openjd run {where}/template.yaml -p JobFolder={folder}",
        "AWS Deadline Cloud: deadline bundle submit {where}",
    )  # fmt: skip

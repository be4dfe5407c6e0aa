"""``infusion farm export deadline10``."""

from __future__ import annotations

from functools import partial

import click

from infusion_cli.farm_options import ENDS, export_options, exported, program_option
from infusion_ofx.farm import deadline10 as files

__all__ = ["deadline10"]


@click.command(
    epilog=f"""\b
Examples:
  infusion farm export deadline10 --plate plate.####.exr --matte matte.####.exr --output out/ -o dl/
  infusion farm export deadline10 out/infusion/plate/v001 -o dl/ --gpu-group gpu --prop Priority=60
  python dl/submit.py

{ENDS}"""
)
@export_options
@program_option
@click.option(
    "--gpu-group",
    default="",
    metavar="NAME",
    help="Deadline's group of the machines with a GPU, for the steps that need one.",
)
@click.option(
    "--prop",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="A line for the job info file of every step, as Pool=comp. May be repeated.",
)
@click.pass_context
def deadline10(
    context: click.Context, /, program: str, gpu_group: str, pairs: tuple[str, ...], **_: object
) -> None:
    """Write the files that Deadline 10 takes, two a step, and submit.py, which sends them.

    FOLDER is the folder of a job that was made before; without it, the job's options make one.
    They follow the manual and were never tried on a repository.
    """
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--prop")
    properties = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
    write = partial(files.export, program=program, gpu_group=gpu_group, properties=properties)
    exported(context, write, "submit it with: python {where}/submit.py")

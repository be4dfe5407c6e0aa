"""``infusion farm export opencue``."""

from __future__ import annotations

from functools import partial

import click

from infusion_cli.farm_options import ENDS, export_options, exported, program_option
from infusion_ofx.farm import opencue as outline

__all__ = ["opencue"]


@click.command(
    epilog=f"""\b
Examples:
  infusion farm export opencue --plate plate.####.exr --matte matte.####.exr --output out/ -o cue/
  python cue/submit.py --print
  SHOW=tree SHOT=sh010 python cue/submit.py

{ENDS}"""
)
@export_options
@program_option
@click.pass_context
def opencue(context: click.Context, /, program: str, **_: object) -> None:
    """Write an outline for OpenCue, and submit.py, which has PyOutline send it to the cuebot.

    FOLDER is the folder of a job that was made before; without it, the job's options make one.
    PyOutline is needed where submit.py runs, and nowhere else.
    """
    write = partial(outline.export, program=program)
    exported(context, write, "submit it with: python {where}/submit.py")

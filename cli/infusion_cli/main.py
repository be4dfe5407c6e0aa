"""The ``infusion`` command: the group of verbs, and how an error ends.

Nothing here or at the top of a verb's file imports torch: ``infusion --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

import click

from infusion_cli.assemble import assemble
from infusion_cli.batch import batch
from infusion_cli.bench import bench
from infusion_cli.cancel import cancel
from infusion_cli.check import check
from infusion_cli.demo import demo
from infusion_cli.doctor import doctor
from infusion_cli.farm import farm
from infusion_cli.info import info
from infusion_cli.nuke import nuke
from infusion_cli.ofx import ofx
from infusion_cli.prepare import prepare
from infusion_cli.printers import one_line
from infusion_cli.report import report
from infusion_cli.run import run
from infusion_cli.sample import sample
from infusion_cli.status import status
from infusion_cli.train import train
from infusion_ofx import __version__
from infusion_ofx.errors import InfusionError, exit_code_of

__all__ = ["main", "said_of"]

# Read when torch loads its threads. Threads that spin for long while they wait slow a machine that
# does something else as well down to a tenth; a short spin costs nothing on an idle one.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

EXIT_CODES = """\b
Exit codes:
  0        done
  1        failed
  2        the job or the command is wrong: a retry will not help
  3        an earlier step's result is missing
  4        some outputs are missing
  75       try again: out of device memory, or the storage failed
  130/143  stopped by INT or TERM with a checkpoint written: the same command goes on
"""


class Group(click.Group):
    """Turns an error into one line on stderr and the exit code that it stands for."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the verb; every way in which it can end has its code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get("INFUSION_DEBUG"):
                traceback.print_exc()
            click.echo(f"ERROR: {said_of(error)}", err=True)
            ctx.exit(exit_code_of(error))


def said_of(error: BaseException) -> str:
    """The one line that is said of an error."""
    if isinstance(error, InfusionError):
        return one_line(str(error))
    if isinstance(error, KeyboardInterrupt):
        return "stopped; the same command goes on from the newest checkpoint"
    if isinstance(error, MemoryError):
        return "out of memory; lower --memory, or close what else is running"
    if isinstance(error, OSError) and error.strerror:
        where = f" '{error.filename}'" if error.filename is not None else ""
        return one_line(f"the system refused{where}: {error.strerror}")
    return one_line(f"internal: {type(error).__name__}: {error}; INFUSION_DEBUG=1 shows where")


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="infusion")
def main() -> None:
    """Fill the hole in a plate with a small diffusion network trained on the shot alone.

    \b
    infusion demo                     make a shot, repair it, show it
    infusion doctor                   can a job run on this machine?
    infusion info plate.####.exr      what does this sequence hold?
    infusion check --plate ... ...    what would a job do, and what does it need?
    infusion run --plate ... ...      do it
    infusion batch shots.yaml         do many
    infusion farm export openjd ...   hand it to a farm
    infusion status FOLDER            how does it stand?
    infusion report FOLDER            show it: before, after, and what was measured

    Set INFUSION_DEBUG=1 to see where an error came from.
    """


for _verb in (run, check, info, demo, doctor, bench, prepare, train, sample, assemble):
    main.add_command(_verb)
for _verb in (batch, status, report, cancel, farm, nuke, ofx):
    main.add_command(_verb)


if __name__ == "__main__":
    sys.exit(main())

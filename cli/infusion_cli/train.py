"""``infusion train``: a step of a job in a process of its own, for a farm."""

from __future__ import annotations

from typing import Any

import click

from infusion_cli.step_options import ENDS, do_task, step_options

__all__ = ["train"]


class Part(click.ParamType[str]):
    """``shared``, or the number of an interval; as it is in a task's name."""

    name = "K|shared"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The part of the task's name."""
        if value == "shared":
            return "shared"
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither 'shared' nor the number of an interval", param)
        return f"{int(value):02d}"


@click.command(
    epilog=f"""\b
Examples:
  infusion train /show/sh010/infusion/plate/v001 --interval shared
  infusion train /show/sh010/infusion/plate/v001 --interval 3
  infusion train /show/sh010/infusion/plate/v001

{ENDS}"""
)
@step_options
@click.option(
    "--interval",
    "part",
    type=Part(),
    metavar="K|shared",
    help="Train this interval only, 0 being the noisiest; or `shared`, the training before all "
    "intervals, of recipes that have one. Default: all trainings of the job, in a row.",
)
def train(part: str | None, **options: Any) -> None:
    """Train the network on the shot.

    The second step of a job on a farm. FOLDER is the job folder that `infusion farm export` or
    `infusion run` has named. Once a shared training is done, the intervals can be trained in any
    order and at the same time; without one, each goes on from the interval before it.
    """
    do_task("train" if part is None else f"train-{part}", **options)

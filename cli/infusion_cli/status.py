"""``infusion status``: how a job stands, from its folder."""

from __future__ import annotations

import json
from pathlib import Path

import click

from infusion_cli.printers import clock_text, one_line
from infusion_cli.step_options import folder_argument
from infusion_ofx.farm.status import JobStatus, TaskStatus
from infusion_ofx.farm.status import status as status_of

__all__ = ["status"]


@click.command(
    epilog="""\b
Examples:
  infusion status /show/sh010/infusion/plate/v001
  infusion status /show/sh010/infusion/plate/v001 --json

Exit code 0 when every frame is written, 3 when something is left to do, 2 when there is no job."""
)
@folder_argument
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def status(context: click.Context, /, folder: Path, as_json: bool) -> None:
    """Say how a job and each of its tasks stand.

    waiting, running, lost (it was running and nothing is heard of it any more), stopped, failed or
    done.
    """
    found = status_of(folder)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    else:
        for line in _lines(found):
            click.echo(line)
    context.exit(0 if found.state == "done" else 3)


def _lines(found: JobStatus) -> list[str]:
    asked = ", asked to stop" if found.cancelled else ""
    head = f"{found.folder}: {found.state}, {found.percent:.0f}%{asked}"
    return [one_line(head), *(_line(task) for task in found.tasks)]


def _line(task: TaskStatus) -> str:
    parts = [f"{task.task:<13} {task.state:<8} {task.percent:5.1f}%"]
    if task.state == "running" and task.seconds_left is not None:
        parts.append(f"{clock_text(task.seconds_left)} left")
    if task.state == "lost":
        parts.append(f"silent for {clock_text(task.silent)}")
    if task.said:
        parts.append(one_line(task.said))
    return "  ".join(parts)

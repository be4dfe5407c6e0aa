"""What the verbs of the farm's steps share: their options, and how a task is done and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from infusion_cli.printers import Printer, clock_text, size_text
from infusion_cli.showing import printing, progress_options
from infusion_ofx.attempt import header
from infusion_ofx.folder import JobFolder
from infusion_ofx.paths import PathMap
from infusion_ofx.stopping import loading

if TYPE_CHECKING:
    from infusion_ofx.farm.task import Outcome

__all__ = ["ENDS", "do_task", "folder_argument", "path_options", "step_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

ENDS = """\b
Exit codes: 0 done, or was done before; 1 failed; 2 the job or the command is wrong; 3 an earlier
step is not done; 4 outputs are missing; 75 try again; 130/143 stopped, and the same command goes
on. `infusion --help` has them all."""


def folder_argument(command: Command) -> Command:
    """Gives a command its job folder."""
    return click.argument("folder", type=click.Path(path_type=Path))(command)


def path_options(command: Command) -> Command:
    """Gives a command the ways to say that paths lie elsewhere here."""
    command = click.option(
        "--path-mapping-rules",
        "rules",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Rules as an Open Job Description session writes them.",
    )(command)
    return click.option(
        "--path-map",
        "pairs",
        multiple=True,
        metavar="FROM=TO",
        help=r"Where the job's paths lie on this machine, as P:\show=/mnt/show. May be repeated.",
    )(command)


def step_options(command: Command) -> Command:
    """Gives a command the folder and all options that a farm's step takes."""
    command = progress_options(command)
    command = click.option(
        "--force",
        is_flag=True,
        help="Throw away what this step and those after it have left, and do it again.",
    )(command)
    return folder_argument(path_options(command))


def do_task(
    task: str,
    folder: Path,
    pairs: tuple[str, ...],
    rules: Path | None,
    force: bool,
    form: str,
    as_json: bool,
) -> None:
    """Does one task of a job, and shows how it goes and how it ended.

    Raises:
        InfusionError: whatever ``farm.task.perform`` raises.
    """
    paths = PathMap.of(pairs, rules)
    with printing(form, as_json) as show:
        record = JobFolder(folder.absolute()).read(paths)
        for line in header(record.job).splitlines():
            show.say(line)
        outcome = _perform(folder, task, show, paths, force)
        show.close()
        if form != "jsonl" and not as_json:
            show.say(_summary(outcome))
    if as_json or form == "jsonl":
        click.echo(json.dumps(asdict(outcome) if as_json else {"result": asdict(outcome)}))


def _perform(folder: Path, task: str, show: Printer, paths: PathMap, force: bool) -> Outcome:
    with loading():
        from infusion_ofx.farm.task import perform
    return perform(folder, task, show, paths, force=force)


def _summary(outcome: Outcome) -> str:
    return (
        f"{outcome.task} done in {clock_text(outcome.seconds)} on {outcome.device}, peak memory "
        f"{size_text(outcome.peak_memory)}: {outcome.done}"
    )

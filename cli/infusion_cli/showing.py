"""What verbs that work for long share: how their progress is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from infusion_cli.printers import FORMATS, Printer, printer

__all__ = ["printing", "progress_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def progress_options(command: Command) -> Command:
    """Gives a command ``--progress``, as ``form``, and ``--json``, as ``as_json``."""
    command = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as JSON on stdout; progress goes to stderr.",
    )(command)
    return click.option(
        "--progress",
        "form",
        type=click.Choice(FORMATS),
        default="auto",
        show_default=True,
        help="How progress is shown. auto: openjd in an OpenJD session, rich on a terminal, "
        "else plain.",
    )(command)


@contextmanager
def printing(form: str, to_stderr: bool) -> Iterator[Printer]:
    """A printer that is closed at the end and told of a failure, for the formats that name one."""
    show = printer(form, sys.stderr if to_stderr else sys.stdout)
    try:
        yield show
    except BaseException as error:
        show.close()
        show.fail(error)
        raise
    show.close()

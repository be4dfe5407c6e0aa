"""Writes the page of the command line, docs/cli.md, from the program's own help.

``python -m infusion_cli.reference docs/cli.md``
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from infusion_cli.main import main

__all__ = ["reference"]

HEAD = """# The command line

Made by `make docs` from the program's own help; a test compares the two. Do not edit it here.
"""


def reference() -> str:
    """The help of the program and of each verb, as one Markdown page."""
    top = _context(main, "infusion", None)
    return "\n".join([HEAD, *_sections(top)])


def _sections(context: click.Context) -> list[str]:
    """The help of a command, then of the commands below it."""
    below = context.command.commands if isinstance(context.command, click.Group) else {}
    inner = [_sections(_context(verb, name, context)) for name, verb in sorted(below.items())]
    return [_section(context), *(section for each in inner for section in each)]


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    # A fixed width, so that the page is the same whatever terminal it is made in.
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=100,
        max_content_width=100,
        help_option_names=["-h", "--help"],
    )


def _section(context: click.Context) -> str:
    return f"## {context.command_path}\n\n```\n{context.get_help()}\n```\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")

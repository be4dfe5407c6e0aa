"""``infusion nuke``: the Nuke node, put where Nuke finds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from infusion_ofx.errors import InfusionError, JobError

__all__ = ["gizmos", "nuke"]

BEGIN, END = "# infusion nuke install: from here", "# infusion nuke install: to here"


@click.group()
def nuke() -> None:
    """Let Nuke find the Infusion node."""


@nuke.command(
    epilog="""\b
Examples:
  export NUKE_PATH="$(infusion nuke path):$NUKE_PATH"
  export INFUSION_PYTHON="$(infusion nuke path --python)"
"""
)
@click.option("--python", is_flag=True, help="Print this Python instead, for INFUSION_PYTHON.")
def path(python: bool) -> None:
    """Print the folder for NUKE_PATH."""
    click.echo(sys.executable if python else gizmos())


@nuke.command(
    epilog="""\b
Examples:
  infusion nuke install
  infusion nuke install --dir /site/nuke

What it writes is between two lines that say so; `infusion nuke uninstall` takes it out again."""
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder whose init.py Nuke runs at its start. Default: .nuke in your home folder.",
)
def install(folder: Path | None) -> None:
    """Write into init.py where the node is, and which Python has Infusion."""
    file = _init(folder)
    text = "".join(_without(_read(file), file))
    if text and not text.endswith("\n"):
        text += "\n"
    _write(file, text + _lines())
    click.echo(f"{file} tells Nuke of {gizmos()}; start Nuke anew, and press Tab: Infusion")


@nuke.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that `infusion nuke install` was given.",
)
def uninstall(folder: Path | None) -> None:
    """Take out of init.py what `infusion nuke install` has written, and nothing else."""
    file = _init(folder)
    lines = _read(file)
    left = _without(lines, file)
    if len(left) == len(lines):
        click.echo(f"{file} says nothing of Infusion")
        return
    if left:
        _write(file, "".join(left))
    else:
        file.unlink()
    click.echo(f"{file} says nothing of Infusion any more")


def gizmos() -> Path:
    """The folder that Nuke is to search: of the checkout, or of the installation.

    Raises:
        InfusionError: when it is not there.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[2] / "nuke_gizmos", here.parents[1] / "infusion_gizmos"):
        if (folder / "Infusion.gizmo").is_file():
            return folder
    raise InfusionError(
        "the folder of the Nuke node is not there", "install Infusion again: pip install ."
    )


def _init(folder: Path | None) -> Path:
    return (folder or Path.home() / ".nuke") / "init.py"


def _read(file: Path) -> list[str]:
    """The file's lines; none where it is not there.

    Raises:
        JobError: when it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"'{file}' cannot be read: {error}", "mend it, or give --dir") from error


def _without(lines: list[str], file: Path) -> list[str]:
    """The lines but for ours.

    Raises:
        JobError: when the line that ends ours is gone: what follows may be somebody's own.
    """
    left, ours = [], 0
    for number, line in enumerate(lines, 1):
        ours = ours or number * (line.strip() == BEGIN)
        if not ours:
            left.append(line)
        ours *= line.strip() != END
    if ours:
        raise JobError(
            f"'{file}' has no line {END!r} after line {ours}, where Infusion's own begin",
            "take them out by hand, or put that line back behind them",
        )
    return left


def _lines() -> str:
    return (
        f"{BEGIN}\n"
        "import os\n"
        "import nuke\n"
        f'os.environ.setdefault("INFUSION_PYTHON", {sys.executable!r})\n'
        f"nuke.pluginAddPath({str(gizmos())!r})\n"
        f"{END}\n"
    )


def _write(file: Path, text: str) -> None:
    """Writes the whole file or leaves it as it was.

    Raises:
        JobError: when it may not be written.
    """
    making = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        making.write_text(text, encoding="utf-8")
        making.replace(file)
    except OSError as error:
        raise JobError(
            f"'{file}' cannot be written: {error.strerror}", "give another folder with --dir"
        ) from error

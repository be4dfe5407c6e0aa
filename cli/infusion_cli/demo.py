"""``infusion demo``: a shot of its own, repaired and shown, with nothing to bring."""

from __future__ import annotations

import json
from pathlib import Path

import click

from infusion_cli.printers import clock_text, finite
from infusion_cli.showing import printing, progress_options
from infusion_cli.table import aligned

__all__ = ["demo"]


@click.command(
    epilog="""\b
Examples:
  infusion demo
  infusion demo /tmp/demo --progress plain

Exit codes: 0 done, 1 failed, 75 try again, 130/143 stopped; `infusion --help` has them all."""
)
@click.argument(
    "folder",
    metavar="[DIR]",
    default=Path("demo"),
    required=False,
    type=click.Path(file_okay=False, path_type=Path),
)
@progress_options
def demo(folder: Path, form: str, as_json: bool) -> None:
    """Make a shot, repair it with a third of draft's training, and show the result.

    Writes a moving texture in scene-linear light with something in front of it, removes that,
    measures the fill against the truth, which the demo knows, and leaves a contact sheet in DIR
    (default: demo).
    """
    from infusion_ofx.demo import demo as run_demo

    with printing(form, to_stderr=as_json or form == "jsonl") as show:
        result = run_demo(folder, show)
    if as_json:
        scores = {name: finite(value) for name, value in result.scores.items()}
        facts = {"output": result.output, "picture": str(result.picture)}
        click.echo(json.dumps({**facts, "scores": scores, "seconds": result.seconds}))
        return
    click.echo(f"repaired in {clock_text(result.seconds)}: {result.output}")
    for line in aligned(result.scores):
        click.echo(f"  {line}")
    click.echo(f"The picture is {result.picture}")

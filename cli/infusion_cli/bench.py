"""``infusion bench``: the figures of docs/quality.md, made again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from infusion_cli.printers import finite

__all__ = ["bench"]


@click.command(
    epilog="""\b
Examples:
  infusion bench clips/flame_hole clips/boats_remove --recipes draft,patches,telea,median,nearest
  infusion bench clips/* --recipes draft,paper+steps=100,draft+prior=off --seeds 3
  infusion bench clips/* --seeds 3 -o results.json --markdown results.md --plot results.png

Exit codes: 0 done, 1 failed, 2 a case is wrong, 75 try again, 130/143 stopped; `infusion --help`
has them all."""
)
@click.argument(
    "cases",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--recipes",
    default="draft",
    show_default=True,
    metavar="NAME,...",
    help="What to measure: a recipe, with other settings as in paper+steps=100; patches; and the "
    "baselines telea, median, nearest.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each case and recipe, each with its own seed.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("results.json"),
    show_default=True,
    help="Where the figures go, as JSON.",
)
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the table goes as Markdown, if anywhere.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where quality against seconds goes as a PNG, if anywhere.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the repaired frames and a contact sheet of each case, if they are wanted.",
)
def bench(
    cases: tuple[Path, ...],
    recipes: str,
    seeds: int,
    device: str,
    output: Path,
    markdown: Path | None,
    plot: Path | None,
    keep: Path | None,
) -> None:
    """Repair each of CASES in each way and measure the fills.

    A case is a folder with plate.####.exr, matte.####.exr and, where the truth is known,
    clean.####.exr. Of a hole that is large or long the middle frames are scored. The JSON is
    written after each run, so that what is done is kept where bench is stopped.
    """
    from infusion_ofx.bench import Way
    from infusion_ofx.bench import bench as measure
    from infusion_ofx.bench_plot import plot as draw
    from infusion_ofx.bench_table import machine
    from infusion_ofx.bench_table import markdown as as_table

    ways = [Way.parse(name) for name in recipes.split(",")]
    facts, rows = machine(), []
    for row in measure(list(cases), ways, seeds, device, _say, keep=keep):
        rows.append(row)
        strict = [_strict(each) for each in rows]
        _write(output, json.dumps({"machine": facts, "rows": strict}, indent=2))
    table = as_table(rows, facts)
    click.echo(table, nl=False)
    if plot is not None:
        draw(plot, rows)
    if markdown is not None:
        _write(markdown, table.rstrip("\n"))


def _say(line: str) -> None:
    click.echo(line, err=True)


def _strict(row: dict[str, Any]) -> dict[str, Any]:
    return {name: finite(value) for name, value in row.items()}


def _write(path: Path, text: str) -> None:
    """Writes a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    private = path.with_name(f".{path.name}.{os.getpid()}")
    private.write_text(text + "\n", encoding="utf-8")
    private.replace(path)

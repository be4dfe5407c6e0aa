"""``infusion batch``: many shots, on this machine or handed to a farm."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from infusion_cli.job_options import job_options, settings_from
from infusion_cli.printers import Printer, clock_text, one_line, size_text
from infusion_cli.showing import printing, progress_options
from infusion_cli.step_options import path_options
from infusion_cli.table import columns
from infusion_ofx.farm.engines import ENGINES, write_submission
from infusion_ofx.paths import PathMap
from infusion_ofx.stopping import Signals, stopping

if TYPE_CHECKING:
    from infusion_ofx.farm.batch import Batch, ShotState

__all__ = ["batch"]


@click.command(
    epilog="""\b
Examples:
  infusion batch shots.yaml --dry-run
  infusion batch shots.yaml
  infusion batch shots.csv --recipe draft --report today.json
  infusion batch shots.yaml --export slurm -o slurm/ && bash slurm/submit.sh --partition=gpu

\b
Exit codes: 0 every shot is done; 1 at least one is not, and the table and the report say why; 2 the
file of shots is wrong and nothing was begun; 75 the report cannot be written; 130/143 stopped, and
the same command goes on. `infusion --help` has them all."""
)
@click.argument("file", type=click.Path(path_type=Path), metavar="SHOTS")
@click.option(
    "--export",
    "engine",
    type=click.Choice(list(ENGINES)),
    help="Do no shot here: write each in the form of a farm, and a script that sends them.",
)
@click.option(
    "-o",
    "where",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --export: where its files go.",
)
@click.option(
    "--report",
    metavar="FILE.json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the report goes. Default: shots.batch.json beside shots.yaml.",
)
@click.option("--dry-run", is_flag=True, help="Look at every shot, say what is wrong; do nothing.")
@progress_options
@path_options
@job_options
@click.pass_context
def batch(
    context: click.Context,
    /,
    file: Path,
    engine: str | None,
    where: Path | None,
    report: Path | None,
    dry_run: bool,
    as_json: bool,
    form: str,
    pairs: tuple[str, ...],
    rules: Path | None,
    **_: object,
) -> None:
    """Repair the shots of a file, each as `infusion run` would.

    SHOTS is YAML, JSON or CSV: a name, a plate, a matte and an output for each shot, and any option
    of `infusion run`. The options of this call hold for all shots, over what the file says. Every
    GPU that is there has a shot of its own at any time; without one they are done in turn.

    What is wrong is told first, of all shots at once. A shot that fails stops no other. The same
    command again goes on: what is done is left as it is.
    """
    if (engine is None) != (where is None):
        raise click.UsageError("--export and -o belong together")
    with stopping() as signals, printing(form, as_json) as show:
        shots = _look(context, file, PathMap.of(pairs, rules), signals, show)
        if engine is not None and where is not None and not dry_run:
            _export(shots, engine, where, signals, show)
        elif not dry_run:
            shots.run(signals, show, report or file.with_name(f"{file.stem}.batch.json"))
        show.close()
        if as_json:
            click.echo(json.dumps(shots.to_dict(), indent=2))
        else:
            for line in _table(shots):
                show.say(line)
        if signals.received is not None:
            raise signals.stopped("what was done is kept")
    context.exit(0 if shots.all_well or (dry_run and shots.can_all) else 1)


def _look(
    context: click.Context, file: Path, paths: PathMap, signals: Signals, show: Printer
) -> Batch:
    """The shots of the file, looked at; what is wrong with them is told.

    Raises:
        JobError: when the file itself is wrong.
    """
    from infusion_ofx.farm.batch import Batch, said_of
    from infusion_ofx.farm.shots import ShotsError, read_shots

    base, given = settings_from(context)
    try:
        found = read_shots(file, base, given, paths)
    except ShotsError as error:
        for fault in error.faults:
            click.echo(f"ERROR: {one_line(fault)}", err=True)
        raise
    batch = Batch(found, file)
    batch.look(signals)
    for each in batch.states:
        if each.state == "failed":
            show.say(f"{said_of(each)} ({file.name}, {each.where})")
    return batch


def _export(shots: Batch, engine: str, where: Path, signals: Signals, show: Printer) -> None:
    from infusion_ofx.begin import submit
    from infusion_ofx.farm.shots import Shot
    from infusion_ofx.folder import JobFolder

    jobs = []

    def write(shot: Shot) -> JobFolder:
        job = submit(shot.job)
        ENGINES[engine].export(job, where / shot.name)
        jobs.append((shot.name, job))
        return job

    shots.export(write, signals)
    if jobs:
        script = write_submission(ENGINES[engine], where, jobs)
        show.say(f"send them with: bash {shlex.quote(str(script))}")


def _table(shots: Batch) -> list[str]:
    """The shots for people, a line each, and how many stand how."""
    head = ["shot", "state", "frames", "size", "time", "memory", "output, or what is wrong"]
    rows = [head, *map(_row, shots.states)]
    counts = ", ".join(f"{count} {state}" for state, count in shots.to_dict()["counts"].items())
    return [*columns(rows), f"{len(shots.states)} shots: {counts}"]


def _row(shot: ShotState) -> list[str]:
    ended = shot.state in ("done", "failed", "stopped") and shot.seconds > 0
    state = shot.state if not shot.code else f"{shot.state} {shot.code}"
    return [
        shot.shot,
        "done before" if shot.found_done else state,
        str(shot.frames or "-"),
        shot.size or "-",
        clock_text(shot.seconds) if ended else "-",
        size_text(shot.peak_memory) if shot.peak_memory else "-",
        one_line(shot.message or shot.output),
    ]

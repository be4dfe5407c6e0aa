"""``infusion ofx``: the plug-in for OpenFX hosts, and the engine's part of it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import click

from infusion_cli.job_options import job_from, job_options
from infusion_cli.showing import printing
from infusion_cli.step_options import folder_argument
from infusion_ofx.ofx import bundle
from infusion_ofx.stopping import loading

__all__ = ["ofx"]

_plugins_argument = click.argument(
    "folder", required=False, type=click.Path(file_okay=False, path_type=Path)
)


@click.group()
def ofx() -> None:
    """Put the node into OpenFX hosts such as Resolve, Natron, Flame, Fusion and Silhouette."""


@ofx.command(
    epilog="""\b
Examples:
  sudo infusion ofx install
  infusion ofx install ~/ofx && export OFX_PLUGIN_PATH=~/ofx

Run it again after every update: the plug-in calls the Infusion that has installed it."""
)
@_plugins_argument
@click.option("--dry-run", is_flag=True, help="Say what would go where; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def install(folder: Path | None, dry_run: bool, as_json: bool) -> None:
    """Copy the plug-in to FOLDER, by default where every host of this machine looks for it."""
    source, folder = bundle.built(), (folder or bundle.hosts_folder()).absolute()
    target = folder / bundle.NAME if dry_run else bundle.install(folder)
    if as_json:
        facts = {"source": str(source), "target": str(target), "installed": not dry_run}
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{'would copy' if dry_run else 'copied'} {source} to {target}")
    if folder != bundle.hosts_folder():
        click.echo(f"hosts find it with OFX_PLUGIN_PATH={folder}")


@ofx.command()
def path() -> None:
    """Print where the built plug-in lies in this installation."""
    click.echo(bundle.built())


@ofx.command()
@_plugins_argument
def remove(folder: Path | None) -> None:
    """Remove the plug-in from FOLDER again."""
    folder = (folder or bundle.hosts_folder()).absolute()
    removed = bundle.remove(folder)
    click.echo(f"removed it from {folder}" if removed else f"there is none in {folder}")


@ofx.command(
    epilog="""\b
Examples:
  infusion ofx cache /show/sh010/infusion/plate/v001

The node's Job folder is then /show/sh010/infusion/plate/v001."""
)
@folder_argument
def cache(folder: Path) -> None:
    """Prepare a finished job's folder for the node, whoever has run the job.

    Writes the filled part of each frame as plain numbers, which the plug-in reads without a codec.
    """
    from infusion_ofx.ofx.work import cache as cache_job

    click.echo(f"{cache_job(folder)} frames of {folder} can be shown")


@ofx.command()
@folder_argument
@job_options
@click.pass_context
def work(context: click.Context, /, folder: Path, **_: object) -> None:
    """Do a node's job; Launch calls it.

    FOLDER is the node's job folder. The command returns at once; a process of its own does the work
    and says how it goes on stdout.
    """
    _leave_the_host()
    with printing("plain", to_stderr=False) as show:
        job = job_from(context)
        with loading():
            from infusion_ofx.ofx.work import work as do_work
        result = do_work(folder.absolute(), job, show)
        show.say(f"done: {result.frames} frames are in {result.output}")


def _leave_the_host() -> None:
    """Goes on in a child that belongs to nobody: the host waits for no child and has none, and what
    it has open does not stay open for hours."""
    if not hasattr(os, "fork"):
        return  # Windows: the plug-in has started this process on its own already
    for number in map(int, os.listdir("/dev/fd")):
        if number > 2:
            with suppress(OSError):  # the one that the listing itself had open
                os.close(number)
    if os.fork():
        os._exit(0)
    os.setsid()

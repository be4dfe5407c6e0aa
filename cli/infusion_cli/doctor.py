"""``infusion doctor``: can a job run on this machine, and how well."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from infusion_cli.printers import size_text
from infusion_cli.table import aligned
from infusion_ofx import __version__

__all__ = ["doctor", "examine"]

PACKAGES = (
    "torch",
    "OpenImageIO",
    "numpy",
    "pyseq",
    "psutil",
    "opencv-python-headless",
    "pillow",
    "click",
    "rich",
)
FORMATS = ("exr", "dpx")
LEAST_MEMORY = 2 * 2**30
"""Free host memory under which even a small draft is likely to fail, in bytes."""


@click.command(
    epilog="""\b
Examples:
  infusion doctor
  infusion doctor --json

Exit code 0 when a job can run here, 1 when it cannot."""
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def doctor(context: click.Context, /, as_json: bool) -> None:
    """Say what this machine has: versions, devices, memory, disk, codecs, and what is missing."""
    found = examine()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(found)
    if found["faults"]:
        context.exit(1)


def examine() -> dict[str, Any]:
    """What there is, in JSON-ready values; ``faults`` stop a job, ``costs`` only slow it."""
    faults: list[str] = []
    costs: list[str] = []
    return {
        "versions": _versions(faults),
        "devices": _devices(faults, costs),
        "memory": _memory(costs),
        "disk": _disk(costs),
        "codecs": _codecs(faults),
        "faults": faults,
        "costs": costs,
    }


def _versions(faults: list[str]) -> dict[str, str]:
    found = {
        "infusion": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
            faults.append(f"{name} is not installed; pip install infusion-ofx brings it")
    return found


def _devices(faults: list[str], costs: list[str]) -> dict[str, Any]:
    try:
        import torch

        from infusion_ofx.engine.compute import Compute

        chosen = Compute.choose("auto", "auto")
    except (ImportError, OSError, RuntimeError) as error:
        faults.append(f"torch cannot be used: {error}")
        return {"cores": os.cpu_count() or 0}
    cards = [_card(torch.cuda.get_device_properties(i)) for i in range(torch.cuda.device_count())]
    costs += _device_costs(chosen.device.type, chosen.precision)
    return {
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "cuda": cards,
        "auto device": str(chosen.device),
        "auto device name": chosen.name,
        "auto precision": chosen.precision,
    }


def _card(properties: Any) -> str:
    return f"{properties.name} with {size_text(properties.total_memory)}"


def _device_costs(device: str, precision: str) -> list[str]:
    costs = []
    if device == "cpu":
        costs.append("no CUDA device: jobs run on the processor, which takes far longer")
    if precision == "float32":
        costs.append("bfloat16 is not fast here: the network runs in float32, which is slower")
    return costs


def _memory(costs: list[str]) -> dict[str, int]:
    try:
        import psutil
    except ImportError:  # named among the versions already
        return {}
    memory = psutil.virtual_memory()
    if memory.available < LEAST_MEMORY:
        costs.append(
            f"only {size_text(memory.available)} of memory are free: give --memory less, "
            "or close what else is running"
        )
    return {"total": int(memory.total), "free": int(memory.available)}


def _disk(costs: list[str]) -> dict[str, Any]:
    here = Path.cwd()
    if not os.access(here, os.W_OK):
        costs.append(f"'{here}' cannot be written to: give --output another folder")
    return {"folder": str(here), "free": shutil.disk_usage(here).free}


def _codecs(faults: list[str]) -> dict[str, bool]:
    """Whether a tiny frame of each format can be written and read back, tried for real."""
    try:
        import OpenImageIO
    except (ImportError, OSError) as error:
        faults.append(f"OpenImageIO cannot be used: {error}")
        return dict.fromkeys(FORMATS, False)
    with tempfile.TemporaryDirectory() as folder:
        found = {name: _works(OpenImageIO, Path(folder) / f"try.{name}") for name in FORMATS}
    faults += [f"OpenImageIO cannot write {name}" for name, works in found.items() if not works]
    return found


def _works(oiio: Any, path: Path) -> bool:
    import numpy

    output = oiio.ImageOutput.create(str(path))
    kind = oiio.HALF if path.suffix == ".exr" else oiio.UINT16
    if output is None or not output.open(str(path), oiio.ImageSpec(4, 2, 3, kind)):
        oiio.geterror()
        return False
    written = output.write_image(numpy.full((2, 4, 3), 0.5, numpy.float32))
    return bool(written and output.close() and oiio.ImageInput.open(str(path)) is not None)


def _show(found: dict[str, Any]) -> None:
    memory = {name: size_text(count) for name, count in found["memory"].items()}
    disk = {**found["disk"], "free": size_text(found["disk"]["free"])}
    shown = {**found, "memory": memory, "disk": disk}
    for title in ("versions", "devices", "memory", "disk", "codecs"):
        click.echo(f"{title}\n" + "\n".join(f"  {line}" for line in aligned(shown[title])))
    for title, mark in (("costs", "note"), ("faults", "MISSING")):
        for line in found[title]:
            click.echo(f"{mark}: {line}")
    click.echo("a job cannot run here" if found["faults"] else "a job can run here")

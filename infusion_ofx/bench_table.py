"""The figures of a bench for people: the machine that they were taken on, and one table."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

from infusion_ofx.engine.compute import processor

__all__ = ["machine", "markdown", "number"]


def machine() -> dict[str, Any]:
    """What the figures were made on: cpu, cores, memory, gpu, versions, the commit."""
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "torch": version("torch"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "commit": _commit(),
    }


def _commit() -> str:
    """The commit of the working tree that this file lies in, + where it was changed; or nothing."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head, changes = (
            subprocess.run([*git, *rest], capture_output=True, text=True, check=True).stdout.strip()
            for rest in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("+" if changes else "")


_COLUMNS = {
    "psnr": "PSNR dB",
    "swd": "SWD x100",
    "frame_difference": "frame difference",
    "sharpness": "sharpness",
    "cpu_seconds": "CPU s",
    "wall_seconds": "wall s",
    "peak_memory": "peak GiB",
    "outside_differ": "differ outside",
    "non_finite": "non-finite",
    "fill_max": "brightest",
}


_LEGEND = """\
# Quality

Made by `infusion bench`; [method.md](method.md) says what the pictures show. All figures are taken
inside the hole, on the logarithmic scale of `score.py`.

- **PSNR**: decibels against the truth; a blur scores well, so it must not decide alone.
- **SWD**: sliced Wasserstein distance of 3x7x7 space-time patches, times 100; 0 is the same.
- **frame difference**, **sharpness**: spread of frame differences and of the Laplacian, fill over
  truth; 1 is right, less is frozen or soft, more is flicker or speckle.
- **CPU s**, **wall s**, **peak GiB**: of the process that did the job, from start to end.
- **differ outside**: samples outside the matte that differ from the plate in any bit.
"""


def markdown(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """The rows as a Markdown table, one line a clip and recipe: mean ± spread over the seeds.

    facts: from ``machine``. Of the counts that should be 0 the worst seed is given.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["clip"], row["recipe"]), []).append(row)
    lines = [
        _LEGEND,
        "| clip | recipe | seeds | " + " | ".join(_COLUMNS.values()) + " |",
        "|---" * (3 + len(_COLUMNS)) + "|",
    ]
    for (clip, recipe), group in groups.items():
        name = clip if group[0]["truth"] else f"{clip} *"
        cells = [name, recipe, str(len(group)), *(_cell(key, group) for key in _COLUMNS)]
        lines.append("| " + " | ".join(cells) + " |")
    if not all(row["truth"] for row in rows):
        lines += ["", "\\* no truth: against the surroundings of the hole."]
    told = {**facts, "memory": f"{facts['memory'] / 2**30:.0f} GiB"}
    machine_line = ", ".join(f"{name} {value}" for name, value in told.items() if value)
    return "\n".join([*lines, "", f"Machine: {machine_line}.", ""])


def _cell(key: str, group: Iterable[Mapping[str, Any]]) -> str:
    values = [float(row[key]) for row in group if row[key] is not None]
    if not values:
        return "-"
    if key in ("outside_differ", "non_finite"):
        return f"{max(values):.0f}"
    scale = 2**30 if key == "peak_memory" else 1
    values = [value / scale for value in values]
    spread = f" ± {number(statistics.stdev(values))}" if len(values) > 1 else ""
    return number(statistics.fmean(values)) + spread


def number(value: float | None) -> str:
    """Three significant figures; a dash where there is none."""
    return "-" if value is None else f"{value:.3g}"

"""The figures of a bench for people: the machine that they were taken on, and one table."""

from __future__ import annotations

import math
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


_QUALITY = {
    "psnr": "PSNR dB",
    "ssim": "SSIM",
    "flip": "HDR-FLIP",
    "swd": "SWD x100",
    "swd_texture": "texture x100",
    "frame_difference": "frame difference",
    "spectrum": "spectrum dB",
    "sharpness": "sharpness",
    "seam": "seam",
    "strangeness": "strangeness",
}

_COST = {
    "cpu_seconds": "CPU s",
    "wall_seconds": "wall s",
    "train_seconds": "train s",
    "sample_seconds": "sample s",
    "patch_seconds": "patch s",
    "tflops": "Tflop/s",
    "ceiling_share": "of ceiling",
    "peak_memory": "peak GiB",
    "outside_differ": "differ outside",
    "non_finite": "non-finite",
    "fill_max": "brightest",
}


_LEGEND = """\
# Figures

Made by `infusion bench`. All figures are taken inside the hole, on the logarithmic scale of
`score.py`.

- **PSNR**, **SSIM**, **HDR-FLIP**: against the truth, frame by frame; higher, higher, lower is
  better. A blur scores well by the first two, so they must not decide alone.
- **SWD**, **texture**: sliced Wasserstein distance of 3x7x7 space-time patches, times 100, as they
  are and without their mean; 0 is the same.
- **frame difference**, **sharpness**: spread of frame differences and of the Laplacian, fill over
  truth; 1 is right, less is frozen or soft, more is flicker or speckle.
- **spectrum**: decibels between the powers of the frequencies in time; 0 is right.
- **seam**: steps across the hole's border over steps beside it; 1 is right, more is seen.
- **strangeness**: how little the fill's patches are like known ones, over the same of what is
  beside the hole; 1 is as much like the shot as that, more is scribble.
- **telea**: OpenCV's inpainting, each frame by itself. **median**: of what is known at the same
  place in all frames. **nearest**: the nearest frame that shows it, after the camera's motion.
  Where those two know nothing, they are Telea's. **patches**: `--method patch`.
- **CPU s**, **wall s**, **peak GiB**: of the process that did the job, from start to end;
  **train s**, **sample s**, **patch s**: of the engine's parts.
- **Tflop/s**: arithmetic of training and sampling by time; **of ceiling**: over the best product of
  two large square matrices measured here in the same precision.
- **differ outside**: samples outside the matte that differ from the plate in any bit.
"""


def markdown(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """The rows as two Markdown tables, what the fills are like and what they took; one line a clip
    and way: mean ± spread over the seeds.

    facts: from ``machine``. Of the counts that should be 0 the worst seed is given.
    """
    lines = [_LEGEND, *_table(rows, _QUALITY)]
    if not all(row["truth"] for row in rows):
        lines += ["", "\\* no truth: against the surroundings of the hole."]
    lines += ["", *_table(rows, _COST)]
    told = {**facts, "memory": f"{facts['memory'] / 2**30:.0f} GiB"}
    machine_line = ", ".join(f"{name} {value}" for name, value in told.items() if value)
    return "\n".join([*lines, "", f"Machine: {machine_line}.", ""])


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> list[str]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["clip"], row["recipe"]), []).append(row)
    lines = [
        "| clip | recipe | seeds | " + " | ".join(columns.values()) + " |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for (clip, recipe), group in groups.items():
        name = clip if group[0]["truth"] else f"{clip} *"
        cells = [name, recipe, str(len(group)), *(_cell(key, group) for key in columns)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(key: str, group: Iterable[Mapping[str, Any]]) -> str:
    values = [float(row[key]) for row in group if row.get(key) is not None]
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return "-"
    if key in ("outside_differ", "non_finite"):
        return f"{max(values):.0f}"
    scale = 2**30 if key == "peak_memory" else 1
    values = [value / scale for value in values]
    if any(map(math.isinf, values)):  # of a fill that is the truth, say
        return number(sum(values))
    spread = f" ± {number(statistics.stdev(values))}" if len(values) > 1 else ""
    return number(statistics.fmean(values)) + spread


def number(value: float | None) -> str:
    """Three significant figures; a dash where there is none."""
    return "-" if value is None else f"{value:.3g}"

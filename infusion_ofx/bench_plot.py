"""Quality against seconds: one row a clip, one column a figure, one mark a way and seed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

__all__ = ["plot"]

FIGURES = {"psnr": "PSNR, dB", "swd": "SWD x100", "sharpness": "sharpness, 1 is right"}
WIDE, TALL, MARGIN = 420, 220, 46  # pixels of a panel; of its left and lower edge
INKS = ("#e06c50", "#4f9bd9", "#6fbf73", "#c48fe0", "#e0b84f", "#5fc4c0", "#d96fa4", "#9aa0a8")
PAPER, INK, LINE = "#181818", "#d0d0d0", "#505050"

Row = Mapping[str, Any]


def plot(path: Path, rows: Sequence[Row]) -> None:
    """Writes the PNG, whole or not at all. rows: from ``bench.bench``.

    The seconds are those of the processor, from a tenth on, by powers of ten. Better is up in the
    first column, down in the second, and close to 1 in the third.
    """
    clips = list(dict.fromkeys(row["clip"] for row in rows))
    ways = list(dict.fromkeys(row["recipe"] for row in rows))
    inks = {way: INKS[i % len(INKS)] for i, way in enumerate(ways)}
    size = (len(FIGURES) * WIDE, len(clips) * TALL + 24 + 20 * math.ceil(len(ways) / 4))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for down, clip in enumerate(clips):
        for across, figure in enumerate(FIGURES):
            taken = [row for row in rows if row["clip"] == clip and _is_number(row.get(figure))]
            corner, title = (across * WIDE, down * TALL), f"{clip}: {FIGURES[figure]}"
            _panel(draw, corner, title, taken, figure, inks)
    for i, way in enumerate(ways):
        x, y = 16 + i % 4 * size[0] // 4, len(clips) * TALL + 12 + 20 * (i // 4)
        draw.ellipse((x, y + 3, x + 8, y + 11), inks[way])
        draw.text((x + 14, y), way, INK, _font())
    private = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(private, format="PNG")
    private.replace(path)


def _panel(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    title: str,
    rows: Sequence[Row],
    figure: str,
    inks: Mapping[str, str],
) -> None:
    left, top = corner
    box = (left + MARGIN, top + 28, left + WIDE - 12, top + TALL - MARGIN + 20)
    draw.text((left + MARGIN, top + 8), title, INK, _font())
    draw.rectangle(box, outline=LINE)
    if not rows:
        draw.text((box[0] + 8, box[1] + 8), "no truth", LINE, _font())
        return
    seconds = [math.log10(max(row["cpu_seconds"], 0.1)) for row in rows]
    values = [float(row[figure]) for row in rows]
    x_axis, y_axis = _axis(seconds, 0.2), _axis(values, 0.08 * (max(values) - min(values)) or 0.1)
    for power in range(math.ceil(x_axis[0]), math.floor(x_axis[1]) + 1):
        x = _place(power, x_axis, box[0], box[2])
        draw.line((x, box[1], x, box[3]), LINE)
        draw.text((x - 8, box[3] + 3), f"{10.0**power:g} s", INK, _font())
    for share in (0.0, 0.5, 1.0):
        value = y_axis[0] + share * (y_axis[1] - y_axis[0])
        y = _place(value, y_axis, box[3], box[1])
        draw.text((left + 2, min(y, box[3] - 8) - 4), f"{value:.3g}", INK, _font())
    for row, second, value in zip(rows, seconds, values, strict=True):
        x, y = _place(second, x_axis, box[0], box[2]), _place(value, y_axis, box[3], box[1])
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), inks[row["recipe"]])


def _axis(values: Sequence[float], room: float) -> tuple[float, float]:
    return min(values) - room, max(values) + room


def _place(value: float, axis: tuple[float, float], start: int, stop: int) -> float:
    return start + (value - axis[0]) / (axis[1] - axis[0]) * (stop - start)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=12)

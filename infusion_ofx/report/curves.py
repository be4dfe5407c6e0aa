"""Curves of a page as SVG text: nothing to load, and nothing that needs a script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["curve_of", "loss_curve", "strip"]

WIDTH, HEIGHT = 360, 150
LEFT, BOTTOM, TOP = 46, 20, 8

Points = Sequence[Sequence[float]]


def loss_curve(name: str, points: Points, steps: float, held_out: Points = ()) -> str:
    """One stage's training loss over its steps, on a logarithmic scale, with its running mean.

    points: step and loss, ascending. steps: that the stage has. held_out: step and error on what
    training has not seen, ascending; on the same scale.
    """
    known, unseen = _shown(points), _shown(held_out)
    if not known:
        return ""
    low, high = (math.log10(f(y for _, y in known + unseen)) for f in (min, max))
    low, high = math.floor(low * 2) / 2, math.ceil(high * 2 + 1e-9) / 2
    across, down = WIDTH - LEFT - 8, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> str:
        share = (math.log10(y) - low) / max(high - low, 1e-9)
        return f"{LEFT + across * x / max(steps, 1):.1f},{TOP + down * (1 - share):.1f}"

    raw = " ".join(place(x, y) for x, y in known)
    mean = " ".join(place(x, y) for x, y in _smooth(known))
    beside = " ".join(place(x, y) for x, y in unseen)
    ticks = [(10**high, TOP + 9), (10**low, HEIGHT - BOTTOM)]
    labels = "".join(f'<text x="2" y="{y}">{value:.2g}</text>' for value, y in ticks)
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(name)}">'
        f'<rect x="{LEFT}" y="{TOP}" width="{across}" height="{down}" fill="#101010"/>'
        f'<polyline points="{raw}" fill="none" stroke="#4d6a8c"/>'
        f'<polyline points="{mean}" fill="none" stroke="#8fc1ff" stroke-width="2"/>'
        f'<polyline points="{beside}" fill="none" stroke="#ffb35c" stroke-width="2"/>{labels}'
        f'<text x="{LEFT}" y="{HEIGHT - 5}">0</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 5}" text-anchor="end">{steps:g} steps</text></svg>'
        f"<figcaption>{escape(name)}: loss {known[-1][1]:.3g} at step {known[-1][0]:g}"
        + (f", held out {unseen[-1][1]:.3g}" if unseen else "")
        + "</figcaption></figure>"
    )


def _shown(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if y > 0 and math.isfinite(y)]


def curve_of(kept: Mapping[str, Any]) -> str:
    """The curve of a stage as losses.py reads it."""
    steps = float(kept["steps"] or 1)
    return loss_curve(kept["stage"], kept["points"], steps, kept["held_out"])


def strip(name: str, values: Sequence[tuple[int, float]], ideal: float = 1.0) -> str:
    """A figure frame by frame, each a bar that leads to its frame; a line marks the ideal.

    values: frame and value; NaN leaves a gap. The scale is logarithmic, and ends where it does.
    """
    known = [abs(math.log2(v / ideal)) for _, v in values if v > 0 and math.isfinite(v)]
    reach = max([1.0, *known])
    width = max(2.0, min(24.0, 720 / max(len(values), 1)))
    middle, across = HEIGHT / 3, width * len(values)
    bars = "".join(
        _bar(frame, value, ideal, i * width, width, middle, reach)
        for i, (frame, value) in enumerate(values)
        if value > 0 and math.isfinite(value)
    )
    ends = [(2**reach * ideal, 10), (ideal, middle + 4), (2**-reach * ideal, 2 * middle)]
    labels = "".join(f'<text x="{across + 6}" y="{y}">{v:.2g}</text>' for v, y in ends)
    return (
        f'<figure><svg width="{across + 50}" height="{2 * middle + 4}" role="img" '
        f'aria-label="{escape(name)}">{bars}'
        f'<line x1="0" x2="{across}" y1="{middle}" y2="{middle}" stroke="#777"/>{labels}</svg>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _bar(
    frame: int, value: float, ideal: float, x: float, width: float, middle: float, reach: float
) -> str:
    share = math.log2(value / ideal) / reach * middle
    top, tall = (middle - share, share) if share > 0 else (middle, -share)
    colour = "#ff8f7a" if abs(math.log2(value / ideal)) > 0.5 else "#6f9fcf"
    return (
        f'<a href="#frame={frame}"><title>frame {frame}: {value:.3g}</title>'
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{max(width - 1, 1):.1f}" '
        f'height="{max(tall, 1):.1f}" fill="{colour}"/></a>'
    )


def _smooth(points: Points) -> list[tuple[float, float]]:
    """A running mean over about a twentieth of the points, of the loss's logarithm."""
    kept, share = math.log(points[0][1]), min(1.0, 20 / len(points))
    smooth = []
    for x, y in points:
        kept += share * (math.log(y) - kept)
        smooth.append((x, math.exp(kept)))
    return smooth

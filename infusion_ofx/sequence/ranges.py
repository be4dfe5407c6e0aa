"""Frame ranges such as ``1001-1100x2,1200``: read, written, and what they leave out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from infusion_ofx.errors import SequenceError

__all__ = ["MOST_FRAMES", "format_frames", "gaps", "parse_frames", "short_frames", "split_range"]

MOST_FRAMES = 100_000
"""Longest range that is taken, over an hour of film; more is a typing error."""

_NUMBER = "-?[0-9]{1,9}"
_SPAN = f"{_NUMBER}(?:-{_NUMBER}(?:[x:][0-9]{{1,9}})?)?"
_RANGE = re.compile(f"({_NUMBER})(?:-({_NUMBER})(?:[x:]([0-9]{{1,9}}))?)?")
_TRAILING = re.compile(rf"(.*\S)[ \t]+({_SPAN}(?:,{_SPAN})*)", re.DOTALL)


def parse_frames(text: str) -> tuple[int, ...]:
    """Reads a frame range such as ``1001-1100x2,1200``: ascending, each frame once.

    A range is ``first-last`` with an optional step as ``x2`` or ``:2``; ranges and single frames
    are joined by commas; frames may be negative, as in ``-5--1``.

    Raises:
        SequenceError: for any other text, a range that falls, a step of 0, or too many frames.
    """
    frames: set[int] = set()
    named = 0
    for part in text.split(","):
        span = _parse_range(part.strip(), text)
        named += len(span)
        if named > MOST_FRAMES:
            raise SequenceError(
                f"the frame range {text!r} has more than {MOST_FRAMES} frames", "narrow it"
            )
        frames.update(span)
    return tuple(sorted(frames))


def _parse_range(part: str, text: str) -> range:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise SequenceError(
            f"{part!r} in the frame range {text!r} is no range", "write it as 1001-1100x2,1200"
        )
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    step = 1 if match[3] is None else int(match[3])
    if last < first or step == 0:
        fault = "falls" if last < first else "has a step of 0"
        raise SequenceError(
            f"{part!r} in the frame range {text!r} {fault}",
            "write the lower frame first, and a step of 1 or more",
        )
    return range(first, last + 1, step)


def format_frames(frames: Iterable[int]) -> str:
    """Writes frames as the shortest text of ranges that do not overlap; ``parse_frames`` reads it.

    An empty set gives an empty text.
    """
    numbers = sorted(set(frames))
    ends = _run_ends(numbers)
    costs = [0] * (len(numbers) + 1)
    stops = [0] * len(numbers)
    for i in range(len(numbers) - 1, -1, -1):
        # The longest run from here, that run without its last frame (which may begin the next
        # one), or this frame alone: no other cut can be shorter.
        options = {i + 1, ends[i] + 1, max(ends[i], i + 1)}
        costs[i], negative_stop = min(
            (len(_range_text(numbers, i, stop)) + 1 + costs[stop], -stop) for stop in options
        )
        stops[i] = -negative_stop
    parts, i = [], 0
    while i < len(numbers):
        parts.append(_range_text(numbers, i, stops[i]))
        i = stops[i]
    return ",".join(parts)


def _run_ends(numbers: list[int]) -> list[int]:
    """For each place, the last place of the longest run of one step that starts there."""
    ends = list(range(len(numbers)))
    for i in range(len(numbers) - 2, -1, -1):
        step = numbers[i + 1] - numbers[i]
        goes_on = i + 2 < len(numbers) and numbers[i + 2] - numbers[i + 1] == step
        ends[i] = ends[i + 1] if goes_on else i + 1
    return ends


def _range_text(numbers: list[int], start: int, stop: int) -> str:
    if stop - start == 1:
        return str(numbers[start])
    step = numbers[start + 1] - numbers[start]
    return f"{numbers[start]}-{numbers[stop - 1]}" + (f"x{step}" if step > 1 else "")


def short_frames(frames: Iterable[int], most: int = 120) -> str:
    """``format_frames`` for an error: cut after about ``most`` letters, with dots."""
    text = format_frames(frames)
    return text if len(text) <= most else f"{text[: text.rindex(',', 0, most)]},..."


def gaps(frames: Sequence[int]) -> tuple[int, ...]:
    """The numbers between ascending frames that are not among them."""
    return tuple(sorted(set(range(frames[0], frames[-1] + 1)).difference(frames)))


def split_range(text: str) -> tuple[str, str]:
    """A name and the frame range after its last space, as RV and Nuke write it; else the text and
    nothing: ``plate.####.exr 1001-1100x2``."""
    match = _TRAILING.fullmatch(text)
    return (match[1], match[2]) if match else (text, "")

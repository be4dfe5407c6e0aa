"""Measures ways to fill on shots: a fresh process each, law 1 checked, the fill scored.

A way is a recipe with other settings where wanted, ``draft``, ``paper+steps=100``,
``draft+prior=off``, or ``patches``, which is ``draft+method=patch``; or one of the baselines of
bench_fills.py, which anything must be held against.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infusion_ofx.bench_case import Case
from infusion_ofx.bench_cost import measured
from infusion_ofx.bench_fills import BASELINES, baseline
from infusion_ofx.bench_table import number
from infusion_ofx.errors import InfusionError, JobError, Stopped
from infusion_ofx.job import Job
from infusion_ofx.law import bits, law_one
from infusion_ofx.paths import PATHS
from infusion_ofx.score import logarithm, scores, scores_without_truth
from infusion_ofx.score_strange import strangeness
from infusion_ofx.sequence.store import Sequence as Frames
from infusion_ofx.sheet import contact_sheet, evenly

__all__ = ["Way", "bench"]

CASES = {
    *PATHS, "frames", "missing", "in_place", "channels", "layer", "view", "matte_channel", "grow",
    "feather",
}  # fmt: skip
"""Fields of Job that say what is filled: the case does."""

SAID = ("psnr", "swd", "frame_difference", "sharpness", "seam", "cpu_seconds", "outside_differ")
UNTAKEN = (
    "train_seconds", "sample_seconds", "patch_seconds", "tflops", "ceiling_share", "peak_memory"
)  # fmt: skip
SHOWN = 5  # frames of a contact sheet

Clip = NDArray[Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """One way to fill that is measured."""

    name: str
    """As it was written."""
    settings: Mapping[str, Any] | None
    """Fields of Job; None for a baseline."""

    @classmethod
    def parse(cls, text: str) -> Way:
        """A way by name, with settings behind a + each: ``paper+steps=100+prior=off``.

        Raises:
            JobError: when there is no such recipe, field or value, or the field says what is filled
                and not how.
        """
        name, *more = text.strip().split("+")
        if name in BASELINES and not more:
            return cls(name, None)
        settings: dict[str, Any] = {"recipe": name}
        if name == "patches":
            settings = {"recipe": "draft", "method": "patch"}
        settings |= {key: _value(said) for key, _, said in (part.partition("=") for part in more)}
        if taken := sorted(CASES & settings.keys()):
            raise JobError(f"{text.strip()!r}: {taken[0]} is the case's own", "leave it out")
        Job.from_dict({"plate": "-", "matte": "-", "output": "-", **settings})
        return cls(text.strip(), settings)


def bench(
    cases: Sequence[Path],
    ways: Sequence[Way],
    seeds: int,
    device: str,
    report: Callable[[str], None],
    *,
    keep: Path | None = None,
) -> Iterator[Row]:
    """Measures each way on each case with seeds 0, 1, ...; yields a row of figures for each run, as
    it ends.

    cases: folders as Case wants them. keep: a folder that gets the results and a contact sheet of
    each case; without it they are measured and dropped.

    A row: ``clip``, ``recipe`` (the way), ``seed``; the figures of score.py, against the truth, or
    where ``truth`` is False against the hole's surroundings, without ``psnr``, ``ssim`` and
    ``flip``; ``strangeness``, score_strange.py's; what bench_cost.py measures; ``outside_differ``,
    samples that differ where the matte is 0; ``names_kept``, ``header_kept``; ``non_finite``, fill
    samples that are no numbers; ``fill_max``, the fill's brightest sample.

    Raises:
        SequenceError: when a case cannot be read.
        InfusionError: when a run fails, with the last line that it said.
        JobError: when a case is given twice, when its matte is empty, or when the system cannot
            measure a child process.
        Stopped: when INT or TERM asks for it.
    """
    for folder, name in zip(cases, _names(cases), strict=True):
        case = Case.open(folder, name)
        shown: dict[str, Clip] = {}
        for way in ways:
            for seed in range(1 if way.settings is None else seeds):
                report(f"{name}: {way.name}, seed {seed}")
                row, fill = _measure(case, way, seed, device, keep)
                shown.setdefault(way.name, fill[_chosen(case)])
                report("  " + ", ".join(f"{key} {number(row[key])}" for key in SAID))
                yield row
        if keep is not None:
            _sheet(keep / f"{name}.png", case, shown)


def _names(cases: Sequence[Path]) -> list[str]:
    """What each case is called: its folder's name, after as many of the folders that it is in as
    tell it from the others."""
    paths = [folder.resolve().parts[1:] for folder in cases]
    names = []
    for path in paths:
        tails = [path[-depth:] for depth in range(1, len(path) + 1)]
        own = [t for t in tails if sum(other[-len(t) :] == t for other in paths) == 1]
        if not own:
            raise JobError(f"the case {os.sep}{os.sep.join(path)} is given twice", "give it once")
        names.append("-".join(own[0]))
    return names


def _measure(case: Case, way: Way, seed: int, device: str, keep: Path | None) -> tuple[Row, Clip]:
    """One run: its row, and what is scored of its fill, (T, h, w, 3)."""
    with tempfile.TemporaryDirectory(prefix="infusion-bench-") as scratch:
        if way.settings is None:
            cost, law, fill = _filled(case, way)
        else:
            output = (keep or Path(scratch)) / f"{case.name}-{way.name}-{seed}"
            job = Job(
                plate=str(case.folder / "plate.####.exr"),
                matte=str(case.folder / "matte.####.exr"),
                output=f"{output}{os.sep}",
                **{"seed": seed, "device": device, "data_dir": f"{scratch}/jobs", **way.settings},
            )
            try:
                cost = measured(job, Path(scratch))
            except Stopped:
                raise
            except InfusionError as error:
                where = f"{way.name} on {case.name} ended with "
                raise type(error)(f"{where}{error}") from error
            law = law_one(case.plate, Frames.open(str(output)), case.covers())
            fill = case.read(output)
    filled = fill[case.hole]
    finite = filled[np.isfinite(filled)]
    row = {
        "clip": case.name, "recipe": way.name, "seed": seed, "psnr": None,
        **_scores(case, fill), "truth": case.truth is not None, **cost, **law,
        "non_finite": int(filled.size - finite.size),
        "fill_max": float(finite.max()) if finite.size else None,
    }  # fmt: skip
    return row, fill


def _filled(case: Case, way: Way) -> tuple[Row, Row, Clip]:
    """A baseline's fill: what it took, law 1 of what is scored, and the clip."""
    started, before = time.monotonic(), time.process_time()
    fill = baseline(way.name, case)
    cost: Row = {
        "cpu_seconds": time.process_time() - before,
        "wall_seconds": time.monotonic() - started,
        **dict.fromkeys(UNTAKEN),
    }
    differ = (bits(fill) != bits(case.light))[~case.hole].sum()
    return cost, {"outside_differ": int(differ), "names_kept": True, "header_kept": True}, fill


def _scores(case: Case, fill: Clip) -> Row:
    known = ~case.hole & np.isfinite(case.light).all(axis=-1)
    ours, plate = (logarithm(clip, case.peak) for clip in (fill, case.light))
    strange = {"strangeness": strangeness(ours, plate, case.hole, known)}
    if case.truth is None:
        return {**scores_without_truth(fill, case.hole, case.light), **strange}
    return {**scores(fill, case.truth, case.hole, peak=case.peak), **strange}


def _value(text: str) -> Any:
    """A setting as it is written: a whole number, a number, yes or no, or a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def _chosen(case: Case) -> list[int]:
    return [case.frames.index(frame) for frame in evenly(case.frames, SHOWN)]


def _sheet(path: Path, case: Case, shown: Mapping[str, Clip]) -> None:
    """What is scored of a few frames, as it is and three stops down for highlights."""
    chosen = _chosen(case)
    truth = {} if case.truth is None else {"truth": case.truth[chosen]}
    clips = {"plate": case.light[chosen], "matte": case.cover[chosen], **shown, **truth}
    rows = [(label.replace("+", "\n"), list(clip)) for label, clip in clips.items()]
    contact_sheet(path, rows, [case.frames[i] for i in chosen], exposures=(0.0, -3.0))

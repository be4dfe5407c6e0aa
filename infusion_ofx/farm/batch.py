"""Many shots: looked at first, all of them, then done one after the other or handed to a farm.

What is wrong with a shot is its own affair: the others are done. A shot is an ``infusion run`` in a
process of its own (pool.py), so that a batch that is begun again goes on where each of them was.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infusion_ofx import __version__
from infusion_ofx.assemble import finished
from infusion_ofx.begin import folder_of, record_of
from infusion_ofx.errors import InfusionError, JobError, facts_of
from infusion_ofx.farm.clash import Places, clashes
from infusion_ofx.farm.pool import Began, Ended, Event, Pool, Told, visible_gpus
from infusion_ofx.farm.shots import Shot
from infusion_ofx.folder import JobFolder, Record, write_json
from infusion_ofx.material import Material, open_material
from infusion_ofx.paths import absolute
from infusion_ofx.progress import OnProgress, Progress, clock_text
from infusion_ofx.stopping import Signals

__all__ = ["Batch", "ShotState", "said_of"]

REPORT_SECONDS = 10.0
"""A shot tells where it is when its stage changes, and this often."""


@dataclass
class ShotState:
    """How one shot of a batch stands."""

    shot: str
    where: str
    """Its place in the file of shots."""
    state: str = "waiting"
    """``waiting``, ``running``, ``stopped``, ``failed``, ``exported`` or ``done``."""
    code: int | None = None
    """What its process has ended with, or would; as in errors.py."""
    message: str = ""
    """Why it failed or was stopped."""
    hint: str = ""
    """What to do about that."""
    seconds: float = 0.0
    peak_memory: int = 0
    """Most bytes held: on the GPU, or by the process on a CPU."""
    frames: int = 0
    size: str = ""
    """Of the plate in pixels, width x height."""
    filled: int = 0
    """Pixels that were filled, over all frames."""
    device: str = ""
    output: str = ""
    folder: str = ""
    """The job folder, where one was made."""
    found_done: bool = False
    """Whether an earlier run had done it, and this one had nothing to do."""


@dataclass
class Batch:
    """The shots of a file, and how they stand."""

    shots: Sequence[Shot]
    file: Path
    states: list[ShotState] = field(init=False)

    def __post_init__(self) -> None:
        self.states = [ShotState(s.name, s.where, output=s.job.output) for s in self.shots]
        self._records: dict[int, Record] = {}
        self._fractions = dict.fromkeys(range(len(self.shots)), 0.0)
        self._shown: dict[int, tuple[str, float]] = {}
        self._began = time.monotonic()

    @property
    def ready(self) -> dict[int, Shot]:
        """The shots that nothing is known against, by their place."""
        return {i: s for i, s in enumerate(self.shots) if self.states[i].state == "waiting"}

    @property
    def all_well(self) -> bool:
        """Whether every shot is done, or exported."""
        return all(each.state in ("done", "exported") for each in self.states)

    @property
    def can_all(self) -> bool:
        """Whether nothing is known against any shot."""
        return all(each.state != "failed" for each in self.states)

    def look(self, signals: Signals) -> None:
        """Opens the sequences of every shot, and fails those that cannot be done; writes nothing.

        Raises:
            Stopped: on a signal.
        """
        places: dict[int, Places] = {}
        for index, shot in enumerate(self.shots):
            if signals.received is not None:
                raise signals.stopped("nothing has begun")
            with self._failing(index):
                material = open_material(absolute(shot.job))
                self._look_at(index, material)
                places[index] = Places.of(material)
        for index, (fault, other) in clashes(places).items():
            with self._failing(index):
                name = self.shots[other].name
                raise JobError(f"{fault} of shot {name!r} as well", "give one another output")

    def _look_at(self, index: int, material: Material) -> None:
        state, record = self.states[index], record_of(material)
        self._records[index] = record
        display = material.plate.header(material.frames[0]).display
        state.frames, state.size = len(material.frames), f"{display.width} x {display.height}"
        folder = folder_of(record)
        filled = finished(folder, material) if folder else None
        if folder and filled is not None:
            state.state, state.code, state.found_done = "done", 0, True
            state.folder, state.filled = str(folder.path), filled

    def run(self, signals: Signals, on_progress: OnProgress, report: Path) -> None:
        """Does the shots that are ready, on every device that is there.

        report: a file that is written anew whenever a shot has ended.

        Raises:
            JobError, TryAgainError: when the report cannot be written.
        """
        write_json(report, self.to_dict())
        pool = Pool({index: absolute(s.job) for index, s in self.ready.items()}, visible_gpus())
        stopping = False
        for event in pool.events():
            if signals.received is not None and not stopping:
                stopping = True
                pool.stop()
            if event is None:
                continue
            self._take(event, on_progress)
            if isinstance(event, Ended):
                with suppress(InfusionError):  # it is written again at the end
                    write_json(report, self.to_dict())
        write_json(report, self.to_dict())

    def export(self, write: Callable[[Shot], JobFolder], signals: Signals) -> None:
        """Hands the shots that are ready to ``write``, which exports each and returns its job.

        Raises:
            Stopped: on a signal.
        """
        for index, shot in self.ready.items():
            if signals.received is not None:
                raise signals.stopped("the shots before are exported")
            with self._failing(index):
                self.states[index].folder = str(write(shot).path)
                self.states[index].state = "exported"

    def to_dict(self) -> dict[str, Any]:
        """How the batch stands, JSON-ready."""
        counts = Counter(each.state for each in self.states)
        return {
            "format": 1,
            "version": __version__,
            "shots_file": str(self.file.absolute()),
            "seconds": round(time.monotonic() - self._began, 2),
            "counts": dict(sorted(counts.items())),
            "shots": [asdict(each) for each in self.states],
        }

    @contextmanager
    def _failing(self, index: int) -> Iterator[None]:
        """What goes wrong inside is the shot's fault, and goes no further."""
        try:
            yield
        except Exception as error:
            self._end(index, "failed", facts_of(error))

    def _end(self, index: int, state: str, facts: Mapping[str, Any]) -> None:
        shot = self.states[index]
        shot.state, shot.code = state, int(facts["code"])
        shot.message, shot.hint = str(facts["message"]), str(facts["hint"])

    def _take(self, event: Event, on_progress: OnProgress) -> None:
        """Notes what has become of a shot, and tells it."""
        shot = self.states[event.index]
        if isinstance(event, Began):
            shot.state, shot.found_done = "running", True
            where = "" if event.place == "cpu" else f" on GPU {event.place}"
            self._say(on_progress, f"{shot.shot} begins{where}")
        elif isinstance(event, Told):
            self._told(event.index, event.facts, on_progress)
        else:
            self._ended(event)
            self._say(on_progress, said_of(shot))

    def _told(self, index: int, facts: Mapping[str, Any], on_progress: OnProgress) -> None:
        shot = self.states[index]
        if "result" in facts:
            result = facts["result"]
            shot.state, shot.code = "done", 0
            shot.folder, shot.device = result["folder"], result["device"]
            shot.filled, shot.peak_memory = result["filled"], result["peak_memory"]
        elif "error" in facts:
            self._end(index, "failed", facts["error"])
        elif facts.get("steps"):
            self._progress(index, facts, on_progress)

    def _progress(self, index: int, facts: Mapping[str, Any], on_progress: OnProgress) -> None:
        shot, stage = self.states[index], str(facts["stage"])
        shot.peak_memory = int(facts["memory"])
        self._fractions[index] = float(facts["fraction"] or 0)
        if stage == "done":
            return
        shot.found_done = False
        before, when = self._shown.get(index, ("", 0.0))
        now = time.monotonic()
        if stage != before or now - when >= REPORT_SECONDS:
            self._shown[index] = (stage, now)
            told = {**facts, "stage": f"{shot.shot} {stage}", "fraction": self._fraction()}
            on_progress(Progress(**told))

    def _ended(self, event: Ended) -> None:
        """What a process's exit says, over what it has told itself."""
        index, shot = event.index, self.states[event.index]
        shot.seconds = round(event.seconds, 2)
        if event.code in (130, 143, -signal.SIGINT, -signal.SIGTERM):
            message = shot.message or "stopped before anything had begun"
            hint = shot.hint or "the same command goes on"
            code = abs(event.code) if event.code > 0 else 128 - event.code
            self._end(index, "stopped", {"code": code, "message": message, "hint": hint})
        elif event.code != 0 and shot.state != "failed":
            self._end(index, "failed", _unsaid(event))
        shot.found_done = shot.found_done and shot.state == "done"
        if not shot.folder and (found := folder_of(self._records[index])):
            shot.folder = str(found.path)

    def _fraction(self) -> float:
        """Of all shots; one that has ended, or was done or failed before, is all done."""
        left = ("waiting", "running")
        shares = [
            self._fractions[i] if each.state in left else 1.0 for i, each in enumerate(self.states)
        ]
        return sum(shares) / len(shares)

    def _say(self, on_progress: OnProgress, message: str) -> None:
        done = sum(each.state not in ("waiting", "running") for each in self.states)
        on_progress(Progress("shots", done, len(self.states), self._fraction(), message=message))


def said_of(shot: ShotState) -> str:
    """How a shot has ended, in a line."""
    if shot.state == "done":
        before = "was done before" if shot.found_done else f"done in {clock_text(shot.seconds)}"
        return f"{shot.shot} {before}: {shot.frames} frames to {shot.output}"
    reason = f"{shot.message}; {shot.hint}" if shot.hint else shot.message
    return f"{shot.shot} {shot.state} with {shot.code}: {reason}"


def _unsaid(event: Ended) -> dict[str, Any]:
    """What is known of a process that has ended without a word of ours."""
    if event.code < 0:
        name = signal.Signals(-event.code).name
        hint = "lower --memory, if the system ended it for want of it" if name == "SIGKILL" else ""
        return {"code": 128 - event.code, "message": f"killed by {name}", "hint": hint}
    last = event.said.splitlines()[-1:] or ["it ended without a word"]
    return {"code": event.code, "message": last[0].removeprefix("ERROR: "), "hint": ""}

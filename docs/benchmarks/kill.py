"""Kills tasks of a job at random moments, runs them again, and holds the result against the truth.

    python docs/benchmarks/kill.py --rounds 200 -o docs/benchmarks/kill.json

Each round takes a tiny shot with its job folder as an unbroken job had left it before one task,
starts that task in a process of its own, sends it KILL, TERM or INT after a random time, looks at
what is there, runs the task again and those after it, and compares every frame byte for byte. In
some rounds a twin of the task runs at the same moment and is left alive. ``failures`` must stay
empty.

Processes are forked from one that has loaded torch, so that the time before the signal is spent in
the task and not in imports. The rounds that the output file has are not done again, so that many
can be done in pieces. Linux only.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import torch

from infusion_ofx import __version__
from infusion_ofx.assemble import Count
from infusion_ofx.begin import submit
from infusion_ofx.engine.compute import Compute, processor
from infusion_ofx.errors import exit_code_of
from infusion_ofx.farm.graph import graph
from infusion_ofx.farm.status import status
from infusion_ofx.farm.task import perform
from infusion_ofx.folder import JobFolder
from infusion_ofx.job import Job
from infusion_ofx.watch import Watch

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
FRAMES = range(1001, 1007)
PACES = {"at each step": 0.0, "at the end": 5.0}
"""How often checkpoints are written, in minutes: the tasks here take seconds."""


@dataclass
class Tally:
    """What became of the rounds of one task and one signal."""

    rounds: int = 0
    hit: int = 0
    """The process was alive when the signal came, and ended by it."""
    twins: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    """How the first process ended: exit code, or minus the signal."""
    writing: int = 0
    """Of the hits without a twin, those in the middle of a file, whose temporary was left."""
    steps: dict[str, int] = field(default_factory=dict)
    """Steps that the task has, over the hits without a twin; by how often checkpoints were written:
    ``at each step`` or ``at the end``."""
    redone: dict[str, int] = field(default_factory=dict)
    """Of those, steps that were done a second time."""


@dataclass(frozen=True)
class Stage:
    """The shot as it was before a task of an unbroken job."""

    task: str
    shot: Path
    seconds: float
    """How long the task took."""
    steps: int


def make_shot(folder: Path) -> None:
    """Frames of 24 x 32, half, with a square hole."""
    y, x = np.mgrid[:24, :32].astype(np.float32)
    for frame in FRAMES:
        wave = np.sin(0.5 * x + 0.3 * y + 0.4 * frame)
        light = np.exp(np.stack([k * wave for k in (1.0, 0.7, 0.4)], 2))
        hole = np.zeros((24, 32, 1), np.float32)
        hole[8:15, 10:17] = 1
        write(folder / f"plate.{frame}.exr", light, ("R", "G", "B"))
        write(folder / f"matte.{frame}.exr", hole, ("A",))


def write(path: Path, pixels: Any, channels: tuple[str, ...]) -> None:
    """Writes a half EXR."""
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], oiio.HALF)
    spec.channelnames = channels
    output = oiio.ImageOutput.create(str(path))
    output.open(str(path), spec)
    output.write_image(np.ascontiguousarray(pixels, np.float32))
    output.close()


class Counter:
    """Counts steps of the engine and frames written, over processes that are killed."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def add(self) -> None:
        """One more."""
        (count,) = struct.unpack("q", self._memory[:])
        self._memory[:] = struct.pack("q", count + 1)

    def take(self) -> int:
        """How many since the last call."""
        (count,) = struct.unpack("q", self._memory[:])
        self._memory[:] = bytes(8)
        return int(count)


def start(folder: Path, task: str, counter: Counter) -> int:
    """Begins a task in a forked process; returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        _count(counter)
        perform(folder, task)
        code = 0
    except BaseException as error:
        code = exit_code_of(error)
        if code not in (130, 143):
            sys.stderr.write(f"{task}: {error!r}\n")
    os._exit(code)


def _count(counter: Counter) -> None:
    step: Callable[..., None] = Watch.step

    def counted(self: Watch, each: Any) -> None:
        counter.add()
        step(self, each)

    Watch.step = counted  # type: ignore[method-assign]
    Count.__setattr__ = _on_frame(counter)  # type: ignore[method-assign]


def _on_frame(counter: Counter) -> Callable[[object, str, Any], None]:
    def set_attribute(count: object, name: str, value: Any) -> None:
        if name == "frames":
            counter.add()
        object.__setattr__(count, name, value)

    return set_attribute


def _load() -> None:
    """Has torch load now what it would load at its first training step, in every process anew."""
    Compute.choose("cpu", "float32", 1)
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])


def wait(child: int) -> int:
    """The exit code of a process, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def unbroken(root: Path, counter: Counter) -> tuple[list[Stage], Path]:
    """Does a whole job, task by task, and keeps the shot as it was before each."""
    shot = root / "shot"
    shot.mkdir()
    make_shot(shot)
    job = Job(
        f"{shot}/plate.####.exr", f"{shot}/matte.####.exr", f"{shot}/out/", recipe="final",
        intervals=2, steps=2, sampling_steps=4, threads=1, device="cpu", checkpoint_minutes=0.0,
    )  # fmt: skip
    folder = submit(job)
    found = []
    for task in (task for step in graph(folder.read()) for task in step.tasks):
        before = root / f"before-{task}"
        shutil.copytree(shot, before)
        began = time.monotonic()
        if code := wait(start(folder.path, task, counter)):
            raise SystemExit(f"the unbroken job ended with {code} at {task}")
        found.append(Stage(task, before, time.monotonic() - began, counter.take()))
    return found, shot


def trial(
    stage: Stage, later: list[str], truth: Path, number: signal.Signals, twin: bool, shot: Path,
    counter: Counter, tally: Tally, chance: random.Random,
) -> list[str]:  # fmt: skip
    """One round; returns what was wrong."""
    folder = JobFolder(shot / "out" / "infusion" / "plate" / "v001").path
    shutil.copytree(stage.shot, shot)
    pace = chance.choice(list(PACES))
    _set_pace(folder, PACES[pace])
    counter.take()
    child = start(folder, stage.task, counter)
    other = start(folder, stage.task, counter) if twin else 0
    time.sleep(chance.random() * stage.seconds * (1.8 if twin else 0.95))
    os.kill(child, number)
    code = wait(child)
    faults, midway = _torn(shot, truth), bool(_temporaries(shot))
    if other and (its := wait(other)):
        faults.append(f"the twin ended with {its}")
    first = counter.take()
    if first_fault := _check_code(code, number):
        faults.append(first_fault)
    for task in [stage.task, *later]:
        if again := wait(start(folder, task, counter)):
            faults.append(f"{task} ended with {again} when it was run again")
            break
        if task == stage.task:
            second = counter.take()
    tally.rounds += 1
    tally.codes[str(code)] = tally.codes.get(str(code), 0) + 1
    tally.twins += twin
    if code != 0:
        tally.hit += 1
        tally.writing += midway and not twin
        if not twin and second:
            redone = max(0, first + second - stage.steps)
            tally.steps[pace] = tally.steps.get(pace, 0) + stage.steps
            tally.redone[pace] = tally.redone.get(pace, 0) + redone
    faults += _compare(shot, truth)
    if status(folder).state != "done":
        faults.append(f"the job is {status(folder).state}")
    return faults + _strays(shot, truth)


def _set_pace(folder: Path, minutes: float) -> None:
    """How often checkpoints are written: at each step, or never before the end."""
    facts = json.loads((folder / "job.json").read_text())
    facts["job"]["checkpoint_minutes"] = minutes
    (folder / "job.json").write_text(json.dumps(facts))


def _check_code(code: int, number: signal.Signals) -> str:
    """A signal ends a process with its own code; one that came too late or too early with others:
    0, or the signal itself before anything of ours was there to take it."""
    good = {signal.SIGKILL: (), signal.SIGTERM: (143,), signal.SIGINT: (130,)}[number]
    return "" if code in (0, -number, *good) else f"{number.name} ended it with {code}"


def _frames(shot: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (shot / "out").glob("plate.*.exr")}


def _torn(shot: Path, truth: Path) -> list[str]:
    right = _frames(truth)
    return [f"{name} was torn" for name, data in _frames(shot).items() if data != right[name]]


def _compare(shot: Path, truth: Path) -> list[str]:
    ours, right = _frames(shot), _frames(truth)
    wrong = [name for name in right if ours.get(name) != right[name]]
    extra = [name for name in ours if name not in right]
    return [f"{name} is not the unbroken job's" for name in wrong] + [f"{n} is new" for n in extra]


def _temporaries(shot: Path) -> list[Path]:
    """What a killed process leaves of the file that it was writing; its next attempt sweeps it."""
    return list(shot.rglob(".*.tmp"))


def _strays(shot: Path, truth: Path) -> list[str]:
    """Files that the unbroken job does not leave, and those of its that are not there; of logs each
    attempt has its own, and what a killed process took nobody can say."""
    ours, right = _names(shot), _names(truth)
    extra = [f"a stray file {name}" for name in sorted(ours - right)]
    gone = [name for name in sorted(right - ours) if "/accounts/cost-" not in name]
    return extra + [f"{name} is gone" for name in gone]


def _names(shot: Path) -> set[str]:
    files = (path for path in shot.rglob("*") if path.is_file())
    return {str(path.relative_to(shot)) for path in files if path.parent.name != "logs"}


def _begun(output: Path, seed: int) -> dict[str, Any]:
    """The figures that are there, or none yet."""
    none = {"version": __version__, "seed": seed, "rounds": 0, "seconds": 0.0}
    none |= {"frames": len(FRAMES), "machine": f"{processor()}, {os.cpu_count()} processors"}
    none |= {"failures": [], "tasks": {}}
    found = json.loads(output.read_text(encoding="utf-8")) if output.exists() else none
    if (found["version"], found["seed"]) != (__version__, seed):
        raise SystemExit(f"{output} is of version {found['version']}, seed {found['seed']}")
    return dict(found)


def main() -> int:
    """Does the rounds and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and signals")
    parser.add_argument("--minutes", type=float, default=1e9, help="then leave the rest for later")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    _load()
    counter = Counter()
    facts = _begun(arguments.output, arguments.seed)
    tallies = defaultdict(Tally, {name: Tally(**each) for name, each in facts["tasks"].items()})
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        stages, truth = unbroken(Path(root), counter)
        for count in range(facts["rounds"], arguments.rounds):
            if time.monotonic() - began > 60 * arguments.minutes:
                break
            place, number = count % len(stages), SIGNALS[(count + count // len(stages)) % 3]
            stage, later = stages[place], [each.task for each in stages[place + 1 :]]
            tally = tallies[f"{stage.task} {number.name}"]
            chance = random.Random(f"{arguments.seed} {count}")
            shot, twin = Path(root, "round"), chance.random() < 0.25
            faults = trial(
                stage, later, truth, number, twin, shot, counter, tally, chance
            )  # fmt: skip
            facts["failures"] += [
                f"round {count}, {stage.task}, {number.name}: {f}" for f in faults
            ]
            shutil.rmtree(shot)
            facts["rounds"] = count + 1
    facts["seconds"] = round(facts["seconds"] + time.monotonic() - began, 1)
    facts["tasks"] = {name: asdict(tally) for name, tally in sorted(tallies.items())}
    arguments.output.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    failures = facts["failures"]
    print(f"{facts['rounds']} rounds, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

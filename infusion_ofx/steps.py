"""The steps of a job on its folder: prepare, train, sample, assemble.

``run`` does them all in one process; a farm gives each a process of its own (farm/task.py), on any
machine that sees the folder. A step does only what is not there yet, and twins of it do no harm:
whatever they write is the same, and appears whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from infusion_ofx.assemble import assemble, written
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.inpaint import Engine, Step
from infusion_ofx.engine.recipe import Stage
from infusion_ofx.engine.smooth import push_pull
from infusion_ofx.engine.volume import Volume
from infusion_ofx.errors import InfusionError, JobError, MissingStepError
from infusion_ofx.estimate import work as work_of
from infusion_ofx.folder import JobFolder, Record, read_json, write_json
from infusion_ofx.job import Job
from infusion_ofx.kept import Fill, load_fill, load_prepared, save_fill, save_prepared
from infusion_ofx.material import Material, open_material, recipe_of
from infusion_ofx.prepare import Prepared, plan_work, prepare
from infusion_ofx.preview import Preview
from infusion_ofx.routing import Routed
from infusion_ofx.sequence.frame import Box
from infusion_ofx.watch import Watch

__all__ = ["CPU_TASKS", "Steps", "finished", "stages_of"]

CPU_TASKS = ("prepare", "assemble")
"""Tasks that read and write frames and leave a GPU alone, on a machine that may have none."""

PICTURE_SECONDS, PICTURE_SHARE = 30.0, 0.05
"""Within an interval the contact sheet is drawn no more often than this, and takes no more than
that share of the time."""


@dataclass
class Steps:
    """A job at work in its folder."""

    folder: JobFolder
    record: Record
    compute: Compute
    watch: Watch
    _next_picture: float = 0.0

    @property
    def job(self) -> Job:
        """The job, its paths as they are on this machine."""
        return self.record.job

    @cached_property
    def material(self) -> Material:
        """The job's sequences.

        Raises:
            JobError: when they are not what the job was made for.
        """
        material = open_material(self.job)
        ours = self.job.in_place and self.is_filled()  # the change is what ``assemble`` has written
        if material.digest() != self.record.inputs and not ours:
            raise JobError(
                f"the plate or the matte has changed since the job in {str(self.folder.path)!r} "
                "was made",
                "make the job again",
            )
        return material

    @property
    def takes(self) -> range:
        """The takes' numbers, from 1."""
        return range(1, self.job.takes + 1)

    def is_filled(self) -> bool:
        """Whether every take's fill is there, so that only ``assemble`` is left."""
        return all(load_fill(self.folder.work, take) is not None for take in self.takes)

    def prepare(self) -> Prepared | None:
        """The region of the plate that the engine works on, made or found; None without a hole."""
        kept = load_prepared(self.folder.work)
        if kept is not None:
            return kept
        frames = len(self.material.frames)
        holes, layout = plan_work(self.material, self.watch.reading(frames, 0.0))
        if not layout.windows:
            matte = self.job.matte
            self.watch.meter.say(f"the matte {matte!r} is empty: the plate is copied as it is")
            self._keep_fill({})
            return None
        boxes = [hole.box for hole in holes]
        prepared = prepare(
            self.material, holes, layout, self.watch.reading(frames, 0.5),
            lambda seen: self._show(lambda: self._first_sheet(boxes, seen)),
        )  # fmt: skip
        if not prepared.plan.windows:
            self.watch.meter.say("the shot itself shows what is behind the hole: nothing to train")
            self._keep_fill(_light(prepared, None))
            self._show(lambda: self._sheet(prepared, None, "what the shot itself shows"))
            return None
        save_prepared(self.folder.work, prepared)
        return prepared

    def _keep_fill(self, fill: Fill) -> None:
        """Keeps what is the same for every take."""
        for take in self.takes:
            save_fill(self.folder.work, fill, take)

    def solve(
        self, prepared: Prepared, wanted: Callable[[Stage], bool] = lambda stage: True
    ) -> None:
        """Does the engine's stages that are wanted; keeps a take's fill once its last one is done.

        Raises:
            MissingStepError: when a stage that one of them builds upon is not done.
            TryAgainError: when memory runs out.
        """
        try:
            with self.compute.enough_memory():
                self._solve(prepared, wanted)
        except MissingStepError:
            # A twin that has finished tidies away what this process was about to build upon.
            if not self.is_filled():
                raise

    def _solve(self, prepared: Prepared, wanted: Callable[[Stage], bool]) -> None:
        recipe = recipe_of(self.job)
        left = [take for take in self.takes if load_fill(self.folder.work, take) is None]
        work = [
            (s, cost)
            for s, cost in work_of(recipe, prepared.plan)
            if wanted(s) and (s.kind == "train" or s.take in left)
        ]
        self.watch.expect(work)
        engine = Engine(
            prepared.shot.to(self.compute.device), prepared.plan, recipe, self.compute,
            seed=self.job.seed, folder=self.folder.work,
        )  # fmt: skip
        last = {s.take: s for s in engine.stages}  # of each take
        for stage, _ in work:
            engine.run(stage, lambda step: self._step(prepared, step, last[step.stage.take]))
            if stage == last[stage.take]:
                fill = _light(prepared, engine.fill(stage.take))
                save_fill(self.folder.work, fill, stage.take)
        if self.is_filled():
            self._tidy()

    def _step(self, prepared: Prepared, step: Step, last: Stage) -> None:
        """Told after each step of the engine; draws the estimate when an interval ends, and now and
        then within it."""
        self.watch.step(step)
        ended = step.done == step.stage.steps
        began = time.monotonic()
        due = ended or began >= self._next_picture
        if step.clean is not None and due:
            clean, stage = step.clean, step.stage
            said = f"{stage.name}, step {step.done} of {stage.steps}: an estimate, still growing"
            said = "the fill" if ended and stage == last else said
            self._show(lambda: self._sheet(prepared, clean, said))
            took = time.monotonic() - began
            self._next_picture = began + max(PICTURE_SECONDS, took / PICTURE_SHARE)

    def _first_sheet(self, holes: Sequence[Box], seen: Sequence[Routed]) -> None:
        Preview.make(self.folder, self.material, holes, seen).draw(None, "before training")

    def _sheet(self, prepared: Prepared, clean: Volume | None, said: str) -> None:
        preview = Preview.load(self.folder)
        if preview is not None:
            preview.draw(_light(prepared, clean, preview.frames), said)

    def _show(self, draw: Callable[[], None]) -> None:
        """Draws for whoever looks on. A picture is worth no failure: what goes wrong is said."""
        said = ""
        try:
            draw()
        except Exception as error:
            said = f"no contact sheet this time: {type(error).__name__}: {error}"
        if said:
            self.watch.meter.say(said)

    def assemble(self) -> int:
        """Writes every frame of every take; returns how many pixels of the shot were filled.

        Frames that are as they were written last are left as they are.

        Raises:
            MissingStepError: when there is no fill yet.
            IncompleteError: when a frame is not there in the end.
        """
        kept = finished(self.folder, self.material)
        if kept is not None:
            return kept
        filled = 0
        for take in reversed(self.takes):  # in place, the first one's changes what is read
            filled = self._assemble(take)
        write_json(self.folder.result, {"filled": filled, "frames": written(self.material)})
        self._tidy()
        return filled

    def _assemble(self, take: int) -> int:
        fill = load_fill(self.folder.work, take)
        if fill is None:
            raise MissingStepError(
                f"there is no finished fill in {str(self.folder.work)!r}", "run `sample` first"
            )
        frames = len(self.material.frames)
        tell = self.watch.writing(frames * len(self.takes))
        before = frames * (len(self.takes) - take)
        return assemble(self.material, fill, lambda done: tell(before + done), take)

    def do(self, task: str, force: bool = False) -> str:
        """Does one farm task: ``prepare``, ``train``, ``train-shared``, ``train-03``, ``sample`` or
        ``assemble``. Returns in a few words what was done.

        force: what the task and those after it have left is thrown away first.

        Raises:
            JobError: when this job has no such task.
            MissingStepError: when an earlier task is not done.
        """
        names = stages_of(self.record, task)
        if task == "assemble":
            self._forget(task, names, force)
            return f"{self.assemble()} pixels filled"
        if self.is_filled() and not force:
            return "the fill was there"
        if task == "prepare":
            self._forget(task, names, force)
            self.prepare()
            return "prepared"
        prepared = load_prepared(self.folder.work)
        if prepared is None:
            raise MissingStepError(
                f"nothing is prepared in {str(self.folder.work)!r}", "run `infusion prepare` first"
            )
        self._forget(task, names, force)
        self.solve(prepared, lambda stage: stage.name in names)
        return ", ".join(names)

    def _forget(self, task: str, names: list[str], force: bool) -> None:
        """Where a task is forced: removes what it and those that build upon it have left."""
        if not force:
            return
        _remove(self.folder.path, self.folder.result.name)
        if task == "assemble":
            return
        work, order = self.folder.work, list(self.record.stages)
        if task == "prepare":
            _remove(work, "prepared.safetensors")
        elif task == "sample":
            order = names
        elif "train-shared" in order and task not in ("train", "train-shared"):
            order = names  # no other training builds upon it
        else:
            order = order[order.index(names[0]) :]
        _remove(work, "fill*.safetensors")
        for pattern in ["sample-*", *(f"{name}-*" for name in order)]:
            _remove(work, f"{pattern}.safetensors")

    def _tidy(self) -> None:
        """Once the fill is there: removes the clips of sampling, which are large, and what twins
        have left of trainings; the trained networks stay. Once all is written: the prepared region
        as well."""
        work = self.folder.work
        for name, steps in self.record.stages.items():
            end = f"{name}-{steps:07d}.safetensors" if name.startswith("train-") else ""
            _remove(work, f"{name}-[0-9]*.safetensors", but=end)
        if self.folder.result.exists():
            _remove(work, "prepared.safetensors")


def finished(folder: JobFolder, material: Material) -> int | None:
    """How many pixels were filled, where every frame is there as it was written; else None."""
    kept = read_json(folder.result)
    return int(kept["filled"]) if kept and kept.get("frames") == written(material) else None


def stages_of(record: Record, task: str) -> list[str]:
    """The engine's stages that a task stands for; none for a task that is not the engine's.

    Raises:
        JobError: when this job has no such task.
    """
    names = [name for name in record.stages if name == task or name.startswith(f"{task}-")]
    if not names and task not in CPU_TASKS:
        known = ", ".join(n[6:] for n in record.stages if n.startswith("train-"))
        raise JobError(f"this job has no task {task!r}", f"its trainings are {known}")
    return names


def _remove(folder: Path, pattern: str, but: str = "") -> None:
    for path in folder.glob(pattern):
        if path.name != but:
            path.unlink(missing_ok=True)


def _light(prepared: Prepared, made: Volume | None, wanted: Collection[int] | None = None) -> Fill:
    """The fill in light, frame by frame: what the shot has shown, and what the engine has made.

    wanted: frame numbers; left out, all.

    Raises:
        InfusionError: when it holds what is no number.
    """
    light = {}
    for i, (frame, box) in enumerate(zip(prepared.shot.numbers, prepared.holes, strict=True)):
        if box.empty or (wanted is not None and frame not in wanted):
            continue
        x = prepared.shot.clean.view(i, box).clone()
        if made is None:
            x = _smooth(prepared, i, box)
        else:
            inner = made.boxes[i].intersect(box)
            rows, columns = box.slices(inner)
            x[:, rows, columns] = made.view(i, inner).cpu()
        light[frame] = (box, prepared.working.decode(x))
    if not all(torch.isfinite(pixels).all() for _, pixels in light.values()):
        raise InfusionError(
            "the fill holds values that are not finite: training went astray",
            "try another --seed, or --precision float32",
        )
    return light


def _smooth(prepared: Prepared, i: int, box: Box) -> Tensor:
    """A frame's fill where nothing is to be made up: smooth where nothing was seen."""
    shot = prepared.shot
    whole = push_pull(shot.clean.data[i][None, :, None], shot.hole.data[i][None, :, None])
    return Volume([shot.clean.boxes[i]], [whole[0, :, 0]]).view(0, box)

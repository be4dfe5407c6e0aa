"""The steps of a job on its folder: prepare, train, sample, assemble.

``run`` does them all in one process; a farm gives each a process of its own (farm/task.py), on any
machine that sees the folder. A step does only what is not there yet, and twins of it do no harm:
whatever they write is the same, and appears whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial

from infusion_ofx.accounts import add_cost, keep_verdict
from infusion_ofx.assemble import assemble, finished, written
from infusion_ofx.choosing import choose
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.inpaint import Engine, Step, by_scale
from infusion_ofx.engine.scales import enlarge
from infusion_ofx.engine.stages import Stage
from infusion_ofx.engine.volume import Volume
from infusion_ofx.errors import InfusionError, JobError, MissingStepError, NoMemoryError
from infusion_ofx.estimate import on_device
from infusion_ofx.estimate import work as work_of
from infusion_ofx.folder import JobFolder, Record, write_json
from infusion_ofx.job import Job
from infusion_ofx.kept import (
    Fill,
    fill_in_light,
    has_fill,
    load_fill,
    load_prepared,
    save_fill,
    save_prepared,
)
from infusion_ofx.leftovers import forget, stages_of, tidy
from infusion_ofx.material import Material, open_material, recipe_of
from infusion_ofx.planning import plan_work
from infusion_ofx.prepare import Prepared, prepare
from infusion_ofx.preview import Sheets
from infusion_ofx.regions import Extent
from infusion_ofx.routing import Routed
from infusion_ofx.sequence.frame import Box
from infusion_ofx.watch import Watch

__all__ = ["Steps"]


@dataclass
class Steps:
    """A job at work in its folder."""

    folder: JobFolder
    record: Record
    compute: Compute
    watch: Watch
    sheets: Sheets = field(init=False)

    def __post_init__(self) -> None:
        self.sheets = Sheets(self.folder, self.watch.meter.say)

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
        if self.job.in_place and self.is_filled():  # the change is what ``assemble`` has written
            return open_material(self.job)
        return self._unchanged()

    def _unchanged(self) -> Material:
        material = open_material(self.job)
        if material.digest() != self.record.inputs:
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
        return all(has_fill(self.folder.work, take) for take in self.takes)

    def prepare(self) -> Prepared | None:
        """The region of the plate that the engine works on, made or found; None without a hole."""
        frames = len(self.material.frames)  # even where it is found: the plate may have changed
        kept = load_prepared(self.folder.work)
        if kept is not None:
            return kept
        holes, layout = plan_work(self.material, self.watch.reading(frames))
        if not layout.windows:
            matte = self.job.matte
            self.watch.meter.say(f"the matte {matte!r} is empty: the plate is copied as it is")
            self._keep_fill(Fill((), Volume((), [])))
            return None
        prepared = prepare(
            self.material, holes, layout, self.folder.work, self.watch.reading(frames, 1),
            partial(self._seen, holes), self.watch.reading(frames, 2),
        )  # fmt: skip
        if not prepared.plan.windows:
            self.watch.meter.say("the shot itself shows what is behind the hole: nothing to train")
            self._keep_fill(self._light(prepared, None))
            self._draw(prepared, None, "what the shot itself shows")
            return None
        if prepared.plan.scale > 1:
            times = f"{prepared.plan.scale} times smaller"
            self.watch.meter.say(f"the hole is deep: it is filled {times} first, then its detail")
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

        Where memory runs out, the job goes on from its last checkpoint in smaller tiles, once, and
        keeps to them.

        Raises:
            MissingStepError: when a stage that one of them builds upon is not done.
            NoMemoryError: when it runs out again.
        """
        try:
            smaller = self._attempted(prepared, wanted)
            if smaller is not None:
                with self.compute.enough_memory():
                    self._solve(smaller, wanted)
        except MissingStepError:
            # A twin that has finished tidies away what this process was about to build upon.
            if not self.is_filled():
                raise

    def _attempted(self, prepared: Prepared, wanted: Callable[[Stage], bool]) -> Prepared | None:
        """Does what ``solve`` does; where memory runs out, returns the same work in smaller tiles,
        kept for all who go on with the job. Only once it has returned is the memory free."""
        try:
            with self.compute.enough_memory():
                self._solve(prepared, wanted)
            return None
        except NoMemoryError as error:
            finer = prepared.plan.finer(recipe_of(self.job).context)
            if finer is None:
                raise
            self.watch.meter.say(f"{error}: once more, in smaller tiles")
            smaller = replace(prepared, plan=finer)
            save_prepared(self.folder.work, smaller)
            return smaller

    def _solve(self, prepared: Prepared, wanted: Callable[[Stage], bool]) -> None:
        recipe = recipe_of(self.job)
        left = [take for take in self.takes if not has_fill(self.folder.work, take)]
        needless = {"patch"} if recipe.steps and not prepared.planted else set()
        work = [
            (s, cost)
            for s, cost in work_of(recipe, prepared.plan)
            if wanted(s) and (s.kind == "train" or s.take in left) and s.kind not in needless
        ]
        self.watch.expect(work)
        _, resident = on_device(recipe, prepared.plan, int(self.job.memory * 2**30))
        engines = by_scale(
            prepared.shot, prepared.plan, recipe, self.compute, seed=self.job.seed,
            folder=self.folder.work, held_out=prepared.held_out, resident=resident,
        )  # fmt: skip
        last = {s.take: s for s in engines[1].stages}  # of each take
        for stage, passes in work:
            on_step = partial(self._step, prepared, last[stage.take])
            self._run(engines[stage.scale], stage, passes, on_step)
            if stage == last[stage.take]:
                self._settle(prepared, engines[1], stage)
        if self.is_filled():
            tidy(self.folder, self.record)

    def _settle(self, prepared: Prepared, engine: Engine, last: Stage) -> None:
        """Keeps the fill of a take whose last stage is done; where there are two, each region's
        better one."""
        take, kinds = last.take, {s.kind for s in engine.stages} - {"train"}
        if len(kinds) == 1:
            made = engine.fill(take, last.kind)
        else:
            judged = sorted(kinds) if prepared.planted else ["sample"]
            fills = {kind: engine.fill(take, kind) for kind in judged}
            choices, made = choose(prepared, fills, self.folder.work)
            for choice in choices:
                where = f"hole of {choice.where}: " if len(choices) > 1 else ""
                self.watch.meter.say(where + str(choice))
            keep_verdict(self.folder, take, [asdict(choice) for choice in choices])
            names = ", ".join(dict.fromkeys(choice.name for choice in choices))
            self._draw(prepared, made, f"the fill: {names}")
        save_fill(self.folder.work, self._light(prepared, made), take)

    def _run(
        self, engine: Engine, stage: Stage, passes: float, on_step: Callable[[Step], None]
    ) -> None:
        """Does one stage, and adds what it took to what the folder says of that, also where it is
        stopped."""
        began, steps = time.monotonic(), 0

        def counted(step: Step) -> None:
            nonlocal steps
            steps += 1
            on_step(step)

        try:
            engine.run(stage, counted)
            self.compute.wait()
        finally:
            seconds = time.monotonic() - began
            if steps:
                with suppress(InfusionError):  # no result depends on it
                    add_cost(self.folder, stage.name, stage.kind, seconds, steps * passes)

    def _step(self, prepared: Prepared, last: Stage, step: Step) -> None:
        """Told after each step of the engine; draws the estimate when an interval ends, and now and
        then within it."""
        self.watch.step(step)
        stage = step.stage
        ended = step.done == stage.steps
        if step.clean is not None and (ended or self.sheets.due()):
            said = f"{stage.name}, step {step.done} of {stage.steps}: an estimate, still growing"
            whole = ended and stage == last
            self._draw(prepared, step.clean, "the fill" if whole else said, stage.scale)

    def _draw(self, prepared: Prepared, clean: Volume | None, said: str, scale: int = 1) -> None:
        """Draws a picture of that scale; None is the smooth fill."""

        def fill(frames: Collection[int]) -> Fill:
            made = clean
            if made is not None and scale > 1:
                made = self._enlarged(prepared, made, scale, frames)
            return self._light(prepared, made, frames)

        self.sheets.draw(fill, said)

    def _enlarged(
        self, prepared: Prepared, small: Volume, scale: int, frames: Collection[int]
    ) -> Volume:
        """Some frames, by number, of a smaller scale's picture as large as the plate's."""
        shot, none = prepared.shot, Box(0, 0, 0, 0)
        boxes = [
            box if number in frames else none
            for box, number in zip(prepared.plan.sampled, shot.numbers, strict=True)
        ]
        large = Volume.scratch(boxes, len(shot.low), self.folder.work)
        enlarge(small, scale, shot.clean.within(boxes), shot, large)
        return large

    def _light(
        self, prepared: Prepared, made: Volume | None, wanted: Collection[int] | None = None
    ) -> Fill:
        grain = self.job.seed if self.job.grain == "auto" else None
        return fill_in_light(prepared, made, self.folder.work, wanted, grain=grain)

    def _seen(self, holes: Sequence[Extent], seen: Sequence[Routed]) -> None:
        """Told what other frames show of the holes."""
        if seen:
            share = sum(part.pixels for part in seen) / sum(hole.pixels for hole in holes)
            self.watch.meter.say(
                f"other frames show {share:.0%} of the hole: it is taken from there"
            )
        boxes = [hole.box for hole in holes]
        self.sheets.begin(self.material, boxes, seen)

    def assemble(self) -> int:
        """Writes every frame of every take; returns how many pixels of the shot were filled.

        Frames that are as they were written last are left as they are.

        Raises:
            MissingStepError: when there is no fill yet.
            IncompleteError: when a frame is not there in the end.
        """
        kept = finished(self.folder, self.material)
        if kept is not None:
            tidy(self.folder, self.record)  # its process may have been killed before it did
            return kept
        filled = 0
        try:
            for take in reversed(self.takes):  # in place, the first one's changes what is read
                filled = self._assemble(take)
        finally:
            if self.job.in_place:  # what was changed is this job's own, and it can go on from there
                with suppress(OSError, InfusionError):
                    self.folder.renew(self.material.digest())
        write_json(self.folder.result, {"filled": filled, "takes": written(self.material)})
        tidy(self.folder, self.record)
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
        """Does one farm task: ``prepare``, ``train``, ``train-shared``, ``train-03``, ``sample``,
        ``sample-take02`` or ``assemble``. Returns in a few words what was done.

        force: what the task and those after it have left is thrown away first. Of a finished job
        the prepared region is gone, and is made again.

        Raises:
            JobError: when this job has no such task, or the plate has changed that is needed again.
            MissingStepError: when an earlier task is not done.
        """
        names = stages_of(self.record, task)
        if task == "assemble":
            if force:
                forget(self.folder, self.record, task)
            return f"{self.assemble()} pixels filled"
        if self.is_filled() and not force:
            return "the fill was there"
        prepared = None if task == "prepare" else load_prepared(self.folder.work)
        if prepared is None and task != "prepare" and not force:
            raise MissingStepError(
                f"nothing is prepared in {str(self.folder.work)!r}", "run `infusion prepare` first"
            )
        if force:
            if prepared is None:
                self._unchanged()  # before anything is thrown away
            forget(self.folder, self.record, task)
        prepared = prepared or self.prepare()
        if prepared is None or task == "prepare":
            return "prepared"
        self.solve(prepared, lambda stage: stage.task in names)
        return ", ".join(names)

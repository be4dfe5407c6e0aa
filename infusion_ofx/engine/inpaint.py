"""The engine: trains on intervals of noise levels and samples through them, one stage at a time.

Every stage goes on from its own newest checkpoint in the job's folder, or begins where the stage
before it ended. So one process can do them all in a row, or each a process of its own on any
machine that sees the folder, with the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from torch import Tensor

from infusion_ofx.engine import checkpoint
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.fit import Fit
from infusion_ofx.engine.held_out import HeldOut
from infusion_ofx.engine.network import Network
from infusion_ofx.engine.noise import key
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.sample import first_fill, sample_step, start
from infusion_ofx.engine.scales import enlarge, scales_of, shrunk
from infusion_ofx.engine.schedule import make
from infusion_ofx.engine.stages import Stage, before, stages, trained_by
from infusion_ofx.engine.train import Trainer
from infusion_ofx.engine.trial import trial
from infusion_ofx.engine.volume import Shot, Volume, rest
from infusion_ofx.errors import MissingStepError
from infusion_ofx.patch import OnRound, Settings, fill_blocks
from infusion_ofx.plan import Plan, Window

__all__ = ["Engine", "OnStep", "Step", "by_scale"]


@dataclass(frozen=True)
class Step:
    """What is told after each step."""

    stage: Stage
    done: int
    """Steps of the stage that are done."""
    loss: Tensor | None
    """Training loss, still on the device; None in sampling."""
    save: Callable[[], None]
    """Writes a checkpoint of this very moment."""
    clean: Volume | None = None
    """The estimate of the clean clip so far, of ``plan.sampled``, on the device; None in
    training."""
    held_out: Callable[[], float] | None = None
    """Works out the error on what is held out (held_out.py); None where nothing is, and in
    sampling."""


OnStep = Callable[[Step], None]
"""Called after each step. Raise in it to stop."""


def quiet(step: Step) -> None:
    """Takes a report and does nothing with it."""


@dataclass(frozen=True)
class Engine:
    """One shot's training and sampling, as a list of stages."""

    shot: Shot
    plan: Plan
    recipe: Recipe
    compute: Compute
    seed: int
    """The first take's; the others have theirs from it."""
    folder: Path
    """Where checkpoints are, those of stages that are done too, and files for what is not in
    memory."""
    held_out: HeldOut | None = None
    """What trainings are watched by; nothing of the result depends on it."""
    coarser: Engine | None = None
    """The same shot at a smaller scale, whose fill sampling begins from; None where the hole is
    filled at once."""

    @property
    def stages(self) -> list[Stage]:
        """All that there is to do, in an order that works."""
        return stages(self.recipe)

    def run(self, stage: Stage, on_step: OnStep = quiet) -> None:
        """Does what is left of one stage, and keeps where it ended.

        Raises:
            MissingStepError: when a stage that it builds upon is not done.
        """
        if stage.kind == "train":
            self._train(stage, on_step)
        elif stage.kind == "patch":
            self._rearrange(stage, on_step)
        else:
            self._sample(stage, on_step)

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage's end is in the folder."""
        return self._end(stage) is not None

    def fill(self, take: int = 1, kind: str = "sample") -> Volume:
        """The working-range picture of ``plan.sampled``: the hole generated, the rest as it was.

        kind: ``sample``, the network's, or ``patch``.

        Raises:
            MissingStepError: when the take's last stage of that kind is not done.
        """
        last = [s for s in self.stages if (s.take, s.kind) == (take, kind)][-1]
        return self._restored(self._needed(last)).x

    @cached_property
    def _close(self) -> Shot:
        """What the network learns from."""
        return self.shot.within(self.plan.trained)

    def _seed(self, take: int) -> int:
        seed = self.seed if take == 1 else key(self.seed, "take", take)
        return seed if self.recipe.scale == 1 else key(seed, "scale", self.recipe.scale)

    def _train(self, stage: Stage, on_step: OnStep) -> None:
        fit = self._fit(stage)
        if fit.step == stage.steps:
            return
        trainer = Trainer(
            fit.network, fit.optimizer, self._close, self.recipe, stage,
            seed=self._seed(stage.take), compute=self.compute,
        )  # fmt: skip
        held_out = None
        if self.held_out is not None:
            held_out = partial(
                self.held_out.error, fit.network, self.shot, self.recipe, stage, self.compute
            )
        while fit.step < stage.steps:
            loss = trainer.step(fit.step)
            fit.step += 1
            if fit.step == stage.steps and stage.interval is not None:  # those that are sampled
                trial(trainer)
            on_step(Step(stage, fit.step, loss, lambda: self._keep(stage, fit), None, held_out))
        self._keep(stage, fit)

    def _sample(self, stage: Stage, on_step: OnStep) -> None:
        chain, seed = self._chain(stage), self._seed(stage.take)
        if chain.step == stage.steps:
            return
        network, first = self._trained(trained_by(stage, self.stages)), self._blank()
        first_fill(first, network, self.shot, self.plan)
        grid = make(self.recipe).grid(self.recipe.sampling_steps).tolist()
        earlier = self.stages[: self.stages.index(stage)]
        begun = sum(s.steps for s in earlier if (s.kind, s.take) == ("sample", stage.take))
        if begun + chain.step == 0:
            self._begin(chain.x, first, stage.take)
        while chain.step < stage.steps:
            call = begun + chain.step
            places = (grid[call], grid[call + 1] if call + 1 < len(grid) else None)
            sample_step(
                network, x=chain.x, clean=chain.clean, first=first, shot=self.shot, plan=self.plan,
                recipe=self.recipe, places=places, call=call, seed=seed, compute=self.compute,
            )  # fmt: skip
            chain.step += 1
            on_step(Step(stage, chain.step, None, lambda: self._keep(stage, chain), chain.clean))
        self._keep(stage, chain)

    def _begin(self, x: Volume, first: Volume, take: int) -> None:
        """Makes of x the noisiest clip: over the first fill, or over what a smaller scale has."""
        over = first
        if self.coarser is not None:
            times = self.coarser.recipe.scale // self.recipe.scale
            enlarge(self.coarser.fill(take), times, first, self.shot, x)
            over = x
        start(x, over, self.shot, self.recipe, seed=self._seed(take))

    def _rearrange(self, stage: Stage, on_step: OnStep) -> None:
        """Fills with the shot's own patches; a checkpoint holds the frames that are done."""
        chain = self._chain(stage)
        if chain.step == stage.steps:
            return
        behind, before = 0, 0
        for block in self.plan.blocks:
            if chain.made < block.stop:
                tell = partial(self._tell, stage, chain, on_step, behind, block.voxels)
                self._rearrange_block(stage, chain, block, before, tell)
            behind, before = behind + block.voxels, block.stop
        chain.step = stage.steps
        on_step(Step(stage, chain.step, None, lambda: self._keep(stage, chain), chain.x))
        self._keep(stage, chain)

    def _tell(
        self, stage: Stage, chain: _Chain, on_step: OnStep, behind: int, voxels: int, share: float
    ) -> None:
        """Reports how far the fill of patches is: ``share`` of a block that follows others."""
        done = (behind + share * voxels) / sum(block.voxels for block in self.plan.blocks)
        chain.step = min(int(done * stage.steps), stage.steps - 1)
        on_step(Step(stage, chain.step, None, lambda: self._keep(stage, chain)))

    def _rearrange_block(
        self, stage: Stage, chain: _Chain, block: Window, before: int, tell: OnRound
    ) -> None:
        """Fills one block; frames before ``before`` are an earlier one's, and known to this one."""
        clean, hole = (part[0] for part in self.shot.cut([block]))
        done = range(block.start, max(chain.made, block.start))
        for i in done:
            rows, columns = block.box.slices(self.plan.sampled[i])
            clean[:, i - block.start, rows, columns] = chain.x.data[i].to(clean.device)
            if i < before:
                hole[:, i - block.start, rows, columns] = 0
        for made, filled in fill_blocks(
            clean, hole, seed=key(self._seed(stage.take), "patches", block.start),
            settings=Settings(voxels=self.recipe.block), done=len(done), on_round=tell,
        ):  # fmt: skip
            for i in range(max(chain.made, block.start), block.start + made):
                rows, columns = block.box.slices(self.plan.sampled[i])
                chain.x.data[i].copy_(filled[:, i - block.start, rows, columns])
            chain.made = block.start + made
            chain.x.rest()

    def _fit(self, stage: Stage) -> Fit:
        """A training under way: from its newest checkpoint, or where the one before it ended."""
        kept, earlier = checkpoint.newest(self.folder, stage.name), before(stage, self.stages)
        if kept is None:
            return self._opened(stage.take, None if earlier is None else self._needed(earlier))
        fit = self._opened(stage.take, kept)
        fit.step = kept.facts["step"]
        return fit

    def _trained(self, stage: Stage) -> Network:
        return self._opened(stage.take, self._needed(stage)).network.eval()

    def _opened(self, take: int, kept: checkpoint.Kept | None) -> Fit:
        return Fit.opened(self.recipe, self._close, self._seed(take), self.compute.device, kept)

    def _chain(self, stage: Stage) -> _Chain:
        """A sampling under way: from its newest checkpoint, or where the one before it ended."""
        kept = checkpoint.newest(self.folder, stage.name)
        if kept is not None:
            return self._restored(kept)
        earlier = before(stage, self.stages)
        if earlier is not None:
            chain = self._restored(self._needed(earlier))
            chain.step = 0
            return chain
        clean = Volume((), []) if stage.kind == "patch" else self._blank()
        return _Chain(self._blank(), clean)

    def _blank(self) -> Volume:
        """A clip of zeros: on the device where the shot is all there, else in a file."""
        device, channels = self.shot.clean.device, len(self.shot.low)
        if device.type == "cpu":
            return Volume.scratch(self.plan.sampled, channels, self.folder)
        return Volume.zeros(self.plan.sampled, channels, device)

    def _restored(self, kept: checkpoint.Kept) -> _Chain:
        x, clean = (
            Volume.of(self.plan.sampled, kept.tensors, name, kept.held).to(self.shot.clean.device)
            for name in ("x", "clean")
        )
        return _Chain(x, clean, kept.facts["step"], kept.facts["made"])

    def _keep(self, stage: Stage, state: Fit | _Chain) -> None:
        """Writes a checkpoint; its name sorts by progress, and says whether it is the end."""
        ended = state.step == stage.steps
        name = f"{stage.name}-{state.step:07d}{'-end' if ended else ''}.safetensors"
        facts = {"stage": stage.name, **state.facts()}
        checkpoint.save(self.folder / name, state.tensors(), facts, state.rest)
        checkpoint.prune(self.folder, stage.name, keep=1 if ended else 2)

    def _end(self, stage: Stage) -> checkpoint.Kept | None:
        kept = checkpoint.newest(self.folder, stage.name)
        return kept if kept is not None and kept.facts["step"] == stage.steps else None

    def _needed(self, stage: Stage) -> checkpoint.Kept:
        kept = self._end(stage)
        if kept is None:
            raise MissingStepError(
                f"{stage.name} is not done in {str(self.folder)!r}", "run that step first"
            )
        return kept


def by_scale(
    shot: Shot,
    plan: Plan,
    recipe: Recipe,
    compute: Compute,
    *,
    seed: int,
    folder: Path,
    held_out: HeldOut | None = None,
    resident: bool = True,
) -> dict[int, Engine]:
    """An engine for each scale that a shot's hole is filled at, the smallest picture first: each
    begins from what the one before it has made. The last one's, of scale 1, is the fill.

    resident: the shots are kept on the device, and not only what is cut out.
    """
    engines = dict[int, Engine]()
    coarser = None
    for own, layout in scales_of(recipe, plan):
        small = own.scale > 1
        part = shrunk(shot, layout, own.scale, folder) if small else shot.within(layout.reached)
        engines[own.scale] = coarser = Engine(
            part.to(compute.device, resident=resident), layout, own, compute, seed=seed,
            folder=folder, held_out=None if small else held_out, coarser=coarser,
        )  # fmt: skip
    return engines


@dataclass
class _Chain:
    """A sampling under way."""

    x: Volume
    """The clip at the noise level that sampling has reached; in the end, the fill."""
    clean: Volume
    """The newest estimate of the clean clip: 0 before the first step; of patches no frame."""
    step: int = 0
    made: int = 0
    """Frames that patches have filled."""

    def tensors(self) -> dict[str, Tensor]:
        """All that it takes to go on."""
        return self.x.named("x") | self.clean.named("clean")

    def facts(self) -> dict[str, int]:
        """What goes with it."""
        return {"step": self.step, "made": self.made}

    def rest(self) -> None:
        """Lets go of the memory of what was looked at."""
        rest(self.x, self.clean)

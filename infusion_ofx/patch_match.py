"""Finds for each patch that touches the hole the known patch that is most like it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from infusion_ofx.patch_level import Level, grown

__all__ = ["Matcher"]

COMPONENTS = 24  # principal components of a patch: 92 to 98 per cent of its variance
SAMPLE = 8192  # patches that the components, and a search of all, are taken from
SWEEPS = 2
STEPS = (1, 3)  # voxels between a patch and the neighbour whose match it tries
TRIES = 6  # random matches of a sweep, each from half as far


class Matcher:
    """Keeps the matches of one level. ``generator`` must lie on the level's device."""

    def __init__(self, level: Level, generator: torch.Generator) -> None:
        self.level, self.generator = level, generator
        self._fit()

    def _fit(self) -> None:
        """Fits principal components to the known patches and describes each of them by these."""
        level = self.level
        sample = level.patches(self._some(level.sources, SAMPLE))
        self.mean = sample.mean(0)
        apart = sample - self.mean
        _, vectors = torch.linalg.eigh(apart.T @ apart)
        self.basis = vectors[:, -COMPONENTS:].contiguous()
        # A patch against the basis is a convolution: no patch is ever laid out in memory.
        count = self.basis.shape[1]
        kernel = self.basis.T.reshape(count, *level.size, -1).movedim(-1, 1).contiguous()
        margins = [side // 2 for side in level.size]
        described = functional.conv3d(level.clip()[None], kernel, padding=margins)[0].flatten(1).T
        self.described = described.contiguous().sub_(self.mean @ self.basis)

    def peel(self) -> None:
        """A first fill, layer by layer from the border inwards, each from the layers before.

        Section 4.1 of Newson et al.: a patch is compared by its known pixels alone.
        """
        level = self.level
        wanted, unknown = level.centres, level.unknown.clone()
        while unknown.any():
            layer = unknown & grown(~unknown, (1, 3, 3))
            if not layer.any():  # whole frames are unknown: on from the frames beside
                layer = unknown & grown(~unknown, (3, 3, 3))
            voxels = layer.flatten().nonzero()[:, 0]
            centres = level.voxels(level.within(level.coordinates(voxels)))
            level.aim(torch.unique(centres))
            self._match_known(~unknown.flatten())
            level.vote(1.0, voxels)
            unknown &= ~layer
        level.aim(wanted)

    def _match_known(self, sure: Tensor) -> None:
        """Matches the level's centres by the voxels that are sure (voxels,) alone."""
        level = self.level
        sources = self._some(level.sources, SAMPLE)
        rows = level.patches(sources)
        squares, rows = (rows * rows).T.contiguous(), rows.T.contiguous()
        channels = level.values.shape[1]
        matches, costs = [], []
        # Taken once: megabytes given back and taken again, among what stays, make the heap grow.
        room = rows.new_empty(level.chunk // 16, rows.shape[1])
        for centres in torch.split(level.centres, len(room)):
            part = sure[centres[:, None] + level.offsets].float()
            part = part.repeat_interleave(channels, 1)
            wanted = level.patches(centres) * part
            apart = torch.mm(part, squares, out=room[: len(part)]).addmm_(wanted, rows, alpha=-2)
            cost, best = apart.min(1)
            own = wanted.square().sum(1)
            costs.append((cost + own).clamp_min(0) / part.sum(1).clamp_min(1))
            matches.append(sources[best])
        level.match, level.cost = torch.cat(matches), torch.cat(costs)

    def adopt(self, below: Matcher) -> None:
        """Takes the matches over from the same clip at half the size, and votes with them."""
        level, small = self.level, below.level
        here = level.coordinates(level.centres)
        there = here.clone()
        there[:, 1:] //= 2
        place = small.place[small.voxels(there)]
        moved = small.coordinates(small.match[place])
        moved[:, 1:] = 2 * moved[:, 1:] + here[:, 1:] % 2
        carried = level.voxels(level.within(moved))
        good = (place >= 0) & level.known[carried]
        level.match = torch.where(good, carried, self._any(len(carried)))
        level.cost = good.logical_not().float()
        level.vote(40.0)  # those without a match to carry are not heard

    def search_all(self, completeness: float) -> None:
        """Compares each patch with all known ones, or with an even choice of them.

        A distance counts relative to the least that any patch of the hole has to that known one,
        eq. 3 of Haim et al. 2022: one that nothing is like yet is wanted the more.
        """
        level = self.level
        sources = self._some(level.sources, SAMPLE)
        rows = self.described[sources]
        squares, rows = rows.square().sum(1), rows.T.contiguous()
        parts = [self._wanted(part) for part in torch.split(level.centres, level.chunk)]
        room, weighed = rows.new_empty(2, level.chunk // 16, rows.shape[1])
        wanted = torch.split(torch.cat(parts), len(room))

        def distances(part: Tensor) -> Tensor:
            own = part.square().sum(1, keepdim=True)
            apart = torch.add(squares, own, out=room[: len(part)])
            return apart.addmm_(part, rows, alpha=-2).clamp_min_(0)

        nearest = torch.stack([distances(part).amin(0) for part in wanted]).amin(0)
        weight = 1 / (completeness * squares.mean() + nearest).clamp_min(1e-12)
        matches, costs = [], []
        for part in wanted:
            apart = distances(part)
            best = torch.mul(apart, weight, out=weighed[: len(part)]).argmin(1, keepdim=True)
            costs.append(apart.gather(1, best)[:, 0])
            matches.append(sources[best[:, 0]])
        level.match, level.cost = torch.cat(matches), torch.cat(costs)

    def search_near(self) -> None:
        """Mends the matches: tries the neighbours' and, nearer and nearer, random ones.

        Barnes, Shechtman, Finkelstein, Goldman 2009, "PatchMatch", all patches at once.
        """
        level = self.level
        self.target = torch.cat(
            [self._wanted(part) for part in torch.split(level.centres, level.chunk)]
        )
        level.cost = self._distance(level.match)
        last = len(level.values) - 1
        for _ in range(SWEEPS):
            for step in STEPS:
                for stride in level.strides.flip(0) * step:
                    for away in (stride, -stride):
                        place = level.place[(level.centres - away).clamp(0, last)]
                        moved = (level.match[place] + away).clamp(0, last)
                        self._try(torch.where(place >= 0, moved, level.match))
            for halving in range(TRIES):
                self._try(self._near(0.5**halving))

    def _near(self, share: float) -> Tensor:
        """Random voxels round the matches, at most a share of the clip away."""
        level = self.level
        reach = torch.tensor(level.shape, device=level.match.device) * share
        way = torch.rand(len(level.match), 3, generator=self.generator, device=level.match.device)
        at = level.coordinates(level.match) + ((2 * way - 1) * reach.ceil()).round().long()
        return level.voxels(level.within(at))

    def _try(self, candidates: Tensor) -> None:
        level = self.level
        cost = self._distance(candidates)
        better = cost < level.cost
        level.cost = torch.where(better, cost, level.cost)
        level.match = torch.where(better, candidates, level.match)

    def _distance(self, candidates: Tensor) -> Tensor:
        """Squared distance of the targets to candidates; infinite where one is not known."""
        level, distances = self.level, []
        parts = (torch.split(each, level.chunk) for each in (candidates, self.target))
        for part, target in zip(*parts, strict=True):  # a few at once stay in the cache
            apart = torch.sum((self.described[part] - target) ** 2, 1)
            distances.append(torch.where(level.known[part], apart, torch.inf))
        return torch.cat(distances)

    def _wanted(self, centres: Tensor) -> Tensor:
        """The patches as they are now, by their components."""
        found: Tensor = (self.level.patches(centres) - self.mean) @ self.basis
        return found

    def _some(self, voxels: Tensor, most: int) -> Tensor:
        """At most so many of them, chosen at random."""
        if len(voxels) <= most:
            return voxels
        order = torch.randperm(len(voxels), generator=self.generator, device=voxels.device)
        return voxels[order[:most]]

    def _any(self, count: int) -> Tensor:
        """Random known patches."""
        sources = self.level.sources
        drawn = torch.randint(
            len(sources), (count,), generator=self.generator, device=sources.device
        )
        return sources[drawn]

"""One size of a clip as patches: which are known, which touch the hole, and what they vote for."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["SIZES", "Level", "Size", "grown"]

Size = tuple[int, int, int]

SIZES: tuple[Size, ...] = ((3, 5, 5), (1, 5, 5), (1, 3, 3), (1, 1, 1))
"""Patch sizes (frames, height, width), largest first; all odd."""

CHUNKS = {"cpu": 2**13, "cuda": 2**17}  # pixels or patches handled at once: cache, or kernel size


class Level:
    """A clip at one size. Voxels are counted row by row through (T, H, W): a voxel is a number.

    A patch is known by the voxel at its centre and lies wholly in the clip.
    """

    values: Tensor
    """(voxels, C): what the clip is; the hole's change with each vote."""
    inside: Tensor
    """Voxels of the hole."""
    known: Tensor
    """(voxels,): where the patch lies in the clip and touches no hole. Matches come from these."""
    sources: Tensor
    """The same as numbers."""
    centres: Tensor
    """Patches that touch the hole and so want a match."""
    place: Tensor
    """(voxels,): where a voxel stands in ``centres``; -1 where it does not."""
    match: Tensor
    """(centres,): the known patch that each is most like."""
    cost: Tensor
    """(centres,): how far each is from its match."""

    def __init__(self, values: Tensor, unknown: Tensor, size: Size) -> None:
        """values: (C, T, H, W), float32. unknown: (T, H, W), bool."""
        self.size, self.shape = size, unknown.shape
        self.unknown = unknown
        device = values.device
        self.chunk = CHUNKS.get(device.type, CHUNKS["cpu"])
        self.values = values.reshape(len(values), -1).T.contiguous()
        frames, height, width = self.shape
        self.strides = torch.tensor([height * width, width, 1], device=device)
        reach = [range(-(side // 2), side // 2 + 1) for side in size]
        self.offsets = self.voxels(torch.tensor(list(product(*reach)), device=device))
        whole = _whole(unknown, size)
        touching = grown(unknown, size)
        self.inside = unknown.flatten().nonzero()[:, 0]
        self.known = (whole & ~touching).flatten()
        self.sources = self.known.nonzero()[:, 0]
        self.aim((whole & touching).flatten().nonzero()[:, 0])

    @staticmethod
    def sources_of(unknown: Tensor, size: Size) -> int:
        """How many patches of a clip with the hole (T, H, W) are wholly known."""
        return int((_whole(unknown, size) & ~grown(unknown, size)).sum())

    def aim(self, centres: Tensor) -> None:
        """Sets the patches that want a match."""
        self.centres = centres
        self.place = torch.full_like(self.known, -1, dtype=torch.long)
        self.place[centres] = torch.arange(len(centres), device=centres.device)

    def patches(self, centres: Tensor) -> Tensor:
        """Their values, (centres, patch voxels * C)."""
        return self.values[centres[:, None] + self.offsets].flatten(1)

    def clip(self) -> Tensor:
        """The values as a clip (C, T, H, W)."""
        return self.values.T.reshape(-1, *self.shape)

    def coordinates(self, voxels: Tensor) -> Tensor:
        """Frame, row and column of voxels, (N, 3)."""
        return torch.stack(torch.unravel_index(voxels, self.shape), 1)

    def voxels(self, coordinates: Tensor) -> Tensor:
        """The inverse of ``coordinates``."""
        return (coordinates * self.strides).sum(1)

    def within(self, coordinates: Tensor) -> Tensor:
        """Coordinates moved, where needed, so that the patch there lies in the clip."""
        least = torch.tensor([side // 2 for side in self.size], device=coordinates.device)
        most = torch.tensor(self.shape, device=coordinates.device) - 1 - least
        return torch.minimum(torch.maximum(coordinates, least), most)

    def vote(self, sharpness: float, voxels: Tensor | None = None) -> None:
        """Sets the hole, or voxels of it, to the mean of what the matches over each say.

        A match weighs ``exp(-sharpness * cost / (2 sigma²))``, where sigma² is the 75th percentile
        of the costs over that voxel: eq. 3 of Newson et al. with sharpness 1; at 0 all weigh the
        same; with more and more the best match alone counts.
        """
        voxels = self.inside if voxels is None else voxels
        voted = [self._mean(part, sharpness) for part in torch.split(voxels, self.chunk)]
        self.values[voxels] = torch.cat(voted)

    def _mean(self, voxels: Tensor, sharpness: float) -> Tensor:
        last = len(self.values) - 1
        over = voxels[:, None] - self.offsets  # centres of the patches over each voxel
        place = torch.where((over >= 0) & (over <= last), self.place[over.clamp(0, last)], -1)
        cost = torch.where(place >= 0, self.cost[place], torch.inf)
        ordered = cost.sort(1).values
        count = (place >= 0).sum(1, keepdim=True)
        spread = ordered.gather(1, (count * 3 // 4 - 1).clamp_min(0)).clamp_min(1e-8)
        weight = torch.exp((ordered[:, :1] - cost) * (sharpness / 2) / spread)
        weight = torch.where(place >= 0, weight, 0)
        said = self.values[(self.match[place] + self.offsets).clamp(0, last)]
        return torch.einsum("np,npc->nc", weight / weight.sum(1, keepdim=True), said)


def grown(mask: Tensor, size: Size) -> Tensor:
    """Where a patch of the size would touch the mask (T, H, W), bool."""
    margins = [side // 2 for side in size]
    return functional.max_pool3d(mask.float()[None, None], size, 1, margins)[0, 0] > 0


def _whole(like: Tensor, size: Size) -> Tensor:
    """Where a patch of the size lies in the clip, (T, H, W)."""
    whole = torch.zeros_like(like)
    inner = [
        slice(side // 2, length - side // 2) for side, length in zip(size, like.shape, strict=True)
    ]
    whole[tuple(inner)] = True
    return whole

"""Muon: each step turns a convolution's weights in all directions alike, and so learns in fewer.

The gradient of a layer, taken as a matrix from what it sees to what it answers, is strong in a few
directions and weak in the rest, and Adam, which looks at each weight alone, follows those few. Muon
(Jordan et al., kellerjordan.github.io/posts/muon, 2024) takes the nearest matrix to it in which all
are as strong. torch has one for parameters that are matrices, which convolutions' are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Muon", "levelled"]

MOMENTUM = 0.95

LIKE_ADAM = 0.2
"""The root of the mean square of what a weight is moved by, over the learning rate, as Adam's is
about (Liu et al., arXiv 2502.16982)."""

ROUNDS = 5
"""Of the search for the nearest such matrix."""

QUINTIC = 3.4445, -4.7750, 2.0315
"""Jordan et al.: they take what is within 0 to 1 close to 1 in few rounds, to about a quarter."""


class Muon(torch.optim.AdamW):
    """Muon for the weights of convolutions in space and time, AdamW for all else. The learning rate
    and the weight decay mean the same for both."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes one step; the convolutions' gradients are used up. closure: makes the gradients, as
        torch's optimisers have it; its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike = defaultdict[torch.Size, list[Tensor]](list)
            for weight in group["params"]:
                if weight.ndim == 5 and weight.grad is not None:
                    alike[weight.shape].append(weight)
            for weights in alike.values():
                self._move(weights, group["lr"], group["weight_decay"])
        super().step()
        return loss

    def _move(self, weights: list[Tensor], rate: Tensor, decay: float) -> None:
        """Moves weights of one shape, all at once."""
        moves = []
        for weight in weights:
            gradient, weight.grad = weight.grad, None  # so that AdamW leaves it alone
            assert gradient is not None
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
            momentum: Tensor = self.state[weight]["momentum"].lerp_(gradient, 1 - MOMENTUM)
            moves.append(gradient.lerp(momentum, MOMENTUM).flatten(1))
        level = levelled(torch.stack(moves))
        level *= -rate * LIKE_ADAM * max(level.shape[1:]) ** 0.5
        for weight, move in zip(weights, level, strict=True):
            weight.mul_(1 - rate * decay).add_(move.view_as(weight))


def levelled(matrices: Tensor) -> Tensor:
    """The nearest matrices to (N, rows, columns) whose singular values are all about 1, by a
    Newton-Schulz iteration; 0 stays 0."""
    if matrices.shape[1] > matrices.shape[2]:
        return levelled(matrices.mT).mT.contiguous()
    linear, cubic, quintic = QUINTIC
    found: Tensor = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    for _ in range(ROUNDS):
        square = found @ found.mT
        found = linear * found + (cubic * square + quintic * square @ square) @ found
    return found

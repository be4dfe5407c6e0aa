"""Trial: what a trained network adds to the linear guess, tried on blocks drawn anew.

A network that has seen one shot hundreds of times knows what it has seen better than what it has
not. Behind the true holes of fire and of water (docs/experiments.md) the part that is learnt by
heart is about the same share of the guess's error, however much is learnt besides: where that is
much, it can be ignored; where it is little, as on water whose ripples nothing foretells, it is most
of what the network adds, and makes the fill too bright or too dark.

So what it adds is held back by that share over the share that it has learnt, the estimate of James
and Stein (1961), and the more so the more noise there is: there it decides brightness and shapes.
Where there is little noise it is texture, and texture that is known by heart is what is wanted.

And what it adds is off on average, by up to a fortieth of the noise's share, by where training
happened to stop. That is nothing in a single picture, but the same at each step of a chain, which
adds it up; so it is taken off.
"""

from __future__ import annotations

import torch

from infusion_ofx.engine.network import LightNetwork
from infusion_ofx.engine.noise import key
from infusion_ofx.engine.objective import known_loss
from infusion_ofx.engine.schedule import noise_share
from infusion_ofx.engine.train import Batch, Trainer

__all__ = ["trial"]

BY_HEART = 0.08
"""What a network has learnt by heart, as a share of the guess's squared error. About half of it is
the same in each of an ensemble, and the rest goes as their mean is taken (docs/experiments.md,
"Several small networks"); what they have learnt is measured on each by itself."""

BATCHES = 64
"""Training batches, drawn anew, that it is measured on; no more than there were steps."""


@torch.no_grad()
def trial(trainer: Trainer) -> None:
    """Sets ``doubt`` and ``bias`` of the network that it has trained; nothing where a network
    starts from no guess.

    The bias is that of least squares: what the network answers, before it is scaled by the noise's
    share, less what it should have answered, is one number for each channel at all levels.
    """
    network, stage = trainer.network, trainer.stage
    if not isinstance(network, LightNetwork):
        return
    errors = torch.zeros(2, device=trainer.shot.device)
    off, asked = torch.zeros_like(trainer.shot.low), errors.new_zeros(())
    for i in range(min(BATCHES, stage.steps)):
        address = key(trainer.seed, "trial", str(stage.interval), i)
        batch = Batch.draw(trainer.shot, trainer.blocks, trainer.recipe, stage, address)
        sigma = trainer.schedule.sigma(batch.u)[:, None, None, None, None]
        first = network.first_fill(batch.known, batch.unseen)
        guess = network.guess(batch.noisy, first, batch.unseen, sigma)
        estimate = trainer.estimate(batch, first)
        for j, clip in enumerate((guess, estimate)):
            errors[j] += known_loss(clip, batch.clean, batch.hole, batch.shown, 0.0).sum()
        share = noise_share(sigma) * batch.unseen * (1 - batch.hole)
        off += (share * (estimate - batch.clean)).sum((0, 2, 3, 4))
        asked += share.square().sum()
    before, after = errors.tolist()
    learnt = 1 - after / before if before > 0 else 0.0
    by_heart = BY_HEART * (1 + 1 / len(network.members)) / 2
    network.doubt.fill_(min(1.0, by_heart / learnt) if learnt > 0 else 1.0)
    network.bias.copy_(off / asked.clamp_min(1e-12))

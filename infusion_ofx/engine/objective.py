"""What training minimises, and the one way in which a noisy clip is shown to a network."""

from __future__ import annotations

from torch import Tensor, nn

from infusion_ofx.engine.schedule import Schedule, noise_share

__all__ = ["denoise", "known_loss", "level_weight"]


def denoise(
    network: nn.Module, schedule: Schedule, x: Tensor, first: Tensor, hole: Tensor, u: Tensor
) -> Tensor:
    """The network's clean clip for the noisy clip ``x = clean + sigma n``. Training and sampling
    both come through here, so that they cannot disagree.

    x: (B, C, T, H, W). first: the same shape, the clean clip with the network's ``first_fill`` in
    the hole. hole: (B, 1, T, H, W), 1 = unknown. u: (B,). Returns float32, (B, C, T, H, W).
    """
    sigma = schedule.sigma(u)[:, None, None, None, None]
    clean: Tensor = network(x, first, hole, sigma, schedule.level(u))
    return clean.float()


def known_loss(
    estimate: Tensor, clean: Tensor, hole: Tensor, shown: Tensor, known_weight: float
) -> Tensor:
    """Mean squared error of each clip over the pixels whose truth is known: (B,).

    estimate, clean: (B, C, T, H, W). hole: (B, 1, T, H, W), 1 = the shot's own hole, where nothing
    is known: weight 0. shown: (B, 1, T, H, W), 1 = the network saw the pixel: weight known_weight;
    the rest weighs 1. With known_weight 1 this is the published loss but for the factor that the
    share of unknown pixels makes.
    """
    weight = (1 - hole) * (1 - shown * (1 - known_weight))
    return (weight * (estimate - clean).square()).mean((1, 2, 3, 4))


def level_weight(schedule: Schedule, u: Tensor, power: float) -> Tensor:
    """How much the noise levels u (B,) count in training: (B,).

    Where there is little noise errors are small, and would count for nothing beside those where
    there is much. With power 0 each level counts as it does, as published; with 2 each as if its
    errors were as large as its noise (equation 8 of Karras et al., arXiv 2206.00364).
    """
    return noise_share(schedule.sigma(u)) ** -power

"""The two networks: the published one, and our light one. Both turn a noisy clip into a clean one.

Inputs are alike. ``x``: (B, C, T, H, W), clean + sigma n. ``first``: (B, C, T, H, W), the clip with
the hole as ``first_fill`` leaves it. ``hole``: (B, 1, T, H, W), 1 where the clip is unknown.
``sigma``: (B, 1, 1, 1, 1). ``level``: (B,), the noise level as the schedule names it. The answer is
the clean clip, (B, C, T, H, W).
"""

from __future__ import annotations

import math
from dataclasses import fields

import torch
from torch import Tensor, nn
from torch.nn import functional

from infusion_ofx.engine.krige import krige
from infusion_ofx.engine.recipe import Recipe
from infusion_ofx.engine.schedule import noise_share
from infusion_ofx.engine.texture import Texture
from infusion_ofx.engine.volume import Shot
from infusion_ofx.engine.wiener import wiener

__all__ = ["LightNetwork", "Network", "PaperNetwork", "build", "weight_count"]


def build(
    recipe: Recipe,
    shot: Shot,
    device: torch.device | str = "cpu",
    texture: Texture | None = None,
) -> Network:
    """The network that a recipe names, for one shot, in the memory layout that convolutions like.

    texture: the shot's, where it has been measured already.
    """
    channels = len(shot.low)
    network: Network
    if recipe.network == "paper":
        network = PaperNetwork(channels, recipe.width, recipe.levels)
    else:
        texture = texture or Texture.measure(shot, recipe.frames)
        network = LightNetwork(texture, recipe.width, recipe.levels, recipe.ensemble)
    for weight in network.parameters():
        if weight.ndim == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)
    return network.to(device)


def weight_count(network: nn.Module) -> int:
    """How many numbers training fits."""
    return sum(weight.numel() for weight in network.parameters())


class Network(nn.Module):
    """What both have in common."""

    def first_fill(self, known: Tensor, hole: Tensor) -> Tensor:
        """What the network is shown of the clean clip, whatever the noise: here what is known.

        known: (B, C, T, H, W), 0 in the hole. hole: (B, 1, T, H, W), 1 = unknown.
        """
        return known


class PaperNetwork(Network):
    """The 3-D U-Net of Cherel et al. (arXiv 2311.01090, section 4 and its supplement).

    Plain 3x3x3 convolutions with ReLU, max-pooling in space only, nearest-neighbour upsampling,
    the noise level as 16 sinusoids laid beside the picture. 492,963 weights for RGB.
    """

    def __init__(self, channels: int = 3, width: int = 32, levels: int = 3) -> None:
        super().__init__()
        self.multiple = 2**levels
        self.first = nn.Conv3d(2 * channels + 1 + 16, width, 3, padding=1)
        self.down = nn.ModuleList(_plain_pair(width, width) for _ in range(levels))
        self.bottom = _plain_pair(width, width)
        self.up = nn.ModuleList(_plain_pair(2 * width, width) for _ in range(levels))
        self.last = nn.Conv3d(width, channels, 3, padding=1)

    def forward(
        self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor
    ) -> Tensor:
        """See the module's text. Any size: the input is padded to what the pooling needs."""
        noisy = _scaled(x, sigma)
        planes = _sinusoids(level, 16, base=10_000.0)[:, :, None, None, None]
        planes = planes.expand(-1, -1, *noisy.shape[2:])
        x, undo = _pad(torch.cat([first, noisy, hole, planes], 1), self.multiple)
        x = functional.relu(self.first(x))
        skips = []
        for pair in self.down:
            x = pair(x)
            skips.append(x)
            x = _halve(x)
        x = self.bottom(x)
        for pair in self.up:
            x = pair(torch.cat([_double(x), skips.pop()], 1))
        return undo(self.last(x))


class LightNetwork(Network):
    """Our network: a linear guess, and U-Nets that mend it, most of it at half resolution.

    The guess is the first fill with what a Wiener filter finds in the noisy clip (wiener.py). A
    U-Net starts as nothing, so that training starts from a good denoiser and not from noise, and
    what it adds is scaled as the noise is (Karras et al., arXiv 2206.00364), since the less noise,
    the less there is to mend.

    What is learnt by heart, and what chance made of the first weights, differs from U-Net to U-Net,
    and what there is to know does not: so several are better than one of their size together
    (Lakshminarayanan et al., arXiv 1612.01474). In training each has a share of the batch to
    itself, and nothing but the length to which a step's gradient is cut (``clip_norm``) is of all
    together; after it (``eval``) their mean counts.

    texture: the shot's (texture.py). After training not all that the U-Nets add is believed: the
    buffer ``doubt`` is the share that is held back where there is much noise, and ``bias`` (C,)
    what it is off by on average (trial.py).
    """

    doubt: Tensor
    bias: Tensor
    picture: Tensor

    def __init__(
        self, texture: Texture, width: int = 32, levels: int = 2, ensemble: int = 1
    ) -> None:
        super().__init__()
        for field in fields(texture):
            self.register_buffer(field.name, getattr(texture, field.name))
        channels = texture.power.shape[-1]
        self.register_buffer("doubt", torch.zeros(()))
        self.register_buffer("bias", torch.zeros(channels))
        self.multiple = 2 ** (levels + 1)
        self.members = nn.ModuleList(UNet(channels, width, levels) for _ in range(ensemble))

    def forward(
        self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor, level: Tensor
    ) -> Tensor:
        """See the module's text. Any size: the input is padded to what the strides need. In
        training B is a multiple of the U-Nets' number."""
        guess = self.guess(x, first, hole, sigma)
        x, undo = _pad(torch.cat([_scaled(x, sigma), guess, hole], 1), self.multiple)
        waves, share = _sinusoids(level, 64, base=1000.0), noise_share(sigma)
        if self.training:
            assert len(x) % len(self.members) == 0, (len(x), len(self.members))
            parts = (each.chunk(len(self.members)) for each in (x, waves))
            found = [net(*own) for net, *own in zip(self.members, *parts, strict=True)]
            return guess + share * undo(torch.cat(found)).float()
        change = undo(self.members[0](x, waves)).float()
        for net in self.members[1:]:
            change += undo(net(x, waves)).float()
        return guess + share * self._believed(change / len(self.members), hole, share)

    def _believed(self, change: Tensor, hole: Tensor, share: Tensor) -> Tensor:
        """What is believed of the U-Nets' mean answer in the hole; share: the noise's.

        Of its mean over the hole no more than that share: how bright a hole is as a whole, its
        noisy pixels tell by themselves, thousands of them in holes that this was measured on, and
        what is wrong with it adds up over a chain.
        """
        change = change - self.bias[:, None, None, None]
        count = hole.sum((2, 3, 4), keepdim=True).clamp_min(1)
        mean = (change * hole).sum((2, 3, 4), keepdim=True) / count
        return (1 - self.doubt * share) * (change - (1 - share) * mean)

    def first_fill(self, known: Tensor, hole: Tensor) -> Tensor:
        """What is known, and in the hole what goes on from it (krige.py)."""
        return krige(known, hole, self.picture)

    def guess(self, x: Tensor, first: Tensor, hole: Tensor, sigma: Tensor) -> Tensor:
        """The clean clip as the linear guess has it, without the U-Nets."""
        texture = Texture(*(getattr(self, field.name) for field in fields(Texture)))
        return wiener(x, first, hole, sigma, texture)


class UNet(nn.Module):
    """What mends the guess: (B, 2 C + 1, T, H, W) to (B, C, T, H, W), H and W multiples of
    ``2 ** (levels + 1)``.

    Two by two pixels become channels (Shi et al., arXiv 1609.05158, run backwards) before the
    first convolution and pixels again after the last. On the way down strided convolutions halve
    the picture, on the way up it is joined with what it was; between them are pre-activation
    residual blocks (He et al., arXiv 1603.05027) with the noise level as a per-channel scale and
    shift (Perez et al., arXiv 1709.07871). 400,748 weights for RGB at width 32 and 2 levels.
    """

    def __init__(self, channels: int, width: int, levels: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.first = nn.Conv3d(4 * (2 * channels + 1), width, 3, padding=1)
        self.down = nn.ModuleList(ResidualBlock(width) for _ in range(levels))
        self.shrink = nn.ModuleList(
            nn.Conv3d(width, width, 3, stride=(1, 2, 2), padding=1) for _ in range(levels)
        )
        self.bottom = ResidualBlock(width)
        self.join = nn.ModuleList(nn.Conv3d(2 * width, width, 1) for _ in range(levels))
        self.up = nn.ModuleList(ResidualBlock(width) for _ in range(levels))
        last = nn.Conv3d(width, 4 * channels, 3, padding=1)
        _silence(last)
        self.last = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), last)

    def forward(self, x: Tensor, waves: Tensor) -> Tensor:
        """What it would add to the guess, over the noise's share: (B, C, T, H, W), where x is (B,
        2C + 1, T, H, W): the noisy clip, scaled, the guess, the hole. waves: (B, 64), the noise
        level."""
        style = self.embed(waves)
        x = self.first(_fold(x))
        skips = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = block(x, style)
            skips.append(x)
            x = shrink(x)
        x = self.bottom(x, style)
        for join, block in zip(self.join, self.up, strict=True):
            x = block(join(torch.cat([_double(x), skips.pop()], 1)), style)
        return _unfold(self.last(x))


class ResidualBlock(nn.Module):
    """Two normalised 3x3x3 convolutions beside a straight path; starts as the straight path."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, width)
        self.conv1 = nn.Conv3d(width, width, 3, padding=1)
        self.style = nn.Linear(64, 2 * width)
        self.norm2 = nn.GroupNorm(8, width)
        self.conv2 = nn.Conv3d(width, width, 3, padding=1)
        _silence(self.conv2)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x: (B, width, T, H, W). style: (B, 64), the embedded noise level."""
        scale, shift = self.style(style)[:, :, None, None, None].chunk(2, 1)
        y = self.conv1(functional.silu(self.norm1(x)))
        y = self.norm2(y) * (1 + scale) + shift
        change: Tensor = self.conv2(functional.silu(y))
        return x + change


def _silence(layer: nn.Module) -> None:
    """Makes a layer answer 0 until it is trained."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)


def _scaled(x: Tensor, sigma: Tensor) -> Tensor:
    """To unit variance whatever the noise: the variance-preserving chain's own scale."""
    return x / (1 + sigma.square()).sqrt()


def _plain_pair(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv3d(width, width, 3, padding=1),
        nn.ReLU(),
    )


def _sinusoids(level: Tensor, size: int, base: float) -> Tensor:
    """(B,) to (B, size): sines, then cosines, of falling frequency (arXiv 1706.03762, 3.5)."""
    half = size // 2
    rates = torch.exp(torch.arange(half, device=level.device) * (-math.log(base) / (half - 1)))
    angles = level[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def _pad(x: Tensor, multiple: int) -> tuple[Tensor, _Undo]:
    """Repeats the last row and column until both sizes are multiples; the second value crops
    back."""
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if bottom or right:
        x = functional.pad(x, (0, right, 0, bottom, 0, 0), mode="replicate")
    return x, _Undo(height, width)


class _Undo:
    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width

    def __call__(self, x: Tensor) -> Tensor:
        return x[..., : self.height, : self.width]


def _halve(x: Tensor) -> Tensor:
    """Max-pooling by two in space; torch's own has no repeatable backward pass on a GPU."""
    b, c, t, h, w = x.shape
    return x.reshape(b, c, t, h // 2, 2, w // 2, 2).amax((4, 6))


def _double(x: Tensor) -> Tensor:
    """Nearest-neighbour upsampling by two in space, whose backward pass is deterministic on a
    GPU."""
    b, c, t, h, w = x.shape
    return x[:, :, :, :, None, :, None].expand(b, c, t, h, 2, w, 2).reshape(b, c, t, 2 * h, 2 * w)


def _fold(x: Tensor) -> Tensor:
    """(B, C, T, 2H, 2W) to (B, 4C, T, H, W)."""
    b, c, t, h, w = x.shape
    x = x.reshape(b, c, t, h // 2, 2, w // 2, 2).permute(0, 1, 4, 6, 2, 3, 5)
    return x.reshape(b, 4 * c, t, h // 2, w // 2)


def _unfold(x: Tensor) -> Tensor:
    """(B, 4C, T, H, W) to (B, C, T, 2H, 2W); undoes ``_fold``."""
    b, c, t, h, w = x.shape
    x = x.reshape(b, c // 4, 2, 2, t, h, w).permute(0, 1, 4, 5, 2, 6, 3)
    return x.reshape(b, c // 4, t, 2 * h, 2 * w)

"""Recipe: everything that decides how one shot is trained on and filled. A recipe is data."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["PATCHES", "RECIPES", "Recipe", "choose"]


@dataclass(frozen=True)
class Recipe:
    """One way to train and to sample. ``paper`` and ours differ in these values and nothing
    else."""

    network: str
    """``paper`` or ``light``; see network.py."""
    width: int
    """Channels of a convolution."""
    levels: int
    """How often the picture is made half as large on its way through a network."""
    noise: tuple[float, float] | None
    """The least and the most noise that is trained, in sizes of the texture; None is the published
    1000 levels (schedule.py). Much gives better shapes and seeds that differ less, little finer
    texture; either asks for more training."""
    intervals: int
    """Parts that the noise range is cut into; each is trained, then sampled through, in turn."""
    steps: int
    """Training steps for each interval; 0 leaves the network out."""
    sampling_steps: int
    """Steps from noise to picture, over all intervals together. Each calls the network, but for
    those above the most noise that is trained."""
    start: float = 40.0
    """The noise that sampling starts from, which hides the coarsest shapes as well. What is above
    the most that is trained the linear guess takes off, without the network. Not published."""
    ensemble: int = 1
    """Light networks that are trained side by side, and whose mean counts (network.py)."""
    batch: int = 1
    """Blocks in a training step, for each of them."""
    shared_steps: int = 0
    """Training steps over the whole noise range before the first interval."""
    learning_rate: float = 1e-3
    decay: bool = True
    """Warm the learning rate up over a tenth of each training, then let it fall as a cosine to 5
    %."""
    betas: tuple[float, float] = (0.9, 0.99)
    muon: bool = False
    """Whether convolutions learn by Muon (muon.py), or by Adam as all else does."""
    weight_decay: float = 0.0
    """What the weights of convolutions lose in a step, as a share of them, over the learning rate:
    what is learnt by heart needs large ones."""
    clip_norm: float | None = 0.1
    """Largest gradient norm; None leaves gradients as they are."""
    crop: int = 48
    """Largest height and width of a training block, in pixels."""
    known_weight: float = 0.1
    """Weight of the loss on pixels that the network was shown; 1 inside the training hole."""
    low_weight: float = 1.5
    """How much little noise counts in the loss (objective.py); 0 counts all levels as published."""
    extrapolate: bool = True
    """Whether a sampling step looks at the estimate before it too (sample.py), which few calls
    need."""
    stir: float = 1.0
    """Noise that a step of the network puts on where there is much, over what the chain asks for: a
    network that takes off a little too much leaves a fill that is too calm (Karras et al., arXiv
    2206.00364). Where there is little no more is put on, since that would be speckle."""
    decorrelate: bool = True
    """Whether the network sees the principal components of the shot's colours, or RGB."""
    frames: int = 12
    """Frames in a window, in training and in sampling."""
    overlap: int = 4
    """Frames that neighbouring windows share in sampling."""
    context: int = 24
    """Pixels of plate round the hole that sampling sees."""
    surround: int = 4
    """Pixels round the hole whose colours the working range is fitted to (working.py)."""
    reach: int = 96
    """Pixels round what sampling sees that the prior and patches see as well."""
    near: int = 8
    """Pixels round what sampling sees that training sees as well: what is close is most like what
    is missing, and a small network that learns one thing learns it well."""
    close: bool = True
    """Whether all training blocks hold something known close to the hole (blocks.py), or any will
    do."""
    tile: int = 384
    """Longest side of a sampling tile in pixels; a larger hole is sampled in overlapping tiles."""
    patches: bool = False
    """Whether a fill of patches (patch.py) is made, beside the network's or instead of it."""
    block: int = 16_000_000
    """Most pixels times frames that a fill of patches works on at once."""
    scale: int = 1
    """How many of the plate's pixels are one of its own (scales.py)."""
    takes: int = 1
    """Results, each sampled from noise of its own."""
    takes_train: bool = False
    """Whether each take has a training of its own, or all share the first one's."""


_LIGHT = Recipe(
    network="light",
    width=32,
    levels=2,
    noise=(0.045, 12.0),
    batch=2,
    intervals=1,
    steps=3000,
    sampling_steps=53,
    muon=True,
    weight_decay=2.0,
    stir=1.08,
)

RECIPES = {
    "draft": _LIGHT,
    "standard": replace(_LIGHT, ensemble=3),
    "final": replace(
        _LIGHT, ensemble=3, shared_steps=3000, intervals=4, steps=1000, sampling_steps=58
    ),
    "paper": Recipe(
        network="paper", width=32, levels=3, noise=None,
        intervals=20, steps=10_000, sampling_steps=1000,
        learning_rate=1e-4, decay=False, betas=(0.9, 0.999), clip_norm=None,
        crop=432, known_weight=1.0, low_weight=0.0, extrapolate=False, decorrelate=False,
        context=32, surround=32, reach=432, near=432, close=False,
    ),
}  # fmt: skip
"""By name, as ``Job.recipe`` gives it. ``paper`` is arXiv 2311.01090 with its published
defaults."""

PATCHES = replace(_LIGHT, steps=0, patches=True, context=0)
"""No network: patch.py's own settings say the rest. Nothing is sampled, and nothing is context."""


def choose(
    name: str,
    *,
    intervals: int | None = None,
    steps: int | None = None,
    sampling_steps: int | None = None,
) -> Recipe:
    """The recipe of that name with the artist's own numbers in place of its own; None keeps those.

    Steps before the first interval follow ``steps`` in proportion. One interval means that all
    noise levels are trained together, so nothing is trained before it: the shared steps are left
    out.
    """
    recipe = RECIPES[name]
    shared = recipe.shared_steps
    if steps is not None:
        shared = round(shared * steps / recipe.steps)
    recipe = replace(
        recipe,
        shared_steps=shared,
        intervals=recipe.intervals if intervals is None else intervals,
        steps=recipe.steps if steps is None else steps,
        sampling_steps=recipe.sampling_steps if sampling_steps is None else sampling_steps,
    )
    return replace(recipe, shared_steps=0) if recipe.intervals == 1 else recipe

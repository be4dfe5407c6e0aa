"""The fill of patches: what is known stays, what is made is made of it, and a texture goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from infusion_ofx.patch import Settings, fill, fill_blocks
from infusion_ofx.patch_level import Level
from infusion_ofx.patch_match import SAMPLE, Matcher

FAST = Settings(rounds=(3, 2), sources=256)


def periodic(frames: int = 6, side: int = 48) -> Tensor:
    """Stripes and a grid that move a pixel a frame: (3, T, H, W), a period of 8 pixels."""
    t, y, x = torch.meshgrid(*(torch.arange(n) for n in (frames, side, side)), indexing="ij")
    waves = [(x + t) * 2 / 8, (y - t) / 8, (x + y) / 8]
    return torch.stack([torch.sin(2 * torch.pi * wave) for wave in waves])


def hole_of(clip: Tensor, size: int = 14) -> Tensor:
    hole = torch.zeros_like(clip[:1])
    hole[:, :, 17 : 17 + size, 15 : 15 + size] = 1
    return hole


def noise(seed: int = 0, frames: int = 6, side: int = 40) -> Tensor:
    return torch.randn(3, frames, side, side, generator=torch.Generator().manual_seed(seed))


def test_a_periodic_texture_is_carried_through_the_hole() -> None:
    truth = periodic()
    hole = hole_of(truth)
    filled = fill(truth * (1 - hole), hole, settings=FAST)
    error = (filled - truth)[hole.expand_as(truth) > 0].square().mean()
    spread = truth[hole.expand_as(truth) > 0].var()
    assert error < 0.02 * spread


def test_known_values_come_back_bit_for_bit_and_the_hole_is_not_looked_at() -> None:
    clip, hole = noise(), hole_of(noise())
    poisoned = clip.masked_fill(hole.expand_as(clip) > 0, torch.nan)
    first, second = (fill(each, hole, settings=FAST) for each in (clip, poisoned))
    known = (hole == 0).expand_as(clip)
    assert torch.equal(first[known], clip[known])
    assert torch.equal(first, second)


def test_no_value_leaves_the_range_of_the_known_ones() -> None:
    clip, hole = noise(1), hole_of(noise())
    filled = fill(clip, hole, settings=FAST)
    for channel, made in zip(clip, filled, strict=True):
        known = channel[hole[0] == 0]
        assert known.min() <= made.min() and made.max() <= known.max()


def test_the_same_seed_gives_the_same_fill_and_another_one_another() -> None:
    clip, hole = noise(2), hole_of(noise())
    one, same, other = (fill(clip, hole, seed=seed, settings=FAST) for seed in (5, 5, 6))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_texture_of_noise_keeps_its_grain() -> None:
    clip, hole = noise(3), hole_of(noise(), 10)
    filled = fill(clip, hole, settings=FAST)
    assert filled[hole.expand_as(clip) > 0].std() > 0.7 * clip.std()


def test_a_clip_without_a_hole_comes_back_as_it_is() -> None:
    clip = noise(4)
    assert torch.equal(fill(clip, torch.zeros_like(clip[:1])), clip)


@pytest.mark.parametrize(
    "shape", [(3, 1, 24, 24), (1, 3, 24, 30), (4, 2, 9, 9)], ids=["a still", "grey", "tiny"]
)
def test_a_clip_of_any_shape_is_filled(shape: tuple[int, int, int, int]) -> None:
    clip = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    hole = torch.zeros_like(clip[:1])
    hole[:, :, 3:6, 3:6] = 1
    filled = fill(clip, hole, settings=FAST)
    assert torch.isfinite(filled).all() and filled[hole.expand_as(clip) > 0].min() > 0


def test_a_frame_of_which_nothing_is_known_is_filled_from_those_beside_it() -> None:
    clip = periodic(frames=5, side=24)
    hole = torch.zeros_like(clip[:1])
    hole[:, 2] = 1
    filled = fill(clip, hole, settings=FAST)
    assert torch.isfinite(filled).all() and filled[:, 2].std() > 0.1


def test_a_long_clip_is_filled_in_blocks_and_goes_on_from_any_of_them() -> None:
    clip = periodic(frames=20, side=40)
    hole = hole_of(clip, 8)
    settings = Settings(rounds=(2, 1), sources=256, voxels=1)  # the shortest blocks there are
    stops, states = [], []
    for done, filled in fill_blocks(clip * (1 - hole), hole, settings=settings):
        stops.append(done)
        states.append(filled.clone())
    assert stops == [8, 12, 16, 20]
    for done, state in zip(stops[:-1], states, strict=False):
        *_, (_, resumed) = fill_blocks(state, hole, settings=settings, done=done)
        assert torch.equal(resumed, states[-1])
        assert torch.equal(state[:, :done], states[-1][:, :done])


def test_its_progress_rises_and_whoever_listens_can_stop_it() -> None:
    clip, hole = noise(5), hole_of(noise())
    shares: list[float] = []
    fill(clip, hole, settings=FAST, on_round=shares.append)
    assert shares == sorted(shares) and 0 <= shares[0] and shares[-1] < 1

    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fill(clip, hole, settings=FAST, on_round=stop)


class _AsCuda(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what torch has on a processor and not on CUDA: products of whole-number matrices."""

    PRODUCTS = frozenset({"mm", "mv", "dot", "bmm", "addmm", "addmv", "baddbmm"})

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func.overloadpacket.__name__ in self.PRODUCTS:
            assert all(x.is_floating_point() for x in args if isinstance(x, Tensor)), func
        return func(*args, **(kwargs or {}))


class _Made(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts results, as wide as there are known patches, that get memory of their own."""

    def __init__(self, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.width, self.count = width, 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        given = [*args, *(kwargs or {}).values()]
        held = {x.untyped_storage().data_ptr() for x in given if isinstance(x, Tensor)}
        if isinstance(made, Tensor) and made.ndim > 1 and made.shape[-1] == self.width:
            self.count += made.untyped_storage().data_ptr() not in held
        return made


@pytest.mark.parametrize(
    "search", [Matcher.peel, lambda matcher: matcher.search_all(0.01)], ids=["peel", "all"]
)
def test_a_search_takes_its_room_once_however_many_patches_it_compares(
    search: Callable[[Matcher], None],
) -> None:
    """Given back and taken again, megabytes among what stays, it made the heap grow by
    gigabytes."""
    counts = []
    for frames in (6, 12):
        clip = noise(7, frames, 64)
        level = Level(clip, hole_of(clip, 26)[0] > 0, (3, 5, 5))
        assert len(level.sources) > SAMPLE and len(level.centres) > 4 * level.chunk // 16
        matcher = Matcher(level, torch.Generator().manual_seed(0))
        with _Made(SAMPLE) as made:
            search(matcher)
        counts.append(made.count)
    assert counts[0] == counts[1]


def test_nothing_is_asked_of_torch_that_it_has_on_a_processor_only() -> None:
    def refused(work: Callable[[], object]) -> bool:
        try:
            with _AsCuda():  # type: ignore[no-untyped-call]
                work()
        except AssertionError:
            return True
        return False

    ones = torch.ones(2, 2)
    assert refused(lambda: ones.long() @ ones.long()) and not refused(lambda: ones @ ones)
    clip, hole = noise(), hole_of(noise())
    assert not refused(lambda: fill(clip, hole, settings=FAST))

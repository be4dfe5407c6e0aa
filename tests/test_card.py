"""A job on a card, where there is none: nothing is mixed, and it fills as the processor does.

``OnCard`` are tensors of the processor that say that they lie elsewhere, on torch's device without
memory, and refuse to be worked with beside those that do not, as a GPU's do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Shot, write_exr
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from infusion_ofx.accounts import verdicts
from infusion_ofx.engine import scales
from infusion_ofx.engine.compute import Compute
from infusion_ofx.folder import JobFolder
from infusion_ofx.run import run

ELSEWHERE = torch.device("meta")
OPTIMISER = torch.optim.Optimizer.__module__
FUSED = "_get_fused_kernels_supported_devices"


class OnCard(Tensor):
    """A tensor that says it lies elsewhere."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnCard:
        made: OnCard = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=ELSEWHERE,
        )  # fmt: skip
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _done(func, args, kwargs or {})


class Card(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it tensors can be made on the card and brought there."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _done(func, args, kwargs or {})


def _done(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An operation of torch, done on the processor; what it gives lies where a card's would."""
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    there = {id(each.held): each for each in given if isinstance(each, OnCard)}
    device = kwargs.get("device")
    to_card = bool(there) if device is None else device == ELSEWHERE
    if func.overloadpacket.__name__ not in ("_to_copy", "copy_"):
        stay = [each for each in given if each.ndim and not isinstance(each, OnCard)]
        assert not there or not stay, f"{func} is given tensors of the processor beside the card's"
    args, kwargs = tree_map_only(OnCard, lambda each: each.held, (args, kwargs))
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    found = func(*args, **kwargs)
    if not to_card:
        return found
    return tree_map_only(
        Tensor, lambda each: there[id(each)] if id(each) in there else OnCard(each), found
    )


class Generator(torch.Generator):
    """One of the processor, wherever it is asked for."""

    def __new__(cls, device: torch.device | str = "cpu") -> Generator:
        return super().__new__(cls)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is computed is computed elsewhere."""
    make = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *a, device="cpu", **k: make(*a, **k).to(device))
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    monkeypatch.setattr(sys.modules[OPTIMISER], FUSED, lambda: ["cpu", ELSEWHERE.type])
    monkeypatch.setattr(Compute, "choose", lambda *args: Compute(ELSEWHERE, "float32"))
    with Card():  # type: ignore[no-untyped-call]
        yield


@pytest.mark.parametrize("name", ["auto", "deep"])
def test_a_card_fills_as_the_processor_does(
    name: str, shot: Shot, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    settings: dict[str, Any] = {"method": "auto", "frames": "1001-1006"}
    if name == "deep":
        monkeypatch.setattr(scales, "DEEP", 4)
        matte = np.zeros((24, 32, 1), np.float32)
        matte[3:21, 7:25] = 1
        for frame in shot.frames:
            write_exr(shot.folder / f"matte.{frame}.exr", matte, ("A",))
        settings = {"recipe": "standard", "sampling_steps": 4, "frames": "1001-1003"}
    folder = Path(run(shot.job("processor/", **settings)).folder)
    assert any("-x" in path.name for path in (folder / "work").iterdir()) == (name == "deep")
    if name == "auto":  # a hole was planted, and each fill judged by it
        assert verdicts(JobFolder(folder))[1][0]["scores"]
    request.getfixturevalue("card")
    run(shot.job("card/", **settings))
    one, other = (_light(shot, output) for output in ("processor", "card"))
    assert np.allclose(one, other, rtol=2e-3, atol=1e-4)


def test_nothing_of_the_processor_is_mixed_with_what_is_on_a_card(card: None) -> None:
    there, here = torch.ones(3, device=ELSEWHERE), torch.ones(3)
    assert (there + there.to("cpu").to(ELSEWHERE) * torch.tensor(2.0)).tolist() == [3, 3, 3]
    with pytest.raises(AssertionError, match="beside the card's"):
        there + here


def _light(shot: Shot, output: str) -> NDArray[np.float16]:
    return np.stack([np.frombuffer(frame, np.float16) for frame in shot.pixels(output).values()])

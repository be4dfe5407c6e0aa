"""Laws of checkpoints."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from infusion_ofx.engine import checkpoint
from infusion_ofx.errors import InfusionError

FACTS = {"stage": 3, "step": 41, "boxes": {"1001": [0, -2, 5, 7]}, "name": "é"}


def _tensors() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    odd = torch.tensor([float("nan"), float("inf"), -0.0, 1e-42])
    return {
        "float": torch.cat([torch.randn(12, generator=random), odd]).reshape(4, 4),
        "bfloat": torch.randn(3, 5, generator=random).bfloat16(),
        "half": torch.randn(2, generator=random).half(),
        "int": torch.tensor([[-(2**62), 7]]),
        "flag": torch.tensor([True, False]),
        "scalar": torch.tensor(0.1),
        "none": torch.zeros(3, 0, 2),
    }


def _same(found: checkpoint.Kept | None) -> bool:
    """Whether what was loaded is what ``_tensors`` and ``FACTS`` are, bit for bit."""
    if found is None or found.facts != FACTS or found.tensors.keys() != _tensors().keys():
        return False
    return all(_equal(tensor, found.tensors[name]) for name, tensor in _tensors().items())


def _equal(one: Tensor, other: Tensor) -> bool:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return one.numel() == 0 or torch.equal(
        one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8)
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of one good checkpoint."""
    path = tmp_path_factory.mktemp("whole") / "checkpoint-0003-0000041.safetensors"
    checkpoint.save(path, _tensors(), FACTS)
    return path.read_bytes()


def test_what_is_saved_comes_back_bit_for_bit_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-0000-0000001.safetensors"
    checkpoint.save(path, _tensors(), FACTS)
    assert _same(checkpoint.load(path))
    assert list(tmp_path.iterdir()) == [path]


def test_memory_layout_and_gradients_do_not_matter(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 2, 2, 2).contiguous(memory_format=torch.channels_last_3d)
    checkpoint.save(tmp_path / "a", {"weight": weight.requires_grad_()}, {})
    found = checkpoint.load(tmp_path / "a")
    assert found is not None
    assert torch.equal(found.tensors["weight"], weight)


def test_saving_again_replaces_the_file(tmp_path: Path) -> None:
    for number in (1, 2):
        checkpoint.save(tmp_path / "a", {"x": torch.tensor(float(number))}, {"n": number})
    found = checkpoint.load(tmp_path / "a")
    assert found is not None
    assert (found.tensors["x"].item(), found.facts) == (2.0, {"n": 2})


def test_what_is_loaded_needs_the_file_no_more(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a", _tensors(), FACTS)
    found = checkpoint.load(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "a").unlink()
    assert found is not None
    found.held.rest()
    assert _same(found)
    assert list(tmp_path.iterdir()) == []


def test_the_library_reads_what_is_saved(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a", _tensors(), FACTS)
    found = load_file(tmp_path / "a")
    assert found.keys() == _tensors().keys()
    assert all(_equal(tensor, found[name]) for name, tensor in _tensors().items())


def test_what_the_library_lays_out_is_read(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a", _tensors(), FACTS)
    with safe_open(tmp_path / "a", framework="pt") as file:
        metadata = file.metadata()
    save_file(_tensors(), tmp_path / "b", metadata)
    assert _same(checkpoint.load(tmp_path / "b"))


@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_one_damaged_byte_is_never_taken_for_good(whole: bytes, place: int, value: int) -> None:
    damaged = bytearray(whole)
    damaged[place % len(whole)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint-0003-0000041.safetensors"
        path.write_bytes(damaged)
        found = checkpoint.load(path)
        assert checkpoint.is_whole(path) == (found is not None)
    assert found is None or _same(found)


def test_a_damaged_place_in_the_work_is_not_believed(whole: bytes, tmp_path: Path) -> None:
    place = whole.index(b"41", whole.index(b"step"))
    (tmp_path / "a").write_bytes(whole[:place] + b"9" + whole[place + 1 :])
    assert checkpoint.load(tmp_path / "a") is None


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_none(whole: bytes, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(whole[: int(share * len(whole))])
        assert checkpoint.load(path) is None


def test_what_is_missing_or_not_ours_is_none(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign")
    (tmp_path / "folder").mkdir()
    for name in ("missing", "foreign", "folder"):
        assert checkpoint.load(tmp_path / name) is None
        assert not checkpoint.is_whole(tmp_path / name)


def test_the_newest_whole_checkpoint_of_a_stage_is_found(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "nowhere", "train-01") is None
    names = [f"train-01-{n:07d}.safetensors" for n in (2, 9, 10)]
    for place, name in enumerate(names):
        checkpoint.save(tmp_path / name, {"x": torch.zeros(1)}, {"place": place})
    checkpoint.save(tmp_path / "train-02-0000011.safetensors", {"x": torch.zeros(1)}, {})
    for place in (2, 1, 0):
        found = checkpoint.newest(tmp_path, "train-01")
        assert found is not None
        assert found.facts == {"place": place}
        raw = (tmp_path / names[place]).read_bytes()
        (tmp_path / names[place]).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert checkpoint.newest(tmp_path, "train-01") is None


def test_pruning_keeps_the_last_ones_of_a_stage_and_what_is_none_of_it(tmp_path: Path) -> None:
    for stage, number in (("sample-00", 1), ("sample-00", 2), ("sample-00", 10), ("train-00", 1)):
        path = tmp_path / f"{stage}-{number:07d}.safetensors"
        checkpoint.save(path, {"x": torch.zeros(1)}, {})
    (tmp_path / "fill.safetensors").touch()
    checkpoint.prune(tmp_path, "sample-00", keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fill.safetensors",
        "sample-00-0000002.safetensors",
        "sample-00-0000010.safetensors",
        "train-00-0000001.safetensors",
    ]


def test_a_folder_that_is_gone_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(InfusionError, match="cannot write"):
        checkpoint.save(tmp_path / "gone" / "a", {"x": torch.zeros(1)}, {})

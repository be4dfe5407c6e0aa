"""Checkpoints: all that the engine needs to go on, as safetensors, whole or not there.

A file is named after its stage and step, and carries its own digest. A damaged one is passed over
for the one before it, so that two are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from infusion_ofx.errors import TryAgainError
from infusion_ofx.sequence.atomic import whole_file

__all__ = ["load", "newest", "prune", "save"]


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Writes tensors and JSON-ready facts to ``path``: to a temporary, synced, renamed."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dict(facts))
    metadata = {"facts": text, "digest": _digest(whole, text)}
    with whole_file(path) as temporary:
        try:
            save_file(whole, temporary, metadata)
        except SafetensorError as error:
            raise TryAgainError(
                f"cannot write {str(path)!r}: {error}", "make room, and run the same command again"
            ) from error


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What ``save`` wrote, or None when the file is missing, damaged or not ours."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        if metadata.get("digest") != _digest(tensors, metadata["facts"]):
            return None
        return tensors, json.loads(metadata["facts"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def newest(folder: Path, stage: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The last checkpoint of a stage that is whole, or None."""
    for path in reversed(_of(folder, stage)):
        state = load(path)
        if state is not None:
            return state
    return None


def prune(folder: Path, stage: str, *, keep: int) -> None:
    """Removes all but the last checkpoints of a stage."""
    for path in _of(folder, stage)[:-keep]:
        path.unlink(missing_ok=True)


def _of(folder: Path, stage: str) -> list[Path]:
    return sorted(folder.glob(f"{stage}-[0-9]*.safetensors"))


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    total = hashlib.blake2b(facts.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return total.hexdigest()

"""Checkpoints: all that the engine needs to go on, as safetensors, whole or not there.

A file is named after its stage and step, and carries its own digest. A damaged one is passed over
for the one before it, so that two are kept.

The format is that of https://github.com/huggingface/safetensors: the length of a header, eight
bytes, least first; the header, JSON; the tensors' bytes. Written and read here one tensor after
another, since the library holds all of them at once, and a long shot is more than memory.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from infusion_ofx.mapped import Mapped, size_of
from infusion_ofx.sequence.atomic import whole_file

__all__ = ["Kept", "is_whole", "load", "newest", "prune", "save"]

_NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_DIGEST = 16  # bytes
_NOT_OURS = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a file may raise that is missing, damaged, or none of ours."""


class Kept(NamedTuple):
    """What a checkpoint holds."""

    tensors: dict[str, Tensor]
    """In a file of their own (mapped.py), so that nothing depends on the checkpoint any more."""
    facts: dict[str, Any]
    held: Mapped
    """That file."""


class _Entry(NamedTuple):
    """Where a tensor lies in a file, in bytes from its start."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def title(self) -> bytes:
        """What goes into the digest before the tensor's own bytes."""
        return f"{self.name} {self.dtype} {self.shape}".encode()


def save(
    path: Path,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    rest: Callable[[], None] = lambda: None,
) -> None:
    """Writes tensors and JSON-ready facts to ``path``: to a temporary, synced, renamed.

    rest: called after each tensor; lets go of what was looked at.

    Raises:
        TryAgainError: when the storage fails.
        JobError: when ``path`` may not be written.
    """
    text = json.dumps(dict(facts))
    total = hashlib.blake2b(text.encode(), digest_size=_DIGEST)
    entries = _laid_out(tensors)
    shift = len(_header(entries, text, "0" * 2 * _DIGEST))
    with whole_file(path) as temporary, temporary.open("rb+") as file:
        file.seek(shift)
        for entry in entries:
            total.update(entry.title)
            content = _bytes(tensors[entry.name].detach().cpu().contiguous())
            total.update(content)
            file.write(content)
            rest()
        file.seek(0)
        file.write(_header(entries, text, total.hexdigest()))


def load(path: Path) -> Kept | None:
    """What ``save`` wrote, or None when the file is missing, damaged or not ours.

    Raises:
        TryAgainError: when there is no room beside it to unfold it.
    """
    try:
        with path.open("rb") as file:
            entries, text, digest = _table(file)
            total = hashlib.blake2b(text.encode(), digest_size=_DIGEST)
            held = Mapped(path.parent, sum(size_of(e.shape, e.dtype) for e in entries))
            tensors = {}
            for entry in entries:
                tensors[entry.name] = tensor = held.tensor(*entry.shape, dtype=entry.dtype)
                content = _bytes(tensor)
                file.seek(entry.start)
                if file.readinto(content) != entry.stop - entry.start:
                    return None
                total.update(entry.title)
                total.update(content)
                held.rest()
        return Kept(tensors, json.loads(text), held) if total.hexdigest() == digest else None
    except _NOT_OURS:
        return None


def is_whole(path: Path) -> bool:
    """Whether ``load`` would give what is in a file; takes no room."""
    try:
        with path.open("rb") as file:
            entries, text, digest = _table(file)
            total = hashlib.blake2b(text.encode(), digest_size=_DIGEST)
            for entry in entries:
                total.update(entry.title)
                file.seek(entry.start)
                for place in range(entry.start, entry.stop, 2**20):
                    total.update(file.read(min(2**20, entry.stop - place)))
        return total.hexdigest() == digest
    except _NOT_OURS:
        return False


def newest(folder: Path, stage: str) -> Kept | None:
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


def _laid_out(tensors: Mapping[str, Tensor]) -> list[_Entry]:
    """Where tensors go, from 0 on: the widest numbers first, so that all of them are aligned."""
    entries, start = [], 0
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):
        tensor = tensors[name]
        stop = start + tensor.numel() * tensor.element_size()
        entries.append(_Entry(name, tensor.dtype, tuple(tensor.shape), start, stop))
        start = stop
    return entries


def _header(entries: list[_Entry], facts: str, digest: str) -> bytes:
    """All that comes before the tensors; as long for any digest."""
    table: dict[str, Any] = {"__metadata__": {"facts": facts, "digest": digest}}
    for name, dtype, shape, start, stop in entries:
        table[name] = {"dtype": _NAMES[dtype], "shape": shape, "data_offsets": [start, stop]}
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _table(file: BinaryIO) -> tuple[list[_Entry], str, str]:
    """What a file's header says: its tensors in the order that they lie in, the facts as they are
    written, and the digest.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: when it is not ours.
    """
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= size - 8:
        raise ValueError("no header")
    table = json.loads(file.read(length))
    metadata = table.pop("__metadata__")
    entries = []
    for name, found in table.items():
        start, stop = (8 + length + int(place) for place in found["data_offsets"])
        dtype, shape = _DTYPES[found["dtype"]], tuple(int(side) for side in found["shape"])
        entries.append(_Entry(name, dtype, shape, start, stop))
        if min(shape, default=0) < 0 or stop - start != math.prod(shape) * dtype.itemsize:
            raise ValueError("a tensor of another size")
    entries.sort(key=lambda entry: (entry.start, entry.stop))
    place = 8 + length
    for entry in entries:
        if entry.start != place:
            raise ValueError("a gap")
        place = entry.stop
    if place != size:
        raise ValueError("cut off")
    return entries, str(metadata["facts"]), str(metadata["digest"])


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor on the CPU."""
    found: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return found

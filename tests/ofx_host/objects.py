"""What a host holds, and how a plug-in in C comes to it: by handles, only numbers to it."""

from __future__ import annotations

import ctypes
import itertools
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

OK, FAILED, ERR_UNKNOWN, ERR_EXISTS, ERR_BAD_HANDLE, ERR_BAD_INDEX = 0, 1, 3, 6, 9, 10
REPLY_NO, REPLY_DEFAULT = 13, 14

Array = npt.NDArray[Any]
H = TypeVar("H", bound="Handle")

_numbers = itertools.count(0x1000, 16)
_live: dict[int, Handle] = {}
faults: list[str] = []
"""All that went wrong inside of the host's own functions, or that a plug-in must not do."""


class Handle:
    """Something that a plug-in holds by number."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        _live[self.number] = self

    def drop(self) -> None:
        """From now on the number is no handle."""
        _live.pop(self.number, None)


def find(number: int | None, kind: type[H]) -> H:
    """What a handle stands for; a plug-in that uses a wrong one is at fault."""
    found = _live.get(number or 0)
    if not isinstance(found, kind):
        raise LookupError(f"{number} is no {kind.__name__}")
    return found


class Properties(Handle):
    """Values by name, each a list of int, float or bytes."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.values: dict[str, list[Any]] = {}
        for name, value in values.items():
            self.put(name, *(value if isinstance(value, (tuple, list)) else (value,)))

    def put(self, name: str, *values: Any) -> None:
        """Sets a property, named as in the interface without the leading ``Ofx``."""
        coded = [v.encode() if isinstance(v, str) else v for v in values]
        self.values[f"Ofx{name}"] = coded

    def get(self, name: str, index: int = 0) -> Any:
        """A value, text as str; None where there is none."""
        values = self.values.get(f"Ofx{name}", [])
        value = values[index] if index < len(values) else None
        return value.decode() if isinstance(value, bytes) else value

    def all(self, name: str) -> list[Any]:
        """All values of a property, text as str."""
        return [self.get(name, i) for i in range(len(self.values.get(f"Ofx{name}", [])))]

    def copy_from(self, other: Properties) -> None:
        """Takes over the values of another set."""
        self.values.update({name: list(values) for name, values in other.values.items()})


class Param(Handle):
    """A parameter of a descriptor or of an instance."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__()
        self.name, self.kind = name, kind
        self.props = Properties(PropName=name, ParamPropType=kind)
        self.value: Any = None


class ParamSet(Handle):
    """The parameters of a descriptor or an instance, in order."""

    def __init__(self, on_set: Callable[[Param], None] = lambda param: None) -> None:
        super().__init__()
        self.params: dict[str, Param] = {}
        self.props = Properties()
        self.on_set = on_set


class Clip(Handle):
    """An input or the output."""

    def __init__(self, name: str, fetch: Callable[[str, float], Image | None]) -> None:
        super().__init__()
        self.name, self.fetch = name, fetch
        self.region: Callable[[float], tuple[float, float] | None] = lambda time: None
        """Width and height in canonical coordinates, where pixels are square; None: not told."""
        self.props = Properties(PropName=name)


class Effect(Handle):
    """A descriptor or an instance."""

    def __init__(self) -> None:
        super().__init__()
        self.props, self.params = Properties(), ParamSet()
        self.clips: dict[str, Clip] = {}
        self.aborted = False


@dataclass(frozen=True)
class Layout:
    """How images lie in memory."""

    padding: int = 0
    """Bytes after each row."""
    negative: bool = False
    """Whether the lowest row comes last in memory, so that the stride is below 0."""
    margin: int = 0
    """Pixels round the picture that the image holds as well."""


GUARD = 64
"""Bytes round each image that nobody may write to."""


class Image(Properties):
    """An image as a plug-in gets it. pixels: (height, width, channels) float32, top row first."""

    def __init__(self, pixels: Array, layout: Layout, scale: tuple[float, float], **facts: Any):
        self.writable, self.layout, m = False, layout, layout.margin
        height, width, channels = pixels.shape
        held = np.pad(pixels, ((m, m), (m, m), (0, 0)), constant_values=7)
        self.shape, row = held.shape, held.shape[1] * channels * 4
        self.stride = row + layout.padding
        self.memory = np.full(2 * GUARD + held.shape[0] * self.stride, 0xA5, np.uint8)
        coded = np.ascontiguousarray(held, np.float32).view(np.uint8).reshape(-1, row)
        self.rows()[:, :row] = coded[:: 1 if layout.negative else -1]
        self.before = self.memory.copy()
        lowest = GUARD + (held.shape[0] - 1) * self.stride if layout.negative else GUARD
        super().__init__(
            ImagePropData=self.memory.ctypes.data + lowest,
            ImagePropRowBytes=-self.stride if layout.negative else self.stride,
            ImagePropBounds=(-m, -m, width + m, height + m),
            ImagePropRegionOfDefinition=(0, 0, width, height),
            ImageEffectPropComponents=f"OfxImageComponent{'RGBA' if channels == 4 else 'Alpha'}",
            ImageEffectPropPixelDepth="OfxBitDepthFloat",
            ImageEffectPropRenderScale=scale,
            **facts,
        )

    def rows(self) -> Array:
        """The bytes, a row of memory each."""
        inner: Array = self.memory[GUARD:-GUARD].reshape(self.shape[0], self.stride)
        return inner

    def pixels(self) -> Array:
        """The picture that is in it now, as it was given."""
        row, m = self.shape[1] * self.shape[2] * 4, self.layout.margin
        coded = np.ascontiguousarray(self.rows()[:, :row][:: 1 if self.layout.negative else -1])
        held = coded.view(np.float32).reshape(self.shape)
        pixels: Array = held[m : self.shape[0] - m, m : self.shape[1] - m].copy()
        if (held == 7).sum() < held.size - pixels.size:
            faults.append("pixels outside of the window were written")
        return pixels

    def check(self) -> None:
        """Notes a fault where bytes have changed that had to stay."""
        changed = self.memory != self.before
        if self.writable:
            row = self.shape[1] * self.shape[2] * 4
            changed[GUARD:-GUARD].reshape(self.shape[0], self.stride)[:, :row] = False
        if changed.any():
            faults.append("bytes outside of an image's pixels were written")


@dataclass
class Thread(threading.local):
    """What one of the host's threads is at."""

    action: str = ""
    images: list[Image] = field(default_factory=list)
    """Fetched and not given back."""
    lent: list[Any] = field(default_factory=list)
    """The string that a plug-in may read until it calls again."""


here = Thread()


def lend(text: bytes) -> int:
    """The address of a string that is spoilt at this thread's next call: plug-ins must copy."""
    buffer = ctypes.create_string_buffer(text)
    here.lent.append(buffer)
    return ctypes.addressof(buffer)


def _spoil() -> None:
    for buffer in here.lent[-1:]:
        ctypes.memset(buffer, ord("!"), len(buffer) - 1)
    del here.lent[:-8]


def function(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """Makes a function of the host's one that C can call; an exception in it is a fault."""

    def make(body: Callable[..., Any]) -> Any:
        def called(*given: Any) -> Any:
            _spoil()
            try:
                answer = body(*given)
            except LookupError as error:
                faults.append(f"{body.__name__}: {error}")
                return ERR_BAD_HANDLE
            except Exception:
                faults.append(traceback.format_exc())
                return FAILED
            return OK if answer is None else answer

        return ctypes.CFUNCTYPE(result, *arguments)(called)

    return make

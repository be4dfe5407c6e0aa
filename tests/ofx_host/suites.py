"""The suites: tables of functions that a plug-in calls, in the order of ``sheet``."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from typing import Any

from ofx_host import objects
from ofx_host.objects import (
    ERR_BAD_INDEX,
    ERR_EXISTS,
    ERR_UNKNOWN,
    FAILED,
    Clip,
    Effect,
    Image,
    Param,
    ParamSet,
    Properties,
    faults,
    find,
    function,
    here,
    lend,
)
from ofx_host.sheet import STRUCTS

_KINDS: dict[str, tuple[Any, Any]] = {
    "Pointer": (c_void_p, int),
    "String": (c_char_p, bytes),
    "Double": (c_double, float),
    "Int": (c_int, int),
}
"""By the end of the functions' names: the type in C, and the one that is kept."""


kept: list[Any] = []
"""Functions that C may call: nothing else holds on to them."""


def table(struct: str, functions: Mapping[str, Any]) -> Any:
    """A suite; a function that is not given is noted as a fault when it is called."""
    members = [functions.get(name) or _refusal(name) for name in STRUCTS[struct]]
    kept.extend(members)
    return (c_void_p * len(members))(*(ctypes.cast(member, c_void_p) for member in members))


def _refusal(name: str) -> Any:
    @function(c_int)
    def refuse() -> int:
        faults.append(f"{name} was called")
        return FAILED

    return refuse


# Properties ---------------------------------------------------------------------------------------


def _setter(kind: Any) -> Any:
    @function(c_int, c_void_p, c_char_p, c_int, kind)
    def set_one(handle: int, name: bytes, index: int, value: Any) -> int | None:
        values = find(handle, Properties).values.setdefault(name.decode(), [])
        if not 0 <= index <= len(values):
            return ERR_BAD_INDEX
        values[index : index + 1] = [value]
        return None

    return set_one


def _getter(kind: Any, held: type) -> Any:
    @function(c_int, c_void_p, c_char_p, c_int, POINTER(c_void_p if held is bytes else kind))
    def get_one(handle: int, name: bytes, index: int, out: Any) -> int | None:
        status, value = _value(handle, name, index, held)
        if status == 0:
            out[0] = value
        return status

    return get_one


def _getter_n(kind: Any, held: type) -> Any:
    @function(c_int, c_void_p, c_char_p, c_int, POINTER(c_void_p if held is bytes else kind))
    def get_several(handle: int, name: bytes, count: int, out: Any) -> int | None:
        for index in range(count):
            status, value = _value(handle, name, index, held)
            if status:
                return status
            out[index] = value
        return None

    return get_several


def _value(handle: int, name: bytes, index: int, held: type) -> tuple[int, Any]:
    values = find(handle, Properties).values.get(name.decode())
    if values is None:
        return ERR_UNKNOWN, None
    if not 0 <= index < len(values):
        return ERR_BAD_INDEX, None
    value = values[index]
    if isinstance(value, bytes) != (held is bytes):
        raise TypeError(f"{name.decode()} holds {value!r}")
    return 0, lend(value) if held is bytes else held(value or 0)


PROPERTY = table(
    "OfxPropertySuiteV1",
    {f"propSet{name}": _setter(kind) for name, (kind, _) in _KINDS.items()}
    | {f"propGet{name}": _getter(kind, held) for name, (kind, held) in _KINDS.items()}
    | {f"propGet{name}N": _getter_n(kind, held) for name, (kind, held) in _KINDS.items()},
)


# Effects, clips, images ---------------------------------------------------------------------------


@function(c_int, c_void_p, POINTER(c_void_p))
def _effect_properties(handle: int, out: Any) -> None:
    out[0] = find(handle, Effect).props.number


@function(c_int, c_void_p, POINTER(c_void_p))
def _effect_params(handle: int, out: Any) -> None:
    out[0] = find(handle, Effect).params.number


@function(c_int, c_void_p, c_char_p, POINTER(c_void_p))
def _clip_define(handle: int, name: bytes, out: Any) -> None:
    clip = Clip(name.decode(), lambda clip, time: None)
    find(handle, Effect).clips[clip.name] = clip
    out[0] = clip.props.number


@function(c_int, c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p))
def _clip_handle(handle: int, name: bytes, out: Any, props: Any) -> int | None:
    clip = find(handle, Effect).clips.get(name.decode())
    if clip is None:
        return ERR_UNKNOWN
    out[0] = clip.number
    if props:
        props[0] = clip.props.number
    return None


@function(c_int, c_void_p, POINTER(c_void_p))
def _clip_properties(handle: int, out: Any) -> None:
    out[0] = find(handle, Clip).props.number


@function(c_int, c_void_p, c_double, c_void_p, POINTER(c_void_p))
def _clip_image(handle: int, time: float, region: int | None, out: Any) -> int | None:
    clip = find(handle, Clip)
    image = clip.fetch(clip.name, time)
    out[0] = None
    if image is None:
        return FAILED
    here.images.append(image)
    out[0] = image.number
    return None


@function(c_int, c_void_p)
def _image_release(handle: int) -> None:
    image = find(handle, Image)
    image.check()
    here.images.remove(image)
    image.drop()


@function(c_int, c_void_p, c_double, POINTER(c_double))
def _clip_region(handle: int, time: float, out: Any) -> int | None:
    region = find(handle, Clip).region(time)
    if region is None:
        return FAILED
    out[0], out[1], out[2], out[3] = 0.0, 0.0, *region
    return None


@function(c_int, c_void_p)
def _abort(handle: int) -> int:
    return int(find(handle, Effect).aborted)


EFFECT = table(
    "OfxImageEffectSuiteV1",
    {
        "getPropertySet": _effect_properties,
        "getParamSet": _effect_params,
        "clipDefine": _clip_define,
        "clipGetHandle": _clip_handle,
        "clipGetPropertySet": _clip_properties,
        "clipGetImage": _clip_image,
        "clipReleaseImage": _image_release,
        "clipGetRegionOfDefinition": _clip_region,
        "abort": _abort,
    },
)


# Parameters ---------------------------------------------------------------------------------------


@function(c_int, c_void_p, c_char_p, c_char_p, POINTER(c_void_p))
def _param_define(handle: int, kind: bytes, name: bytes, out: Any) -> int | None:
    params = find(handle, ParamSet).params
    if name.decode() in params:
        return ERR_EXISTS
    param = params[name.decode()] = Param(name.decode(), kind.decode())
    out[0] = param.props.number
    return None


@function(c_int, c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p))
def _param_handle(handle: int, name: bytes, out: Any, props: Any) -> int | None:
    param = find(handle, ParamSet).params.get(name.decode())
    if param is None:
        return ERR_UNKNOWN
    out[0] = param.number
    if props:
        props[0] = param.props.number
    return None


@function(c_int, c_void_p, c_void_p)
def _param_get(handle: int, out: int) -> None:
    """A value is one argument after the handle: no parameter of ours has more."""
    value = find(handle, Param).value
    if isinstance(value, bytes):
        c_void_p.from_address(out).value = lend(value)
    elif isinstance(value, float):
        c_double.from_address(out).value = value
    else:
        c_int.from_address(out).value = value


@function(c_int, c_void_p, c_int64, c_double)
def _param_set(handle: int, word: int, real: float) -> None:
    """An int or a pointer comes in an integer register, a double in one of its own."""
    param = find(handle, Param)
    if here.action == "OfxImageEffectActionRender":
        faults.append(f"{param.name} was set while rendering")
    if isinstance(param.value, bytes):
        param.value = ctypes.string_at(word)
    else:
        param.value = real if isinstance(param.value, float) else c_int(word).value
    for owner in _sets_of(param):
        owner.on_set(param)


def _sets_of(param: Param) -> list[ParamSet]:
    live = list(objects._live.values())
    return [s for s in live if isinstance(s, ParamSet) and s.params.get(param.name) is param]


PARAMETER = table(
    "OfxParameterSuiteV1",
    {
        "paramDefine": _param_define,
        "paramGetHandle": _param_handle,
        "paramGetValue": _param_get,
        "paramSetValue": _param_set,
    },
)

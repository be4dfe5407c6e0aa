"""The host: it loads a plug-in, describes it, makes instances of it and calls their actions."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int, c_uint, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from ofx_host.objects import (
    OK,
    REPLY_DEFAULT,
    REPLY_NO,
    Array,
    Clip,
    Effect,
    Image,
    Layout,
    Param,
    Properties,
    faults,
    function,
    here,
)
from ofx_host.suites import EFFECT, PARAMETER, PROPERTY, table

FETCH = CFUNCTYPE(c_void_p, c_void_p, c_char_p, c_int)
MAIN = CFUNCTYPE(c_int, c_char_p, c_void_p, c_void_p, c_void_p)

Frames = Callable[[str, float], "Array | None"]
"""The frame of a clip at a time, (height, width, 4 or 1) float32, top row first."""


class OfxHost(Structure):
    """As in the interface."""

    _fields_ = [("host", c_void_p), ("fetchSuite", FETCH)]


class OfxPlugin(Structure):
    """As in the interface."""

    _fields_ = [
        ("pluginApi", c_char_p),
        ("apiVersion", c_int),
        ("pluginIdentifier", c_char_p),
        ("pluginVersionMajor", c_uint),
        ("pluginVersionMinor", c_uint),
        ("setHost", CFUNCTYPE(None, POINTER(OfxHost))),
        ("mainEntry", MAIN),
    ]


class Host:
    """A host with one plug-in loaded.

    temporal: whether it gives frames at other times. without: suites that it does not have.
    cancel_after: how many steps of progress the artist lets pass.
    """

    def __init__(
        self,
        binary: Path,
        *,
        temporal: bool = True,
        without: Iterable[str] = (),
        cancel_after: int = 1 << 30,
    ) -> None:
        self.messages: list[str] = []
        self.progress: list[float] = []
        self.cancel_after = cancel_after
        suites = {
            "OfxPropertySuite": PROPERTY,
            "OfxImageEffectSuite": EFFECT,
            "OfxParameterSuite": PARAMETER,
            "OfxMessageSuite": self._message_suite(),
            "OfxProgressSuite": self._progress_suite(),
        }
        self.suites = {name: suite for name, suite in suites.items() if name not in without}
        self.props = Properties(ImageEffectPropTemporalClipAccess=int(temporal))
        self._fetch = FETCH(self._suite)
        self._given = OfxHost(self.props.number, self._fetch)
        library = ctypes.CDLL(str(binary), mode=os.RTLD_LOCAL | os.RTLD_LAZY)
        library.OfxGetPlugin.restype = POINTER(OfxPlugin)
        assert library.OfxGetNumberOfPlugins() == 1
        assert not library.OfxGetPlugin(1) and not library.OfxGetPlugin(-1)
        self.plugin: Any = library.OfxGetPlugin(0).contents
        self.plugin.setHost(ctypes.byref(self._given))
        self.loaded = self.call("OfxActionLoad")

    def _suite(self, host: int, name: bytes, version: int) -> int | None:
        suite = self.suites.get(name.decode()) if version == 1 else None
        return None if suite is None else ctypes.addressof(suite)

    def _message_suite(self) -> Any:
        @function(c_int, c_void_p, c_char_p, c_char_p, c_char_p, c_char_p)
        def message(handle: int, kind: bytes, name: bytes, form: bytes, text: bytes) -> None:
            assert form == b"%s", form
            self.messages.append(text.decode())

        return table("OfxMessageSuiteV1", {"message": message})

    def _progress_suite(self) -> Any:
        @function(c_int, c_void_p, c_char_p)
        def start(handle: int, label: bytes) -> None:
            self.progress.append(0.0)

        @function(c_int, c_void_p, c_double)
        def update(handle: int, done: float) -> int:
            self.progress.append(done)
            return OK if len(self.progress) <= self.cancel_after else REPLY_NO

        @function(c_int, c_void_p)
        def end(handle: int) -> None:
            self.progress.append(-1.0)

        functions = {"progressStart": start, "progressUpdate": update, "progressEnd": end}
        return table("OfxProgressSuiteV1", functions)

    def call(
        self,
        action: str,
        effect: Effect | None = None,
        given: Properties | None = None,
        answer: Properties | None = None,
    ) -> int:
        """Sends an action. An image that is not given back within the outermost one is a fault."""
        outer, here.action = here.action, action
        numbers = (None if each is None else each.number for each in (effect, given, answer))
        status = int(self.plugin.mainEntry(action.encode(), *numbers))
        here.action = outer
        if not outer and here.images:
            faults.append(f"{action} kept {len(here.images)} images")
            here.images.clear()
        return status

    def describe(self) -> Effect:
        """The plug-in's descriptor."""
        effect = Effect()
        assert self.call("OfxActionDescribe", effect) == OK
        return effect

    def describe_in(self, context: str) -> Effect:
        """Its descriptor in a context, ``Filter`` or ``General``."""
        effect = Effect()
        given = Properties(ImageEffectPropContext=f"OfxImageEffectContext{context}")
        assert self.call("OfxImageEffectActionDescribeInContext", effect, given) == OK
        return effect

    def instance(self, frames: Frames, context: str = "General", **options: Any) -> Instance:
        """A node; ``Instance`` says with what."""
        return Instance(self, self.describe_in(context), frames, **options)


class Instance(Effect):
    """A node in a comp.

    frames: what its inputs show. connected: the inputs that are. span: the frames that they have.
    scale: of the viewer's proxy. alpha: Premultiplied or UnPremultiplied. aspect: of a pixel.
    """

    def __init__(
        self,
        host: Host,
        described: Effect,
        frames: Frames,
        *,
        connected: Iterable[str] = ("Source",),
        span: tuple[float, float] = (1, 3),
        layout: Layout = Layout(),  # noqa: B008, a frozen value
        scale: tuple[float, float] = (1.0, 1.0),
        alpha: str = "Premultiplied",
        aspect: float = 1.0,
    ) -> None:
        super().__init__()
        self.host, self.frames, self.layout, self.scale = host, frames, layout, scale
        self.alpha, self.aspect = alpha, aspect
        self.fetched: list[tuple[str, str, float]] = []
        self.outputs: dict[float, Image] = {}
        for name, clip in described.clips.items():
            self._add_clip(clip, span, name in (*connected, "Output"))
        for param in described.params.params.values():
            self._add_param(param)
        self.params.on_set = self._edited
        assert host.call("OfxActionCreateInstance", self) == OK
        self.preferences = Properties()
        host.call("OfxImageEffectActionGetClipPreferences", self, None, self.preferences)

    def _add_clip(self, described: Clip, span: tuple[float, float], connected: bool) -> None:
        clip = Clip(described.name, self._image)
        clip.props.copy_from(described.props)
        clip.props.put("ImageClipPropConnected", int(connected))
        clip.props.put("ImageEffectPropFrameRange", *map(float, span))
        clip.props.put("ImagePropPixelAspectRatio", self.aspect)
        clip.region = self._region
        self.clips[clip.name] = clip

    def _add_param(self, described: Param) -> None:
        param = Param(described.name, described.kind)
        param.props.copy_from(described.props)
        zero = {"OfxParamTypeString": b"", "OfxParamTypeDouble": 0.0}.get(param.kind, 0)
        param.value = (param.props.values.get("OfxParamPropDefault") or [zero])[0]
        self.params.params[param.name] = param

    def _region(self, time: float) -> tuple[float, float] | None:
        source = self.frames("Source", time)
        if source is None:
            return None
        width, height = source.shape[1] / self.scale[0], source.shape[0] / self.scale[1]
        return width * self.aspect, height

    def _image(self, name: str, time: float) -> Image | None:
        self.fetched.append((here.action, name, time))
        if name == "Output":
            return self.outputs.get(time)
        pixels = self.frames(name, time)
        if pixels is None:
            return None
        return Image(
            pixels, self.layout, self.scale,
            ImageEffectPropPreMultiplication=f"OfxImageAlpha{self.alpha}",
        )  # fmt: skip

    def set(self, **values: Any) -> None:
        """Sets parameters as a project that is opened does: the plug-in is not told."""
        for name, value in values.items():
            self.params.params[name].value = value.encode() if isinstance(value, str) else value

    def get(self, name: str) -> Any:
        """The value of a parameter, text as str."""
        value = self.params.params[name].value
        return value.decode() if isinstance(value, bytes) else value

    def press(self, name: str) -> str:
        """Presses a button; returns the status that is shown afterwards."""
        assert self.changed(name, "OfxChangeUserEdited") == OK
        return str(self.get("status"))

    def _edited(self, param: Param) -> None:
        """As hosts do: what a plug-in sets comes back to it."""
        self.changed(param.name, "OfxChangePluginEdited")

    def changed(self, name: str, reason: str) -> int:
        """Tells the plug-in that a parameter has changed; the viewer is at the first frame."""
        time = self.clips["Source"].props.get("ImageEffectPropFrameRange")
        given = Properties(
            PropType="OfxTypeParameter", PropName=name, PropChangeReason=reason, PropTime=time,
            ImageEffectPropRenderScale=self.scale,
        )  # fmt: skip
        return self.host.call("OfxActionInstanceChanged", self, given)

    def is_identity(self, time: float) -> bool:
        """Whether the node passes its source on at a time."""
        answer = Properties(PropName="", PropTime=-1.0)
        status = self.host.call(
            "OfxImageEffectActionIsIdentity", self, self._task(time, None), answer
        )
        if status == REPLY_DEFAULT:
            return False
        assert (status, answer.get("PropName"), answer.get("PropTime")) == (OK, "Source", time)
        return True

    def render(
        self, time: float, window: tuple[int, int, int, int] | None = None, expect: int = OK
    ) -> Array:
        """Renders a frame: (height, width, 4), top row first; NaN where nothing was written.

        window: x1, y1, x2, y2 from the lower left; None is all of it.
        """
        source = self.frames("Source", time)
        assert source is not None
        blank = np.full(source.shape, np.nan, np.float32)
        image = self.outputs[time] = Image(blank, self.layout, self.scale)
        image.writable = True
        given = self._task(time, window or (0, 0, source.shape[1], source.shape[0]))
        assert self.host.call("OfxImageEffectActionRender", self, given) == expect
        return image.pixels()

    def _task(self, time: float, window: tuple[int, int, int, int] | None) -> Properties:
        return Properties(
            PropTime=time,
            ImageEffectPropRenderWindow=window or (0, 0, 1, 1),
            ImageEffectPropRenderScale=self.scale,
        )

    def destroy(self) -> None:
        """Ends the node."""
        assert self.host.call("OfxActionDestroyInstance", self) == OK

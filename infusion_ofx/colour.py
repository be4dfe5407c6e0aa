"""A file's encoding to scene-linear light and back, so that everything between works in light.

Three encodings are formulas of our own, exact to the last code: ``linear``, ``sRGB`` (IEC
61966-2-1) and ``Cineon`` (Kodak, "Conversion of 10-bit Log Film Data To 8-bit Linear or Video
Data", 1995). Any other name is a colour space of OpenColorIO, from $OCIO or else from the library's
studio config.

Light keeps the file's own primaries: the matrix at the end of OpenColorIO's way to the role
``scene_linear`` is left out. Mixing and training are the same on both sides of a matrix, and
saturated colours of a camera's log would lose codes in it: 32-bit floats hold a bright channel
beside a dark one, but not their sum.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from infusion_ofx.errors import JobError
from infusion_ofx.sequence.frame import Header

__all__ = ["BUILT_IN", "Encoding", "encoding"]

Array = npt.NDArray[Any]
Curve = Callable[[Array], Array]
"""Of values (N, 1 to 3), float32; gives as many, float32 or float64."""

BUILT_IN = "studio-config-v4.0.0_aces-v2.0_ocio-v2.5"
"""The config where $OCIO is not set: one by name, so that a newer library changes no pixel."""

_LOGARITHMIC = ("user defined", "printing density", "logarithmic")
_LINEAR = ("linear", "Z linear", "Z homogeneous")
_BLOCK = 1 << 16
"""Pixels at a time: scratch memory does not grow with the frame, and stays in the cache."""


@dataclass(frozen=True)
class Encoding:
    """The encoding of a file's colours. May be used by many threads at once."""

    name: str
    """For people: what it is, and why or from where."""
    decode: Curve | None = None
    """Encoded values to light; None where they are light."""
    encode: Curve | None = None
    """Its inverse."""
    mixes: bool = False
    """Whether a channel's light depends on the other two as well."""

    def to_light(self, values: Array) -> Array:
        """Encoded values (..., C) as light, float32; the array itself where they are light.

        Integer samples come as code / greatest code. The first three channels are colours; further
        ones, such as alpha, stay as they are. So do NaN and infinities.

        Raises:
            JobError: when ``check`` refuses so few channels.
        """
        return self._through(self.decode, values)

    def from_light(self, light: Array) -> Array:
        """The inverse of ``to_light``, of the same shapes; nothing is clamped or rounded."""
        return self._through(self.encode, light)

    def check(self, channels: int) -> None:
        """Looks whether so many channels of a file can be taken to light by themselves.

        Raises:
            JobError: when the encoding mixes red, green and blue, and they are not all there.
        """
        if self.mixes and channels < 3:
            raise JobError(
                f"the colour space {self.name} needs red, green and blue at once, and the job has "
                f"{channels} channel{'s' * (channels > 1)}",
                "give three --channels, or a --colorspace that is one curve for each channel",
            )

    def _through(self, curve: Curve | None, values: Array) -> Array:
        if curve is None:
            return values
        channels = values.shape[-1]
        self.check(channels)
        out = np.array(values, np.float32, order="C")
        pixels = out.reshape(-1, channels)[:, :3]
        with np.errstate(all="ignore"):
            for start in range(0, len(pixels), _BLOCK):
                block = pixels[start : start + _BLOCK]
                block[...] = np.where(np.isfinite(block), curve(block), block)
        return out


def encoding(name: str, header: Header) -> Encoding:
    """The encoding that a plate is in.

    name: ``auto``, which goes by the header alone; ``linear``, ``sRGB`` or ``Cineon``; or a colour
    space, an alias or a role of OpenColorIO's config. Upper and lower case are one.

    Raises:
        JobError: when there is no such colour space, it has no way to light and back, or the
            config cannot be read.
    """
    if name.casefold() == "auto":
        return _auto(header)
    own = next((own for own in _OWN if own.casefold() == name.casefold()), None)
    return Encoding(own, *_OWN[own]) if own else _managed(name)


def _auto(header: Header) -> Encoding:
    """What the format and the DPX transfer tag say; no other tag is believed."""
    types = {channel.type for part in header.parts for channel in part.channels}
    if header.format == "openexr" or types & {"half", "float"} or header.transfer in _LINEAR:
        own = "linear"
    else:
        own = "Cineon" if header.transfer in _LOGARITHMIC else "sRGB"
    seen = f"transfer {header.transfer!r}" if header.transfer else "/".join(sorted(types))
    return Encoding(f"{own} (auto: {header.format}, {seen})", *_OWN[own])


# The standard breaks at 0.04045, rounded from where its line and its power meet. The exact place
# makes the curve continuous, and no 8 to 16 bit code lies between the two.
_SRGB_BREAK = 0.0404482362771082


def _srgb_light(values: Array) -> Array:
    """IEC 61966-2-1, odd: values below 0 mirror those above, those above 1 follow the power."""
    size = np.abs(values.astype(np.float64))
    light = np.where(size <= _SRGB_BREAK, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)
    return np.copysign(light, values)


def _srgb_values(light: Array) -> Array:
    size = np.abs(light.astype(np.float64))
    power = 1.055 * size ** (1 / 2.4) - 0.055
    return np.copysign(np.where(size <= _SRGB_BREAK / 12.92, size * 12.92, power), light)


# Kodak: 10-bit code 685 is white (light 1), 95 black (0); 0.002 density for a code, film gamma 0.6.
_CODES = 1023
_RATE = 0.002 / 0.6 * math.log(10)
_BLACK = math.exp((95 - 685) * _RATE)
_FLOOR = (math.exp(-685 * _RATE) - _BLACK) / (1 - _BLACK)
_SLOPE = _CODES * _RATE * math.exp(-685 * _RATE) / (1 - _BLACK)


def _cineon_light(values: Array) -> Array:
    """Kodak's curve without a soft clip: codes below black are light below 0.

    Values below code 0 go on along its tangent: the curve itself has no inverse there.
    """
    values = values.astype(np.float64)
    exposure = np.exp((_CODES * np.maximum(values, 0) - 685) * _RATE)
    light: Array = (exposure - _BLACK) / (1 - _BLACK) + _SLOPE * np.minimum(values, 0)
    return light


def _cineon_values(light: Array) -> Array:
    light = light.astype(np.float64)
    exposure = np.maximum(light, _FLOOR) * (1 - _BLACK) + _BLACK
    below = np.minimum(light - _FLOOR, 0) / _SLOPE
    values: Array = (685 + np.log(exposure) / _RATE) / _CODES + below
    return values


_OWN: dict[str, tuple[Curve | None, Curve | None]] = {
    "linear": (None, None),
    "sRGB": (_srgb_light, _srgb_values),
    "Cineon": (_cineon_light, _cineon_values),
}


def _managed(name: str) -> Encoding:
    """A colour space of OpenColorIO."""
    import PyOpenColorIO as ocio

    path = os.environ.get("OCIO", "")
    source = f"$OCIO {path!r}" if path else f"{BUILT_IN} ($OCIO is not set)"
    if path and not path.startswith("ocio://") and not os.path.isfile(path):  # a FIFO would hang
        raise JobError(f"$OCIO is {path!r}, which is no file", "mend or unset it")
    try:
        create = ocio.Config.CreateFromFile if path else ocio.Config.CreateFromBuiltinConfig
        return _space(ocio, name, create(path or BUILT_IN), source)
    except (ocio.Exception, ocio.ExceptionMissingFile, TypeError, ValueError) as error:
        # The last two are what the binding raises over bytes that are no text.
        text = "".join(c if c.isprintable() else " " for c in str(error))
        raise JobError(
            f"OpenColorIO cannot use the colour space {name!r} of {source}: "
            f"{' '.join(text.split())[:500].rstrip('.')}",
            "mend the config, or give --colorspace linear, sRGB or Cineon",
        ) from error


def _space(ocio: Any, name: str, config: Any, source: str) -> Encoding:
    space = config.getColorSpace(name)
    if space is None:
        raise JobError(f"there is no colour space {name!r} in {source}", _near(name, config))
    way = _way_to_light(ocio, config, space, source)
    there, back = (
        config.getProcessor(way, direction).getOptimizedCPUProcessor(
            ocio.BIT_DEPTH_F32, ocio.BIT_DEPTH_F32, ocio.OPTIMIZATION_LOSSLESS
        )
        for direction in (ocio.TRANSFORM_DIR_FORWARD, ocio.TRANSFORM_DIR_INVERSE)
    )
    told = f"{space.getName()!r} of {source}"
    if there.isNoOp():
        return Encoding(told)
    return Encoding(told, _curve(there), _curve(back), there.hasChannelCrosstalk())


def _way_to_light(ocio: Any, config: Any, space: Any, source: str) -> Any:
    """OpenColorIO's transforms from a colour space to linear light in the space's own primaries.

    A display's space goes to the light that the display gives off: no view transform is undone.
    """
    on_display = space.getReferenceSpaceType() == ocio.REFERENCE_SPACE_DISPLAY
    role = "cie_xyz_d65_interchange" if on_display else "scene_linear"
    if not config.hasRole(role):
        raise JobError(
            f"{source} has no role {role!r}, so nothing says what light is",
            "add the role, or give --colorspace linear, sRGB or Cineon",
        )
    whole = config.getProcessor(space.getName(), role)
    steps = list(whole.getOptimizedProcessor(ocio.OPTIMIZATION_LOSSLESS).createGroupTransform())
    if steps and isinstance(steps[-1], ocio.MatrixTransform) and not any(steps[-1].getOffset()):
        steps.pop()
    return ocio.GroupTransform(steps)


def _curve(processor: Any) -> Curve:
    """A processor as a function of values; one or two channels stand in for the ones missing."""

    def apply(values: Array) -> Array:
        channels = values.shape[1]
        rgb = np.take(values, [min(place, channels - 1) for place in range(3)], axis=1)
        processor.applyRGB(rgb)
        return rgb[:, :channels]

    return apply


def _near(name: str, config: Any) -> str:
    """A hint that names the likeliest spaces of a config."""
    known = {_plain(own): own for own in _OWN}
    for space in config.getColorSpaces():
        known |= {
            _plain(called): space.getName() for called in (space.getName(), *space.getAliases())
        }
    known |= {_plain(role): role for role in config.getRoleNames()}
    wanted = _plain(name)
    near = [key for key in known if wanted and wanted in key]
    near += difflib.get_close_matches(wanted, known, n=4, cutoff=0.5)
    names = list(dict.fromkeys(known[key] for key in near or known))
    listed = ", ".join(map(repr, names[:8])) + (" and others" if len(names) > 8 else "")
    return f"{'near are' if near else 'it has'} {listed}"


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))

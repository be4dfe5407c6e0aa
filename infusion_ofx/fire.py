"""A fire, made: light that burns like one, with a truth behind whatever is put before it.

A small gas simulation (Stam 1999, "Stable Fluids"; vorticity confinement: Fedkiw, Stam, Jensen
2001, "Visual Simulation of Smoke"): heat is born in a restless bed, rises, is stretched and torn by
turbulence that rises with it, cools, and glows as a black body. Three sheets of it lie behind each
other. Lengths are in picture heights, y upwards from the bottom, times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "blurred", "fire"]

RATE = 24  # frames a second
SUBSTEPS = 4  # of the simulation in a frame; the shutter is open for the first half of them
WARM_UP = 20  # frames before the first, in which the flames grow
SHEETS = 3
CELLS = 1.3  # simulation cells a pixel

Array = NDArray[Any]


@dataclass(frozen=True)
class _Box:
    """The box that the gas moves in: wider and higher than the picture, periodic to the sides."""

    x: Array  # (columns,) in picture heights from the middle
    y: Array  # (rows,) in picture heights from the picture's bottom, upwards
    cells: float  # a picture height
    aspect: float

    @classmethod
    def round(cls, width: int, height: int) -> _Box:
        # Multiples of 12 have no large prime factor at these sizes, which Fourier transforms like.
        columns, rows = (
            max(int(n * CELLS * more) // 12, 2) * 12 for n, more in ((width, 1.35), (height, 1.5))
        )
        cells = height * CELLS
        return cls(
            (np.arange(columns) - (columns - 1) / 2) / cells,
            (np.arange(rows) + 0.5) / cells - 0.03,
            cells,
            width / height,
        )


def fire(seed: int, frames: int, width: int, height: int) -> Array:
    """Scene-linear light of the fire, (T, H, W, 3) float32, without grain."""
    box = _Box.round(width, height)
    rows = _resampling(box.y, (np.arange(height)[::-1] + 0.5) / height, 0.5 / height)
    columns = _resampling(box.x, (np.arange(width) + 0.5 - width / 2) / height, 0.5 / height).T
    light = np.zeros((frames, 3, height, width), np.float32)
    for step, heat in enumerate(_burn(seed, box, (WARM_UP + frames) * SUBSTEPS)):
        frame, part = divmod(step - WARM_UP * SUBSTEPS, SUBSTEPS)
        if frame >= 0 and part < SUBSTEPS // 2:
            light[frame] += _product(rows, _glow_of(heat).sum(axis=1) / (SUBSTEPS // 2), columns)
    light += _embers(np.random.default_rng((seed, 2)), light.shape)
    glow = sum(
        part * blurred(light, sigma) for part, sigma in ((0.06, 0.015), (0.025, 0.09), (0.012, 0.3))
    )
    return np.moveaxis(light + glow + np.float32(0.0015), 1, -1)


def _burn(seed: int, box: _Box, steps: int) -> Iterator[Array]:
    """The heat of each sheet, (sheets, rows, columns) in 0..1, step after step."""
    rng = np.random.default_rng(seed)
    source, gusts = _Source(rng, box), _Gusts(rng, box)
    rows, columns = len(box.y), len(box.x)
    kx, ky = np.meshgrid(np.fft.rfftfreq(columns), np.fft.fftfreq(rows))
    kx, ky = kx.astype(np.float32), ky.astype(np.float32)
    square = np.where(kx**2 + ky**2 == 0, 1, kx**2 + ky**2)
    here = np.meshgrid(np.arange(columns), np.arange(rows))
    drift = _updraught(box)
    ends = np.clip((box.y + 0.03) / 0.02, 0, 1) * (1 - 0.3 * np.clip((box.y - 1.2) / 0.15, 0, 1))
    gas = np.zeros((3, SHEETS, rows, columns), np.float32)  # speed across, speed up, heat
    step = 1 / (RATE * SUBSTEPS)
    for n in range(steps):
        gas[2] = np.maximum(gas[2], source.at(n * step))
        gas[1] += step * 5 * box.cells * gas[2]
        gas[:2] += step * 14 * _swirl(gas[0], gas[1])
        gas[:2] *= (ends * (1 - 1.5 * step))[:, None]
        moved = (gas[:2] + box.cells * (drift[:, None] + gusts.at(n * step))) * step
        gas = _carried(gas, here[0] - moved[0], here[1] - moved[1])
        across, up = np.fft.rfft2(gas[0]), np.fft.rfft2(gas[1])
        spread = (kx * across + ky * up) / square  # what must go for the flow to keep its volume
        gas[0] = np.fft.irfft2(across - kx * spread, s=(rows, columns))
        gas[1] = np.fft.irfft2(up - ky * spread, s=(rows, columns))
        gas[2] = np.maximum(gas[2] - step * (1.7 * gas[2] ** 2 + 0.8), 0)
        yield gas[2]


class _Source:
    """Where heat is born: a bed along the bottom whose strength wanders."""

    def __init__(self, rng: np.random.Generator, box: _Box) -> None:
        across = box.x / box.aspect
        waves = rng.uniform(1.2, 9, (2, SHEETS, 28, 1))
        self.pace = rng.normal(0, 1, waves.shape) * (3 + 1.3 * waves)
        self.phase = 2 * np.pi * (waves * across + rng.uniform(0, 1, waves.shape))
        self.weight = waves**-0.55 / np.sqrt((waves**-1.1).sum(axis=2, keepdims=True) / 2)
        self.bed = np.exp(-((np.abs(across) / 0.47) ** 6))
        self.y = box.y[:, None]

    def at(self, seconds: float) -> Array:
        """Least heat, (sheets, rows, columns)."""
        strength, lift = (self.weight * np.sin(self.phase + self.pace * seconds)).sum(axis=2)
        born = np.clip(0.8 * strength + 0.35, 0, 1) * self.bed
        shape = np.exp(-(((self.y - 0.012 * lift[:, None] - 0.01) / 0.03) ** 2))
        return np.asarray(born[:, None] * shape, np.float32)


class _Gusts:
    """Turbulence without divergence that rises and changes: a sum of plane shear waves."""

    def __init__(self, rng: np.random.Generator, box: _Box) -> None:
        size = rng.uniform(5, 26, (SHEETS, 24, 1))
        angle, phase = rng.uniform(0, 2 * np.pi, (2, *size.shape))
        self.wave = np.stack([np.cos(angle), np.sin(angle)]) * size
        self.pace = rng.normal(0, 0.18, size.shape) * size - 1.2 * self.wave[1]  # 1.2: they rise
        weight = size**-0.7 / np.sqrt((size**-1.4).sum(axis=1, keepdims=True) / 2)
        across = self.wave[0] * box.x + phase
        self.across = np.concatenate([np.sin(across), np.cos(across)], axis=1, dtype=np.float32)
        self.up = np.exp(1j * self.wave[1] * box.y)
        self.weight = np.stack([self.wave[1], -self.wave[0]]) / size * weight
        self.strength = 0.6 * np.clip(3 * box.y + 0.15, 0, 1)[:, None]

    def at(self, seconds: float) -> Array:
        """Speed across and up in picture heights a second, (2, sheets, rows, columns)."""
        waves = self.weight * np.exp(1j * self.pace * seconds) * self.up
        rows = np.concatenate([waves.real, waves.imag], axis=2, dtype=np.float32)
        return np.asarray(self.strength * np.einsum("dsnr,snc->dsrc", rows, self.across))


def _updraught(box: _Box) -> Array:
    """The steady flow, (2, rows, columns): faster with height, drawn to the middle as it rises."""
    across, y = np.meshgrid(box.x / box.aspect, np.maximum(box.y, 0))
    inwards = -0.5 * across * np.exp(-((across / 0.6) ** 4)) * np.clip(2 * y, 0, 1)
    up = (0.35 + 1.5 * np.sqrt(np.minimum(y, 1.3))) * np.exp(-((across / 0.55) ** 4))
    return np.stack([inwards, up * (1 - np.clip((y - 1.2) / 0.15, 0, 1))])


def _swirl(across: Array, up: Array) -> Array:
    """Vorticity confinement: the push that gives back the small eddies which the grid eats."""
    spin = _slope(up, 2) - _slope(across, 1)
    x, y = _slope(np.abs(spin), 2), _slope(np.abs(spin), 1)
    push = spin / (np.sqrt(x**2 + y**2) + 5e-4)
    return np.stack([y * push, -x * push])


def _slope(field: Array, axis: int) -> Array:
    return np.asarray((np.roll(field, -1, axis) - np.roll(field, 1, axis)) / 2)


def _carried(fields: Array, x: Array, y: Array) -> Array:
    """Fields (N, sheets, rows, columns) looked up bilinearly at x, y in cells; the box wraps."""
    count, sheets, rows, columns = fields.shape
    left, low = np.floor(x), np.floor(y)
    right_part, high_part = (x - left).astype(np.float32), (y - low).astype(np.float32)
    x0, x1 = ((left.astype(np.int32) + side) % columns for side in (0, 1))
    sheet = np.arange(sheets, dtype=np.int32)[:, None, None] * rows
    ends = ((sheet + (low.astype(np.int32) + side) % rows) * columns for side in (0, 1))
    flat = fields.reshape(count, -1)
    bottom, top = (
        flat.take(row + x0, axis=1) * (1 - right_part) + flat.take(row + x1, axis=1) * right_part
        for row in ends
    )
    return np.asarray(bottom * (1 - high_part) + top * high_part)


def _glow_of(heat: Array) -> Array:
    """Light (3, ...) of heat in 0..1: a black body of 800 to 2200 K seen at a 7000 K white.

    Planck's law at 612, 549 and 465 nm. Thin, cool gas is also clear. Red peaks at 30.
    """
    colour = 1.4388e-2 / np.array([612e-9, 549e-9, 465e-9]).reshape(3, *[1] * heat.ndim)  # kelvin
    white, density = np.expm1(colour / 7000), np.minimum(heat / 0.12, 1) ** 1.5
    scale = 30 * white * (np.expm1(colour / 2200) / white)[0]
    return np.asarray(scale / np.expm1(colour / (800 + 1400 * heat)) * density)


def _embers(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The bed of embers, (T, 3, H, W): dim red patches along the bottom that breathe."""
    frames, _, height, width = shape
    x, y = np.arange(width) / height, 1 - (np.arange(height) + 0.5) / height
    waves, phase, pace = rng.uniform(12, 70, 16), rng.uniform(0, 6.3, 16), rng.normal(0, 2, 16)
    turned = phase + pace * np.arange(frames)[:, None, None] / RATE
    bright = np.exp(4.8 * np.sin(waves * x[:, None] + turned).mean(axis=-1))
    bed = np.exp(-((y[:, None] / (0.02 + 0.008 * np.sin(9 * x))) ** 2))
    red = np.array([[[0.30]], [[0.035]], [[0.004]]])
    return np.asarray(red * (bright[:, None] * bed)[:, None], np.float32)


def _resampling(source: Array, targets: Array, reach: float) -> Array:
    """Weights (targets, source) of a tent filter at least as wide as a source cell."""
    reach = max(2 * reach, 1.0 * float(source[1] - source[0]))
    weights = np.maximum(1 - np.abs(targets[:, None] - source) / reach, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def blurred(light: Array, sigma: float) -> Array:
    """Gaussian blur of (..., H, W), sigma in picture heights; black beyond the frame."""
    height, width = light.shape[-2:]

    spread, sides = np.float32(height * sigma), (np.arange(height), np.arange(width))
    down, across = (
        np.exp(-0.5 * ((at[:, None] - at) / spread) ** 2, dtype=np.float32) for at in sides
    )
    return _product(down, light / (2 * np.pi * spread**2), across)


def _product(left: Array, middle: Array, right: Array) -> Array:
    """left @ middle @ right without the linear algebra library, whose threads change roundings."""
    half = np.einsum("ij,...jk->...ik", left, middle)
    return np.asarray(np.einsum("...ij,jk->...ik", half, right))

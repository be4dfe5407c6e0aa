"""Examines a result frame by frame: law 1, seam and flicker, and the frames for the viewer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from infusion_ofx.law import differing
from infusion_ofx.material import Material
from infusion_ofx.preview import COLUMNS, crops, rgb
from infusion_ofx.report.pack import Block, pack
from infusion_ofx.report.results import open_result
from infusion_ofx.score import frame_scores, peak_of
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import read_ahead
from infusion_ofx.sheet import averaged, displayed, evenly

__all__ = ["Budget", "Checked", "Examined", "examine", "worst"]

PROXY_WIDTH = 640  # pixels across, at most
REGION_SIDE = 640  # pixels; of a larger region the middle is shown
THUMBNAIL_WIDTH = 120  # pixels of a side
SHIFT = 4  # bits of the proxy's halves that are rounded away: 1 part in 128 is left
SAID = 1000  # bytes that a page says of a frame besides, at most
AHEAD = 1 << 30  # bytes of frames that wait to be looked at; less where the job's memory is small
RING = 16  # pixels round the hole that its movement is held against

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Budget:
    """Bytes that the frames may take of the page, as text."""

    shot: int = 26_000_000
    """All frames in small, and what is said of them."""
    region: int = 13_000_000
    """Those at 1:1."""


@dataclass(frozen=True)
class Checked:
    """What was found in one frame."""

    frame: int
    outside: int | None
    """Samples that differ from the plate where the matte is 0; None where no plate is there
    to compare with: it was missing, or the result has replaced it."""
    filled: int
    """Pixels where it is not."""
    seam: float
    """score.py's, 1 is ideal; NaN where there is no hole."""
    flicker: float
    """score.py's ``frame_difference`` to the frame before, held against the surroundings."""

    @property
    def fault(self) -> float:
        """How far off the frame is, in octaves: the worse of seam and flicker; 0 is ideal."""
        found = [abs(math.log2(v)) for v in (self.seam, self.flicker) if v > 0 and math.isfinite(v)]
        return max(found, default=0.0)


@dataclass
class Examined:
    """A result as the page shows it."""

    size: tuple[int, int]
    """Width and height of the plate's display window."""
    factor: int
    """Pixels of the plate across one of the proxy."""
    thumbnail: bytes
    """A PNG of the middle frame, plate and result of the region side by side."""
    checks: list[Checked] = field(default_factory=list)
    shot: dict[int, Block] = field(default_factory=dict)
    """Every frame in small."""
    region: dict[int, Block] = field(default_factory=dict)
    """The hole and its surroundings in the plate's own pixels, of as many frames as there is room
    for, the worst first."""
    region_size: tuple[int, int] = (0, 0)

    @property
    def proxy(self) -> tuple[int, int]:
        """Width and height of the proxy."""
        return -(-self.size[0] // self.factor), -(-self.size[1] // self.factor)


@dataclass(frozen=True)
class _Pair:
    """A frame of the plate and of the result over the display window, in light."""

    frame: int
    plate: Array
    result: Array
    box: Box
    """Of the hole."""
    alpha: Array
    outside: int | None
    display: Box

    @property
    def nbytes(self) -> int:
        return int(self.plate.nbytes + self.result.nbytes)

    def matte(self, box: Box) -> Array:
        """The matte over a box, (height, width)."""
        whole = np.zeros((box.height, box.width), np.float32)
        both = box.intersect(self.box)
        whole[box.slices(both)] = self.alpha[self.box.slices(both)]
        return whole

    def cut(self, box: Box) -> tuple[Array, Array]:
        """Plate and result within a box of the display window."""
        inner = self.display.slices(box)
        return self.plate[inner], self.result[inner]


def examine(
    material: Material,
    frames: Sequence[int],
    on_frame: Callable[[int], None] = lambda done: None,
    budget: Budget = Budget(),  # noqa: B008, a frozen value
) -> Examined:
    """Reads plate and result of the given frames, and measures them.

    frames: those that the result has; one at least. on_frame: told how many are done. budget: the
    proxies get coarser, and fewer frames are there at 1:1, until both keep to it.

    Raises:
        SequenceError: when a frame cannot be read.
    """
    display = material.plate.header(frames[0]).display
    middle = _pair(material, frames[len(frames) // 2])
    size = (display.width, display.height)
    found = Examined(size, _factor(material, frames, budget.shot), _thumbnail(middle))
    peak = peak_of(middle.plate[middle.matte(display) == 0])
    before: _Pair | None = None
    for pair in _pairs(material, frames):
        found.checks.append(_checked(before, pair, peak))
        found.shot[pair.frame] = _proxy(pair, found.factor)
        before = pair
        on_frame(len(found.checks))
    while sum(map(_taken, found.shot.values())) > budget.shot and found.factor < max(size):
        found.factor = _coarser(found.factor)
        found.shot = {pair.frame: _proxy(pair, found.factor) for pair in _pairs(material, frames)}
    _add_regions(found, material, budget.region)
    return found


def worst(checks: Sequence[Checked], count: int = 5) -> list[int]:
    """The frames that are furthest off, worst first; those that are fine are not among them."""
    order = sorted(checks, key=lambda check: -check.fault)
    return [check.frame for check in order[:count] if check.fault > 0.25]


def _pairs(material: Material, frames: Sequence[int]) -> Iterator[_Pair]:
    budget = min(int(material.job.memory * 2**30 / 8), AHEAD)
    for _, pair in read_ahead(frames, lambda f: _pair(material, f), budget=budget, threads=2):
        yield pair


def _pair(material: Material, frame: int) -> _Pair:
    plate, result = material.plate, open_result(material, frame)
    display, hole = plate.header(frame).display, material.hole(frame)
    light = [
        rgb(material.colour.to_light(each.read(frame, display)).astype(np.float32))
        for each in (plate, result)
    ]
    ours, theirs = result.header(frame), plate.header(frame)
    black = material.job.missing == "black" and frame in plate.missing
    gone = black or ours.path.samefile(theirs.path)
    outside = None if gone else differing(ours, theirs, hole.alpha, hole.box)
    return _Pair(frame, light[0], light[1], hole.box, hole.alpha, outside, display)


def _checked(before: _Pair | None, pair: _Pair, peak: float) -> Checked:
    seam = flicker = math.nan
    if not pair.box.empty:
        both = [pair] if before is None else [before, pair]
        box = both[0].box.union(pair.box).grow(RING).intersect(pair.display)
        cuts = [each.cut(box) for each in both]
        seam, flicker = frame_scores(
            [result for _, result in cuts], [plate for plate, _ in cuts],
            [each.matte(box) > 0 for each in both], peak=peak,
        )  # fmt: skip
    return Checked(pair.frame, pair.outside, int(np.count_nonzero(pair.alpha)), seam, flicker)


def _proxy(pair: _Pair, factor: int) -> Block:
    plate, result = averaged(pair.plate, factor), averaged(pair.result, factor)
    matte = averaged(pair.matte(pair.display), factor)
    return _packed(plate, result, matte, SHIFT)


def _packed(plate: Array, result: Array, matte: Array, shift: int) -> Block:
    """A block whose box holds all of the matte and all else that differs, wherever it is."""
    apart = (plate != result) & ~(np.isnan(plate) & np.isnan(result))
    changed = apart.any(-1) | (matte > 0)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    box = Box(0, 0, 0, 0)
    if len(rows):
        box = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    inner = matte[box.top : box.bottom, box.left : box.right]
    return pack(plate, result, box, inner, shift=shift)


def _factor(material: Material, frames: Sequence[int], room: int) -> int:
    """The least factor with which all proxies fit, if all are like some over the shot."""
    display = material.plate.header(frames[0]).display
    factor = max(1, -(-display.width // PROXY_WIDTH))
    for pair in _pairs(material, evenly(frames, COLUMNS)):
        while _taken(_proxy(pair, factor)) * len(frames) > room and factor < max(
            display.width, display.height
        ):
            factor = _coarser(factor)
    return factor


def _coarser(factor: int) -> int:
    return factor + max(1, factor // 8)


def _taken(block: Block) -> int:
    """Bytes of the page that a frame of the shot takes."""
    return len(block["text"]) + SAID


def _add_regions(found: Examined, material: Material, room: int) -> None:
    """Adds frames at 1:1, the worst first, then five over the shot, then the rest, while there is
    room."""
    held = [check.frame for check in found.checks if check.filled]
    if not held:
        return
    first = [*worst(found.checks), *evenly(held, COLUMNS)]
    order = list(dict.fromkeys([*first, *held]))
    boxes = dict(zip(held, _regions(material, held), strict=True))
    found.region_size = (boxes[held[0]].width, boxes[held[0]].height)
    for pair in _pairs(material, order):
        plate, result = pair.cut(boxes[pair.frame])
        block = _packed(plate, result, pair.matte(boxes[pair.frame]), 0)
        room -= len(block["text"])
        if room < 0:
            return
        found.region[pair.frame] = block


def _thumbnail(pair: _Pair) -> bytes:
    (box,) = crops([pair.box.intersect(pair.display)], pair.display)
    factor = max(1, -(-box.width // THUMBNAIL_WIDTH))
    sides = [displayed(averaged(light, factor)) for light in pair.cut(box)]
    file = BytesIO()
    Image.fromarray(np.concatenate(sides, 1)).save(file, "PNG")
    return file.getvalue()


def _regions(material: Material, frames: Sequence[int]) -> list[Box]:
    display = material.plate.header(frames[0]).display
    holes = [material.hole(frame).box.intersect(display) for frame in frames]
    return [_middle(box) for box in crops(holes, display)]


def _middle(box: Box) -> Box:
    height, width = min(box.height, REGION_SIDE), min(box.width, REGION_SIDE)
    top, left = box.top + (box.height - height) // 2, box.left + (box.width - width) // 2
    return Box(top, left, top + height, left + width)

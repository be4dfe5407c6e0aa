"""Plan: what part of each frame is worked on, and in which windows. Pure arithmetic on boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import prod

from infusion_ofx.sequence.frame import Box

__all__ = ["Plan", "Window", "covered", "make", "spans", "tiles"]

_NONE = Box(0, 0, 0, 0)

_LEVEL = 1.5
"""How much more may be loaded so that a stretch of frames has one box."""


@dataclass(frozen=True)
class Window:
    """A block of frames and pixels that the network sees at once."""

    start: int
    """First frame, counted from 0 in the shot."""
    stop: int
    """One past the last frame."""
    box: Box

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        return self.stop - self.start, self.box.height, self.box.width

    @property
    def frames(self) -> range:
        """The frames that it covers."""
        return range(self.start, self.stop)

    @property
    def voxels(self) -> int:
        """Pixels times frames."""
        return prod(self.size)

    def grown(self, n: int, frame: Box) -> Window:
        """The window with ``n`` more pixels at each side, as far as the frame goes."""
        return replace(self, box=self.box.grow(n).intersect(frame))

    def later(self, n: int) -> Window:
        """The window ``n`` frames further on."""
        return replace(self, start=self.start + n, stop=self.stop + n)

    def away(self, i: int) -> int:
        """How many frames lie between it and frame i: 0 within."""
        return max(self.start - i, i - self.stop + 1, 0)


@dataclass(frozen=True)
class Plan:
    """Where the work is. Lists run over the frames of the shot; where holes lie far apart, over all
    frames once for each region (regions.py), one after the other. No window or block goes on from
    one into the next."""

    windows: tuple[Window, ...]
    """Sampling windows; they overlap, and together they cover every pixel of the hole."""
    sampled: tuple[Box, ...]
    """What the windows cover of each frame; empty where no window does."""
    region: tuple[Box, ...]
    """What is loaded of each frame: at least ``trained``."""
    trained: tuple[Box, ...]
    """What the network learns from of each frame: at least ``sampled``."""
    blocks: tuple[Window, ...]
    """What is filled with patches at once: stretches of frames with one box each, which lie in
    ``region``, cover the windows, and may share frames. The prior looks at no more either."""
    holes: tuple[Box, ...]
    """Round what is to be filled of each frame; empty where there is nothing."""
    regions: int = 1
    """How many there are."""
    scale: int = 1
    """How many times smaller the hole is made up first; engine/scales.py."""

    @property
    def length(self) -> int:
        """Frames of the shot."""
        return len(self.region) // self.regions

    @property
    def parts(self) -> list[slice]:
        """Where in the lists each region is."""
        count = self.length
        return [slice(i * count, (i + 1) * count) for i in range(self.regions)]

    @cached_property
    def reached(self) -> tuple[Box, ...]:
        """What each frame has of the blocks that it is in, or of its region's nearest one."""
        found = list[Box]()
        for part in self.parts:
            own = [block for block in self.blocks if part.start <= block.start < part.stop]
            found += _region([block.later(-part.start) for block in own], self.length)
        return tuple(found)

    @property
    def voxels(self) -> int:
        """Pixels times frames that are loaded."""
        return sum(box.height * box.width for box in self.region)

    def joined(self, other: Plan) -> Plan:
        """The plan with another's windows too, which lie in this one's blocks."""
        sampled, trained = (
            tuple(_around(pair) for pair in zip(mine, theirs, strict=True))
            for mine, theirs in ((self.sampled, other.sampled), (self.trained, other.trained))
        )
        windows = self.windows + other.windows
        return replace(self, windows=windows, sampled=sampled, trained=trained)

    def finer(self, context: int) -> Plan | None:
        """The plan with its windows cut into tiles of about half the side, which overlap by twice
        the ``context``; None where they are too small to be cut."""
        windows: list[Window] = []
        for window in self.windows:
            side = (max(window.box.height, window.box.width) + 1) // 2 + context
            windows += [replace(window, box=b) for b in tiles(window.box, side, 2 * context)]
        if max((w.voxels for w in windows), default=0) > 0.8 * max(w.voxels for w in self.windows):
            return None
        return replace(self, windows=tuple(windows))

    def then(self, other: Plan) -> Plan:
        """The plan with another's regions after its own."""
        start = len(self.region)
        return Plan(
            self.windows + tuple(window.later(start) for window in other.windows),
            self.sampled + other.sampled,
            self.region + other.region,
            self.trained + other.trained,
            self.blocks + tuple(block.later(start) for block in other.blocks),
            self.holes + other.holes,
            self.regions + other.regions,
            max(self.scale, other.scale),
        )


def make(
    holes: Sequence[Box],
    frame: Box,
    *,
    frames: int,
    overlap: int,
    context: int,
    reach: int,
    near: int,
    tile: int,
    voxels: int,
    block: int,
    around: int = 0,
) -> Plan:
    """Lays out the work in one region.

    holes: the hole's box in each frame, empty where there is none. frame: the pixels that there
    are. frames, overlap, context, reach, near, tile: as in Recipe. voxels: most pixels times frames
    to load; the hole and its context are loaded even when they are more. block: most of them in one
    of the plan's blocks, if a window is not more. around: as ``reach``, what is loaded, if that is
    to be more than blocks have.
    """
    windows = tuple(_windows(holes, frame, frames, overlap, context, tile))
    sampled = covered(windows, len(holes))
    blocks = _blocks(windows, frame, reach, block)
    few, many = 0, max(reach, around) if blocks else 0
    while few < many:
        middle = (few + many + 1) // 2
        region = _region([block.grown(middle, frame) for block in blocks], len(holes))
        if sum(box.height * box.width for box in region) <= voxels:
            few = middle
        else:
            many = middle - 1
    loaded, grown, close = (
        [block.grown(n, frame) for block in blocks] for n in (few, min(reach, few), min(near, few))
    )
    region, trained = (_region(each, len(holes)) for each in (loaded, close))
    return Plan(windows, sampled, region, trained, tuple(grown), tuple(holes))


def starts(length: int, size: int, overlap: int) -> list[int]:
    """Where windows of ``size`` start so that they cover 0 .. length and share ``overlap`` or more.

    They are spread evenly; the first starts at 0 and the last ends at length.
    """
    if length <= size:
        return [0]
    count = -(-(length - size) // max(size - overlap, 1)) + 1
    return [round(i * (length - size) / (count - 1)) for i in range(count)]


def _windows(
    holes: Sequence[Box], frame: Box, frames: int, overlap: int, context: int, tile: int
) -> Iterator[Window]:
    for start in starts(len(holes), frames, overlap):
        stop = min(start + frames, len(holes))
        hole = _around(holes[start:stop])
        if hole.empty:
            continue
        whole = hole.grow(context).intersect(frame)
        for box in tiles(whole, tile, 2 * context):
            if any(not box.intersect(h).empty for h in holes[start:stop]):
                yield Window(start, stop, box)


def covered(windows: Sequence[Window], frames: int) -> tuple[Box, ...]:
    """The box round the windows that each of so many frames is in; empty where it is in none."""
    return tuple(_around(w.box for w in windows if w.start <= i < w.stop) for i in range(frames))


def spans(windows: Sequence[Window]) -> dict[tuple[int, int], Box]:
    """The box round the windows of the same frames, by first frame and one past the last."""
    found: dict[tuple[int, int], Box] = {}
    for window in windows:
        span = (window.start, window.stop)
        found[span] = found.get(span, _NONE).union(window.box)
    return found


def tiles(box: Box, size: int, overlap: int) -> Iterator[Box]:
    """Boxes of at most ``size`` a side that cover ``box`` and overlap."""
    for top in starts(box.height, size, overlap):
        for left in starts(box.width, size, overlap):
            top_left = (box.top + top, box.left + left)
            yield Box(*top_left, top_left[0] + size, top_left[1] + size).intersect(box)


def _around(boxes: Sequence[Box] | Iterator[Box]) -> Box:
    """The smallest box round all of them; empty ones do not count."""
    return reduce(Box.union, (box for box in boxes if not box.empty), _NONE)


def _blocks(windows: Sequence[Window], frame: Box, reach: int, most: int) -> list[Window]:
    """Stretches of windows with one box each: neighbours are joined as long as what is loaded for
    the one is not much more than for the two, and at ``most`` so much."""
    blocks: list[Window] = []
    apart = 0
    for (start, stop), box in spans(windows).items():
        own = Window(start, stop, box)
        alone = own.grown(reach, frame).voxels
        if blocks:
            whole = Window(blocks[-1].start, stop, blocks[-1].box.union(box))
            if whole.grown(reach, frame).voxels <= min(_LEVEL * (apart + alone), most):
                blocks[-1], apart = whole, apart + alone
                continue
        blocks.append(own)
        apart = alone
    return blocks


def _region(blocks: Sequence[Window], frames: int) -> tuple[Box, ...]:
    """What each frame has of the blocks that it is in, or of the nearest one."""
    if not blocks:
        return (_NONE,) * frames
    boxes = []
    for i in range(frames):
        least = min(block.away(i) for block in blocks)
        boxes.append(_around(block.box for block in blocks if block.away(i) == least))
    return tuple(boxes)

"""What a person looks at: contact sheets of scene-linear frames, labelled, in a stated view."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from infusion_ofx.sequence import store
from infusion_ofx.sequence.atomic import whole_file

__all__ = ["averaged", "clip_sheet", "contact_sheet", "displayed", "evenly", "read_clip"]

Picture = NDArray[Any]

CAPTION = (
    "View transform: scene-linear light, exposed by the stops at the left, then the sRGB curve; "
    "white at 1, as in a viewer set to sRGB. Mattes and confidence: 0 black, 1 white."
)
WIDEST, NARROWEST = 2000, 1200  # pixels that the sheet should have across
INK, PAPER = (200, 200, 200), (24, 24, 24)
GAP, MARGIN = 8, 104  # between pictures; left of them, for the labels


def contact_sheet(
    path: Path,
    rows: Sequence[tuple[str, Sequence[Picture]]],
    frames: Sequence[int],
    *,
    exposures: Sequence[float] = (0.0,),
    again: Collection[str] | None = None,
    title: str = "",
) -> None:
    """Writes a PNG with one labelled row a clip, one column a frame; whole or not at all.

    rows: label and pictures, (h, w, 3) scene-linear light or (h, w) coverage in 0..1, one for each
    of ``frames``, all of one size. exposures: stops; the first is that of the rows, and for each
    further one the rows of light come again below, so that highlights and shadows can be judged.
    again: the labels of the rows that do; left out, all of light. title: a line above all. Small
    pictures are enlarged by a whole factor, pixel by pixel; large ones are averaged down by one.

    Raises:
        ValueError: when there is nothing to show, or the pictures do not fit each other.
        JobError: when the file may not be written.
        TryAgainError: when the storage fails.
    """
    _check(rows, frames)
    shown = [
        (_label(label, stops), pictures, stops)
        for stops in exposures
        for label, pictures in rows
        if stops == exposures[0] or (pictures[0].ndim == 3 and (again is None or label in again))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        _drawn(shown, frames, title).save(temporary, format="PNG")


def _drawn(
    shown: Sequence[tuple[str, Sequence[Picture], float]], frames: Sequence[int], title: str
) -> Image.Image:
    """The sheet: title, frame numbers, the rows with their stops, the caption."""
    height, width = shown[0][1][0].shape[:2]
    factor = _factor(width, len(frames))
    cell_height, cell_width = (int(np.ceil(n * factor)) for n in (height, width))
    text = ImageFont.load_default(size=16)
    head = 60 if title else 32
    across = MARGIN + len(frames) * (cell_width + GAP) + GAP
    down = head + len(shown) * (cell_height + GAP) + 32
    sheet = Image.new("RGB", (across, down), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 8), title, INK, text)
    for column, frame in enumerate(frames):
        draw.text((MARGIN + column * (cell_width + GAP), head - 24), str(frame), INK, text)
    for row, (label, pictures, stops) in enumerate(shown):
        top = head + row * (cell_height + GAP)
        draw.multiline_text((GAP, top), label, INK, text)
        for column, picture in enumerate(pictures):
            tile = Image.fromarray(_scaled(displayed(picture, stops), factor))
            sheet.paste(tile, (MARGIN + column * (cell_width + GAP), top))
    draw.text((GAP, down - 26), CAPTION, INK, ImageFont.load_default(size=13))
    return sheet


def clip_sheet(path: Path, clips: Mapping[str, Picture], frames: Sequence[int]) -> None:
    """A contact sheet of five evenly spaced frames, as it is and three stops down for highlights.

    clips: by label, (T, h, w, 3) light or (T, h, w) coverage, with the T frames of ``frames``.
    """
    chosen = evenly(frames, 5)
    places = [frames.index(frame) for frame in chosen]
    rows = [(label, [clip[place] for place in places]) for label, clip in clips.items()]
    contact_sheet(path, rows, chosen, exposures=(0.0, -3.0))


def displayed(picture: Picture, stops: float = 0.0) -> NDArray[np.uint8]:
    """Encodes a picture for a display, (h, w, 3) 8 bit.

    (h, w, 3) scene-linear light: exposed by ``stops``, held to 0..1, then the piecewise curve of
    IEC 61966-2-1. (h, w) coverage: 0..1, as grey. NaN: magenta.
    """
    values = picture.astype(np.float32)
    if values.ndim == 2:
        coded = np.repeat(np.clip(np.nan_to_num(values), 0, 1)[..., None], 3, axis=-1)
    else:
        exposure = np.float32(2.0**stops)
        light = np.clip(np.nan_to_num(values), 0, 1 / exposure) * exposure
        coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    pixels: NDArray[np.uint8] = (coded * 255 + 0.5).astype(np.uint8)
    faulty = np.isnan(values) if values.ndim == 2 else np.isnan(values).any(axis=-1)
    pixels[faulty] = (255, 0, 255)
    return pixels


def evenly(frames: Sequence[int], count: int) -> list[int]:
    """At most ``count`` frames, evenly spaced, first and last among them."""
    places = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round())
    return [frames[int(place)] for place in places]


def averaged(picture: Picture, factor: int) -> Picture:
    """(h, w) or (h, w, 3) averaged over blocks of ``factor`` pixels, float32.

    Where the sides are no multiple of it, the last row and column count for those that lack.
    """
    if factor == 1:
        return picture
    down, across = (-n % factor for n in picture.shape[:2])
    whole = cv2.copyMakeBorder(
        picture.astype(np.float32, copy=False), 0, down, 0, across, cv2.BORDER_REPLICATE
    )
    size = (whole.shape[1] // factor, whole.shape[0] // factor)
    small: Picture = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    return small


def read_clip(
    text: str, frames: Iterable[int] | None = None, channels: Sequence[str] = ("R", "G", "B")
) -> Picture:
    """Frames of a sequence over their display window, (T, h, w, channels), in the files' own type.

    frames: all of the sequence when left out.

    Raises:
        SequenceError: when a frame is missing, cannot be read, or has another size.
    """
    wanted = None if frames is None else tuple(frames)
    sequence = store.Sequence.open(text, wanted).choose(channels)
    box = sequence.header(sequence.frames[0]).display
    return np.stack([sequence.read(frame, box) for frame in wanted or sequence.frames])


def _check(rows: Sequence[tuple[str, Sequence[Picture]]], frames: Sequence[int]) -> None:
    if not rows or not frames:
        raise ValueError("a contact sheet needs at least one row and one frame")
    size = rows[0][1][0].shape[:2] if len(rows[0][1]) else ()
    for label, pictures in rows:
        shapes = {picture.shape for picture in pictures}
        if len(pictures) != len(frames) or any(shape[:2] != size for shape in shapes):
            raise ValueError(
                f"row '{label}' holds {len(pictures)} pictures of {sorted(shapes)}; "
                f"the sheet has {len(frames)} frames of {size}"
            )
        if any(len(shape) != 2 and shape[2:] != (3,) for shape in shapes):
            raise ValueError(f"row '{label}' holds neither RGB nor one channel: {sorted(shapes)}")


def _label(label: str, stops: float) -> str:
    return f"{label}\n{stops:+g} stops" if stops else label


def _factor(width: int, columns: int) -> float:
    """A whole factor, or one over a whole one, that makes the sheet as wide as it should be."""
    room = (WIDEST - MARGIN) // columns - GAP
    wanted = (NARROWEST - MARGIN) / columns - GAP
    if width > room:
        return 1 / int(np.ceil(width / room))
    return float(max(1, min(room // width, int(np.ceil(wanted / width)))))


def _scaled(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Enlarged pixel by pixel, or reduced by averaging blocks."""
    if factor >= 1:
        return pixels.repeat(int(factor), axis=0).repeat(int(factor), axis=1)
    height, width = (int(np.ceil(n * factor)) for n in pixels.shape[:2])
    reduced = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    return np.asarray(reduced, np.uint8)

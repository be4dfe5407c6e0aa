"""What an artist sees while a job runs: a contact sheet of five frames, of the region of the hole.

It is drawn when the region is prepared, and again from the honest current estimate as sampling goes
on. What it needs of the plate is kept in small, so that drawing costs little and needs no plate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from infusion_ofx.engine import checkpoint
from infusion_ofx.folder import JobFolder
from infusion_ofx.kept import Fill, laid
from infusion_ofx.material import Material
from infusion_ofx.routing import Routed
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sheet import averaged, contact_sheet, evenly

__all__ = ["COLUMNS", "EXPOSURES", "WIDEST", "Preview", "Sheets", "crops", "rgb"]

COLUMNS = 5
WIDEST = 360  # pixels of a picture on the sheet; larger ones are averaged down by a whole factor
CONTEXT = 24  # pixels shown round the hole, at least

EXPOSURES = (0.0, -3.0, 3.0)
"""Stops at which plate, fill and truth are shown: as they are, for highlights, for shadows."""

PICTURE_SECONDS, PICTURE_SHARE = 30.0, 0.05
"""Within an interval a sheet is drawn no more often than this, and drawing takes no more than that
share of the time."""

_KEPT = "preview.safetensors"

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Preview:
    """What a sheet is drawn from, in small; every list has one entry for each of ``frames``."""

    folder: JobFolder
    name: str
    """The plate's, for the title."""
    frames: tuple[int, ...]
    boxes: tuple[Box, ...]
    """What of each frame is shown, all of one size."""
    factor: int
    """Pixels of the plate across one of the sheet."""
    pictures: dict[str, list[Tensor]]
    """``plate``, (h, w, 3) light; ``kept``, the same times 1 - matte; ``matte``, uint8 at the
    plate's size; where the shot has shown some of the hole also ``prior`` and ``confidence``."""

    @classmethod
    def make(
        cls, folder: JobFolder, material: Material, holes: Sequence[Box], seen: Sequence[Routed]
    ) -> Preview:
        """Reads the frames to be shown, and keeps what ``load`` gives later.

        holes: the box of each frame's matte; one at least is not empty. seen: what the prior gives
        of each frame, once for each region, or nothing.

        Raises:
            InfusionError: when a frame cannot be read or the storage fails.
        """
        held = [i for i, hole in enumerate(holes) if not hole.empty]
        places = evenly(held, COLUMNS)
        boxes = crops([holes[i] for i in places], material.area)
        factor = max(1, -(-boxes[0].width // WIDEST))
        pictures: dict[str, list[Tensor]] = {}
        for i, box in zip(places, boxes, strict=True):
            for name, picture in _shown(material, i, box, seen, factor).items():
                pictures.setdefault(name, []).append(torch.from_numpy(picture))
        frames = tuple(material.frames[i] for i in places)
        name = material.plate.header(frames[0]).path.name
        preview = cls(folder, name, frames, tuple(boxes), factor, pictures)
        preview._keep()
        return preview

    @classmethod
    def load(cls, folder: JobFolder) -> Preview | None:
        """What ``make`` kept; None when it is missing or damaged."""
        kept = checkpoint.load(folder.work / _KEPT)
        if kept is None:
            return None
        tensors, facts = kept.tensors, kept.facts
        frames = tuple(facts["frames"])
        boxes = tuple(Box(*edges) for edges in facts["boxes"])
        pictures: dict[str, list[Tensor]] = {}
        for key in sorted(tensors, key=lambda key: int(key.rpartition(".")[2])):
            pictures.setdefault(key.rpartition(".")[0], []).append(tensors[key])
        return cls(folder, facts["name"], frames, boxes, facts["factor"], pictures)

    def draw(self, fill: Fill | None, said: str) -> None:
        """Writes ``report/contact_sheet.png``, whole or not at all.

        fill: of the frames that are shown, at least; None while there is none. said: what it is,
        for the title.

        Raises:
            InfusionError: when the storage fails.
        """
        rows = {
            "plate": self._light("plate"),
            "matte": [self._matte(m) for m in self._all("matte")],
        }
        if "prior" in self.pictures:
            rows |= {"prior": self._light("prior"), "confidence": self._all("confidence")}
        if fill is not None:
            filled = [self._filled(k, fill.parts(frame)) for k, frame in enumerate(self.frames)]
            apart = [_apart(f, p) for f, p in zip(filled, rows["plate"], strict=True)]
            rows |= {"fill": filled, "difference": apart}
        contact_sheet(
            self.folder.report / "contact_sheet.png", list(rows.items()), self.frames,
            exposures=EXPOSURES, again=("plate", "fill"), title=f"{self.name}: {said}",
        )  # fmt: skip

    def _all(self, name: str) -> list[Array]:
        return [picture.numpy() for picture in self.pictures[name]]

    def _light(self, name: str) -> list[Array]:
        return [rgb(picture) for picture in self._all(name)]

    def _matte(self, matte: Array) -> Array:
        return averaged(matte.astype(np.float32) / 255, self.factor)

    def _filled(self, k: int, parts: Sequence[tuple[Box, Tensor]]) -> Array:
        """A frame with its fill in: the plate's part and the fill's part, averaged down apart."""
        matte = self.pictures["matte"][k].numpy()
        light, _ = laid(parts, self.boxes[k], self.pictures["kept"][k].shape[-1])
        share = averaged(light * (matte[..., None].astype(np.float32) / 255), self.factor)
        return rgb(self.pictures["kept"][k].numpy() + share)

    def _keep(self) -> None:
        tensors = {f"{n}.{k}": p for n, all_ in self.pictures.items() for k, p in enumerate(all_)}
        boxes = [(box.top, box.left, box.bottom, box.right) for box in self.boxes]
        facts = {"name": self.name, "frames": self.frames, "boxes": boxes, "factor": self.factor}
        checkpoint.save(self.folder.work / _KEPT, tensors, facts)


class Sheets:
    """Draws the sheets of a process at work. A picture is worth no failure: what goes wrong is said
    and stops nothing."""

    def __init__(self, folder: JobFolder, say: Callable[[str], None]) -> None:
        self.folder, self.say = folder, say
        self._next = 0.0

    def due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() >= self._next

    def begin(self, material: Material, holes: Sequence[Box], seen: Sequence[Routed]) -> None:
        """Draws the first sheet of a job, see ``Preview.make``."""
        self._try(
            lambda: Preview.make(self.folder, material, holes, seen).draw(None, "before training")
        )

    def draw(self, fill: Callable[[Collection[int]], Fill], said: str) -> None:
        """Draws the fill as it stands. fill: asked for the frames that are shown, by number."""

        def drawing() -> None:
            preview = Preview.load(self.folder)
            if preview is not None:
                preview.draw(fill(preview.frames), said)

        self._try(drawing)

    def _try(self, draw: Callable[[], None]) -> None:
        began, said = time.monotonic(), ""
        try:
            draw()
        except Exception as error:
            said = f"no contact sheet this time: {type(error).__name__}: {error}"
        took = time.monotonic() - began
        self._next = began + max(PICTURE_SECONDS, took / PICTURE_SHARE)
        if said:
            self.say(said)  # out here: what a front end raises in it does stop the job


def crops(holes: Sequence[Box], area: Box) -> list[Box]:
    """A box round each hole, all of one size, within ``area`` as far as that goes.

    Room is left round the largest hole: half its size again, ``CONTEXT`` pixels at least.
    """
    sides = []
    for hole, most in (("height", area.height), ("width", area.width)):
        side = max(getattr(box, hole) for box in holes)
        sides.append(min(side + max(side // 2, 2 * CONTEXT), most))
    return [_around(hole, sides[0], sides[1], area) for hole in holes]


def _around(hole: Box, height: int, width: int, area: Box) -> Box:
    top = (hole.top + hole.bottom - height) // 2
    left = (hole.left + hole.right - width) // 2
    top = min(max(top, area.top), area.bottom - height)
    left = min(max(left, area.left), area.right - width)
    return Box(top, left, top + height, left + width)


def rgb(light: Array) -> Array:
    """Light of any number of channels as three, (h, w, 3): one is grey, a fourth is left out."""
    channels = light.shape[-1]
    if channels == 2:
        return np.concatenate([light, np.zeros_like(light[..., :1])], -1)
    return light.repeat(3, -1) if channels == 1 else light[..., :3]


def _apart(fill: Array, plate: Array) -> Array:
    """How far the fill is from the plate; 0 where they are the same, infinity for one."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(fill == plate, np.float32(0), np.abs(fill - plate)))


def _shown(
    material: Material, i: int, box: Box, seen: Sequence[Routed], factor: int
) -> dict[str, Array]:
    """All that is shown of frame i of the job but the fill, see ``Preview.pictures``."""
    frame = material.frames[i]
    plate = material.colour.to_light(material.plate.read(frame, box)).astype(np.float32)
    hole = material.hole(frame)
    alpha = np.zeros((box.height, box.width), np.float32)
    both = box.intersect(hole.box)
    alpha[box.slices(both)] = hole.alpha[hole.box.slices(both)]
    kept = np.where(alpha[..., None] > 0, np.nan_to_num(plate) * (1 - alpha[..., None]), plate)
    shown = {"plate": averaged(plate, factor), "kept": averaged(kept, factor)}
    shown["matte"] = (alpha * 255 + 0.5).astype(np.uint8)
    if seen:
        prior, sure = _prior(seen[i :: len(material.frames)], box, plate, alpha)
        shown |= {"prior": averaged(prior, factor), "confidence": averaged(sure, factor)}
    return shown


def _prior(parts: Sequence[Routed], box: Box, plate: Array, alpha: Array) -> tuple[Array, Array]:
    """The plate with the hole black but for what the prior gives, and the prior's confidence."""
    light = np.where(alpha[..., None] > 0, np.float32(0), plate)
    sure = np.zeros(alpha.shape, np.float32)
    for part in parts:
        both = box.intersect(part.box)
        here, there = box.slices(both), part.box.slices(both)
        taken = part.taken.numpy()[there][..., None]
        light[here] = np.where(taken, part.light.permute(1, 2, 0).numpy()[there], light[here])
        sure[here] = part.confidence.numpy()[there]
    return light, sure

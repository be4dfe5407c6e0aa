"""Draws the node's panels from the table of its knobs, about as Nuke lays them out."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from infusion_cli.gizmo_knobs import (
    BOOL,
    BUTTON,
    CHANNEL,
    DOUBLE,
    ENUM,
    FILE,
    PANEL,
    TEXT,
    Knob,
    tabs,
)

__all__ = ["draw_panel", "fingerprint"]

WIDTH, ROW, LABEL, EDGE = 620, 30, 170, 14
PANEL_HEIGHT = 250
BACK, FIELD, LIGHT, INK, FAINT = (
    (50, 50, 50),
    (36, 36, 36),
    (78, 78, 78),
    (205, 205, 205),
    (140,) * 3,
)
BLUE = (94, 150, 210)


def fingerprint(title: str) -> str:
    """Names what a panel's picture shows: it changes with the knobs."""
    page = next(shown for tab, shown in tabs() if tab.label == title)
    return hashlib.sha1(repr(page).encode()).hexdigest()


def draw_panel(path: Path, title: str) -> None:
    """Writes the picture of a tab as a PNG, with the fingerprint of its knobs in it."""
    page = next(shown for tab, shown in tabs() if tab.label == title)
    picture = Image.new("RGB", (WIDTH, _Panel(None, page).height()), BACK)
    panel = _Panel(ImageDraw.Draw(picture), page)
    panel.tabs([tab.label for tab, _ in tabs()], title)
    panel.height()
    info = PngInfo()
    info.add_text("knobs", fingerprint(title))
    picture.save(path, pnginfo=info, optimize=True)


@dataclass
class _Panel:
    """The place where the next knob goes; draws nothing without a drawing."""

    draw: ImageDraw.ImageDraw | None
    page: list[Knob]
    x: float = LABEL
    y: float = 48
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont = field(
        default_factory=lambda: ImageFont.load_default(size=13)
    )

    def tabs(self, names: list[str], chosen: str) -> None:
        """The row of tabs at the top."""
        x = float(EDGE)
        for name in names:
            wide = self.font.getlength(name) + 24
            self._box((x, 8, x + wide, 34), BACK if name == chosen else FIELD)
            self._text(x + 12, 13, name, INK if name == chosen else FAINT)
            x += wide + 2
        self._box((0, 34, WIDTH, 35), LIGHT)

    def height(self) -> int:
        """Lays out every knob; returns how high the panel is."""
        self.x, self.y = LABEL, 48 - ROW
        for knob in self.page:
            self._place(knob)
        return int(self.y + ROW + EDGE)

    def _place(self, knob: Knob) -> None:
        needs = self._width(knob) + (self._label_width(knob) if self._follows(knob) else 0)
        if not self._follows(knob) or self.x + needs > WIDTH - EDGE:
            self.x, self.y = LABEL, self.y + ROW
            if knob.kind not in (BUTTON, BOOL, PANEL):
                self._text(LABEL - 8 - self.font.getlength(knob.label), self.y + 6, knob.label, INK)
        elif knob.kind != BUTTON and knob.label:
            self._text(self.x, self.y + 6, knob.label, INK)
            self.x += self._label_width(knob)
        self._control(knob)
        self.x += self._width(knob) + 8

    def _follows(self, knob: Knob) -> bool:
        return "-STARTLINE" in knob.flags

    def _label_width(self, knob: Knob) -> float:
        return 0 if knob.kind == BUTTON or not knob.label else self.font.getlength(knob.label) + 8

    def _width(self, knob: Knob) -> float:
        if knob.kind == BUTTON:
            return self.font.getlength(knob.label) + 22
        if knob.kind == ENUM:
            return max(map(self.font.getlength, knob.choices)) + 34
        if knob.kind in (PANEL, DOUBLE, FILE, TEXT) or isinstance(knob.default, str):
            return 130 if knob.kind == CHANNEL else WIDTH - EDGE - LABEL
        return 70

    def _control(self, knob: Knob) -> None:
        x, y, wide = self.x, self.y, self._width(knob)
        if knob.kind == TEXT:
            self._text(x, y + 6, str(knob.default), FAINT)
        elif knob.kind == BUTTON:
            self._box((x, y + 2, x + wide, y + ROW - 4), LIGHT)
            self._text(x + 11, y + 6, knob.label, INK)
        elif knob.kind == BOOL:
            self._box((x, y + 6, x + 15, y + 21), FIELD)
            self._text(x + 3, y + 5, "x" if knob.default else "", INK)
            self._text(x + 24, y + 6, knob.label, INK)
        elif knob.kind == PANEL:
            self._monitor(x, y, wide)
        elif knob.kind == DOUBLE and knob.limits:
            self._slider(knob, x, y, wide)
        else:
            self._box((x, y + 2, x + wide, y + ROW - 4), LIGHT if knob.kind == ENUM else FIELD)
            self._text(x + 7, y + 6, "" if knob.default is None else str(knob.default), INK)
            if knob.kind == ENUM:
                corners = [(x + wide - 18, y + 12), (x + wide - 8, y + 12), (x + wide - 13, y + 18)]
                self._polygon(corners)

    def _slider(self, knob: Knob, x: float, y: float, wide: float) -> None:
        assert knob.limits is not None and isinstance(knob.default, int | float)
        low, high = knob.limits
        at = x + 84 + (wide - 90) * (knob.default - low) / (high - low)
        self._box((x, y + 2, x + 70, y + ROW - 4), FIELD)
        self._text(x + 7, y + 6, f"{knob.default:g}", INK)
        self._box((x + 84, y + 13, x + wide - 6, y + 15), FIELD)
        self._box((at - 3, y + 6, at + 3, y + 22), INK)

    def _monitor(self, x: float, y: float, wide: float) -> None:
        """A job at work: bar, loss, and the place of the contact sheet."""
        self._box((x, y + 2, x + wide, y + 20), FIELD)
        self._box((x, y + 2, x + 0.42 * wide, y + 20), BLUE)
        self._text(x + wide / 2 - 14, y + 3, "42%", INK)
        self._box((x, y + 28, x + wide, y + 118), FIELD)
        points = [
            (x + t * 0.42 * wide / 60, y + 36 + 66 * (1 - math.exp(-t / 14))) for t in range(61)
        ]
        if self.draw is not None:
            self.draw.line(points, fill=BLUE, width=2)
        self._text(x + 7, y + 100, "loss", FAINT)
        self._box((x, y + 126, x + wide, y + PANEL_HEIGHT - 8), FIELD)
        self._text(x + 7, y + 130, "newest contact sheet: plate, matte, result", FAINT)
        self.y += PANEL_HEIGHT - ROW

    def _box(self, corners: tuple[float, float, float, float], colour: tuple[int, ...]) -> None:
        if self.draw is not None:
            self.draw.rectangle(corners, fill=colour)

    def _polygon(self, corners: list[tuple[float, float]]) -> None:
        if self.draw is not None:
            self.draw.polygon(corners, fill=INK)

    def _text(self, x: float, y: float, text: str, colour: tuple[int, ...]) -> None:
        if self.draw is not None:
            self.draw.text((x, y), text, font=self.font, fill=colour)

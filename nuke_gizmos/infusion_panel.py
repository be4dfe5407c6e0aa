"""The Progress tab's drawing: a bar, the loss so far, and the newest contact sheet.

Where Qt is missing or fails, the lines of text on the same tab say the rest.
"""

from __future__ import annotations

from typing import Any

import nuke

from infusion_poll import qt
from infusion_settings import current
from infusion_versions import NodeError, Version
from infusion_watch import curve, look, sheet

__all__ = ["Monitor", "points"]

WIDTH, HEIGHT = 420, 120


class Monitor:
    """The object behind the PyCustom knob: Nuke asks it for a widget, and for news."""

    def __init__(self, node: nuke.Node) -> None:
        self._name = str(node.fullName())
        self._bar: Any = None
        self._curve: Any = None
        self._sheet: Any = None

    def makeUI(self) -> Any:  # noqa: N802, Nuke's name
        """The widget; an empty label where there is no Qt for one."""
        widgets, core = qt("QtWidgets"), qt("QtCore")
        if widgets is None or core is None:
            return None
        box = widgets.QWidget()
        column = widgets.QVBoxLayout(box)
        self._bar, self._curve, self._sheet = (
            widgets.QProgressBar(), widgets.QLabel(), widgets.QLabel()
        )  # fmt: skip
        for each in (self._bar, self._curve, self._sheet):
            column.addWidget(each)
        timer = core.QTimer(box)  # it ends with the widget
        timer.timeout.connect(self.updateValue)
        timer.start(2000)
        self.updateValue()
        return box

    def updateValue(self) -> None:  # noqa: N802, Nuke's name
        """Shows how the job stands now."""
        version = self._version()
        if self._bar is None or version is None or nuke.executing():
            return
        status = look(version)
        self._bar.setValue(round(status.percent))
        folder = version.view(status.view or version.views[0])
        self._draw(curve(folder))
        path = sheet(folder)
        gui = qt("QtGui")
        if path is not None:
            self._sheet.setPixmap(gui.QPixmap(str(path)).scaledToWidth(WIDTH))

    def _version(self) -> Version | None:
        node = nuke.toNode(self._name)
        try:
            return current(node) if node is not None else None
        except NodeError:
            return None

    def _draw(self, losses: list[tuple[float, float]]) -> None:
        gui, core = qt("QtGui"), qt("QtCore")
        picture = gui.QPixmap(WIDTH, HEIGHT)
        picture.fill(gui.QColor(38, 38, 38))
        painter = gui.QPainter(picture)
        painter.setPen(gui.QColor(120, 190, 255))
        corners = [core.QPoint(x, y) for x, y in points(losses, WIDTH, HEIGHT)]
        for one, other in zip(corners, corners[1:]):  # noqa: B905, Python 3.9
            painter.drawLine(one, other)
        painter.end()
        self._curve.setPixmap(picture)


def points(losses: list[tuple[float, float]], width: int, height: int) -> list[tuple[int, int]]:
    """A loss curve as pixels of a picture, percent of training across, the greatest loss on top.

    losses: percent and loss, in the order in which they came.
    """
    top = max((loss for _, loss in losses), default=0.0)
    if not top > 0:
        return []
    return [
        (round(percent / 100 * (width - 1)), round((1 - loss / top) * (height - 1)))
        for percent, loss in losses
    ]

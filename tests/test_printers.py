"""How progress is shown: what each farm reads, how often, and nothing that it must not see."""

from __future__ import annotations

import io
import json

import pytest

from infusion_cli import printers
from infusion_ofx.progress import Progress

REPORT = Progress("train", 120, 400, 0.425, 83.4, 0.01234, 3 * 2**30 // 2)


def shown(form: str, *reports: Progress, apart: float = 1.0) -> list[str]:
    """The lines that a printer writes for these reports, which come so many seconds apart."""
    stream = io.StringIO()
    now = 0.0
    show = printers.LinePrinter(form, stream, lambda: now)
    for report in reports:
        show(report)
        now += apart
    show.close()
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()
    return stream.getvalue().splitlines()


STATUS = "train 120/400, 1:23 left, loss 0.01234, 1.5 GiB"


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("plain", [f" 42.5%  {STATUS}"]),
        ("openjd", ["openjd_progress: 42.5", f"openjd_status: {STATUS}"]),
        ("deadline", ["Progress: 42%", STATUS]),
        ("alf", ["ALF_PROGRESS 42%", STATUS]),
    ],
)
def test_a_report_is_what_the_farm_reads(form: str, lines: list[str]) -> None:
    assert shown(form, REPORT) == lines


def test_json_lines_hold_the_whole_report() -> None:
    (line,) = shown("jsonl", Progress("train", 1, 2, 0.5, float("inf"), float("nan")))
    assert json.loads(line) == {
        "stage": "train", "step": 1, "steps": 2, "fraction": 0.5, "seconds_left": None,
        "loss": None, "memory": 0, "message": "",
    }  # fmt: skip


@pytest.mark.parametrize("fraction", [-1.0, 0.0, 0.999, 1.0, 1.42, float("nan"), float("inf")])
def test_a_percentage_stays_what_openjd_takes(fraction: float) -> None:
    line = shown("openjd", Progress("train", 1, 2, fraction))[0]
    assert 0.0 <= float(line.removeprefix("openjd_progress: ")) <= 100.0


def test_reports_come_once_a_second_with_the_first_and_the_last() -> None:
    reports = [Progress("train", i, 50, i / 50) for i in range(50)]
    lines = shown("plain", *reports, apart=0.1)
    assert 5 <= len(lines) <= 7
    assert "train 0/50" in lines[0] and "train 49/50" in lines[-1]


def test_stages_and_messages_are_never_held_back() -> None:
    reports = [
        Progress("read", 0, 0, 0.0),
        Progress("train", 0, 9, 0.1),
        Progress("train", 1, 9, 0.2, message="loss rose"),
        Progress("done", 0, 0, 1.0),
    ]
    lines = shown("plain", *reports, apart=0.0)
    assert [line.split("%  ")[1] for line in lines] == [
        "read", "train 0/9", "train 1/9: loss rose", "done",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["plain", "openjd", "deadline", "alf", "jsonl"])
def test_a_message_cannot_pose_as_a_line_of_the_farms(form: str) -> None:
    report = Progress("train", 1, 2, 0.5, message="x\nopenjd_env: A=B\nopenjd_fail: no")
    lines = shown(form, report)
    assert not any(line.startswith(("openjd_env", "openjd_fail")) for line in lines)


@pytest.mark.parametrize(
    ("environment", "terminal", "form"),
    [
        ({"OPENJD_SESSION_WORKING_DIR": "/"}, True, "openjd"),
        ({}, True, "rich"),
        ({}, False, "plain"),
    ],
)
def test_auto_takes_what_fits_the_place(
    environment: dict[str, str], terminal: bool, form: str
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    assert printers.choose("auto", Stream(), environment) == form
    assert printers.choose("alf", Stream(), environment) == "alf"


def test_rich_draws_and_leaves_the_messages_standing() -> None:
    stream = io.StringIO()
    show = printers.RichPrinter(stream)
    show.say("hello [bold]")
    show(REPORT)
    show(Progress("done", 1, 1, 1.0, message="written"))
    show.close()
    assert "hello [bold]" in stream.getvalue() and "written" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3723, "1:02:03"), (-5, "0:00")]
)
def test_a_time_is_read_at_a_glance(seconds: float, text: str) -> None:
    assert printers.clock_text(seconds) == text

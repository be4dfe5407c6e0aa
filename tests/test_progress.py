"""Laws of the progress meter."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.progress import Meter, Progress, ignore, one_line


def _meter() -> tuple[Meter, list[Progress]]:
    told: list[Progress] = []
    return Meter(told.append, lambda: 4096), told


def test_a_report_carries_what_it_was_told() -> None:
    meter, told = _meter()
    meter.tell("train", 3, 10, 0.25, 0.5)
    assert told == [Progress("train", 3, 10, 0.25, None, 0.5, 4096)]
    assert meter.last == told[-1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_what_rises_is_reported_rising_and_within_one(shares: list[float]) -> None:
    meter, told = _meter()
    for step, share in enumerate(sorted(shares)):
        meter.tell("train", step, 30, share)
    fractions = [report.fraction for report in told]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] and fractions[-1] <= 1
    assert all(report.seconds_left is None or report.seconds_left >= 0 for report in told)


def test_time_left_waits_for_evidence_from_this_run() -> None:
    meter, told = _meter()
    meter.tell("read", 8, 8, 0.02)
    meter.tell("train", 0, 10, 0.5)  # as far as an earlier run came
    meter.tell("train", 1, 10, 0.501)
    assert told[0].seconds_left is None
    resumed, told = _meter()
    resumed.tell("train", 50, 100, 0.5)
    resumed.tell("train", 51, 100, 0.501)
    assert [report.seconds_left for report in told] == [None, None]


def test_time_left_goes_by_the_speed_of_this_run() -> None:
    meter, told = _meter()
    meter.tell("train", 50, 100, 0.5)
    began = time.monotonic()
    time.sleep(0.05)
    meter.tell("train", 60, 100, 0.6)
    took = time.monotonic() - began
    assert told[-1].seconds_left == pytest.approx(took * 4, rel=0.3)
    meter.tell("done", 1, 1, 1.0)
    assert told[-1].seconds_left == 0


def test_a_sentence_comes_with_the_last_report() -> None:
    meter, told = _meter()
    meter.tell("train", 3, 10, 0.25)
    meter.say("the matte is empty")
    assert told[1] == replace(told[0], message="the matte is empty")
    meter.tell("train", 4, 10, 0.35)
    assert told[2].message == ""


def test_what_a_listener_raises_stops_the_job() -> None:
    def refuse(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Meter(refuse, lambda: 0).tell("train", 1, 2, 0.5)


def test_nobody_has_to_listen() -> None:
    Meter(ignore, lambda: 0).tell("train", 1, 2, 0.5)


@given(st.text())
def test_a_text_made_one_line_moves_no_cursor(text: str) -> None:
    assert one_line(text).isprintable()

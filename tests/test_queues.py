"""Reading ahead and writing behind: in order, bounded by bytes, and ended by an error."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from infusion_ofx.errors import SequenceError, TryAgainError
from infusion_ofx.sequence.queues import WriteBehind, read_ahead


def test_reading_ahead_keeps_order_and_the_budget() -> None:
    held, most, lock = 0, 0, threading.Lock()

    def load(job: int) -> npt.NDArray[np.uint8]:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        time.sleep(0.001 * (job % 3))
        return np.full(10_000, job, np.uint8)

    taken = []
    for job, array in read_ahead(range(30), load, budget=40_000, threads=8):
        with lock:
            held -= 1
        assert (array == job).all()
        taken.append(job)
        time.sleep(0.001)
    assert taken == list(range(30))
    assert 2 <= most <= 4 + 1  # those in the budget, and the one that is being taken


def test_reading_ahead_always_has_one_under_way_and_takes_empty_arrays() -> None:
    got = list(read_ahead("abc", lambda job: np.zeros(5000), budget=1, threads=2))
    assert [job for job, _ in got] == ["a", "b", "c"]
    assert len(list(read_ahead(range(5), lambda job: np.zeros(0), budget=1 << 20, threads=2))) == 5
    assert list(read_ahead([], lambda job: np.zeros(0), budget=1, threads=1)) == []


def test_an_error_of_a_read_comes_in_its_turn_and_ends_the_threads() -> None:
    def load(job: int) -> npt.NDArray[Any]:
        if job == 2:
            raise SequenceError("frame 2 is damaged")
        return np.zeros(1)

    before, taken = threading.active_count(), []
    with pytest.raises(SequenceError, match="frame 2"):
        for job, _ in read_ahead(range(9), load, budget=1 << 20, threads=4):
            taken.append(job)
    assert taken == [0, 1] and threading.active_count() == before


def test_closing_the_iterator_ends_its_threads() -> None:
    before = threading.active_count()
    ahead = read_ahead(range(1000), lambda job: np.zeros(1000), budget=1 << 20, threads=4)
    next(ahead)
    assert threading.active_count() > before
    ahead.close()  # type: ignore[attr-defined]  # a generator behind the type of an iterator
    assert threading.active_count() == before


def test_writing_behind_blocks_beyond_its_budget() -> None:
    started: list[int] = []
    gate = threading.Event()
    with WriteBehind(budget=100, threads=1) as queue:
        queue.submit(gate.wait, size=60)
        queue.submit(started.append, 1, size=40)
        late = threading.Thread(target=lambda: queue.submit(started.append, 2, size=1))
        late.start()
        late.join(0.05)
        assert late.is_alive()
        gate.set()
        late.join(5)
        assert not late.is_alive()
        queue.submit(started.append, 3, size=10_000)
    assert started == [1, 2, 3]


def test_the_first_error_of_a_write_is_raised_and_the_rest_is_dropped() -> None:
    written: list[int] = []

    def fail() -> None:
        raise TryAgainError("disk full")

    with pytest.raises(TryAgainError, match="disk full"):
        with WriteBehind(budget=10, threads=1) as queue:
            queue.submit(fail, size=10)
            queue.submit(written.append, 1, size=10)
    with pytest.raises(TryAgainError, match="disk full"):
        with WriteBehind(budget=10, threads=1) as queue:
            queue.submit(fail, size=1)
    assert written == []


def test_a_body_that_fails_drops_the_writes_that_wait() -> None:
    written: list[int] = []
    gate = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        with WriteBehind(budget=100, threads=1) as queue:
            queue.submit(gate.wait, 5, size=1)
            for i in range(9):
                queue.submit(written.append, i, size=1)
            threading.Timer(0.02, gate.set).start()
            raise KeyboardInterrupt
    assert written == []

"""The queue of jobs over this machine's devices: which goes where, and what becomes of each."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infusion_ofx.farm.pool import Began, Ended, Event, Pool, Told, command, fits
from infusion_ofx.job import Job

HELLO = "import json, os; print(json.dumps(dict(gpu=os.environ.get('CUDA_VISIBLE_DEVICES'))))"


def python(code: str) -> Callable[[Job], list[str]]:
    """A process in the place of ``infusion run``; the job's output is its first argument."""
    return lambda job: [sys.executable, "-I", "-S", "-c", code, job.output]


def jobs(*devices: str) -> dict[int, Job]:
    return {i: Job("p", "m", str(i), device=device) for i, device in enumerate(devices)}


def done(pool: Pool) -> list[Event]:
    return [event for event in pool.events() if event is not None]


def codes(events: list[Event]) -> dict[int, int]:
    return {event.index: event.code for event in events if isinstance(event, Ended)}


@pytest.mark.parametrize(
    ("device", "gpus", "places"),
    [
        ("auto", [], ["cpu"]),
        ("cpu", [], ["cpu"]),
        ("cuda", [], ["cpu"]),  # where it says that there is none
        ("cpu", ["0", "1"], ["cpu"]),
        ("auto", ["0", "1"], ["0", "1"]),
        ("cuda", ["5", "GPU-ab"], ["5", "GPU-ab"]),
        ("cuda:1", ["5", "GPU-ab"], ["GPU-ab"]),
        ("cuda:2", ["5", "GPU-ab"], ["cpu"]),
    ],
)
def test_a_job_goes_where_its_device_is(device: str, gpus: list[str], places: list[str]) -> None:
    assert [place for place in ("cpu", *gpus) if fits(device, place, gpus)] == places


def test_each_job_sees_the_gpu_of_its_place_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    events = done(Pool(jobs("auto", "cuda:1", "cpu"), ["5", "7"], python(HELLO)))
    began = {event.index: event.place for event in events if isinstance(event, Began)}
    told = {event.index: event.facts["gpu"] for event in events if isinstance(event, Told)}
    assert began[1] == "7" and began[2] == "cpu"
    assert told == {0: began[0], 1: "5,7", 2: "5,7"}, "a number counts among those of this process"


def test_a_place_has_one_job_at_a_time_and_two_places_have_two() -> None:
    code = "import time; print('{}', flush=True); time.sleep(0.2)"
    for gpus, most in (([], 1), (["0", "1"], 2)):
        running, seen = 0, 0
        for event in done(Pool(jobs(*["auto"] * 4), gpus, python(code))):
            running += isinstance(event, Began)
            running -= isinstance(event, Ended)
            seen = max(seen, running)
        assert seen == most


def test_however_a_job_ends_the_others_are_done() -> None:
    code = """
import os, signal, sys
which = sys.argv[1]
print("no json"), print("[1]"), print('{"steps": 3}', flush=True)
sys.stderr.write(which * 10000 + " the end")
if which == "1": os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(which))
"""
    events = done(Pool(jobs(*["cpu"] * 4), [], python(code)))
    assert codes(events) == {0: 0, 1: -9, 2: 2, 3: 3}
    assert [event.facts for event in events if isinstance(event, Told)] == [{"steps": 3}] * 4
    last = [event.said for event in events if isinstance(event, Ended)][-1]
    assert last.endswith("3 the end") and len(last) < 5000 and "2" not in last


def test_a_process_that_cannot_be_begun_is_to_be_tried_again(tmp_path: Path) -> None:
    def missing(job: Job) -> list[str]:
        return [str(tmp_path / "none") if job.output == "0" else sys.executable, "-c", ""]

    events = done(Pool(jobs("cpu", "cpu"), [], missing))
    assert codes(events) == {0: 75, 1: 0}
    said = [event.said for event in events if isinstance(event, Ended)]
    assert said[0].startswith("it cannot be begun: ")


def test_stop_asks_those_at_work_to_end_and_begins_no_more() -> None:
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
try:
    print('{"ready": 1}', flush=True)
    time.sleep(60)
finally:
    print('{"kept": 1}', flush=True)
"""
    pool = Pool(jobs("cpu", "cpu", "cpu"), [], python(code))
    events = []
    for event in pool.events():
        if isinstance(event, Told) and "ready" in event.facts:
            pool.stop()
        events += [event] if event is not None else []
    assert codes(events) == {0: 143}
    assert any(isinstance(event, Told) and "kept" in event.facts for event in events)


def test_a_pool_that_is_left_early_leaves_no_process() -> None:
    code = "import os, time; print('{\"pid\": %d}' % os.getpid(), flush=True); time.sleep(60)"
    events = Pool(jobs("cpu", "cpu"), [], python(code)).events()
    pid = next(event.facts["pid"] for event in events if isinstance(event, Told))
    events.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_command_of_a_job_says_what_differs_from_the_defaults_and_nothing_else() -> None:
    job = Job("-p.#.exr", "m", "o/", steps=3, in_place=True, channels="Y", memory=2.5)
    _, _, program, verb, *options = command(job)
    assert (program, verb) == ("infusion_cli", "run")
    assert options == ["--plate=-p.#.exr", "--matte=m", "--output=o/", "--steps=3", "--channels=Y",
                       "--memory=2.5", "--in-place", "--progress=jsonl"]  # fmt: skip

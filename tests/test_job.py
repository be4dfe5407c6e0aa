"""Laws of Job: one description, JSON both ways, every fault named at once."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import JobError
from infusion_ofx.job import FORMAT, RECIPES, Job

NEEDED: dict[str, Any] = {"plate": "plate.####.exr", "matte": "matte.####.exr", "output": "out/"}
JOB = Job(**NEEDED)

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


def whole(name: str) -> st.SearchStrategy[int]:
    limits = next(f.metadata for f in fields(Job) if f.name == name)
    return st.integers(limits["minimum"], limits["maximum"])


def real(name: str) -> st.SearchStrategy[float]:
    limits = next(f.metadata for f in fields(Job) if f.name == name)
    return st.floats(limits["minimum"], limits["maximum"])


jobs = st.builds(
    Job,
    plate=words,
    matte=words,
    output=words,
    frames=st.text(st.characters(exclude_categories=["Cs"])),
    recipe=st.sampled_from(RECIPES),
    intervals=st.none() | whole("intervals"),
    steps=st.none() | whole("steps"),
    seed=whole("seed"),
    missing=st.sampled_from(["error", "hold", "skip", "black"]),
    layer=st.sampled_from(["", "beauty"]),
    view=st.sampled_from(["", "left"]),
    colorspace=st.sampled_from(["auto", "ACEScg"]),
    compression=st.sampled_from(["auto", "keep"]),
    channels=st.sampled_from(["R,G,B", "Y", "R, G, B, A", "left.R,left.G"]),
    grow=whole("grow"),
    feather=whole("feather"),
    device=st.sampled_from(["auto", "cpu", "cuda", "cuda:3"]),
    memory=real("memory"),
    checkpoint_minutes=real("checkpoint_minutes"),
    in_place=st.booleans(),
)


@given(jobs)
def test_a_job_comes_back_from_json_as_it_went(job: Job) -> None:
    assert Job.from_json(job.to_json()) == job


@given(jobs)
def test_json_of_a_job_is_strict_and_carries_its_format(job: Job) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    assert json.loads(job.to_json(), parse_constant=refuse)["format"] == FORMAT


@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
)
def test_any_json_gives_a_job_or_one_line_of_faults(data: dict[str, Any]) -> None:
    try:
        Job.from_dict(data)
    except JobError as error:
        assert error.exit_code == 2 and len(str(error)) > 0


def test_only_the_three_paths_are_needed() -> None:
    assert Job.from_dict(NEEDED) == JOB
    with pytest.raises(JobError) as caught:
        Job.from_dict({})
    assert all(f"'{name}' is missing" in str(caught.value) for name in NEEDED)


def test_every_fault_is_named_at_once() -> None:
    faulty = {"plate": "", "output": "o", "seed": -1, "recipe": "drfat", "stpes": 5, "grow": "2"}
    with pytest.raises(JobError) as caught:
        Job.from_dict(faulty)
    for part in ("'plate' is empty", "'matte' is missing", "'seed' is -1", "did you mean 'draft'",
                 "'stpes', did you mean 'steps'", "'grow' is '2'"):  # fmt: skip
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("plates", "plate"), ("matte-channel", "matte_channel"), ("interval", "intervals")],
)
def test_an_unknown_field_comes_with_the_likely_one(written: str, meant: str) -> None:
    with pytest.raises(JobError, match=f"did you mean '{meant}'"):
        Job.from_dict({**NEEDED, written: "x"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("seed", 1.5, id="a fraction for a whole number"),
        pytest.param("seed", True, id="yes for a whole number"),
        pytest.param("seed", None, id="null where null has no meaning"),
        pytest.param("steps", "9", id="text for a number"),
        pytest.param("in_place", 1, id="a number for yes"),
        pytest.param("plate", 7, id="a number for a path"),
        pytest.param("channels", ["R"], id="a list for text"),
        pytest.param("channels", "R,R", id="a channel twice"),
        pytest.param("channels", "R,,B", id="an empty channel name"),
        pytest.param("channels", "a,b,c,d,e", id="five channels"),
        pytest.param("device", "gpu", id="no device"),
        pytest.param("device", "cuda:-1", id="no such card"),
        pytest.param("memory", float("nan"), id="a memory that is no number"),
        pytest.param("memory", 0, id="no memory"),
        pytest.param("intervals", 0, id="no intervals"),
        pytest.param("recipe", "Draft", id="a recipe in capitals"),
        pytest.param("precision", "float16", id="a precision that is not offered"),
        pytest.param("missing", "checkerboard", id="no way with missing frames"),
        pytest.param("compression", "dwaa", id="a compression by name"),
        pytest.param("colorspace", " ", id="no colour space"),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(JobError, match=f"'{field}'"):
        Job.from_dict({**NEEDED, field: value})


@pytest.mark.parametrize("version", [FORMAT + 1, 0, "1", None])
def test_another_format_is_refused_with_what_to_do(version: object) -> None:
    with pytest.raises(JobError, match="format .* use the version"):
        Job.from_dict({**NEEDED, "format": version})


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"job"', "[" * 20000, "\ud800"])
def test_text_that_is_no_job_is_refused(text: str) -> None:
    with pytest.raises(JobError):
        Job.from_json(text)


def test_a_job_is_a_value() -> None:
    assert replace(JOB, seed=3) != JOB == Job(**NEEDED)
    assert len({JOB, Job(**NEEDED)}) == 1
    with pytest.raises(FrozenInstanceError):
        JOB.seed = 3  # type: ignore[misc]  # the point of the test


def test_check_gives_the_job_itself_or_its_faults() -> None:
    assert JOB.check() is JOB
    with pytest.raises(JobError, match="'grow' is -1"):
        replace(JOB, grow=-1).check()


def test_every_field_says_what_it_is_for() -> None:
    for f in fields(Job):
        assert f.metadata["help"].endswith(".")
        assert ("minimum" in f.metadata) == ("maximum" in f.metadata)

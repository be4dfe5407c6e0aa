"""Paths of a job that is opened where it was not made."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infusion_ofx.errors import JobError
from infusion_ofx.job import Job
from infusion_ofx.paths import PATHS, PathMap, Rule, absolute, moved

names = st.text(st.characters(exclude_characters="/\\\0=:", exclude_categories=["Cs"]), min_size=1)
parts = st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("rule", "path", "here"),
    [
        ("/a=/b", "/a/x.####.exr", "/b/x.####.exr"),
        ("/a/=/b/", "/a/x", "/b/x"),
        ("/a=/b", "/a", "/b"),
        ("/a=/b", "/a/out/", "/b/out/"),
        ("/a=/b", "/ab/x", "/ab/x"),
        ("/a=/b", "/A/x", "/A/x"),
        (r"P:\show=/mnt/show", r"P:\show\sh10\p.#.exr 1-9", "/mnt/show/sh10/p.#.exr 1-9"),
        (r"P:\show=/mnt/show", "p:/SHOW/sh10/out\\", "/mnt/show/sh10/out/"),
        (r"P:\show=/mnt/show", r"P:\showreel\p.exr", r"P:\showreel\p.exr"),
        (r"P:\=/mnt", r"P:\show\p.exr", "/mnt/show/p.exr"),
        (r"\\nas\vol=/mnt/vol", r"\\NAS\vol\p.exr", "/mnt/vol/p.exr"),
        ("/a=/b=c", "/a/x", "/b=c/x"),
    ],
)
def test_a_rule_changes_what_lies_below_it_and_nothing_else(
    rule: str, path: str, here: str
) -> None:
    assert PathMap.of([rule]).apply(path) == here


def test_the_most_specific_rule_wins_whatever_the_order() -> None:
    rules = ["/a=/one", "/a/b/c=/three", "/a/b=/two"]
    for order in (rules, rules[::-1]):
        paths = PathMap.of(order)
        assert [paths.apply(p) for p in ("/a/x", "/a/b/x", "/a/b/c/x", "/x")] == [
            "/one/x", "/two/x", "/three/x", "/x",
        ]  # fmt: skip


@given(parts, parts, parts)
def test_there_and_back_is_the_same_path(one: list[str], other: list[str], rest: list[str]) -> None:
    source, target = PurePosixPath("/", *one), PurePosixPath("/", *other)
    path = str(source.joinpath(*rest))
    there = Rule(source, target).apply(path)
    assert there is not None and Rule(target, source).apply(there) == path


@pytest.mark.parametrize("text", ["", "=", "/a", "/a=", "=/b"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(JobError, match="FROM=TO"):
        PathMap.of([text])


def rules_file(folder: Path, *rules: tuple[str, str, str]) -> Path:
    keys = ("source_path_format", "source_path", "destination_path")
    found = [dict(zip(keys, rule, strict=True)) for rule in rules]
    path = folder / "rules.json"
    path.write_text(json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": found}))
    return path


def test_a_rules_file_of_open_job_description_is_read(tmp_path: Path) -> None:
    file = rules_file(
        tmp_path,
        ("WINDOWS", "P:\\show", "/mnt/show"),
        ("POSIX", "/net", "/mnt/net"),
        ("URI", "s3://bucket/show", "/mnt/s3"),
    )
    paths = PathMap.of(["/net/mine=/mine"], file)
    assert paths.apply(r"P:\show\p.exr") == "/mnt/show/p.exr"
    assert paths.apply("/net/p.exr") == "/mnt/net/p.exr"
    assert paths.apply("/net/mine/p.exr") == "/mine/p.exr"


def test_a_session_without_rules_writes_an_empty_object(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text("{}")
    assert PathMap.of(file=tmp_path / "rules.json") == PathMap()


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"path_mapping_rules": [{}]}', '{"path_mapping_rules": 3}', "[" * 9999]
)
def test_a_rules_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules.json").write_text(text)
    with pytest.raises(JobError, match=r"rules\.json"):
        PathMap.of(file=tmp_path / "rules.json")
    with pytest.raises(JobError, match="cannot be read"):
        PathMap.of(file=tmp_path)


@pytest.mark.parametrize(
    ("before", "now", "source", "target"),
    [
        ("/s/a/out/v001", "/t/a/out/v001", "/s", "/t"),
        ("/s/a/out/v001", "/t/u/out/v001", "/s/a", "/t/u"),
        ("/show/v001", "/mnt/show/v001", "/", "/mnt"),
        (r"P:\show\out\v001", "/mnt/SHOW/out/v001", "P:\\", "/mnt"),
        (r"\\nas\vol\out\v001", "/mnt/out/v001", "\\\\nas\\vol\\", "/mnt"),
    ],
)
def test_a_folder_that_was_moved_says_where_all_else_went(
    before: str, now: str, source: str, target: str
) -> None:
    rule = moved(before, Path(now))
    assert rule is not None
    assert (str(rule.source), str(rule.target)) == (source, target)
    assert isinstance(rule.source, PureWindowsPath) == ("\\" in before)
    assert rule.apply(before) is not None


@pytest.mark.parametrize(("before", "now"), [("/s/v001", "/s/v001"), ("/s/v001", "/s/copy")])
def test_a_folder_that_has_not_moved_says_nothing(before: str, now: str) -> None:
    assert moved(before, Path(now)) is None


def test_a_job_is_taken_from_the_working_folder_and_an_empty_path_stays_empty() -> None:
    job = Job("plate.#.exr 1-9", "/m.exr", "out/")
    here = os.getcwd()
    assert absolute(job) == Job(f"{here}/plate.#.exr 1-9", "/m.exr", f"{here}/out/")


def test_every_path_of_a_job_is_mapped() -> None:
    values: dict[str, Any] = {name: f"/a/{name}" for name in PATHS}
    job = PathMap.of(["/a=/b"]).job(Job(**values))
    assert [getattr(job, name) for name in PATHS] == [f"/b/{name}" for name in PATHS]

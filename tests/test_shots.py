"""Files of shots: what is read from them, and what is refused, all of it at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion_ofx.errors import JobError
from infusion_ofx.farm.shots import Shot, ShotsError, read_shots
from infusion_ofx.job import Job
from infusion_ofx.paths import PathMap

YAML = """
defaults: {output: "out/{shot}/", recipe: draft, in_place: yes}
shots:
  - shot: 010
    plate: p/plate.####.exr
    matte: /m/matte.%04d.exr
    seed: 7
    memory: 2.5
  - {shot: sh020, plate: p/plate.####.exr 1001-1100, matte: m.exr, frames: 1001, in_place: no}
"""
JSON = json.dumps(
    {
        "defaults": {"output": "out/{shot}/", "recipe": "draft", "in_place": True},
        "shots": [
            {"shot": "010", "plate": "p/plate.####.exr", "matte": "/m/matte.%04d.exr", "seed": 7,
             "memory": 2.5},
            {"shot": "sh020", "plate": "p/plate.####.exr 1001-1100", "matte": "m.exr",
             "frames": 1001, "in_place": "no"},
        ],
    }
)  # fmt: skip
CSV = """\ufeffshot,plate,matte,output,recipe,seed,memory,frames,in_place
010,p/plate.####.exr,/m/matte.%04d.exr,out/{shot}/,draft,7,2.5,,yes
,,,,,,,,
sh020,p/plate.####.exr 1001-1100,m.exr,out/{shot}/,draft,,,1001,no
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def shots(folder: Path, text: str, **more: Any) -> list[Shot]:
    return read_shots(write(folder, "shots.yaml", text), **more)


def refused(folder: Path, text: str, name: str = "shots.yaml") -> str:
    """All that is said of a file that is refused; one line a fault."""
    with pytest.raises(JobError) as caught:
        read_shots(write(folder, name, text))
    assert caught.value.exit_code == 2
    faults = caught.value.faults if isinstance(caught.value, ShotsError) else [str(caught.value)]
    assert all(name in fault and "\n" not in fault for fault in faults)
    return "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "text"),
    [("s.yaml", YAML), ("s.yml", YAML), ("s.json", JSON), ("s.csv", CSV),
     ("s.csv", CSV.replace(",", ";")), ("s.CSV", CSV.replace("\n", "\r\n"))],
    ids=["yaml", "yml", "json", "csv", "semicolons", "crlf"],
)  # fmt: skip
def test_a_file_of_any_form_gives_the_same_jobs(tmp_path: Path, name: str, text: str) -> None:
    found = read_shots(write(tmp_path, name, text))
    assert [shot.name for shot in found] == ["010", "sh020"]
    first = Job(
        f"{tmp_path}/p/plate.####.exr", "/m/matte.%04d.exr", f"{tmp_path}/out/010/",
        recipe="draft", seed=7, memory=2.5, in_place=True,
    )  # fmt: skip
    second = Job(
        f"{tmp_path}/p/plate.####.exr 1001-1100", f"{tmp_path}/m.exr", f"{tmp_path}/out/sh020/",
        recipe="draft", frames="1001",
    )  # fmt: skip
    assert [shot.job for shot in found] == [first, second]


def test_where_a_shot_is_written_is_told(tmp_path: Path) -> None:
    assert [s.where for s in read_shots(write(tmp_path, "s.yaml", YAML))] == ["line 4", "line 9"]
    assert [s.where for s in read_shots(write(tmp_path, "s.csv", CSV))] == ["line 2", "line 4"]
    assert [s.where for s in read_shots(write(tmp_path, "s.json", JSON))] == ["shot 1", "shot 2"]


def test_a_row_overrides_the_defaults_and_the_command_overrides_both(tmp_path: Path) -> None:
    text = (
        "defaults: {seed: 1, grow: 1, output: o/}\nshots: [{shot: a, plate: p, matte: m, grow: 2}]"
    )
    (shot,) = shots(tmp_path, text, base={"seed": 8, "feather": 8}, given={"steps": 9, "grow": 9})
    job = shot.job
    assert (job.seed, job.grow, job.feather, job.steps) == (1, 9, 8, 9)


def test_paths_of_the_command_are_taken_from_the_working_folder(tmp_path: Path) -> None:
    text = "[{shot: a, plate: p, matte: m}]"
    (shot,) = shots(tmp_path, text, given={"output": "out/{shot}/"})
    assert (shot.job.plate, shot.job.output) == (f"{tmp_path}/p", f"{Path.cwd()}/out/a/")


def test_windows_paths_are_mapped_and_refused_where_no_rule_maps_them(tmp_path: Path) -> None:
    text = r"[{shot: a, plate: 'P:\show\{shot}\p.#.exr', matte: m.exr, output: 'P:\show\out\'}]"
    (shot,) = shots(tmp_path, text, paths=PathMap.of([r"P:\show=/mnt/show"]))
    assert (shot.job.plate, shot.job.output) == ("/mnt/show/a/p.#.exr", "/mnt/show/out/")
    said = refused(tmp_path, text)
    assert said.count("no path of this machine") == 2 and "--path-map" in said


# Patterns


def plates(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("plate", "pattern", "names"),
    [
        ("p/{shot}/plate.####.exr", "*", ["a1", "b1", "b2"]),
        ("p/{shot}/plate.####.exr", "b*", ["b1", "b2"]),
        ("p/{shot}/plate.####.exr", "[ab]1", ["a1", "b1"]),
        ("p/{shot}/plate.%04d.exr 1001-1002", "*", ["a1", "b1", "b2"]),
        ("q/{shot}.####.exr", "*", ["c.x", "c1"]),
        ("q/{shot}/{shot}_bg.####.exr", "*", ["d1"]),
        ("p/{shot}", "*", ["a1", "b1", "b2", "c1"]),
    ],
)
def test_a_pattern_stands_for_every_shot_whose_plate_is_there(
    tmp_path: Path, plate: str, pattern: str, names: list[str]
) -> None:
    plates(tmp_path, *(f"p/{n}/plate.{f}.exr" for n in ("a1", "b1", "b2") for f in (1001, 1002)))
    plates(tmp_path, "p/c1/matte.1001.exr", "p/.hidden/plate.1001.exr")
    plates(tmp_path, "q/c1.1001.exr", "q/c.x.1001.exr", "q/c1.left.exr")
    plates(tmp_path, "q/d1/d1_bg.1.exr", "q/d1/d2_bg.1.exr")
    text = f"[{{shot: '{pattern}', plate: '{plate}', matte: m, output: 'o/{{shot}}/'}}]"
    found = shots(tmp_path, text)
    assert [shot.name for shot in found] == names
    assert {shot.job.output for shot in found} == {f"{tmp_path}/o/{name}/" for name in names}


def test_a_shot_with_a_row_of_its_own_is_left_out_of_a_pattern(tmp_path: Path) -> None:
    plates(tmp_path, "a/p.1.exr", "b/p.1.exr")
    text = (
        "defaults: {plate: '{shot}/p.#.exr', matte: m, output: o/}\n"
        "shots: [{shot: '*'}, {shot: b, seed: 5}]"
    )
    assert [(s.name, s.job.seed) for s in shots(tmp_path, text)] == [("a", 0), ("b", 5)]


def test_a_pattern_that_nothing_fits_or_that_has_no_place_is_a_fault(tmp_path: Path) -> None:
    rest = "matte: m, output: o/"
    assert "no plate is there for" in refused(
        tmp_path, f"[{{shot: 'x*', plate: '{{shot}}/p.#.exr', {rest}}}]"
    )
    said = refused(tmp_path, f"[{{shot: 'x*', plate: p.#.exr, {rest}}}]")
    assert "does not say with {shot} where it stands" in said


# What is refused


def test_all_faults_of_all_shots_are_named_at_once_with_their_places(tmp_path: Path) -> None:
    said = refused(
        tmp_path,
        """
defaults: {recipe: drat, output: "o/{shot}/"}
shots:
  - {shot: a, plate: p, matte: m, seed: x, sead: 1}
  - {shot: b, plate: p}
  - {plate: p, matte: m}
  - {shot: a/b, plate: p, matte: m}
  - {shot: c, plate: p, matte: m, steps: 0}
  - {shot: d, plate: p, matte: m, recipe: paper}
  - {shot: d, plate: p, matte: m, recipe: paper}
""",
    ).splitlines()
    expected = [
        "defaults: 'recipe' is 'drat'",
        "line 4, shot 'a': unknown field 'sead', did you mean 'seed'?",
        "line 4, shot 'a': 'seed' is 'x'; it takes int",
        "line 5, shot 'b': 'matte' is missing",
        "line 6: 'shot' is missing",
        "line 7: 'shot' is 'a/b'; a name has no slashes",
        "line 8, shot 'c': 'steps' is 0",
        "line 9 and line 10: the shot 'd' is there 2 times",
    ]
    assert len(said) == len(expected)
    for text in expected:
        assert sum(text in line for line in said) == 1, (text, said)


BOMB = "a: &a [x,x]\n" + "".join(f"{c}: &{c} [*{b},*{b}]\n" for b, c in zip("abcdef", "bcdefg"))  # noqa: B905


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        pytest.param("s.yaml", "", "names no shot", id="empty"),
        pytest.param("s.yaml", "shots: []", "names no shot", id="no shots"),
        pytest.param("s.yaml", "shot: a", "no list named 'shots'", id="one shot alone"),
        pytest.param("s.yaml", "shots: 3", "no list named 'shots'", id="a number"),
        pytest.param("s.yaml", "shots: [3]", "in line 1 that is no mapping", id="no mapping"),
        pytest.param("s.yaml", "shots: [{}]\nshot: 3", "'shot' beside", id="strange key"),
        pytest.param("s.yaml", "defaults: 3\nshots: [{}]", "are no mapping", id="defaults"),
        pytest.param("s.yaml", "- {shot: a\n- b", "is no YAML: ", id="no yaml"),
        pytest.param("s.yaml", "- {a: 1, a: 2}", "has 'a' twice", id="key twice"),
        pytest.param("s.yaml", "shots:\n- shot: *\n", "is no YAML", id="star"),
        pytest.param("s.yaml", "- &a {b: c}\n- *a", "'*' without quotes in line 2", id="alias"),
        pytest.param("s.yaml", BOMB, "a '*' without quotes", id="bomb"),
        pytest.param("s.yaml", "[" * 2000, "nested too deeply", id="deep"),
        pytest.param("s.yaml", "a\0b", "is no YAML: ", id="unprintable"),
        pytest.param("s.yaml", "- a\n---\n- b", "is no YAML: ", id="two documents"),
        pytest.param("s.yaml", "#" * 5_000_000, "larger than 4 MiB", id="large"),
        pytest.param("s.json", "[" * 100_000, "nested too deeply", id="deep json"),
        pytest.param("s.json", '[{"shot": 1, "shot": 2}]', "has 'shot' twice", id="json twice"),
        pytest.param("s.json", "{", "is no JSON: ", id="no json"),
        pytest.param("s.csv", "", "names no shot", id="empty csv"),
        pytest.param("s.csv", "shot,shot\na,b", "has 'shot' twice", id="csv twice"),
        pytest.param("s.csv", "shot,plate\na,b,c", "3 cells in line 2", id="csv cells"),
        pytest.param("s.csv", f"shot\n{'x' * 200_000}", "is no CSV: ", id="csv cell too long"),
        pytest.param("s.txt", "a", "is no file of shots", id="other name"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    assert said in refused(tmp_path, text, name)


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.csv").write_bytes(b"shot\n\xe9")
    for name in ("none.yaml", "folder.yaml", "latin.csv"):
        with pytest.raises(JobError, match=name):
            read_shots(tmp_path / name)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [x]", "!!binary x", "!x {a: 1}"])
def test_a_tag_makes_nothing_of_a_value(tmp_path: Path, tag: str) -> None:
    said = refused(tmp_path, f"- {{shot: a, plate: p, matte: m, output: o, seed: {tag}}}")
    assert "shot 'a': 'seed' is " in said


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
rows = st.dictionaries(
    st.sampled_from(["shot", "plate", "matte", "output", "seed", "frames", "in_place", "x"]), values
)


@settings(max_examples=50)
@given(defaults=rows, found=st.lists(rows, min_size=1, max_size=3))
def test_whatever_json_says_gives_jobs_or_faults(
    tmp_path_factory: pytest.TempPathFactory, defaults: Mapping[str, Any], found: list[Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = write(folder, "any.json", json.dumps({"defaults": defaults, "shots": found}))
    try:
        assert all(shot.job.faults() == [] for shot in read_shots(path))
    except ShotsError as error:
        assert error.faults


def test_the_examples_of_the_manual_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "batch.md").read_text(encoding="utf-8")
    plates(tmp_path, "plates/sh100/plate.1001.exr")
    as_yaml = read_shots(write(tmp_path, "s.yaml", page.split("```yaml\n")[1].split("```")[0]))
    assert [shot.name for shot in as_yaml] == ["sh010", "sh020", "sh030", "sh100"]
    as_csv = read_shots(
        write(tmp_path, "s.csv", "shot," + page.split("\nshot,")[1].split("```")[0])
    )
    assert [shot.job.plate for shot in as_csv] == [shot.job.plate for shot in as_yaml[:3]]

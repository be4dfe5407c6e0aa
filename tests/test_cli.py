"""The command line: help, options, exit codes, and what each verb says."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from infusion_cli.farm import export
from infusion_cli.job_options import job_from, job_options, option_name
from infusion_cli.main import Group, main
from infusion_cli.reference import reference
from infusion_ofx.errors import JobError, MissingStepError, Stopped, TryAgainError
from infusion_ofx.job import Job

ROOT = Path(__file__).parents[1]
THREE = ["--plate", "p.####.exr", "--matte", "m.exr", "--output", "out"]


def call(*arguments: str) -> Result:
    """The program in this process."""
    return CliRunner().invoke(main, arguments)


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, from the checkout."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    return subprocess.run(
        [sys.executable, "-m", "infusion_cli", *arguments],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def ending_with(error: BaseException) -> Result:
    """The end of a program whose only verb raises ``error``."""

    @click.group(cls=Group)
    def group() -> None:
        pass

    @group.command()
    def verb() -> None:
        raise error

    return CliRunner().invoke(group, ["verb"])


def job_of(*arguments: str) -> Job:
    """The job that a command line describes."""
    found: list[Job] = []

    @click.command()
    @job_options
    @click.pass_context
    def verb(context: click.Context, /, **_: object) -> None:
        found.append(job_from(context))

    verb.main(arguments, standalone_mode=False)
    return found[0]


# Help


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("verb", ["run", "check", "info", "demo", "doctor", "bench"])
def test_every_verb_has_help(verb: str, flag: str) -> None:
    assert verb in main.commands
    result = call(verb, flag)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {verb}")


@pytest.mark.parametrize("verb", sorted(main.commands.keys() - {"farm", "nuke", "ofx"}))
def test_every_verb_shows_examples_and_its_exit_codes(verb: str) -> None:
    text = call(verb, "--help").stdout
    assert f"\n    infusion {verb}" in text and "Exit code" in " ".join(text.split())


@pytest.mark.parametrize(
    "verb", [f"farm export {name}" for name in export.commands] + ["farm submit slurm"]
)
def test_every_verb_of_a_farm_shows_examples_and_its_exit_codes(verb: str) -> None:
    text = call(*verb.split(), "--help").stdout
    assert f"\n    infusion {verb}" in text and "Exit codes: 0 " in text


def test_the_help_names_every_field_of_a_job() -> None:
    for verb in ("run", "check"):
        text = call(verb, "--help").stdout
        assert [f.name for f in fields(Job) if option_name(f.name) not in text] == []


def test_the_help_has_every_exit_code() -> None:
    text = call("--help").stdout
    assert all(f"\n    {code} " in text for code in ("0", "1", "2", "3", "4", "75", "130/143"))


def test_the_reference_is_the_programs_own_help() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(), "docs/cli.md is old: run `make docs`"


def test_help_and_a_usage_error_load_nothing_heavy() -> None:
    code = (
        "import sys; from infusion_cli.main import main\n"
        "for arguments in (['run', '--help'], ['run', '--plat', 'x']):\n"
        "    try: main(arguments)\n"
        "    except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'OpenImageIO'} & set(sys.modules)"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths},
                   check=True, capture_output=True)  # fmt: skip


# Options


def test_without_options_a_job_has_its_own_defaults() -> None:
    assert job_of(*THREE) == Job(plate="p.####.exr", matte="m.exr", output="out")


def test_every_field_can_be_given_as_an_option() -> None:
    given: dict[str, Any] = {
        "plate": "a", "matte": "b", "output": "c", "frames": "-5--1x2,7", "recipe": "paper",
        "missing": "hold", "intervals": 3, "steps": 4, "sampling_steps": 5, "seed": 6,
        "channels": "Y", "layer": "beauty", "view": "left", "matte_channel": "mask.R",
        "colorspace": "ACEScg", "compression": "keep", "grow": 7, "feather": 8,
        "device": "cuda:1", "precision": "float32", "prior": "off",
        "threads": 9, "memory": 1.5, "checkpoint_minutes": 2.5, "data_dir": "d",
        "takes": 10, "method": "patch", "grain": "off", "job_dir": "e",
        "matte_output": "f.####.exr",
    }  # fmt: skip
    assert given.keys() | {"in_place", "takes_train"} == {f.name for f in fields(Job)}
    options = [part for name, value in given.items() for part in (option_name(name), str(value))]
    assert job_of(*options, "--in-place") == Job(**given, in_place=True)


def test_a_job_as_options_is_the_same_job() -> None:
    job = Job("-p.#.exr", "m", "o/", steps=3, in_place=True, channels="Y", memory=2.5, view="l")
    assert job_of(*job.to_options()) == job
    assert job.to_options()[0] == "--plate=-p.#.exr" and len(job.to_options()) == 8


def test_options_override_the_job_file_and_nothing_else_does(tmp_path: Path) -> None:
    file = tmp_path / "job.json"
    written = Job("p", "m", "o", seed=5, recipe="draft", in_place=True)
    file.write_text(written.to_json())
    assert job_of("--job", str(file)) == written
    overridden = job_of("--job", str(file), "--seed", "0", "--no-in-place")
    assert overridden == Job("p", "m", "o", seed=0, recipe="draft")


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 9999, "\udcff"])
def test_a_job_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "job.json"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(JobError, match=r"job\.json"):
        job_of("--job", str(file))


def test_a_job_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"none\.json' cannot be read"):
        job_of("--job", str(tmp_path / "none.json"))
    with pytest.raises(JobError, match="cannot be read"):
        job_of("--job", str(tmp_path))


# Exit codes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["run", "--plat", "x"], "--plate", id="an option's name mistyped"),
        pytest.param(["rnu"], "run", id="a verb mistyped"),
        pytest.param(["run", "--recipe", "fast"], "draft", id="a recipe that is none"),
        pytest.param(["run", "--seed", "-1"], "0<=x", id="a seed below its range"),
        pytest.param(["run", *THREE, "--device", "gpu"], "'device'", id="no device"),
        pytest.param(["run", "--seed", "1"], "'plate' is missing", id="no plate"),
        pytest.param(["check"], "'matte' is missing", id="no matte"),
        pytest.param(["bench", "tests", "--recipes", "draft,x"], "'x'", id="a recipe in a list"),
        pytest.param(["bench"], "CASES", id="no cases"),
    ],
)
def test_a_wrong_command_ends_with_2_and_says_why(arguments: list[str], said: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (JobError("no frames", "render them"), 2, "ERROR: no frames; render them"),
        (JobError("two\nlines"), 2, "ERROR: two lines"),
        (MissingStepError("train first"), 3, "ERROR: train first"),
        (TryAgainError("out of memory"), 75, "ERROR: out of memory"),
        (Stopped("stopped", exit_code=143), 143, "ERROR: stopped"),
        (KeyboardInterrupt(), 130, "ERROR: stopped; the same command goes on"),
        (MemoryError(), 75, "ERROR: out of memory; lower --memory"),
        (PermissionError(errno.EACCES, "denied", "a.exr"), 1,
         "ERROR: the system refused 'a.exr': denied"),
        (OSError(errno.ENOSPC, "no space", "a.exr"), 75,
         "ERROR: the system refused 'a.exr': no space"),
        (RuntimeError("boom\nbang"), 1, "ERROR: internal: RuntimeError: boom bang"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)  # fmt: skip
def test_an_error_is_one_line_and_its_code(error: BaseException, code: int, line: str) -> None:
    result = ending_with(error)
    assert result.exit_code == code
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1 and result.stdout == ""


def test_the_traceback_is_there_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFUSION_DEBUG", "1")
    result = ending_with(RuntimeError("boom"))
    assert result.exit_code == 1
    assert "Traceback" in result.stderr and "ERROR: internal" in result.stderr


def test_a_missing_plate_is_one_line_from_a_real_process(tmp_path: Path) -> None:
    plate = str(tmp_path / "none.####.exr")
    run = program("run", "--plate", plate, "--matte", plate, "--output", str(tmp_path / "out"))
    assert run.returncode == 2
    assert run.stderr.startswith("ERROR: ") and run.stderr.count("\n") == 1
    assert "none.####.exr" in run.stderr
    assert not (tmp_path / "out").exists()


def test_openjd_is_told_why_a_job_failed(tmp_path: Path) -> None:
    run = program("run", "--plate", "x", OPENJD_SESSION_WORKING_DIR=str(tmp_path))
    assert run.returncode == 2
    assert run.stdout.startswith("openjd_fail: this job cannot run: 'matte' is missing")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    run = subprocess.run(
        f"'{sys.executable}' -m infusion_cli run --help | true",
        env={**os.environ, "PYTHONPATH": paths}, shell=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "Traceback" not in run.stderr


# Verbs


def quick(shot: Any, output: str) -> list[str]:
    """Options of the smallest job on a shot: worthless pixels, real files."""
    return [
        *("--plate", shot.plate, "--matte", shot.matte, "--output", str(shot.folder / output)),
        *("--recipe", "draft", "--steps", "1", "--sampling-steps", "1", "--device", "cpu"),
    ]


@pytest.mark.slow
def test_a_run_with_json_prints_the_result_alone_on_stdout(shot: Any) -> None:
    done = program("run", *quick(shot, "out"), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["frames"], result["filled"]) == (8, 8 * 49)
    assert "100.0%  done" in done.stderr and "\x1b" not in done.stderr
    names = sorted(path.name for path in (shot.folder / "out").glob("*.exr"))
    assert names == [f"plate.{frame}.exr" for frame in shot.frames]


@pytest.mark.slow
def test_a_run_with_json_lines_prints_nothing_else(shot: Any) -> None:
    done = program("run", *quick(shot, "out"), "--progress", "jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["result"]["frames"] == 8
    assert lines[-2]["fraction"] == 1.0


@pytest.mark.slow
def test_a_dry_run_is_a_check_and_writes_nothing(shot: Any) -> None:
    before = sorted(shot.folder.rglob("*"))
    dry, check = (
        program("run", *quick(shot, "out"), "--dry-run", "--json"),
        program("check", *quick(shot, "out"), "--json"),
    )
    assert (dry.returncode, check.returncode) == (0, 0), dry.stderr + check.stderr
    assert json.loads(dry.stdout).keys() == json.loads(check.stdout).keys()
    assert sorted(shot.folder.rglob("*")) == before


def test_doctor_says_what_is_there() -> None:
    run = program("doctor", "--json")
    found = json.loads(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    assert found["codecs"] == {"exr": True, "dpx": True}
    assert found["faults"] == []
    assert found["versions"]["torch"] and found["devices"]["auto device"]
    assert found["memory"]["total"] >= found["memory"]["free"] > 0


def told(*arguments: str) -> dict[str, Any]:
    """What ``infusion info`` says as JSON."""
    result = call("info", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_info_says_what_a_sequence_holds(shot: Any) -> None:
    (shot.folder / "plate.1004.exr").unlink()
    found = told(shot.plate)
    assert (found["frames"], found["frame_count"]) == ("1001-1003,1005-1008", 7)
    assert (found["missing_frames"], found["damaged_frames"]) == ("1004", {})
    assert (found["format"], found["size"]) == ("openexr", "32x24")
    assert found["parts"] == [
        {
            "name": "",
            "view": "",
            "data_window": "0 0 - 31 23",
            "compression": "zip",
            "channels": {"B": "half", "G": "half", "R": "half"},
            "unread": "",
        }
    ]
    assert found["as_a_plate"] == {"layer": "", "channels": "R,G,B"}
    assert found["encoding"].startswith("linear")
    assert told(shot.matte)["as_a_matte"] == "A"
    assert told(f"{shot.plate} 1001-1002")["missing_frames"] == ""


def test_info_names_the_frames_that_are_damaged_and_those_that_differ(shot: Any) -> None:
    import OpenImageIO as oiio

    (shot.folder / "plate.1002.exr").write_bytes(b"")
    whole = (shot.folder / "plate.1003.exr").read_bytes()
    (shot.folder / "plate.1003.exr").write_bytes(whole[: len(whole) // 2])
    small = oiio.ImageBuf(str(shot.folder / "plate.1005.exr"))
    small.specmod().x = 4
    assert small.write(str(shot.folder / "plate.1005.exr"))
    found = told(shot.plate)
    assert list(found["damaged_frames"]) == ["1002", "1003"]
    assert "is empty" in found["damaged_frames"]["1002"]
    assert found["changes"] == {"data_windows": "1005"}
    text = call("info", shot.plate).stdout
    assert re.search(r"^damaged 1002 +'.*plate.1002.exr' is empty", text, re.MULTILINE)
    assert re.search(r"^data windows differ +in 1005$", text, re.MULTILINE)


def test_info_on_a_range_is_about_its_frames_alone(shot: Any) -> None:
    (shot.folder / "plate.1002.exr").write_bytes(b"")
    found = told(f"{shot.plate} 1001-1011x5")
    assert (found["frames"], found["missing_frames"]) == ("1001,1006", "1011")
    assert not found["damaged_frames"]
    result = call("info", f"{shot.plate} 1-9")
    assert result.exit_code == 2 and "lacks frames 1-9" in result.stderr


def test_info_lists_the_sequences_of_a_folder(shot: Any) -> None:
    (shot.folder / "plate.1004.exr").unlink()
    (shot.folder / "still.exr").write_bytes(b"")
    found = told(str(shot.folder))
    assert [Path(row["sequence"]).name for row in found["sequences"]] == [
        "matte.####.exr", "plate.####.exr", "still.exr",
    ]  # fmt: skip
    assert found["sequences"][1]["missing_frames"] == "1004"
    lines = call("info", str(shot.folder)).stdout.splitlines()
    assert lines[1] == "plate.####.exr  1001-1003,1005-1008, 7 files, missing 1004"
    assert lines[2] == "still.exr       a still"


def test_info_says_what_could_not_be_kept_and_which_layer_is_a_plate(tmp_path: Path) -> None:
    import OpenImageIO as oiio
    from PIL import Image

    Image.new("P", (8, 8)).save(tmp_path / "palette.1.png")
    lossy = oiio.ImageSpec(8, 8, 3, "half")
    lossy.attribute("compression", "dwaa")
    assert oiio.ImageBuf(lossy).write(str(tmp_path / "lossy.1.exr"))
    assert told(str(tmp_path / "lossy.1.exr"))["would_change"] == {"dwaa becomes zip": "1"}
    text = call("info", str(tmp_path / "lossy.1.exr")).stdout
    assert re.search(r"^would change +dwaa becomes zip \(in 1\)$", text, re.MULTILINE)
    refused = told(str(tmp_path / "palette.1.png"))["cannot_be_kept"]
    assert list(refused) == ["1"] and "palette" in refused["1"]
    spec = oiio.ImageSpec(8, 8, 4, "half")
    spec.channelnames = ("beauty.R", "beauty.G", "beauty.B", "Z")
    buffer = oiio.ImageBuf(spec)
    assert buffer.write(str(tmp_path / "p.1.exr"))
    found = told(str(tmp_path / "p.#.exr"))
    assert found["as_a_plate"] == {"layer": "beauty", "channels": "R,G,B"}
    assert found["layers"] == ["beauty"]
    assert "--layer beauty --channels R,G,B" in call("info", str(tmp_path / "p.#.exr")).stdout


def test_info_for_people_is_a_table_without_control_characters(shot: Any) -> None:
    result = call("info", shot.plate)
    assert result.exit_code == 0
    assert re.search(r"^frames +1001-1008$", result.stdout, re.MULTILINE)
    assert re.search(r"^part 1 +B, G, R half; 0 0 - 31 23; zip$", result.stdout, re.MULTILINE)
    (shot.folder / "a\x1b[2J\nb.exr").write_bytes((shot.folder / "plate.1001.exr").read_bytes())
    text = call("info", f"{shot.folder}/a\x1b[2J\nb.exr").stdout
    assert "\x1b" not in text and "a?[2J?b.exr" in text


def test_info_on_nothing_is_refused(tmp_path: Path) -> None:
    result = call("info", str(tmp_path / "none.####.exr"))
    assert result.exit_code == 2 and result.stderr.startswith("ERROR: ")


def test_info_on_what_cannot_be_read_at_all_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "p.1.exr").write_bytes(b"text")
    result = call("info", str(tmp_path / "p.1.exr"))
    assert result.exit_code == 2 and "p.1.exr" in result.stderr
    result = call("info", str(tmp_path / "%V.#.exr"))
    assert result.exit_code == 2 and "--view" in result.stderr

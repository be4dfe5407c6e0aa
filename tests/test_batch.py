"""``infusion batch``: many shots, some of them broken, stopped and begun again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx.farm.batch import Batch
from infusion_ofx.farm.clash import Places, clashes
from infusion_ofx.farm.shots import read_shots
from infusion_ofx.folder import read_json
from infusion_ofx.run import run
from infusion_ofx.stopping import Signals
from processes import start

if TYPE_CHECKING:
    from conftest import Shot as TinyShot

ROOT = Path(__file__).parents[1]
DEFAULTS = {
    "plate": "{shot}/plate.####.exr", "matte": "{shot}/matte.####.exr", "output": "{shot}/out/",
    "frames": "1001-1002", "recipe": "draft", "steps": 2, "sampling_steps": 3, "threads": 1,
    "device": "cpu",
}  # fmt: skip


def write_shots(folder: Path, *rows: dict[str, Any], **defaults: Any) -> Path:
    path = folder / "shots.json"
    path.write_text(json.dumps({"defaults": {**DEFAULTS, **defaults}, "shots": rows}))
    return path


def copies(shot: TinyShot, *names: str) -> None:
    """The tiny shot once more in a folder of each name."""
    for name in names:
        (shot.folder / name).mkdir()
        for path in shot.folder.glob("*.100[12].exr"):
            shutil.copy2(path, shot.folder / name)


def batch(*arguments: object) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and all that was said of a batch in a process of its own."""
    with start("batch", *arguments) as process:
        out, err = process.communicate(timeout=900)
    report = Path(str(arguments[0])).with_suffix(".batch.json")
    return process.returncode, read_json(report), out + err


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {shot["shot"]: shot for shot in report["shots"]}


def looked_at(path: Path) -> Batch:
    found = Batch(read_shots(path), path)
    found.look(Signals())
    return found


def faults(found: Batch) -> dict[str, str]:
    return {state.shot: state.message for state in found.states if state.state == "failed"}


def spoil(path: Path) -> None:
    """Damages the pixels of a frame and nothing that is looked at before they are read."""
    data = path.read_bytes()
    path.write_bytes(data[:-200] + b"\xff" * 100 + data[-100:])


@pytest.mark.slow
def test_of_ten_shots_three_are_broken_and_seven_are_done(shot: TinyShot) -> None:
    names = [f"sh{number:02d}" for number in range(10)]
    copies(shot, *names)
    spoil(shot.folder / "sh02" / "plate.1002.exr")
    (shot.folder / "sh04" / "matte.1002.exr").unlink()
    (shot.folder / "sh06" / "out").mkdir()
    (shot.folder / "sh06" / "out" / "infusion").write_text("a file where the job folder would be")
    file = write_shots(shot.folder, {"shot": "sh*"}, {"shot": "sh09", "seed": 3})
    code, report, said = batch(file)
    assert code == 1 and "\r" not in said and "\x1b" not in said and "Traceback" not in said
    states = by_name(report)
    assert report["counts"] == {"done": 7, "failed": 3}
    failed = {name: each for name, each in states.items() if each["state"] == "failed"}
    assert list(failed) == ["sh02", "sh04", "sh06"]
    assert all(each["code"] == 2 and each["message"] and each["hint"] for each in failed.values())
    assert "sh02/plate.1002.exr" in failed["sh02"]["message"]
    assert "1002" in failed["sh04"]["message"] and "sh06/out/infusion" in failed["sh06"]["message"]
    lines = said.splitlines()
    assert lines[0].startswith("sh04 failed with 2: ") and "(shots.json, shot 1)" in lines[0]
    assert lines[-1] == "10 shots: 7 done, 3 failed"
    assert "100.0%  shots 10/10" in said
    for name in set(names) - failed.keys():
        assert states[name]["frames"] == 2 and states[name]["peak_memory"] > 2**20
        assert Path(states[name]["folder"], "result.json").exists()
    run(shot.job("alone/", frames="1001-1002"))
    alone = shot.pixels("alone")
    assert [name for name in names if shot.pixels(f"{name}/out") == alone] == [
        name for name in names if name not in (*failed, "sh09")
    ]
    assert shot.pixels("sh09/out") not in ({}, alone), "it has a seed of its own"

    shutil.copy2(shot.folder / "matte.1002.exr", shot.folder / "sh04")
    code, again, _ = batch(file)
    assert code == 1 and again["counts"] == {"done": 8, "failed": 2}
    found = by_name(again)
    assert [name for name in names if found[name]["found_done"]] == sorted(
        set(names) - failed.keys()
    )
    assert shot.pixels("sh04/out") == alone


@pytest.mark.slow
def test_a_batch_that_is_stopped_keeps_a_checkpoint(shot: TinyShot) -> None:
    copies(shot, "a", "b")
    file = write_shots(shot.folder, {"shot": "*"}, steps=3000)
    process = start("batch", file)
    work = shot.folder / "a" / "out" / "infusion" / "plate" / "v001"
    while read_json(work / "status.json").get("stage") != "train" and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    report = read_json(file.with_suffix(".batch.json"))
    assert [shot["state"] for shot in report["shots"]] == ["stopped", "waiting"]
    assert report["shots"][0]["folder"] == str(work) and list((work / "work").glob("train-*"))
    assert "a checkpoint is written" in report["shots"][0]["message"]


def test_what_is_wrong_with_the_file_begins_nothing(shot: TinyShot) -> None:
    copies(shot, "a")
    file = write_shots(shot.folder, {"shot": "a"}, {"shot": "b", "sead": 1}, {"seed": 1})
    result = CliRunner().invoke(main, ["batch", str(file)])
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert [line[:7] for line in lines] == ["ERROR: "] * 3
    assert "shot 2, shot 'b': unknown field 'sead'" in lines[0] and "shot 3" in lines[1]
    assert "2 faults in" in lines[2] and "nothing was begun" in lines[2]
    assert not (shot.folder / "a" / "out").exists()


def test_a_dry_run_looks_at_all_and_writes_nothing(shot: TinyShot) -> None:
    copies(shot, "a", "b")
    (shot.folder / "b" / "matte.1001.exr").unlink()
    before = sorted(shot.folder.rglob("*"))
    file = write_shots(shot.folder, {"shot": "a"}, {"shot": "b"})
    result = CliRunner().invoke(main, ["batch", str(file), "--dry-run", "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 1 and report["counts"] == {"failed": 1, "waiting": 1}
    assert by_name(report)["a"]["size"] == "32 x 24" and "b failed with 2" in result.stderr
    assert sorted(shot.folder.rglob("*")) == sorted([*before, file])
    (shot.folder / "b" / "matte.1001.exr").write_bytes(
        (shot.folder / "matte.1001.exr").read_bytes()
    )
    assert CliRunner().invoke(main, ["batch", str(file), "--dry-run"]).exit_code == 0


def test_a_report_that_cannot_be_written_is_told_before_anything_begins(shot: TinyShot) -> None:
    copies(shot, "a")
    file = write_shots(shot.folder, {"shot": "a"})
    report = shot.folder / "none" / "report.json"
    result = CliRunner().invoke(main, ["batch", str(file), "--report", str(report)])
    assert result.exit_code == 2 and "cannot write" in result.stderr
    assert not (shot.folder / "a" / "out").exists()


def test_shots_that_would_write_over_each_other_are_told_and_the_first_is_done(
    shot: TinyShot,
) -> None:
    copies(shot, "a", "b", "c")
    (shot.folder / "link").symlink_to("out")
    found = looked_at(
        write_shots(
            shot.folder, {"shot": "a", "output": "out/"}, {"shot": "b", "output": "link/"},
            {"shot": "c", "output": "out/c.####.exr"}, {"shot": "d", "plate": "a/plate.####.exr",
            "matte": "a/matte.####.exr", "output": "b/", "in_place": True},
            *({"shot": name, "plate": "a/plate.####.exr", "matte": "a/matte.####.exr",
               "job_dir": "job"} for name in ("e", "f")),
        )
    )  # fmt: skip
    wrong = faults(found)
    assert list(wrong) == ["b", "d", "f"]
    assert "job/job.json' is the output of shot 'e' as well" in wrong["f"]
    assert "plate.1001.exr' is the output of shot 'a' as well" in wrong["b"]
    assert "is an input of shot 'b' as well" in wrong["d"]


def test_a_shot_may_change_its_own_plate_and_share_it_with_none() -> None:
    one = Places(frozenset("abc"), frozenset("abc"))
    assert clashes({0: one}) == {}
    assert clashes({0: one, 1: Places(frozenset("cd"), frozenset("x"))}) == {
        0: ("its output 'c' is an input", 1)
    }
    assert (
        clashes(
            {0: Places(frozenset("a"), frozenset("x")), 1: Places(frozenset("a"), frozenset("y"))}
        )
        == {}
    )


def test_each_shot_is_exported_and_one_script_sends_them_all(shot: TinyShot) -> None:
    copies(shot, "a", "b c", "d")
    (shot.folder / "d" / "matte.1001.exr").unlink()
    file = write_shots(shot.folder, {"shot": "*"}, {"shot": "d"})
    for engine in ("slurm", "opencue", "deadline10", "openjd"):
        where = shot.folder / "farm" / engine
        command = ["batch", str(file), "--export", engine, "-o", str(where), "--json"]
        result = CliRunner().invoke(main, command)
        states = by_name(json.loads(result.stdout))
        assert result.exit_code == 1, result.output
        assert {name: each["state"] for name, each in states.items()} == {
            "a": "exported", "b c": "exported", "d": "failed",
        }  # fmt: skip
        for name in ("a", "b c"):
            job = Path(states[name]["folder"], "job.json").read_text()
            assert str(shot.folder / name) in job
        assert sorted(path.name for path in where.iterdir()) == ["a", "b c", "submit.sh"]
    tools = shot.folder / "tools"
    tools.mkdir()
    (tools / "openjd").write_text(
        '#!/bin/sh\nprintf "%s|" "$@"; echo; case $2 in *a/*) exit 1; esac'
    )
    (tools / "openjd").chmod(0o755)
    sent = subprocess.run(
        ["bash", where / "submit.sh", "--verbose", "x y"], cwd="/", text=True, capture_output=True,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    )  # fmt: skip
    folder = states["b c"]["folder"]
    last = f"run|./b c/template.yaml|-p|JobFolder={folder}|--verbose|x y|"
    assert sent.returncode == 1 and sent.stdout.splitlines()[2:] == ["== b c", last], sent


def test_export_and_its_folder_belong_together(tmp_path: Path) -> None:
    for options in (["--export", "slurm"], ["-o", str(tmp_path)]):
        result = CliRunner().invoke(main, ["batch", "shots.yaml", *options])
        assert result.exit_code == 2 and "belong together" in result.stderr

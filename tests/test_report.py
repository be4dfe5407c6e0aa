"""What a report says of a job, whatever state the job is in; test_report_page.py looks at it."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from infusion_cli.job_options import job_from, job_options
from infusion_cli.main import main
from infusion_ofx.accounts import keep_verdict
from infusion_ofx.begin import submit
from infusion_ofx.folder import JobFolder, write_json
from infusion_ofx.job import Job
from infusion_ofx.material import open_material
from infusion_ofx.report.build import build
from infusion_ofx.report.curves import loss_curve, strip
from infusion_ofx.report.examine import Checked, examine, worst
from infusion_ofx.report.facts import command
from infusion_ofx.report.review import as_printf, viewers
from infusion_ofx.run import run

if TYPE_CHECKING:
    from conftest import Shot


def _copied(shot: Shot) -> Job:
    """A job whose result is the plate itself, frame by frame: it keeps law 1 and fills nothing."""
    (shot.folder / "out").mkdir()
    for path in shot.folder.glob("plate.*.exr"):
        shutil.copy(path, shot.folder / "out" / path.name)
    return shot.job()


def _touch(path: Path, row: int, column: int) -> None:
    """Changes one sample of the red channel by one bit."""
    import OpenImageIO as oiio

    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, oiio.HALF)
    assert pixels is not None, file.geterror()
    file.close()
    pixels[row, column, 0] = np.nextafter(pixels[row, column, 0], np.float16(9))
    output = oiio.ImageOutput.create(str(path))
    assert output is not None and output.open(str(path), spec)
    assert output.write_image(pixels) and output.close()


def test_a_sample_that_differs_outside_the_matte_is_counted_in_its_frame(shot: Shot) -> None:
    job = _copied(shot)
    _touch(shot.folder / "out" / "plate.1003.exr", 2, 3)
    _touch(shot.folder / "out" / "plate.1004.exr", 10, 13)  # in the hole: that is no fault
    found = examine(open_material(job), shot.frames)
    counts = {check.frame: check.outside for check in found.checks}
    assert counts == {frame: int(frame == 1003) for frame in shot.frames}
    assert found.shot[1003]["box"][:2] == [2, 3]  # and the difference view shows it
    text = build(submit(job).path).read_text()
    assert "Outside the matte, 1 samples differ" in text
    assert 'class="bad" id="law"' in text


def test_a_job_that_has_not_begun_has_a_page(shot: Shot) -> None:
    text = build(submit(shot.job()).path).read_text()
    assert "waiting, 0%" in text and "0 of 8 frames are written" in text
    assert "<canvas" not in text and "script-src 'none'" in text


def test_a_job_whose_plate_is_gone_has_a_page(shot: Shot) -> None:
    folder = submit(shot.job())
    for path in shot.folder.glob("plate.*.exr"):
        path.unlink()
    assert "The frames cannot be shown" in build(folder.path).read_text()


def test_a_finished_job_has_all_of_it(shot: Shot) -> None:
    folder = Path(run(shot.job()).folder)
    scores = {"patch": {"swd": 2.5, "psnr": None, "fault": 1.5}, "<b>": {"fault": 0.5}}
    told = [
        {"name": "<b>", "where": "a corner", "scores": scores},
        {"name": "diffusion", "where": "another", "scores": {}},
    ]
    keep_verdict(JobFolder(folder), 1, told)
    text = build(folder).read_text()
    assert "Outside the matte, 0 samples differ from the plate in 8 frames." in text
    for part in (
        "Contact sheet",
        "train-00: loss",
        "Take 1, hole of a corner: &lt;b&gt; was taken.",
        ">2.5<",
        "hole of another: diffusion was taken: no hole could be planted",
    ):
        assert part in text
    assert not re.search(r"(src|href)=.?(https?:)?//", text)
    assert not list((folder / "report").glob(".*"))


def test_frames_of_a_later_job_are_not_shown_as_this_ones(shot: Shot) -> None:
    folders = [Path(run(replace(shot.job(), seed=seed)).folder) for seed in (0, 1)]
    told = ["written or changed after this job" in build(each).read_text() for each in folders]
    assert told == [True, False]


def test_each_interval_shows_its_error_on_what_was_held_out_or_the_page_says_there_is_none(
    shot: Shot,
) -> None:
    folder = submit(shot.job(intervals=3, sampling_steps=6))
    folder.report.mkdir(exist_ok=True)
    stages = [stage for stage in folder.read().stages if stage.startswith("train-")]
    assert len(stages) == 3
    for held_out, said in ([], "Nothing was held out"), ([[1, 0.7], [2, 0.25]], "Orange"):
        for stage in stages:
            told = {"stage": stage, "steps": 2, "points": [[1, 0.5]], "held_out": held_out}
            write_json(folder.report / f"loss-{stage}.json", told)
        text = build(folder.path).read_text()
        assert said in text
        assert text.count("held out 0.25</figcaption>") == (len(stages) if held_out else 0)


def test_a_frame_that_black_stands_in_for_is_compared_with_nothing(shot: Shot) -> None:
    _copied(shot)
    (shot.folder / "plate.1003.exr").unlink()
    found = examine(open_material(shot.job(missing="black")), shot.frames)
    assert [c.outside for c in found.checks] == [None if f == 1003 else 0 for f in shot.frames]


def test_the_takes_of_a_job_are_shown_side_by_side(shot: Shot) -> None:
    job = shot.job(takes=2)
    assert "<h2>Takes</h2>" not in build(submit(job).path).read_text()
    assert "<h2>Takes</h2>" in build(Path(run(job).folder)).read_text()


def test_the_fill_is_shown_beside_a_truth_and_a_wrong_one_is_said(shot: Shot) -> None:
    _copied(shot)
    folder = submit(shot.job()).path
    assert "<h2>Truth</h2>" in build(folder, truth=shot.plate).read_text()
    text = build(folder, truth=str(shot.folder / "none.####.exr")).read_text()
    assert "<h2>Truth</h2>" not in text and "The frames cannot be shown" in text


def test_in_place_there_is_no_plate_to_compare_with(shot: Shot) -> None:
    job = Job.from_dict({**shot.job().to_dict(), "output": shot.plate, "in_place": True})
    folder = Path(run(job).folder)
    assert "nothing is left to compare it with" in build(folder).read_text()


def test_the_command_does_the_same_job_again(shot: Shot) -> None:
    import click

    job = Job.from_dict({**shot.job('it\'s "here"/').to_dict(), "feather": 3, "in_place": True})
    seen: list[Job] = []

    @click.command()
    @job_options
    @click.pass_context
    def take(context: click.Context, /, **_: object) -> None:
        seen.append(job_from(context))

    result = CliRunner().invoke(take, shlex.split(command(job))[2:])
    assert (result.exit_code, seen) == (0, [job])


def test_the_verb_writes_the_page_and_says_where(shot: Shot) -> None:
    folder = submit(shot.job()).path
    page = shot.folder / "deep" / "page.html"
    result = CliRunner().invoke(main, ["report", str(folder), "-o", str(page), "--json"])
    assert json.loads(result.stdout) == {"report": str(page), "players": []} and page.is_file()
    wrong = CliRunner().invoke(main, ["report", str(shot.folder)])
    assert wrong.exit_code == 2 and "is no job folder" in wrong.stderr


def _check(frame: int, seam: float, flicker: float) -> Checked:
    return Checked(frame, 0, 1, seam, flicker)


def test_the_worst_frames_come_first_and_good_ones_not_at_all() -> None:
    checks = [_check(1, 1, 1), _check(2, 4, 1), _check(3, 1, 0.1), _check(4, math.nan, math.nan)]
    assert worst(checks) == [3, 2]


@pytest.mark.parametrize(
    ("name", "frame", "expected"),
    [
        pytest.param("plate.1001.exr", 1001, "plate.%04d.exr", id="padded"),
        pytest.param("sh010_v10.10.exr", 10, "sh010_v10.%02d.exr", id="the last one counts"),
        pytest.param("still.exr", 7, "still.exr", id="no number"),
    ],
)
def test_a_players_pattern_is_made_of_a_files_name(name: str, frame: int, expected: str) -> None:
    assert as_printf(Path("/a") / name, frame) == f"/a/{expected}"


def test_players_that_are_not_installed_are_not_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    plate, result = tmp_path / "a b.1001.exr", tmp_path / "c.1001.exr"
    assert viewers(plate, result, [1001, 1002]) == []
    _install(tmp_path, "rv")
    assert viewers(plate, result, [1001, 1002]) == [
        ["rv", "-wipe", f"{tmp_path}/a b.%04d.exr", f"{tmp_path}/c.%04d.exr"]
    ]


def _install(folder: Path, program: str) -> None:
    """A player that prints what it was given, one argument a line."""
    (folder / program).write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n')
    (folder / program).chmod(0o755)


def test_a_shell_gives_a_player_that_is_installed_just_what_was_meant(
    shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shot.folder / 'it\'s "$(here)" & <b>'
    folder.mkdir()
    for path in list(shot.folder.glob("*.exr")):
        shutil.copy(path, folder)
    (folder / "out").mkdir()
    for path in folder.glob("plate.*.exr"):
        shutil.copy(path, folder / "out")
    job = replace(shot.job(), plate=f"{folder}/plate.####.exr", output=f"{folder}/out/")
    done = str(submit(job).path)
    monkeypatch.setenv("PATH", str(tmp_path))
    for program in ("rv", "djv", "mrv2", "nuke"):
        _install(tmp_path, program)
    told = json.loads(CliRunner().invoke(main, ["report", done, "--json"]).stdout)["players"]
    assert [words[0] for words in told] == ["rv", "djv", "mrv2", "nuke"]
    assert told[1][1:] == [
        f"{folder}/out/plate.1001.exr", "-b", f"{folder}/plate.1001.exr", "-c", "Wipe",
    ]  # fmt: skip
    printed = CliRunner().invoke(main, ["report", done]).stdout.splitlines()[1:]
    page = (Path(done) / "report" / "report.html").read_text()
    for words, line in zip(told, printed, strict=True):
        ran = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
        assert ran.stdout.splitlines() == [str(tmp_path / words[0]), *words[1:]]
        assert escape(line.strip()) in page


def test_curves_of_odd_values_are_drawn_or_left_out() -> None:
    assert loss_curve("none", [], 5) == "" == loss_curve("zero", [[1, 0.0]], 5)
    assert "<polyline" in loss_curve("a", [[1, 2.0], [2, math.inf], [3, 2.0]], 3)
    assert strip("<b>", [(1, math.nan), (2, 0.0), (3, 2.0)]).count("<rect") == 1
    assert "<b>" not in strip("<b>", [])

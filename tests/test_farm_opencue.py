"""A job as an outline for OpenCue: read by PyOutline, and made a job specification by it.

No cuebot is here; what it takes for a name is in its source (JobSpec.java)."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx.errors import JobError
from infusion_ofx.farm.graph import graph
from infusion_ofx.farm.opencue import export, outline
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.job import Job

if TYPE_CHECKING:
    from conftest import Shot

NAME = re.compile(r"[\w.]{3,}", re.ASCII)
STAGES = ("train-shared", *(f"train-{k:02d}" for k in (0, 1, 2, 4)), "sample-00")


def record(**settings: object) -> Record:
    job = Job.from_dict({"plate": "/p.#.exr", "matte": "/m.exr", "output": "/o/", **settings})
    return Record(job, "1", "abc", dict.fromkeys(STAGES, 9), 2**30)


def submit(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``submit.py``, with a cuebot's address that nobody listens on."""
    given = {"HOME": str(where), "SHOW": "tree", "SHOT": "sh010", "USER": "jo"}
    return subprocess.run(
        [sys.executable, where / "submit.py", *arguments],
        env={**os.environ, **given, "CUEBOT_HOSTS": "localhost:1"}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_pyoutline_reads_the_outline_and_makes_the_graph_of_it(tmp_path: Path) -> None:
    folder = JobFolder.adopt(record(), tmp_path / 'it\'s a "job" $HOME 10%')
    export(folder, tmp_path / "cue", "/opt/in fusion")
    shown = submit(tmp_path / "cue", "--print")  # made by PyOutline's own serialiser
    assert shown.returncode == 0, shown.stderr
    sent = ET.fromstring(shown.stdout)
    steps = graph(folder.read())
    layers = sent.findall("job/layers/layer")
    assert [layer.get("name") for layer in layers] == [s.name.replace("-", "_") for s in steps]
    for step, layer in zip(steps, layers, strict=True):
        found = {child.tag: (child.text or "") for child in layer}
        commands = [shlex.split(found["cmd"].replace("#IFRAME#", str(k))) for k in (0, 4)]
        _, *arguments = step.argv(str(folder.path), "4")
        assert commands[1] == ["/opt/in fusion", *arguments, "--progress", "plain"]
        assert (commands[0] != commands[1]) == bool(step.parts)
        assert (float(found["cores"]), found["memory"]) == (step.cpus, f"{step.memory}m")
        assert found.get("gpus") == ("1" if step.gpu else None)
        assert found.get("gpu_memory") == (f"{step.gpu_memory}m" if step.gpu else None)
        assert (found["range"], found["chunk"]) == ("0-2,4" if step.parts else "0", "1")
    waits = {
        (one.findtext("deplayer"), one.findtext("onlayer"), one.get("type"))
        for one in sent.findall("depends/depend")
    }
    names = [str(layer.get("name")) for layer in layers]
    assert waits == {(late, soon, "LAYER_ON_LAYER") for soon, late in zip(names, names[1:])}  # noqa: B905
    assert (sent.findtext("show"), sent.findtext("shot")) == ("tree", "sh010")


@pytest.mark.slow
def test_a_cuebot_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    export(JobFolder.adopt(record(), tmp_path / "job"), tmp_path / "cue")
    done = submit(tmp_path / "cue")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("OpenCue did not take the job: ")


@pytest.mark.slow
def test_without_pyoutline_the_script_says_how_to_get_it(tmp_path: Path) -> None:
    export(JobFolder.adopt(record(), tmp_path / "job"), tmp_path / "cue")
    done = subprocess.run(
        [sys.executable, "-S", tmp_path / "cue" / "submit.py"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "pip install opencue-pyoutline packaging" in done.stderr


@pytest.mark.parametrize("name", ["infusion Plate-01 v001", "é  --", "", "a.b c"])
def test_any_shots_name_becomes_one_that_the_cuebot_takes(name: str) -> None:
    made = outline(graph(record()), Path("/f"), f"infusion {name}", "infusion")
    for plain in (made["name"], *(layer["name"] for layer in made["layers"])):
        assert NAME.fullmatch(plain) and "-" not in plain


@pytest.mark.parametrize("path", ["/a/#IFRAME#", "/a\nb", "/\udcff", "/a\x7f"])
def test_a_path_that_the_cuebot_would_misread_is_refused(path: str) -> None:
    with pytest.raises(JobError, match="OpenCue cannot hold the path"):
        outline(graph(record()), Path(path), "a job", "infusion")


def test_a_job_for_a_processor_asks_for_no_gpu() -> None:
    made = outline(graph(record(device="cpu", threads=7)), Path("/f"), "a job", "infusion")
    assert not any("gpus" in layer for layer in made["layers"])
    assert {layer["cores"] for layer in made["layers"]} == {7}


def test_the_verb_writes_the_two_files(shot: Shot) -> None:
    folder = JobFolder.adopt(record(), shot.folder / "jobs")
    command = ["farm", "export", "opencue", str(folder.path), "-o", str(shot.folder / "cue")]
    result = CliRunner().invoke(main, [*command, "--program", "/opt/infusion"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (shot.folder / "cue").iterdir()) == [
        "outline.json", "submit.py",
    ]  # fmt: skip
    facts = json.loads((shot.folder / "cue" / "outline.json").read_text())
    assert facts["layers"][0]["command"][:2] == ["/opt/infusion", "prepare"]

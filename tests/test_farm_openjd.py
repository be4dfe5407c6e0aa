"""A job as an Open Job Description bundle: read by that project's own tools, and run by them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner
from deadline.client.job_bundle.loader import read_yaml_or_json_object
from deadline.client.job_bundle.parameters import read_job_bundle_parameters
from deadline.client.job_bundle.submission import AssetReferences
from openjd import model, sessions

from infusion_cli.main import main
from infusion_ofx.begin import submit
from infusion_ofx.farm import openjd as bundle
from infusion_ofx.farm.graph import RETRIES, graph
from infusion_ofx.farm.status import status
from infusion_ofx.folder import JobFolder, Record, read_json, write_json
from infusion_ofx.job import Job
from infusion_ofx.run import run

if TYPE_CHECKING:
    from conftest import Shot

ROOT = Path(__file__).parents[1]
SHARED: dict[str, Any] = {"recipe": "final", "intervals": 2, "frames": "1001-1002"}
HOSTILE = "it's {{Param.X}} \"$(x)` %d \\ \u00e9 \U0001f525 \x7f\x85\u2028 end"
STAGES = {"train-shared": 4, **{f"{k}-{i:02d}": 1 for i in range(12) for k in ("train", "sample")}}


def export(shot: Shot, **settings: Any) -> tuple[JobFolder, Path]:
    """The job folder and the bundle that the verb makes."""
    job = shot.job(**{**SHARED, **settings})
    made = shot.folder / "bundle"
    arguments = ["farm", "export", "openjd", *job.to_options(), "-o", str(made), "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return JobFolder(Path(json.loads(result.stdout)["folder"])), made


def template(**settings: Any) -> dict[str, Any]:
    return bundle.template(Record(Job("/p", "/m", "/o", **settings), "1", "abc", STAGES), "a job")


def parameters(**texts: str) -> dict[str, Any]:
    """Values of the template's parameters, as the farm's own model wants them."""
    kinds = model.ParameterValueType
    types = {"JobFolder": kinds.PATH, "Infusion": kinds.STRING}
    return {n: model.ParameterValue(type=types[n], value=text) for n, text in texts.items()}


@pytest.mark.parametrize("settings", [{}, {"device": "cpu"}])
def test_the_template_is_valid_and_has_the_graphs_steps_and_tasks(settings: dict[str, Any]) -> None:
    decoded = model.decode_job_template(template=template(**settings))
    job = model.create_job(
        job_template=decoded, job_parameter_values=parameters(JobFolder="/f", Infusion="i")
    )
    order = [step.name for step in model.StepDependencyGraph(job=job).topo_sorted()]
    assert order == ["Prepare", "TrainShared", "Train", "Sample", "Assemble"]
    (train,) = (step for step in job.steps if step.name == "Train")
    space = model.StepParameterSpaceIterator(space=train.parameterSpace)
    assert [int(task["Interval"].value) for task in space] == list(range(12))


def test_takes_and_intervals_are_tasks_with_parameters_of_their_own() -> None:
    decoded = model.decode_job_template(template=template(takes=3))
    given = parameters(JobFolder="/f", Infusion="i")
    job = model.create_job(job_template=decoded, job_parameter_values=given)
    (sample,) = (step for step in job.steps if step.name == "Sample")
    space = model.StepParameterSpaceIterator(space=sample.parameterSpace)
    assert [int(task["Take"].value) for task in space] == [1, 2, 3]
    words = [str(word) for word in sample.script.actions.onRun.args or []]
    assert words[2:4] == ["--take", "{{Task.Param.Take}}"]


def test_no_shell_stands_between_the_farm_and_the_program() -> None:
    for step in template()["steps"]:
        assert step["script"].keys() == {"actions"}, "no embedded script"
        action = step["script"]["actions"]["onRun"]
        assert action["command"] == "{{Param.Infusion}}"
        assert action["cancelation"]["mode"] == "NOTIFY_THEN_TERMINATE"
        assert action["args"][1] == "{{Param.JobFolder}}"


@pytest.mark.parametrize("name", [HOSTILE, "\n\n", "", "x" * 500, "{{{{{{", "\x00"])
def test_any_name_of_a_shot_makes_a_valid_template(name: str) -> None:
    record = Record(Job("/p", "/m", "/o"), "1", "abc", STAGES)
    decoded = model.decode_job_template(template=bundle.template(record, name))
    assert 1 <= len(str(decoded.name)) <= 128


def test_a_bundle_says_the_same_to_readers_of_yaml_and_of_json(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / HOSTILE)
    for facts in (
        bundle.values(folder),
        bundle.assets(folder, [folder.path / "p.exr"], folder.path),
    ):
        text = bundle.as_yaml(facts)
        assert yaml.safe_load(text) == json.loads(text) == facts
    with pytest.raises(Exception, match="no UTF-8"):
        bundle.as_yaml({"a": "\udcff"})


@pytest.mark.parametrize("name", ["bundle", HOSTILE.replace("\\", "")])
def test_an_exported_bundle_is_read_by_deadline_cloud(shot: Shot, name: str) -> None:
    folder, made = export(shot)
    made.rename(shot.folder / name)
    there = str(shot.folder / name)
    values = {each["name"]: each.get("value") for each in read_job_bundle_parameters(there)}
    retries = values.pop("deadline:maxRetriesPerTask")
    assert values == {"JobFolder": str(folder.path), "Infusion": None} and retries == RETRIES
    found = AssetReferences.from_dict(read_yaml_or_json_object(there, "asset_references", True))
    frames = {f"{shot.folder}/{kind}.{n}.exr" for kind in ("plate", "matte") for n in (1001, 1002)}
    assert found.input_filenames == frames
    assert found.output_directories == {str(folder.path), f"{shot.folder}/out"}


def test_an_export_makes_the_job_or_takes_the_one_that_is_named(shot: Shot) -> None:
    folder, made = export(shot)
    first = (made / "template.yaml").read_bytes()
    folder.cancel()
    command = ["farm", "export", "openjd", str(folder.path), "-o", str(made)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0 and str(folder.path) in result.stdout
    assert (made / "template.yaml").read_bytes() == first and not folder.cancelled()
    refused = CliRunner().invoke(main, [*command, "--seed", "3"])
    assert refused.exit_code == 2 and "--seed cannot change" in refused.stderr
    assert not shot.hidden()


@pytest.mark.parametrize("engine", ["openjd", "slurm", "opencue", "deadline10"])
def test_a_dry_run_says_the_steps_and_writes_nothing(shot: Shot, engine: str) -> None:
    before = sorted(shot.folder.rglob("*"))
    given = [*shot.job(**SHARED).to_options(), "-o", str(shot.folder / "b"), "--dry-run"]
    result = CliRunner().invoke(main, ["farm", "export", engine, *given])
    assert result.exit_code == 0, result.output
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == ["prepare", "train-shared", "train", "sample", "assemble"]
    found = json.loads(
        CliRunner().invoke(main, ["farm", "export", engine, *given, "--json"]).stdout
    )
    assert [step["name"] for step in found["steps"]] == names
    assert sorted(shot.folder.rglob("*")) == before


# Run by the project's own tools


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """What the parameter ``Infusion`` names: the checkout's program, its arguments untouched."""
    path = tmp_path / "infusion"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    path.write_text(
        f'#!/bin/sh\nexport PYTHONPATH={paths!r} OMP_NUM_THREADS=1\n'
        f'exec {sys.executable!r} -m infusion_cli "$@"\n'
    )  # fmt: skip
    path.chmod(0o755)
    return path


def openjd(verb: str, made: Path, *parameters: str) -> subprocess.Popen[str]:
    """One of the project's own commands on a bundle's template."""
    command = [str(Path(sys.executable).parent / "openjd"), verb, str(made / "template.yaml")]
    given = [part for parameter in parameters for part in ("-p", parameter)]
    return subprocess.Popen(
        [*command, *given], env={**os.environ, "TMPDIR": str(made)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.05)


@pytest.mark.slow
def test_the_projects_own_commands_take_the_template_and_count_its_tasks(shot: Shot) -> None:
    folder, made = export(shot)
    checked = openjd("check", made)
    assert "passes validation checks" in checked.communicate()[0] and checked.returncode == 0
    said = openjd("summary", made, f"JobFolder={folder.path}").communicate()[0]
    steps = graph(folder.read())
    assert f"Total steps: {len(steps)}" in said
    assert f"Total tasks: {sum(len(step.tasks) for step in steps)}" in said


@pytest.mark.slow
def test_a_graph_that_is_run_cancelled_and_run_again_ends_with_the_pixels_of_run(
    shot: Shot, program: Path
) -> None:
    folder, made = export(shot, steps=20)
    given = (f"JobFolder={folder.path}", f"Infusion={program}")
    cancelled = openjd("run", made, *given)
    wait_for(lambda: read_json(folder.status("train-shared")).get("step", 0) > 0, cancelled)
    cancelled.send_signal(signal.SIGTERM)
    said = cancelled.communicate(timeout=120)[0]
    assert cancelled.returncode == 1 and "openjd_progress: " in said, said
    found = {task.task: task for task in status(folder.path).tasks}
    assert (found["prepare"].state, found["train-shared"].state) == ("done", "stopped"), said
    assert list(folder.work.glob("train-shared-*.safetensors")), "a checkpoint is written"

    again = openjd("run", made, *given)
    said = again.communicate(timeout=300)[0]
    assert again.returncode == 0, said
    assert said.count("Running Task") == sum(len(step.tasks) for step in graph(folder.read()))
    run(shot.job("unbroken/", **SHARED, steps=20))
    assert shot.pixels() == shot.pixels("unbroken")
    assert status(folder.path).state == "done"
    attempts = sorted(path.name for path in (folder.path / "logs").glob("train-shared.*"))
    assert attempts == ["train-shared.1.log", "train-shared.2.log"]


@pytest.mark.slow
def test_a_session_hears_a_task_and_maps_the_paths_of_a_job_that_windows_has_made(
    shot: Shot, program: Path
) -> None:
    folder = submit(shot.job(**SHARED))
    record = folder.read()
    rules = [
        sessions.PathMappingRule(
            source_path_format=sessions.PathFormat.WINDOWS,
            source_path=PureWindowsPath(source),
            destination_path=PurePosixPath(target),
        )
        for source, target in (("P:\\show", shot.folder), ("M:\\mattes", shot.folder))
    ]
    given = parameters(JobFolder=_as_on_windows(folder, shot), Infusion=str(program))
    decoded = model.decode_job_template(template=bundle.template(record, "a job"))
    job = model.create_job(job_template=decoded, job_parameter_values=given)
    scripts = {step.name: step.script for step in job.steps}
    told: list[sessions.ActionStatus] = []
    over = threading.Event()

    def hear(session: str, action: sessions.ActionStatus) -> None:
        told.append(action)
        if action.state != sessions.ActionState.RUNNING:
            over.set()

    with sessions.Session(
        session_id="test", job_parameter_values=given, path_mapping_rules=rules, callback=hear,
        session_root_directory=shot.folder,
    ) as session:  # fmt: skip
        session.run_task(step_script=scripts["Prepare"], task_parameter_values={})
        assert over.wait(120) and told[-1].state.name == "SUCCESS"
        progress = [each.progress for each in told if each.progress is not None]
        assert progress == sorted(progress) and progress[-1] == 100
        assert any("working on" in (each.status_message or "") for each in told)
        assert (folder.work / "prepared.safetensors").exists()
        over.clear()
        session.run_task(step_script=scripts["Sample"], task_parameter_values={})
        assert over.wait(120) and told[-1].state.name == "FAILED"
        assert told[-1].exit_code == 3 and "is not done" in (told[-1].fail_message or "")


def _as_on_windows(folder: JobFolder, shot: Shot) -> str:
    """Makes a job folder look as if it had been made on Windows, and gives its name there."""

    def there(path: str) -> str:
        return path.replace(str(shot.folder), "P:\\show").replace("/", "\\")

    facts = read_json(folder.path / "job.json")
    for part in (facts["job"], facts["settings"]):
        for name in ("plate", "matte", "output"):
            part[name] = there(part[name])
        part["matte"] = part["matte"].replace("P:\\show", "M:\\mattes")
    facts["folder"] = there(facts["folder"])
    write_json(folder.path / "job.json", facts)
    return str(facts["folder"])

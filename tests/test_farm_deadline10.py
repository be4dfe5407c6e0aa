"""A job as files for Deadline 10: compared with golden files, and sent by ``submit.py`` to a script
in the place of ``deadlinecommand``, which no registry has. No repository was ever asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx.errors import JobError
from infusion_ofx.farm.deadline10 import export, job_info, plugin_info
from infusion_ofx.farm.graph import Step, graph
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.job import Job

GOLDEN = Path(__file__).parent / "golden" / "deadline10"
STAGES = ("train-shared", *(f"train-{k:02d}" for k in range(4)), "sample-00")


def record() -> Record:
    job = Job("/show/p.#.exr", "/show/m.exr", "/show/out/")
    return Record(job, "1", "abc", dict.fromkeys(STAGES, 9), 2**30)


@pytest.mark.parametrize("step", graph(record()), ids=lambda step: step.name)
def test_a_steps_files_are_the_golden_ones(step: Step) -> None:
    gpu = {"Group": "gpu"} if step.gpu else {}
    made = {
        "job": job_info(step, "infusion plate v001", {**gpu, "Priority": "60"}),
        "plugin": plugin_info(step, Path("/show/sh 010/infusion/plate/v001"), "/opt/infusion"),
    }
    for kind, text in made.items():
        assert text == (GOLDEN / f"{step.name}.{kind}").read_text(encoding="utf-8")


def sent_by_submit(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Runs ``dl/submit.py`` with a program in place of ``deadlinecommand``, beside nothing else."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "deadlinecommand"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n{body}\n")
    program.chmod(0o755)
    return subprocess.run(
        [sys.executable, folder / "dl" / "submit.py"], cwd=folder,
        env={**os.environ, "PATH": "/nowhere", "DEADLINE_PATH": str(folder / "bin")},
        capture_output=True, text=True,
    )  # fmt: skip


COUNT = (
    "log = Path('sent')\n"
    "log.write_text((log.read_text() if log.exists() else '') + Path(sys.argv[1]).read_text() +"
    " Path(sys.argv[2]).name + '\\n')\n"
    "count = log.read_text().count('BatchName')\n"
)


def test_each_step_is_sent_with_the_ids_of_those_it_needs(tmp_path: Path) -> None:
    folder = JobFolder.adopt(record(), tmp_path / "jobs")
    export(folder, tmp_path / "dl")
    done = sent_by_submit(tmp_path, COUNT + "print(f'Result=Success\\nJobID=id{count}')")
    assert (done.returncode, done.stderr) == (0, "")
    names = [step.name for step in graph(record())]
    assert done.stdout.split() == [w for i, name in enumerate(names, 1) for w in (name, f"id{i}")]
    lines = (tmp_path / "sent").read_text().splitlines()
    assert [line for line in lines if line.startswith("JobDependencies")] == [
        f"JobDependencies=id{i}" for i in range(1, len(names))
    ]
    assert [line for line in lines if line.endswith(".plugin")] == [f"{n}.plugin" for n in names]


def test_a_step_that_is_refused_ends_it_and_says_what_was_sent(tmp_path: Path) -> None:
    export(JobFolder.adopt(record(), tmp_path / "jobs"), tmp_path / "dl")
    body = COUNT + "print('JobID=id7' if count < 3 else 'Error: no such pool')"
    done = sent_by_submit(tmp_path, body)
    assert done.returncode == 1
    assert "refused train: Error: no such pool; delete what was sent: id7 id7" in done.stderr


def test_without_deadline_the_script_says_so(tmp_path: Path) -> None:
    export(JobFolder.adopt(record(), tmp_path / "jobs"), tmp_path / "dl")
    done = subprocess.run(
        [sys.executable, tmp_path / "dl" / "submit.py"], env={"PATH": "/nowhere"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "deadlinecommand is on neither" in done.stderr


@pytest.mark.parametrize("path", ['/a"b', "/a\nb", "/a<STARTFRAME>", "/a  b", "/a ", "/\udcff"])
def test_a_path_that_the_file_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(JobError, match="cannot hold the path"):
        plugin_info(graph(record())[0], Path(path), "infusion")


def test_a_windows_path_stands_in_the_arguments_as_it_is() -> None:
    folder = r"P:\show\sh 010\v001"
    text = plugin_info(graph(record())[0], Path(folder), r"C:\infusion\infusion.exe")
    assert f'Arguments=prepare "{folder}" --progress deadline\n' in text


def test_the_verb_takes_deadlines_own_words(tmp_path: Path) -> None:
    folder = JobFolder.adopt(record(), tmp_path / "jobs")
    command = ["farm", "export", "deadline10", str(folder.path), "-o", str(tmp_path / "dl")]
    given = ["--gpu-group", "gpu", "--prop", "Pool=comp", "--prop", "Comment=a=b"]
    result = CliRunner().invoke(main, [*command, *given])
    assert result.exit_code == 0 and "submit.py" in result.stdout
    for step in graph(record()):
        lines = (tmp_path / "dl" / f"{step.name}.job").read_text().splitlines()
        assert {"Pool=comp", "Comment=a=b"} <= set(lines)
        assert ("Group=gpu" in lines) == step.gpu
    wrong = CliRunner().invoke(main, [*command, "--prop", "Pool"])
    assert wrong.exit_code == 2 and "'Pool' is not KEY=VALUE" in wrong.stderr

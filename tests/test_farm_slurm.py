"""Slurm: the scripts, and one shot over a cluster of three machines that all are this one."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx.begin import submit as make
from infusion_ofx.errors import JobError
from infusion_ofx.farm import openjd, slurm
from infusion_ofx.farm.graph import graph
from infusion_ofx.farm.status import status
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.job import Job
from infusion_ofx.run import run

if TYPE_CHECKING:
    from conftest import Shot

NODES = ("n0", "n1", "n2")
ROOT = Path(__file__).parents[1]
WAIT_SECONDS = 600
"""A busy machine is no failure: only a cluster that hangs is."""


class Cluster:
    """A real Slurm with three machines of one processor each, all of them this machine.

    Its daemons are this process's children, with ports, keys and state of their own: nothing of a
    Slurm that is installed here is touched. No systemd, cgroups or database is needed. The
    GPU that each machine says it has is ``/dev/null``: Slurm counts it, and looks no further.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.held: dict[str, float] = {}

    def __enter__(self) -> Cluster:
        self._configure()
        munge = [f"--{name}={self.folder / f'munge.{name}'}" for name in ("key-file", "socket")]
        munge += [
            f"--{name}-file={self.folder / f'munge.{name}'}" for name in ("pid", "log", "seed")
        ]
        (self.folder / "munge.key-file").write_bytes(os.urandom(128))
        (self.folder / "munge.key-file").chmod(0o400)
        self._start("munged", "--foreground", "--force", "--num-threads=1", *munge)
        until((self.folder / "munge.socket").exists)
        self._start("slurmctld", "-D", "-c")
        until(lambda: "is UP" in self._said("scontrol", "ping").stdout)
        for node in NODES:
            self.boot(node)
        until(lambda: self.ask("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(NODES))
        return self

    def __exit__(self, *_: object) -> None:
        self._said("scancel", "--user", getpass.getuser())
        for daemon in self.daemons.values():
            daemon.terminate()
        for daemon in self.daemons.values():
            daemon.wait(30)

    @property
    def environment(self) -> dict[str, str]:
        """What a user of this cluster has in the environment."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
        return {**kept, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def boot(self, node: str) -> None:
        """Starts a machine's daemon."""
        (self.folder / "spool" / node).mkdir(parents=True, exist_ok=True)
        self._start("slurmd", "-D", "-N", node)

    def crash(self, node: str) -> None:
        """A machine is lost to Slurm; what ran on it runs on, as after a network that fails."""
        daemon = self.daemons.pop(f"slurmd {node}")
        daemon.kill()
        daemon.wait()
        self.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = self._said(*command)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def jobs(self, job: str) -> list[dict[str, str]]:
        """Slurm's facts of a job, or of each task of an array."""
        text = self.ask("scontrol", "--oneliner", "show", "job", job)
        return [dict(w.partition("=")[::2] for w in line.split()) for line in text.splitlines()]

    def states(self, job: str) -> list[str]:
        return [facts["JobState"] for facts in self.jobs(job)]

    def hurry(self) -> None:
        """Lifts the two minutes for which Slurm holds what it has requeued.

        Not at once: in the same second a node takes the new start's credential for the one that was
        revoked, and the job has failed.
        """
        for job in self.ask("squeue", "-h", "-r", "-t", "PD", "-o", "%i %r").splitlines():
            number, reason = job.split(maxsplit=1)
            if reason == "BeginTime":
                since = self.held.setdefault(number, time.monotonic())
                if time.monotonic() - since > 2:
                    del self.held[number]
                    self.ask("scontrol", "update", f"JobId={number}", "StartTime=now")

    def finish(self, job: str) -> None:
        """Waits until a job has ended well."""

        def is_done() -> bool:
            self.hurry()
            states = self.states(job)
            bad = {"FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT"} & set(states)
            assert not bad, (states, self.ask("scontrol", "show", "job", job))
            return set(states) == {"COMPLETED"}

        until(is_done)

    def _said(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def _start(self, program: str, *arguments: str) -> None:
        name = program if program != "slurmd" else f"slurmd {arguments[-1]}"
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [program, *arguments], env=self.environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def _configure(self) -> None:
        host, user = socket.gethostname().split(".")[0], getpass.getuser()
        control, *ports = free_ports(1 + len(NODES))
        (self.folder / "state").mkdir()
        machine = "CPUs=1 RealMemory=65536 Gres=gpu:1 State=UNKNOWN"
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} {machine}"
            for node, port in zip(NODES, ports, strict=True)
        ]
        text = CONFIGURATION.format(d=self.folder, host=host, user=user, port=control)
        (self.folder / "slurm.conf").write_text("\n".join([text, *nodes, ""]))
        gpus = [f"NodeName={node} Name=gpu File=/dev/null\n" for node in NODES]
        (self.folder / "gres.conf").write_text("".join(gpus))


CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={d}/munge.socket
StateSaveLocation={d}/state
SlurmdSpoolDir={d}/spool/%n
SlurmctldPidFile={d}/slurmctld.pid
SlurmdPidFile={d}/slurmd.%n.pid
SlurmctldLogFile={d}/slurmctld.log
SlurmdLogFile={d}/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=50000,sched_interval=1,batch_sched_delay=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
KillWait=60
MinJobAge=3600
RequeueExit=75,143
GresTypes=gpu
PartitionName=render Nodes=n[0-2] Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def until(happened: Callable[[], bool]) -> None:
    """Waits for something that must happen."""
    end = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Three machines; ``slurm.submit`` and all else in this process finds them."""
    if shutil.which("slurmctld") is None or shutil.which("munged") is None:
        why = "there is no Slurm here: apt-get install slurm-wlm munge"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    # A socket's path is at most 107 bytes, which pytest's folders come near to.
    with tempfile.TemporaryDirectory(prefix="slurm.") as folder, Cluster(Path(folder)) as made:
        for name in [name for name in os.environ if name.startswith(("SLURM", "SBATCH"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("SLURM_CONF", made.environment["SLURM_CONF"])
        yield made


def job_of(shot: Shot, output: str, steps: int) -> Job:
    """Three intervals after a shared training. ``auto``, so that Slurm is asked for a GPU."""
    return Job(
        shot.plate, shot.matte, f"{shot.folder}/{output}/", recipe="final", intervals=3,
        steps=steps, sampling_steps=3, threads=1, checkpoint_minutes=60,
    )  # fmt: skip


def program_in(folder: Path, first: str = "") -> str:
    """The ``infusion`` command of this checkout, as a farm's wrapper script."""
    path = folder / "infusion here.sh"
    paths = shlex.quote(f"{ROOT}:{ROOT / 'cli'}")
    path.write_text(
        f"#!/bin/bash\n{first}\nexport PYTHONPATH={paths}\n"
        f'exec {shlex.quote(sys.executable)} -m infusion_cli "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


def by_openjd(folder: JobFolder, where: Path) -> None:
    """Has ``openjd run`` do a job, all of its steps in one session."""
    openjd.export(folder, where / "bundle")
    command = [
        str(Path(sys.executable).parent / "openjd"),
        "run",
        str(where / "bundle/template.yaml"),
    ]
    given = ["-p", f"JobFolder={folder.path}", "-p", f"Infusion={program_in(where / 'bundle')}"]
    done = subprocess.run(
        [*command, *given], env={**os.environ, "TMPDIR": str(where)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def frames_in(shot: Shot, output: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (shot.folder / output).glob("*.exr")}


@pytest.mark.slow
@pytest.mark.slurm
def test_a_shot_over_three_machines_by_openjd_and_by_run_has_the_same_files(
    shot: Shot, cluster: Cluster
) -> None:
    folder = make(job_of(shot, "farm 'out' %j $HOME", steps=2))
    command = ["farm", "submit", "slurm", str(folder.path), "--cpus", "1", "--json"]
    result = CliRunner().invoke(main, [*command, "--program", program_in(shot.folder)])
    assert result.exit_code == 0, result.output
    ids = json.loads(result.stdout)["jobs"]
    assert list(ids) == ["prepare", "train-shared", "train", "sample", "assemble"]
    run(job_of(shot, "one", steps=2))
    by_openjd(make(job_of(shot, "openjd", steps=2)), shot.folder)
    cluster.finish(ids["assemble"])
    assert len({facts["BatchHost"] for facts in cluster.jobs(ids["train"])}) >= 2
    assert status(folder.path).state == "done"
    files = frames_in(shot, "one")
    assert len(files) == len(shot.frames)
    assert frames_in(shot, "farm 'out' %j $HOME") == frames_in(shot, "openjd") == files
    logs = {path.name for path in (folder.path / "logs").glob("slurm-*")}
    assert logs == {
        *(f"slurm-{name}.{ids[name]}.log" for name in ids if name != "train"),
        *(f"slurm-train.{ids['train']}_{k}.log" for k in range(3)),
    }


@pytest.mark.slow
@pytest.mark.slurm
def test_nothing_that_befalls_a_farm_changes_a_bit(shot: Shot, cluster: Cluster) -> None:
    """Try again (75), the notice before a time limit, a machine that is lost while its task runs
    on, and a job that is cancelled and submitted again."""
    folder = make(job_of(shot, "farm", steps=30))
    fails = '[ "$1 ${SLURM_RESTART_COUNT:-0}" = "prepare 0" ] && exit 75'
    slurm.export(folder, folder.path / "slurm", program_in(shot.folder, fails), cpus=1)

    def running(task: str, attempt: int = 1) -> bool:
        cluster.hurry()
        found = next(each for each in status(folder.path).tasks if each.task == task)
        return found.state == "running" and found.attempt >= attempt and found.percent > 0

    ids = slurm.submit(folder.path / "slurm")
    cluster.finish(ids["prepare"])
    assert [facts["Restarts"] for facts in cluster.jobs(ids["prepare"])] == ["1"]

    shared = ids["train-shared"]
    until(lambda: running("train-shared"))
    cluster.ask("scancel", "--batch", "--signal=TERM", shared)  # as --signal=B:TERM does
    until(lambda: running("train-shared", attempt=2))
    assert "a checkpoint is written" in (folder.path / "logs/train-shared.1.log").read_text()
    cluster.crash(cluster.jobs(shared)[0]["BatchHost"])
    cluster.finish(shared)

    until(lambda: any(running(f"train-{k:02d}") for k in range(3)))
    cluster.ask("scancel", *ids.values())
    ids = slurm.submit(folder.path / "slurm")
    run(job_of(shot, "one", steps=30))
    cluster.finish(ids["assemble"])
    assert frames_in(shot, "farm") == frames_in(shot, "one")
    assert not list(shot.folder.rglob(".*.tmp"))


NAMES = ("plain", "with space", "it's", '"two"', "$HOME `id` $(id)", "-n", "a\nb", "ü %j", "\udcff")


@pytest.mark.parametrize("name", NAMES)
def test_any_folder_name_reaches_the_program_as_it_is(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / name, stages=("train-shared", "train-00", "train-01"))
    show = tmp_path / "show.sh"
    show.write_text("#!/bin/bash\nprintf '%s\\0' \"$@\"\n")
    show.chmod(0o755)
    slurm.export(folder, tmp_path / "scripts", str(show))
    for step in graph(folder.read()):
        done = subprocess.run(
            ["bash", tmp_path / "scripts" / f"{step.name}.sbatch"],
            env={**os.environ, "SLURM_ARRAY_TASK_ID": "1"}, capture_output=True, check=True,
        )  # fmt: skip
        given = os.fsdecode(done.stdout).split("\0")[:-1]
        words = [word for word in given if word not in ("--progress", "plain")]
        assert words == step.argv(str(folder.path), "1")[1:]


@pytest.mark.parametrize("name", NAMES)
def test_each_step_waits_for_those_that_it_needs(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / name, stages=("train-shared", "train-00", "train-02"))
    slurm.export(folder, tmp_path / "s", arguments=["--partition=a b"])
    count = "echo >> count; wc -l < count"
    done = with_sbatch(tmp_path, f'printf "%s\\0" "$@" >> sent; echo >> sent; {count}')
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == [
        "prepare", "1", "train-shared", "2", "train", "3", "sample", "4", "assemble", "5",
    ]  # fmt: skip
    sent = os.fsdecode((tmp_path / "s" / "sent").read_bytes()).split("\0\n")[:-1]
    for number, (line, step) in enumerate(zip(sent, graph(folder.read()), strict=True)):
        words = line.split("\0")
        assert words[-1] == f"{step.name}.sbatch"
        assert {"--parsable", "--partition=a b", f"--chdir={folder.path}"} <= set(words)
        waits = [word for word in words if word.startswith("--dependency")]
        assert waits == [f"--dependency=afterok:{number}"] * bool(step.needs)
    assert (folder.path / "logs").is_dir()


def test_a_step_that_slurm_refuses_takes_the_others_with_it(tmp_path: Path) -> None:
    slurm.export(folder_of(tmp_path / "job"), tmp_path / "s")
    (tmp_path / "scancel").write_text('#!/bin/bash\necho "$@" > cancelled\n')
    (tmp_path / "scancel").chmod(0o755)
    done = with_sbatch(tmp_path, 'echo x >> sent; [ $(wc -l < sent) = 3 ] && exit 1; echo "7;here"')
    assert done.returncode == 1
    assert (tmp_path / "s" / "cancelled").read_text() == "7 7\n"


def test_a_script_asks_for_what_its_step_needs_and_becomes_the_program(tmp_path: Path) -> None:
    stages = ("train-shared", *(f"train-{k:02d}" for k in (0, 1, 2, 4)))
    folder = folder_of(tmp_path / "job", stages)
    for step in graph(folder.read(), cpus=3):
        lines = slurm.script(step, folder.path, "infusion").splitlines()
        assert lines[-1].startswith("exec infusion ")
        asked = {line.removeprefix("#SBATCH ") for line in lines[1:-1]}
        assert {"--cpus-per-task=3", f"--mem={step.memory}M", "--requeue"} <= asked
        assert {"--open-mode=append", "--signal=B:TERM@120"} <= asked
        assert ("--gres=gpu:1" in asked) == (step.name not in ("prepare", "assemble"))
        arrays = [each for each in asked if each.startswith("--array")]
        assert arrays == (["--array=0-2,4"] if step.name == "train" else [])


def test_takes_are_an_array_too(tmp_path: Path) -> None:
    (sample,) = (s for s in graph(folder_of(tmp_path / "j", takes=3).read()) if s.name == "sample")
    text = slurm.script(sample, tmp_path, "infusion")
    assert "#SBATCH --array=1-3\n" in text and ' --take "$SLURM_ARRAY_TASK_ID"\n' in text


def test_a_job_for_a_processor_asks_for_no_gpu(tmp_path: Path) -> None:
    steps = graph(folder_of(tmp_path / "job", device="cpu").read())
    assert not any("--gres" in slurm.script(step, tmp_path, "infusion") for step in steps)


def test_the_verb_writes_the_scripts_with_what_the_user_tells_slurm(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "job")
    given = ["--partition", "gpu", "--time", "8:00:00", "--sbatch=--constraint=a100", "--cpus", "7"]
    command = ["farm", "export", "slurm", str(folder.path), "-o", str(tmp_path / "s"), *given]
    result = CliRunner().invoke(main, [*command, "--program", "/opt/in fusion"])
    assert result.exit_code == 0 and f"bash {tmp_path}/s/submit.sh" in result.stdout
    text = (tmp_path / "s" / "submit.sh").read_text()
    assert "--partition=gpu --time=8:00:00 --constraint=a100" in text
    train = (tmp_path / "s" / "train.sbatch").read_text()
    assert "--cpus-per-task=7" in train and "\nexec '/opt/in fusion' train " in train


def test_a_submission_without_slurm_leaves_the_job_and_the_scripts(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "job")
    command = ["farm", "submit", "slurm", str(folder.path)]
    result = CliRunner(env={"PATH": str(tmp_path)}).invoke(main, command)
    assert result.exit_code == 2 and "sbatch is not on this machine's PATH" in result.stderr
    assert (folder.path / "slurm" / "submit.sh").exists()


def test_a_machine_without_slurm_is_told_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match=r"sbatch is not on .*; run bash .*submit\.sh where Slurm"):
        slurm.submit(tmp_path)


def folder_of(root: Path, stages: tuple[str, ...] = ("train-00",), **settings: Any) -> JobFolder:
    """A job's folder, made without any frames."""
    job = Job("/p.####.exr", "/m.####.exr", "/o/", **settings)
    names = [*stages, "sample-00"]
    return JobFolder.adopt(Record(job, "1", "digest", dict.fromkeys(names, 9), 2**30), root)


def with_sbatch(folder: Path, body: str) -> subprocess.CompletedProcess[bytes]:
    """Runs ``s/submit.sh`` with a program in place of ``sbatch``."""
    (folder / "sbatch").write_text(f"#!/bin/bash\n{body}\n")
    (folder / "sbatch").chmod(0o755)
    paths = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(["bash", folder / "s" / "submit.sh"], env=paths, capture_output=True)

"""How a process comes to a job: it begins one, goes on with one, or hands one to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infusion_ofx import __version__
from infusion_ofx.attempt import Attempt, attempting
from infusion_ofx.engine.compute import Compute
from infusion_ofx.engine.stages import stages
from infusion_ofx.errors import JobError, Stopped, TryAgainError
from infusion_ofx.estimate import on_device
from infusion_ofx.folder import JobFolder, Record
from infusion_ofx.job import Job
from infusion_ofx.leftovers import CPU_TASKS, stages_of
from infusion_ofx.material import Material, open_material
from infusion_ofx.paths import PathMap, absolute, is_folder
from infusion_ofx.planning import plan_work
from infusion_ofx.progress import Meter, OnProgress, Progress, ignore
from infusion_ofx.sequence.pattern import Pattern
from infusion_ofx.steps import Steps
from infusion_ofx.stopping import Signals, stopping
from infusion_ofx.watch import Watch

__all__ = ["begin", "folder_of", "go_on", "job_root", "plan", "record_of", "submit"]


@contextmanager
def begin(job: Job, on_progress: OnProgress = ignore) -> Iterator[Steps]:
    """Takes the job's folder, a new version of it where the job is new, and reports on it.

    Raises:
        JobError: when the job is wrong; it names every fault at once.
    """
    with stopping() as signals:
        job = absolute(job)
        material = open_material(job)
        compute = Compute.choose(job.device, job.precision, job.threads)
        record = record_of(material)
        folder = _folder(record, compute.arithmetic)
        with attempting(folder, "run", job) as attempt:
            compute = compute.like(folder.settle(compute.arithmetic))
            steps = _at_work(folder, record, compute, attempt, signals, on_progress)
            for note in material.notes:
                steps.watch.meter.say(note)
            steps.material = material
            yield steps
            steps.watch.meter.tell("done", 1, 1, 1.0)


@contextmanager
def go_on(
    path: Path,
    task: str,
    on_progress: OnProgress = ignore,
    paths: PathMap = PathMap(),  # noqa: B008, a frozen value
) -> Iterator[Steps]:
    """Opens a job folder that is there, for one task of it, in the arithmetic it was begun in.

    Raises:
        JobError: when there is no such job or task, or another version of Infusion made it.
        Stopped: when the job was cancelled.
        TryAgainError: when it was begun on a kind of device that is not here.
    """
    with stopping() as signals:
        folder = JobFolder(path.absolute())
        record = folder.read(paths)
        if record.version != __version__:
            raise JobError(
                f"the job in {str(path)!r} was made by Infusion {record.version}, "
                f"this is {__version__}",
                "use that version, or make the job again",
            )
        stages_of(record, task)
        with attempting(folder, task, record.job) as attempt:
            if folder.cancelled():
                raise Stopped("this job was cancelled", "`infusion cancel --undo` lets it go on")
            folder.sweep()
            compute = _compute(folder, record.job, task)
            steps = _at_work(folder, record, compute, attempt, signals, on_progress)
            yield steps
            steps.watch.meter.tell("done", 1, 1, 1.0)


def submit(job: Job) -> JobFolder:
    """Makes the folder of a job that others will do.

    Raises:
        JobError: when the job is wrong.
    """
    record = plan(job)
    return _folder(record)


def plan(job: Job) -> Record:
    """What a job's folder will say of it; reads the mattes, so that what is wrong with them is told
    now, and writes nothing.

    Raises:
        JobError: when the job is wrong.
    """
    material = open_material(absolute(job))
    _, layout = plan_work(material)
    if not layout.windows:
        return record_of(material)
    budget = int(material.job.memory * 2**30)
    needed, _ = on_device(material.recipe, layout, budget)
    return record_of(material, needed)


def _folder(record: Record, arithmetic: Mapping[str, Any] | None = None) -> JobFolder:
    """The folder that the job names; else the one of this job below its root."""
    job = record.job
    if job.job_dir:
        return JobFolder(Path(job.job_dir)).take(record)
    return JobFolder.adopt(record, job_root(job), arithmetic)


def folder_of(record: Record) -> JobFolder | None:
    """The folder that this very job has, if it has one yet; changes nothing."""
    job = record.job
    if not job.job_dir:
        return JobFolder.find(record, job_root(job))
    folder = JobFolder(Path(job.job_dir))
    return folder if folder.holds(record) else None


def _compute(folder: JobFolder, job: Job, task: str) -> Compute:
    """Where a task runs: the engine's in the arithmetic that the first of them has settled."""
    if task in CPU_TASKS:
        return Compute.choose("cpu", "float32", job.threads)
    begun = folder.settled() or {}
    device = begun.get("device", job.device)
    if job.device.partition(":")[0] == device:
        device = job.device
    try:
        compute = Compute.choose(device, job.precision, job.threads)
    except JobError as error:
        raise TryAgainError(str(error), "run this task on a machine that has one") from error
    return compute.like(folder.settle(compute.arithmetic))


def _at_work(
    folder: JobFolder,
    record: Record,
    compute: Compute,
    attempt: Attempt,
    signals: Signals,
    on_progress: OnProgress,
) -> Steps:
    def tell(progress: Progress) -> None:
        attempt(progress)
        on_progress(progress)

    meter = Meter(tell, compute.peak_memory)
    seconds = 60 * record.job.checkpoint_minutes
    steps = Steps(folder, record, compute, Watch(folder, attempt.task, meter, signals, seconds))
    meter.say(f"working on {compute.name}, {compute.precision}")
    return steps


def record_of(material: Material, needed: int = 0) -> Record:
    """What a job's folder says of it.

    needed: most bytes that the engine will hold; 0 where nobody has worked it out.
    """
    recipe = material.recipe
    steps = {stage.name: stage.steps for stage in stages(recipe)}
    return Record(material.job, __version__, material.digest(), steps, needed)


def job_root(job: Job) -> Path:
    """Where the versions of a job live: ``<data_dir>/<name>``, named after the output."""
    output = Path(job.output)
    folder = is_folder(job.output)
    pattern = Pattern.parse(job.plate.rstrip("/") if folder else job.output)
    name = Path(pattern.head).stem.strip(" ._-") or "shot"
    return Path(job.data_dir or (output if folder else output.parent) / "infusion") / name

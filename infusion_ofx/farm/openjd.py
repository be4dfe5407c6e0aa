"""A job as an Open Job Description bundle, which is also one of AWS Deadline Cloud.

``template.yaml`` is a job template of specification 2023-09 (https://github.com/OpenJobDescription/
openjd-specifications, "Template Schemas"); ``parameter_values.yaml`` and ``asset_references.yaml``
are what Deadline Cloud's ``deadline bundle`` commands read beside it. They are written as JSON,
which is YAML as well. Each task is the ``infusion`` command itself, with no shell between, so that
no name needs quoting and a signal reaches the process that can write a checkpoint. Standard library
only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infusion_ofx.errors import JobError
from infusion_ofx.farm.graph import RETRIES, Step, graph
from infusion_ofx.farm.writing import title, write_files
from infusion_ofx.folder import JobFolder, Record

__all__ = ["as_yaml", "assets", "export", "template", "values"]

FOLDER, PROGRAM = "{{Param.JobFolder}}", "{{Param.Infusion}}"

NOTIFY_SECONDS = {True: 300, False: 60}
"""From TERM to KILL, for tasks of the engine and for those on frames. 600 is the most allowed."""

_NAME = 128
"""Longest name of a job, in characters."""


def template(record: Record, name: str) -> dict[str, Any]:
    """The job template: the graph's steps, with the job folder and the program as parameters.

    name: of the job, for people.
    """
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "name": _plain(name)[:_NAME] or "infusion",
        "description": "Fills the hole in a plate with a network trained on the shot alone.",
        "parameterDefinitions": [
            {
                "name": "JobFolder", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "INOUT",
                "description": "The job's folder: its settings, checkpoints, status and logs.",
            },
            {
                "name": "Infusion", "type": "STRING", "default": "infusion", "minLength": 1,
                "description": "The program: infusion on PATH, its full path, or a script that "
                "ends in `exec infusion \"$@\"`.",
            },
        ],
        "steps": [_step(step) for step in graph(record)],
    }  # fmt: skip


def values(folder: JobFolder) -> dict[str, Any]:
    """Deadline Cloud's values: the template's parameters, and how often a task is tried again."""
    given = {"JobFolder": str(folder.path), "deadline:maxRetriesPerTask": RETRIES}
    return {"parameterValues": [{"name": name, "value": value} for name, value in given.items()]}


def assets(folder: JobFolder, inputs: Iterable[Path], output: Path) -> dict[str, Any]:
    """Deadline Cloud's list of what a job reads and writes, for farms without a shared storage.

    inputs: the frames of the plate and of the matte. output: the folder of the result.
    """
    return {
        "assetReferences": {
            "inputs": {
                "filenames": sorted({str(path) for path in inputs}),
                "directories": [str(folder.path)],
            },
            "outputs": {"directories": [str(folder.path), str(output)]},
            "referencedPaths": [],
        }
    }


def export(folder: JobFolder, bundle: Path) -> None:
    """Writes the bundle of a job that is there; the job's frames are looked up for it.

    Raises:
        JobError: when the job's sequences are not there, or the bundle may not be written.
        TryAgainError: when the storage fails.
    """
    from infusion_ofx.material import open_material  # it brings torch with it

    record = folder.read()
    material = open_material(record.job)
    inputs = [s.path(frame) for s in (material.plate, material.matte) for frame in s.frames]
    output = material.target(material.frames[0]).parent
    files = {
        "template.yaml": template(record, title(folder)),
        "parameter_values.yaml": values(folder),
        "asset_references.yaml": assets(folder, inputs, output),
    }
    write_files(bundle, {name: as_yaml(facts) for name, facts in files.items()})


def _step(step: Step) -> dict[str, Any]:
    part = _title(step.part)
    _, *arguments = step.argv(FOLDER, f"{{{{Task.Param.{part}}}}}")
    rules = ["--path-mapping-rules", "{{Session.PathMappingRulesFile}}"]
    cancelation = {
        "mode": "NOTIFY_THEN_TERMINATE",
        "notifyPeriodInSeconds": NOTIFY_SECONDS[step.name not in ("prepare", "assemble")],
    }
    run = {
        "command": PROGRAM,
        "args": [*arguments, *rules, "--progress", "openjd"],
        "cancelation": cancelation,
    }
    made: dict[str, Any] = {"name": _title(step.name), "script": {"actions": {"onRun": run}}}
    made["hostRequirements"] = {"amounts": _amounts(step)}
    if step.needs:
        made["dependencies"] = [{"dependsOn": _title(name)} for name in step.needs]
    if step.parts:
        space = {"name": part, "type": "INT", "range": list(step.parts)}
        made["parameterSpace"] = {"taskParameterDefinitions": [space]}
    return made


def _amounts(step: Step) -> list[dict[str, Any]]:
    """What a machine must have: memory in MiB, as the specification counts it."""
    amounts = [
        {"name": "amount.worker.vcpu", "min": step.cpus},
        {"name": "amount.worker.memory", "min": step.memory},
    ]
    if step.gpu:
        amounts += [
            {"name": "amount.worker.gpu", "min": 1},
            {"name": "amount.worker.gpu.memory", "min": step.gpu_memory},
        ]
    return amounts


def _title(name: str) -> str:
    """``train-shared`` as the step name ``TrainShared``."""
    return name.title().replace("-", "")


def _plain(name: str) -> str:
    """A name that the specification takes: printable, and no format string."""
    text = "".join(c if c.isprintable() else " " for c in name)
    return re.sub(r"([{}])\1+", r"\1", text).strip()


def as_yaml(facts: Mapping[str, Any]) -> str:
    """JSON that a YAML reader takes for the same: what YAML calls unprintable is escaped, and a
    character beyond 16 bits is left as it is, since the two read a pair of escapes differently.

    Raises:
        JobError: when a name holds bytes that are no text.
    """
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    if re.search("[\ud800-\udfff]", text):
        raise JobError("a path of this job is no UTF-8", "rename it: YAML cannot hold it")
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Beyond what JSON escapes itself; YAML 1.1, section 5.1."""

"""The plug-in's parameters, made from the fields of Job when the plug-in is built.

A parameter is named as its field; 0 stands for "the recipe's own" where a field may be null, which
OFX has no word for. Standard library only: setup.py calls it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields

from infusion_ofx.job import Job, option_name
from infusion_ofx.paths import PATHS

__all__ = ["header", "job_fields"]

OWN = ("data_dir", "job_dir", "in_place")
"""Not offered: the node's job folder stands for the folders, and no node replaces a plate."""

FRONT = (
    "plate", "matte", "frames", "method", "recipe", "intervals", "steps", "sampling_steps", "takes",
    "seed", "device",
)  # fmt: skip
"""What lies open in the panel; the rest is in a group."""

_TYPES = {"str": "JOB_TEXT", "int": "JOB_INTEGER", "float": "JOB_REAL", "bool": "JOB_SWITCH"}


def job_fields() -> list[Field[object]]:
    """The settings that are parameters, in Job's order."""
    return [f for f in fields(Job) if f.name not in OWN]


def header() -> str:
    """``job_table.h``: the rows of ``job_params`` in plugin/job_params.c, and the choices."""
    wanted = job_fields()
    lines = ["/* Made from infusion_ofx/job.py by infusion_ofx/ofx/table.py. */"]
    for f in wanted:
        if "choices" in f.metadata:
            names = ", ".join(json.dumps(choice) for choice in f.metadata["choices"])
            lines.append(f"static const char *const {f.name}_choices[] = {{{names}, NULL}};")
    rows = " \\\n".join(f"    {{{', '.join(_row(f))}}}," for f in wanted)
    return "\n".join([*lines, f"#define JOB_TABLE \\\n{rows}", ""])


def _row(f: Field[object]) -> Iterator[str]:
    """One field as the initialiser of a JobParam, in the order of its members."""
    option = option_name(f.name)
    kind, nullable = _type(f), str(f.type).endswith(" | None")
    default = "" if f.default is MISSING else f.default
    for text in (f.name, f.name.replace("_", " ").capitalize(), _hint(f), option):
        yield json.dumps(text)
    yield json.dumps(f"--no-{option[2:]}") if kind == "JOB_SWITCH" else "NULL"
    yield kind
    yield str(int(f.name in FRONT))
    yield str(int(nullable))
    yield _standard(f, default)
    yield repr(float(0 if nullable else f.metadata.get("minimum", 0)))
    yield repr(float(f.metadata.get("maximum", 0)))
    yield json.dumps(default) if isinstance(default, str) else '""'
    yield f"{f.name}_choices" if kind == "JOB_CHOICE" else "NULL"


def _type(f: Field[object]) -> str:
    if "choices" in f.metadata:
        return "JOB_CHOICE"
    return "JOB_FILE" if f.name in PATHS else _TYPES[str(f.type).removesuffix(" | None")]


def _standard(f: Field[object], default: object) -> str:
    """The default as a number; of a choice, its place."""
    if "choices" in f.metadata:
        return repr(float(f.metadata["choices"].index(default)))
    return repr(float(default)) if isinstance(default, (int, float)) else "0.0"


def _hint(f: Field[object]) -> str:
    text = str(f.metadata["help"]).replace("Default: the recipe's.", "0: the recipe's.")
    return text + (" Empty: result/ in the job folder." if f.name == "output" else "")

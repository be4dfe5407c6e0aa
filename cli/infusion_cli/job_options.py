"""The options of a verb that takes a job, made from the fields of Job: nothing is said twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from infusion_ofx.errors import JobError
from infusion_ofx.job import Job, option_name

__all__ = ["given_options", "job_from", "job_options", "option_name", "settings_from"]

Command = TypeVar("Command", bound=Callable[..., Any])

_TYPES: dict[str, type] = {"str": str, "int": int, "float": float}


def job_options(command: Command) -> Command:
    """Gives a command ``--job`` and one option for each field of Job, in the fields' order."""
    for f in reversed(fields(Job)):
        command = click.option(*_names(f), **_attributes(f))(command)
    return click.option(
        "--job",
        "job_file",
        type=click.Path(path_type=Path),
        metavar="FILE.json",
        help="A job file to start from; the options given beside it override its fields.",
    )(command)


def job_from(context: click.Context) -> Job:
    """Builds the job that the options of this call describe, over the file of ``--job``.

    Raises:
        JobError: when the file cannot be read, or naming everything that is wrong with the job.
    """
    base, given = settings_from(context)
    return Job.from_dict({**base, **given})


def settings_from(context: click.Context) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the file of ``--job`` says, and what the options of this call say over it.

    Raises:
        JobError: when the file cannot be read.
    """
    given = {name: context.params[name] for name in _given(context)}
    path: Path | None = context.params["job_file"]
    return ({} if path is None else _read(path)), given


def given_options(context: click.Context) -> list[str]:
    """The options of a job that this call was given, by name."""
    file = ["--job"] if context.params["job_file"] is not None else []
    return file + [option_name(name) for name in _given(context)]


def _given(context: click.Context) -> list[str]:
    source = context.get_parameter_source
    return [f.name for f in fields(Job) if source(f.name) is ParameterSource.COMMANDLINE]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JobError(f"the job file '{path}' cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise JobError(f"the job file '{path}' is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise JobError(f"the job file '{path}' holds a {type(data).__name__}, no JSON object")
    return data


def _names(f: Field[Any]) -> tuple[str, str]:
    """A switch has a name for off as well, so that a job file's true can be overridden."""
    name = option_name(f.name)
    return (f"{name}/--no-{name[2:]}" if f.type == "bool" else name), f.name


def _attributes(f: Field[Any]) -> dict[str, Any]:
    required = f.default is MISSING
    shown = not required and f.default not in (None, "")
    attributes = {
        "default": None if required else f.default,
        "show_default": shown,
        "help": f.metadata["help"] + (" Required." if required else ""),
    }
    return attributes if f.type == "bool" else {**attributes, "type": _click_type(f)}


def _click_type(f: Field[Any]) -> click.ParamType[Any] | type:
    if "choices" in f.metadata:
        return click.Choice(f.metadata["choices"])
    kind = _TYPES[str(f.type).removesuffix(" | None")]
    if "minimum" not in f.metadata:
        return kind
    limits = {"min": f.metadata["minimum"], "max": f.metadata["maximum"]}
    return click.IntRange(**limits) if kind is int else click.FloatRange(**limits)

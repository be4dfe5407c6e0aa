"""Job: the one description of what is to be done. Every front end builds one; ``run`` takes it.

Standard library only, so that Nuke and a farm's submitter can import it. The fields below are also
the one table from which the command line's options, their ranges and their help are made.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from typing import Any

from infusion_ofx.errors import JobError

__all__ = ["FORMAT", "RECIPES", "Job", "option_name"]

FORMAT = 1
"""Version of the JSON form. A reader refuses a newer one."""

RECIPES = ("draft", "standard", "final", "paper")
"""Names of the recipes, cheapest of ours first; ``paper`` is the published method."""

_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "int | None": (int, type(None)),
    "float | None": (float, int, type(None)),
}


def _setting(default: Any, help: str, **limits: Any) -> Any:
    """A field of Job with what a front end needs to offer it: help, and minimum, maximum or
    choices."""
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class Job:
    """One shot to repair: where it is, what is to be filled, and how.

    Paths are as the user wrote them. ``Job(...)`` itself checks nothing; call ``check`` or build it
    with ``from_dict``, which name every fault at once.
    """

    plate: str = _setting(
        MISSING,
        "The plate: plate.####.exr, plate.%04d.dpx, 'plate.#.exr 1001-1100', a folder or one file.",
    )
    matte: str = _setting(
        MISSING, "The matte round what must go, 1 = fill. One file serves all frames."
    )
    output: str = _setting(
        MISSING, "Where the result goes: a pattern, or a folder to keep the plate's names."
    )
    frames: str = _setting(
        "", "Frame range, such as 1001-1100x2,1200. Empty: every frame of the plate."
    )
    missing: str = _setting(
        "error",
        "What to do about frames that are not there. hold: take the nearest earlier one; skip: "
        "leave them out; black: a black plate, a matte with nothing to fill.",
        choices=("error", "hold", "skip", "black"),
    )
    recipe: str = _setting(
        "standard",
        "How much work to put in. draft trains one network, standard three side by side, final "
        "those for longer; paper is the published method.",
        choices=RECIPES,
    )
    intervals: int | None = _setting(
        None,
        "Noise intervals, each with its own training; 1 is plain diffusion. Default: the recipe's.",
        minimum=1,
        maximum=1000,
    )
    steps: int | None = _setting(
        None,
        "Training steps of each network in each interval; a deep hole is trained for at each of "
        "its scales, for the larger ones with fewer. Default: the recipe's.",
        minimum=1,
        maximum=1_000_000,
    )
    sampling_steps: int | None = _setting(
        None, "Steps from noise to picture. Default: the recipe's.", minimum=1, maximum=1000
    )
    method: str = _setting(
        "diffusion",
        "Where what the shot does not show comes from. diffusion: a network trained on it; patch: "
        "its own space-time patches, without training; prior: nowhere, the rest is smooth. auto: "
        "diffusion or patch, whichever fills a hole best that is planted beside the real one; of "
        "holes that are far apart each for itself.",
        choices=("auto", "diffusion", "patch", "prior"),
    )
    prior: str = _setting(
        "auto",
        "What other frames show of the hole. auto: taken where it can be trusted; off: all is made "
        "up; only: nothing is.",
        choices=("auto", "off", "only"),
    )
    grain: str = _setting(
        "auto",
        "Grain of what is made up. auto: where it has less than the plate at the same brightness, "
        "what it lacks is laid on; off: as it was made.",
        choices=("auto", "off"),
    )
    seed: int = _setting(0, "Same seed, same pixels.", minimum=0, maximum=2**31 - 1)
    takes: int = _setting(
        1,
        "Results to choose from, each of its own noise. The first goes to the output, the others "
        "to take_02, take_03, ... in its folder; more can be asked for later.",
        minimum=1,
        maximum=99,
    )
    takes_train: bool = _setting(
        False, "Train anew for each take: they differ more, and each costs a whole run."
    )
    channels: str = _setting("R,G,B", "The plate's channels to fill, by name.")
    layer: str = _setting("", "Layer or part of the plate that the channels are in, as beauty.")
    view: str = _setting(
        "",
        "Eye to work on, as left: %V in names, its first letter for %v, and views within a file.",
    )
    matte_channel: str = _setting(
        "", "The matte's channel, as mask.A. Empty: A, else the only channel, else R."
    )
    colorspace: str = _setting(
        "auto",
        "Encoding of the plate: an OpenColorIO name from $OCIO or the studio config. auto: EXR and "
        "float linear, DPX log Cineon, other integers sRGB.",
    )
    grow: int = _setting(0, "Pixels to grow the matte by before filling.", minimum=0, maximum=200)
    feather: int = _setting(
        0,
        "Pixels over which the fill fades in, inwards from the matte's edge.",
        minimum=0,
        maximum=200,
    )
    device: str = _setting("auto", "auto, cpu, cuda or cuda:N. auto: a GPU when there is one.")
    precision: str = _setting(
        "auto",
        "Arithmetic of the network. auto: bfloat16 where the device has it.",
        choices=("auto", "float32", "bfloat16"),
    )
    threads: int = _setting(
        0,
        "Processor threads. 0: what SLURM_CPUS_PER_TASK or OMP_NUM_THREADS says, else all "
        "cores. On a CPU, the same pixels need the same number.",
        minimum=0,
        maximum=1024,
    )
    memory: float = _setting(
        8.0, "Budget for the memory that the job takes, in GiB.", minimum=1.0, maximum=4096.0
    )
    checkpoint_minutes: float = _setting(
        5.0, "Longest time between two checkpoints.", minimum=0.0, maximum=1440.0
    )
    data_dir: str = _setting("", "Where job folders go. Empty: 'infusion' beside the output.")
    job_dir: str = _setting(
        "", "This job's own folder, chosen beforehand. Empty: the next version in --data-dir."
    )
    matte_output: str = _setting(
        "",
        "Where the matte goes as it was used, grown and faded: an EXR pattern such as "
        "used.####.exr. Empty: nowhere.",
    )
    compression: str = _setting(
        "auto",
        "auto: a lossy source is written as zip, so that nothing is lost twice; keep: as it was.",
        choices=("auto", "keep"),
    )
    in_place: bool = _setting(False, "Allow the output to replace the plate's own files.")

    def faults(self) -> list[str]:
        """Everything that is wrong with the values themselves, one line each; touches no disk."""
        found = []
        for f in fields(self):
            found += _value_faults(f, getattr(self, f.name))
        for name in ("plate", "matte", "output", "channels", "colorspace"):
            value = getattr(self, name)
            if isinstance(value, str) and not value.strip():
                found.append(f"'{name}' is empty")
        if isinstance(self.channels, str):
            names = [name.strip() for name in self.channels.split(",")]
            if (
                len(names) > 4
                or len(set(names)) != len(names)
                or (self.channels.strip() and "" in names)
            ):
                found.append(
                    f"'channels' is {self.channels!r}; it takes one to four names, as R,G,B"
                )
        if self.method == "prior" and self.prior == "off":
            found.append("'method' is prior and 'prior' is off, which leaves nothing to fill with")
        if isinstance(self.device, str) and not _is_device(self.device):
            found.append(f"'device' is {self.device!r}; it takes auto, cpu, cuda or cuda:N")
        return found

    def check(self) -> Job:
        """Returns the job itself.

        Raises:
            JobError: naming every fault at once, so that one round trip mends the job.
        """
        _refuse(self.faults())
        return self

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Builds a job from parsed JSON.

        Raises:
            JobError: naming every fault at once; an unknown field comes with the likely one.
        """
        if not isinstance(data, Mapping):
            raise JobError(f"a job is a JSON object, this is a {type(data).__name__}")
        version = data.get("format", FORMAT)
        if version is True or version != FORMAT:
            raise JobError(
                f"this job is of format {version!r}, this Infusion reads format {FORMAT}",
                "use the version of Infusion that wrote it, or a newer one",
            )
        values = {name: value for name, value in data.items() if name != "format"}
        _refuse(cls.faults_of(values))
        return cls(**values)

    @classmethod
    def faults_of(cls, values: Mapping[str, Any]) -> list[str]:
        """Everything that is wrong with a job's values by name, one line each: unknown fields,
        missing ones, and all that ``faults`` tells."""
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(values.keys() - known.keys(), key=str)
        found = [_unknown(name, list(known)) for name in unknown]
        needed = [name for name, f in known.items() if _needed(f)]
        found += [f"'{name}' is missing" for name in needed if name not in values]
        present = {name: value for name, value in values.items() if name in known}
        return found + cls(**{**dict.fromkeys(needed, "-"), **present}).faults()

    def to_dict(self) -> dict[str, Any]:
        """The job as JSON-ready values, with the format's version first."""
        return {"format": FORMAT, **asdict(self)}

    def to_options(self) -> list[str]:
        """The job as options of ``infusion run``: those that differ from the defaults."""
        found = []
        for f in fields(self):
            value, name = getattr(self, f.name), option_name(f.name)
            if value != f.default:
                found.append(name if value is True else f"{name}={value}")
        return found

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Builds a job from JSON text.

        Raises:
            JobError: when the text is no JSON, or ``from_dict`` refuses it.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise JobError(f"this job is no JSON: {error}") from error
        return cls.from_dict(data)

    def to_json(self) -> str:
        """The job as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def option_name(field_name: str) -> str:
    """The option of a field: ``matte_channel`` is ``--matte-channel``."""
    return "--" + field_name.replace("_", "-")


def _needed(f: Field[Any]) -> bool:
    return f.default is MISSING


def _is_device(text: str) -> bool:
    return text in ("auto", "cpu", "cuda") or (text.startswith("cuda:") and text[5:].isdecimal())


def _unknown(name: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(name).replace("-", "_"), known, n=1)
    return f"unknown field {name!r}" + (f", did you mean '{near[0]}'?" if near else "")


def _value_faults(f: Field[Any], value: Any) -> list[str]:
    """What is wrong with one value: its type first, then its range."""
    allowed = _TYPES[str(f.type)]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        return [f"'{f.name}' is {value!r}; it takes {str(f.type).replace(' | None', ' or null')}"]
    choices = f.metadata.get("choices")
    if choices and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        return [
            f"'{f.name}' is {value!r}; it takes {', '.join(choices)}"
            + (f", did you mean '{near[0]}'?" if near else "")
        ]
    if "minimum" in f.metadata and value is not None:
        low, high = f.metadata["minimum"], f.metadata["maximum"]
        if not low <= value <= high:
            return [f"'{f.name}' is {value}; it takes {low} to {high}"]
    return []


def _refuse(found: list[str]) -> None:
    if found:
        raise JobError("this job cannot run: " + "; ".join(found))

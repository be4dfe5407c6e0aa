"""The knobs of the Nuke node, in the order of its panel: the one table that the gizmo and its page
in the documentation are made from.

A knob that is a setting of the job has the setting's name; its help, default, range and choices are
those of ``Job``, as they are the command line's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from infusion_cli.job_options import option_name
from infusion_ofx.job import Job

__all__ = ["KNOBS", "NODE_VERSION", "NOT_OFFERED", "Knob", "tabs"]

NODE_VERSION = 1
"""Raised with every change of the graph or the knobs: an older node then offers to be renewed."""

STRING, FILE, INT, ENUM, BOOL, DOUBLE, CHANNEL, TAB, BUTTON, TEXT, PANEL = (
    1, 2, 3, 4, 6, 7, 11, 20, 22, 26, 52,
)  # fmt: skip
"""Nuke's numbers of the kinds of knob (Foundry, nuke.KnobType)."""

HIDDEN = ("+INVISIBLE",)
SAME_LINE, OWN_LINE = ("-STARTLINE",), ("+STARTLINE",)


@dataclass(frozen=True)
class Knob:
    """One knob as the gizmo defines it."""

    kind: int
    name: str
    label: str = ""
    tooltip: str = ""
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    """Ends of a slider."""
    flags: tuple[str, ...] = ()
    call: str = ""
    """The function of infusion_node.py that a button calls."""
    option: str = ""
    """The command line's option for the same setting of the job; empty where it is none."""

    @property
    def hidden(self) -> bool:
        """Whether the panel does not show it."""
        return "+INVISIBLE" in self.flags


NOT_OFFERED = {
    "plate": "it is the input",
    "matte": "it is the input",
    "output": "the version's folder has it",
    "matte_output": "the version's folder has it",
    "data_dir": "Data Directory is the node's own, and job_dir lies in it",
    "job_dir": "it is the version's folder",
    "matte_channel": "Matte Channel is Nuke's, and is handed over alone",
    "frames": "Frame Range tells it",
    "missing": "Nuke has rendered every frame, or names the one it cannot",
    "channels": "it is rgb that Nuke hands over",
    "layer": "it is rgb that Nuke hands over",
    "view": "each view is a job of its own",
    "colorspace": "what Nuke hands over is light",
    "compression": "what Nuke hands over is not lossy",
    "in_place": "the plate's files are never written to",
}
"""Settings of a job that are no knobs, and why."""

_FIELDS = {f.name: f for f in fields(Job)}


def _setting(name: str, label: str, *, slider: tuple[float, float] | None = None) -> Knob:
    """The knob of a setting of the job; 0 stands for the recipe's own number."""
    f = _FIELDS[name]
    assert f.default is not MISSING, name
    kind = {"str": STRING, "bool": BOOL, "float": DOUBLE}.get(str(f.type), INT)
    own = str(f.type).endswith("| None")
    tooltip = f.metadata["help"].replace("Default: the recipe's.", "0: the recipe's.")
    return Knob(
        kind=ENUM if "choices" in f.metadata else kind,
        name=name,
        label=label,
        tooltip=tooltip,
        default=0 if own else f.default,
        choices=tuple(f.metadata.get("choices", ())),
        limits=slider,
        option=option_name(name),
    )


def _button(name: str, label: str, tooltip: str, flags: tuple[str, ...] = SAME_LINE) -> Knob:
    return Knob(BUTTON, name, label, tooltip, flags=flags, call=name)


def _kept(name: str, default: Any, kind: int = STRING, flags: tuple[str, ...] = ()) -> Knob:
    """A knob for the node's own memory, which nobody sees."""
    return Knob(kind, name, default=default, flags=(*HIDDEN, *flags))


_MAIN = (
    Knob(TAB, "infusion", "Infusion"),
    Knob(
        FILE, "data_dir", "Data Directory",
        "Versions, logs and results go to a folder of the node's name in here. Take shared storage "
        "if a farm is to do the work. The folder can be moved together with the script.",
        "[file dirname [value root.name]]/infusion",
    ),
    Knob(
        ENUM, "frame_range", "Frame Range",
        "input: the plate's frames; global: the script's; custom: the two numbers beside it.",
        "input", ("input", "global", "custom"),
    ),
    Knob(INT, "first", "", "First frame of a custom range.", 1, flags=SAME_LINE),
    Knob(INT, "last", "to", "Last frame of a custom range.", 100, flags=SAME_LINE),
    Knob(
        CHANNEL, "matte_channel", "Matte Channel",
        "What is white in it is replaced. With no matte connected it is taken from the plate.",
        "rgba.alpha",
    ),
    _setting("grow", "Grow Matte"),
    _setting("feather", "Edge Blend"),
    _setting("recipe", "Recipe"),
    _setting("intervals", "Intervals"),
    _setting("steps", "Steps"),
    _setting("sampling_steps", "Sampling Steps"),
    _setting("seed", "Seed"),
    _setting("takes", "Takes"),
    Knob(TEXT, "estimate", "Estimate", "Time, memory and disk, once Check knows.", "press Check"),
    _button("check", "Check", "Says what is wrong before anything is rendered. Writes nothing.",
            OWN_LINE),
    _button("start", "Start", "Renders plate and matte into a new version and starts the job "
            "outside of Nuke, which is then free and may be closed."),
    _button("resume", "Resume", "Goes on with the newest version from its newest checkpoint, with "
            "the settings it was started with; asks first if the knobs say something else now."),
    _button("stop", "Stop", "Asks the job to write a checkpoint and end, wherever it runs. Half a "
            "minute later a second press ends it by force, if it runs on this machine."),
    Knob(
        ENUM, "output", "Output",
        "auto: the result in the plate where there is one, else what If No Result says. patch: the "
        "result alone, cut out by the matte that was used and premultiplied. raw result: the frame "
        "as it was written. matte: as it was used, grown and blended; before that the input's. "
        "difference: between the plate and the result.",
        "auto", ("auto", "plate", "patch", "raw result", "matte", "difference"),
    ),
    Knob(
        ENUM, "on_missing", "If No Result",
        "What a render without an interface gives for frames that have no result: an error that "
        "ends it, the plate, or black. In the interface the plate always shows.",
        "error", ("error", "plate", "black"),
    ),
    Knob(INT, "result_version", "Version", "The version that is shown; 0: none. A finished job "
         "puts its own number here; any other finished one can be picked.", 0),
    Knob(INT, "take", "Take", "The take of that version that is shown, where it has several.", 1,
         flags=SAME_LINE),
    Knob(TEXT, "status", "Status", "How the newest version stands.", "nothing started"),
)  # fmt: skip

_PROGRESS = (
    Knob(TAB, "progress", "Progress"),
    Knob(PANEL, "monitor", "", "State, time left, loss and the newest contact sheet.",
         flags=OWN_LINE),
    Knob(TEXT, "details", "Job", "Where the job runs, how far it is, and what it says.", "-"),
    _button("open_folder", "Open Folder", "Shows the version's folder.", OWN_LINE),
    _button("show_log", "Show Log", "Shows the last lines of the job's log."),
    _button("copy_command", "Copy Command", "Puts the command that does the job on the clipboard."),
    _button("make_sheet", "Load Contact Sheet", "Makes a Read of the newest contact sheet.",
            OWN_LINE),
    _button("make_read", "Make Read", "Makes a Read of the result."),
    _button("delete_version", "Delete Version", "Asks, then removes the version that is shown, "
            "with its files."),
)  # fmt: skip

_ADVANCED = (
    Knob(TAB, "advanced", "Advanced"),
    _setting("device", "Device"),
    _setting("precision", "Precision"),
    _setting("memory", "Memory", slider=(1, 80)),
    _setting("threads", "Threads"),
    _setting("checkpoint_minutes", "Checkpoint Minutes", slider=(0, 60)),
    _setting("method", "Method"),
    _setting("prior", "Other Frames"),
    _setting("grain", "Grain"),
    _setting("takes_train", "Train Each Take"),
    Knob(
        BOOL, "use_source_files", "Use Source Files",
        "Hands the plate's own files over where the plate is an untouched, raw EXR Read, instead "
        "of rendering it once more.",
        True, flags=OWN_LINE,
    ),
    Knob(
        ENUM, "export_format", "Export Format",
        "Samples of the EXR files that the plate is handed over in. half is enough for a plate "
        "that came as half.",
        "32 bit float", ("16 bit half", "32 bit float"),
    ),
    Knob(STRING, "views", "Views", "Views to work on, as: left right. Empty: every view of the "
         "script. Each is a job of its own, one after the other.", ""),
    Knob(FILE, "interpreter", "Interpreter", "The Python that has Infusion. Empty: the environment "
         "variable INFUSION_PYTHON, else the one that this node was installed with.", ""),
    Knob(
        ENUM, "runner", "Runner",
        "Where the job goes. this machine: a process of its own here. Slurm: to the cluster that "
        "this machine is part of. OpenJD bundle: a bundle is written in the version's folder. farm "
        "command: a bundle is written and your command is run.",
        "this machine", ("this machine", "Slurm", "OpenJD bundle", "farm command"),
    ),
    Knob(STRING, "farm_command", "Farm Command", "Run after the bundle is written, with no shell: "
         "{bundle} is the bundle's folder, {folder} the job's.", "deadline bundle submit {bundle}"),
    Knob(STRING, "extra_args", "Extra Arguments", "Added to the command that does or submits the "
         "job, as: --partition gpu", ""),
    _button("upgrade", "Upgrade Node", "Puts this node into the form of the installed version; "
            "settings, wiring and results stay.", ("+STARTLINE", "+INVISIBLE")),
    _kept("node_version", NODE_VERSION, INT),
    _kept("job_dir", ""),
    _kept("awaited", 0, INT),
    _kept("result_dir", ""),
    _kept("take_dir", ""),
    _kept("result_first", 0, INT),
    _kept("result_last", 0, INT),
    _kept("has_result", "{{result_version > 0 && frame >= result_first && frame <= result_last}}",
          INT),
    _kept("input_digest", ""),
    _kept("status_label", "", flags=("+DO_NOT_WRITE",)),
)  # fmt: skip

KNOBS: tuple[Knob, ...] = (*_MAIN, *_PROGRESS, *_ADVANCED)
"""Every knob, in the order of the panel."""


def tabs(knobs: Sequence[Knob] = KNOBS) -> list[tuple[Knob, list[Knob]]]:
    """Each tab with the knobs that it shows."""
    pages: list[tuple[Knob, list[Knob]]] = []
    for knob in knobs:
        if knob.kind == TAB:
            pages.append((knob, []))
        elif not knob.hidden:
            pages[-1][1].append(knob)
    return pages

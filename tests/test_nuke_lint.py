"""A wrong name, class, choice, link, brace or call anywhere in nuke_gizmos turns CI red.

Each planted fault below must be caught; a check that catches nothing is no check.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from nuke_fake.lint import faults
from nuke_fake.lint_python import GIZMOS, named_wrongly, type_faults
from nuke_fake.script import GIZMO

SHIPPED = GIZMO.read_text(encoding="utf-8")

IN_THE_GIZMO = {
    "a brace that is missing": ("end_group", "}\nend_group"),
    "a brace too many in a knob": ("addUserKnob {3 seed", "addUserKnob {{3 seed"),
    "a quote that is not escaped": ("import infusion_node\\n", 'import "infusion_node\\n'),
    "a knob without a value": ("\n seed 0\n", "\n seed\n"),
    "a kind that is no number": ("addUserKnob {3 seed", "addUserKnob {x seed"),
    "a kind that there is not": ("addUserKnob {3 seed", "addUserKnob {9 seed"),
    "an option that there is not": ("{3 seed l Seed t", "{3 seed l Seed q"),
    "an option without a value": ("+INVISIBLE}\n node_version", "l}\n node_version"),
    "a flag that there is not": ("+DO_NOT_WRITE", "+DO_NOT_WRTIE"),
    "a node that was never named": ("push $plate", "push $palte"),
    "a group that is not ended": ("end_group", ""),
    "a group that is ended twice": ("end_group", "end_group\nend_group"),
    "a class that there is not": (" Keymix {", " KeyMix {"),
    "a class that is a plug-in's": (" Premult {", " OFXuk.co.thefoundry.premult {"),
    "a body that needs the plug-in": ("\nGroup {", "\nGizmo {"),
    "a knob that the class has not": ("on_error error", "on_eror error"),
    "a choice that the class has not": ("on_error error", "on_error fail"),
    "a merge that there is not": ("operation difference", "operation differnce"),
    "a default that is no choice": ("\n recipe standard", "\n recipe standrad"),
    "a default that is no number": ("\n seed 0", "\n seed none"),
    "a default that is no switch": ("use_source_files true", "use_source_files maybe"),
    "a reference to no knob": ("parent.result_dir", "parent.result_folder"),
    "a reference in an expression": ("parent.on_missing == 0", "parent.on_mising == 0"),
    "a word that is nothing": ("frame >= result_first", "fraem >= result_first"),
    "an input that is left open": ("push $plate\npush $comp", "push 0\npush $comp"),
    "Python that is none": ("else:\\n    infusion_node.on_c", "else\\n    infusion_node.on_c"),
    "Python of a button": ("infusion_node.start(", "infusion_node.start(("),
    "two knobs of one name": ("{3 last l", "{3 first l"),
    "a name that Nuke has taken": ("{3 seed l", "{3 label l"),
    "a button without a tooltip": ('"Make Read" t "Makes a Read of the result."', '"Make Read"'),
    "two nodes of one name": ("name UsedMatte", "name Result"),
}  # fmt: skip

IN_THE_PYTHON = {
    "a knob of the node": ("infusion_start.py", 'node["awaited"]', 'node["awiated"]'),
    "a knob that is asked for": ("infusion_show.py", 'node.knob("job_dir")', 'node.knob("job")'),
    "a knob of a Write": ("infusion_export.py", 'write["datatype"]', 'write["data_type"]'),
    "a knob of a Read": ("infusion_export.py", 'plate["first"]', 'plate["frist"]'),
    "a knob of the script": ("infusion_export.py", 'root()["proxy"]', 'root()["proxi"]'),
    "a knob that is set": ("infusion_show.py", '"status_label", text', '"state_label", text'),
    "a node inside": ("infusion_export.py", '"WriteMatte")]', '"WriteMate")]'),
    "a choice that is set": ("infusion_selftest.py", 'setValue("matte")', 'setValue("mate")'),
    "a node that is made": ("infusion_node.py", "nuke.nodes.Read(", "nuke.nodes.Raed("),
    "a knob of what is made": ("infusion_node.py", "        raw=True", "        rwa=True"),
    "a choice": ("infusion_settings.py", '.value() == "global"', '.value() == "golbal"'),
    "a choice of a knob": ("infusion_node.py", '.value() == "custom"', '.value() == "costum"'),
}

AGAINST_THE_STUBS = {
    "a function of nuke": ("infusion_poll.py", "nuke.executing()", "nuke.isExecuting()"),
    "a method of a node": ("infusion_settings.py", "node.fullName()", "node.fullname()"),
    "a method of a knob": ("infusion_node.py", ".setFlag(nuke.DO", ".setFlags(nuke.DO"),
    "a constant": ("infusion_node.py", "nuke.NO_UNDO", "nuke.NOUNDO"),
    "an argument too many": ("infusion_node.py", "nuke.toNode(name)", "nuke.toNode(name, True)"),
    "an argument of another type": ("infusion_node.py", "nuke.message(text)", "nuke.message(1)"),
    "a node that may not be": ("infusion_settings.py", "plate.frameRange()",
                               "node.input(0).frameRange()"),
    "a function of ours": ("infusion_node.py", "infusion_start.start(", "infusion_start.strat("),
    "an argument of ours": ("infusion_start.py", "reserve(data_dir(node), folder_name(node))",
                            "reserve(folder_name(node), data_dir(node))"),
    "a class of a knob": ("infusion_settings.py", "isinstance(knob, nuke.File_Knob)",
                          "isinstance(knob, nuke.FileKnob)"),
    "a module that there is not": ("menu.py", "import infusion_poll", "import infusion_pol"),
    "a method of the menu": ("menu.py", ".addCommand(", ".addComand("),
}  # fmt: skip


def test_the_shipped_gizmo_has_no_fault() -> None:
    assert faults(SHIPPED) == []


@pytest.mark.parametrize("fault", IN_THE_GIZMO)
def test_a_fault_in_the_gizmo_is_caught(fault: str) -> None:
    before, after = IN_THE_GIZMO[fault]
    planted = SHIPPED.replace(before, after, 1)
    assert planted != SHIPPED
    assert faults(planted), fault


@pytest.mark.slow
def test_every_knob_of_every_node_inside_is_missed_when_it_is_misspelt() -> None:
    places = [m for m in re.finditer(r"^  (\w+) ", SHIPPED, re.MULTILINE) if m[1] != "name"]
    assert len(places) > 90
    for place in places:
        planted = f"{SHIPPED[: place.start()]}  {place[1]}x {SHIPPED[place.end() :]}"
        assert faults(planted), place[0]


def test_every_knob_that_the_python_names_is_missed_when_it_is_misspelt() -> None:
    count = 0
    for path in sorted(GIZMOS.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for place in re.finditer(r'\b(?:node|made|write|root\(\))\["(\w+)"\]', source):
            planted = f"{source[: place.start(1)]}{place[1]}x{source[place.end(1) :]}"
            assert list(named_wrongly(planted)), place[0]
            count += 1
    assert count > 50


def test_the_python_names_what_is_there() -> None:
    for path in sorted(GIZMOS.glob("*.py")):
        assert list(named_wrongly(path.read_text(encoding="utf-8"))) == [], path.name


@pytest.mark.parametrize("fault", IN_THE_PYTHON)
def test_a_wrong_name_in_the_python_is_caught(fault: str) -> None:
    name, before, after = IN_THE_PYTHON[fault]
    source = (GIZMOS / name).read_text(encoding="utf-8")
    planted = source.replace(before, after, 1)
    assert planted != source, "the fault has no place any more"
    assert list(named_wrongly(planted)), fault


@pytest.mark.slow
def test_every_wrong_call_is_caught_by_nukes_own_stubs(tmp_path: Path) -> None:
    folder = tmp_path / "nuke_gizmos"
    shutil.copytree(GIZMOS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert type_faults(folder, SHIPPED, tmp_path / "cache") == set()
    planted = {fault: _plant(folder, *place) for fault, place in AGAINST_THE_STUBS.items()}
    # Of another size: mypy's cache does not see a file that was written anew in the same second.
    gizmo = SHIPPED.replace("infusion_node.resume(", "infusion_node.resumed(", 1)
    found = type_faults(folder, gizmo, tmp_path / "cache")
    missed = [fault for fault, where in planted.items() if where not in found]
    assert missed == []
    assert any(name == "knob_scripts.py" for name, _ in found), "the Python of a button"


def _plant(folder: Path, name: str, before: str, after: str) -> tuple[str, int]:
    """Puts a fault into a file; says which line it is in."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert before in text, f"{before} has no place any more"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return name, text[: text.index(before)].count("\n") + 1

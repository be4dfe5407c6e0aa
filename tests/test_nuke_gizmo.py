"""The shipped gizmo, read by a real Tcl interpreter: its knobs, its wiring, and what it renders."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from nuke_fake import shot
from nuke_fake.nodes import Group
from nuke_fake.render import (
    ALPHA,
    RGB,
    Context,
    RenderError,
    load,
    picture,
    read_file,
    save,
    source_of,
)
from nuke_fake.script import GIZMO, STOCK, Parsed, ScriptError, UserKnob, parse

from infusion_cli.gizmo import script_of, with_knobs
from infusion_cli.gizmo_knobs import KNOBS, NODE_VERSION, NOT_OFFERED, TAB, TEXT, Knob
from infusion_ofx.job import Job

TEXT_OF_IT = GIZMO.read_text(encoding="utf-8")

WIRING = {
    "MatteSource": ("plate", "matte"),
    "WriteMatte": ("MatteSource",),
    "WritePlate": ("plate",),
    "Hole": ("UsedMatte",),
    "Comp": ("plate", "Result", "Hole"),
    "Black": ("plate",),
    "Route": ("Comp", "plate", "Missing", "Black"),
    "Difference": ("plate", "Result"),
    "MatteShown": ("MatteSource", "UsedMatte"),
    "MatteAsPicture": ("MatteShown",),
    "CopyMatte": ("Result", "UsedMatte"),
    "Patch": ("CopyMatte",),
    "Show": ("Route", "plate", "Patch", "Result", "MatteAsPicture", "Difference"),
    "Output1": ("Show",),
}


def gizmo() -> tuple[Parsed, ...]:
    return parse(TEXT_OF_IT)


# Knobs


def test_the_gizmo_is_what_the_table_makes() -> None:
    assert with_knobs(TEXT_OF_IT) == TEXT_OF_IT, "run: make docs"


def test_tcl_reads_every_knob_as_the_table_has_it() -> None:
    read = {knob.name: knob for knob in gizmo()[0].user}
    assert list(read) == [knob.name for knob in KNOBS]
    for knob in KNOBS:
        _compare(knob, read[knob.name], gizmo()[0].knobs.get(knob.name))


def _compare(knob: Knob, read: UserKnob, value: str | None) -> None:
    assert (read.kind, read.label, read.tooltip) == (knob.kind, knob.label, knob.tooltip)
    assert (read.choices, read.flags) == (knob.choices, knob.flags)
    if knob.call:
        assert read.target == script_of(knob.call)
    elif knob.kind == TEXT:
        assert read.target == knob.default
    elif isinstance(knob.default, bool):
        assert value == str(knob.default).lower()
    elif knob.default is not None and "{{" not in str(knob.default):
        assert value == str(knob.default)


def test_a_setting_of_the_job_is_a_knob_or_has_a_reason_not_to_be() -> None:
    settings = {f.name for f in fields(Job)}
    offered = {knob.name for knob in KNOBS if knob.option}
    assert offered | NOT_OFFERED.keys() == settings
    assert not offered & NOT_OFFERED.keys()


def test_the_defaults_of_the_node_are_the_jobs() -> None:
    import infusion_settings

    assert {knob.name for knob in KNOBS if knob.option} == set(infusion_settings.SETTINGS)
    _, node = shot.begin_empty()
    given = infusion_settings.settings(shot.as_nukes(node))
    assert Job.from_dict({"plate": "p", "matte": "m", "output": "o", **given}) == Job("p", "m", "o")


def test_the_code_knows_the_table() -> None:
    import infusion_launch
    import infusion_settings

    assert infusion_settings.NODE_VERSION == NODE_VERSION
    table = {knob.name: knob for knob in KNOBS}
    assert table["runner"].choices == infusion_launch.RUNNERS
    passive = {"node_version", "has_result", "status_label"}
    kept = {k.name for k in KNOBS if k.default is not None and k.kind != TEXT} - passive
    assert set(infusion_settings.KEPT) == kept


def test_every_button_has_its_function() -> None:
    import infusion_node

    calls = {knob.call for knob in KNOBS if knob.call}
    assert calls <= set(infusion_node.__all__)
    assert all(knob.tooltip for knob in KNOBS if not knob.hidden and knob.kind != TAB)


# The graph


def test_the_wiring_is_this() -> None:
    nodes = {node.name: node for node in gizmo()}
    assert all(node.depth == 1 for node in gizmo()[1:])
    found = {n: tuple(i.rpartition(".")[2] for i in nodes[n].inputs) for n in nodes}
    assert {name: found[name] for name in WIRING} == WIRING
    assert [n for n, node in nodes.items() if node.kind == "Input"] == ["matte", "plate"]


def test_every_node_ships_with_nuke() -> None:
    assert {node.kind for node in gizmo()} <= set(STOCK)
    assert gizmo()[0].kind == "Group", "a Gizmo keeps its body to itself"
    assert not any(node.user for node in gizmo()[1:])


@pytest.mark.parametrize("text", ["Group {\n name a\n", "Read {\n name\n}\n", "end_group\n",
                                  "push $nothing\n", "Group {\n name a\n}\n"])  # fmt: skip
def test_the_reader_refuses_what_nuke_would(text: str) -> None:
    with pytest.raises(ScriptError):
        parse(text)


# What it renders


def finished(folder: Path) -> Group:
    """A node whose first two frames have a result, made by hand: ten times the plate."""
    _, node = shot.begin(folder, "python")
    result = folder / "infusion" / "Infusion1" / "v002" / "main"
    for name in ("result", "matte"):
        (result / name).mkdir(parents=True)
    for frame in (1001, 1002):
        plate = load(str(folder / f"plate.{frame}.exr"))
        planes = {short: plate[name] * 10 for name, short in zip(RGB, "RGB", strict=True)}
        save(result / "result" / f"result.{frame}.exr", planes, "float")
        soft = load(str(folder / f"matte.{frame}.exr"))[ALPHA] * 0.5
        save(result / "matte" / f"matte.{frame}.exr", {"A": soft}, "float")
    for name, value in (("result_dir", "Infusion1/v002/main"), ("result_first", 1001),
                        ("result_last", 1002), ("result_version", 2)):  # fmt: skip
        node[name]._raw = str(value)
    return node


@pytest.mark.parametrize("gui", [True, False], ids=["in the interface", "on the farm"])
@pytest.mark.parametrize("frame", [1001, 1004], ids=["in the range", "out of it"])
@pytest.mark.parametrize("version", [2, 0], ids=["with a result", "without"])
@pytest.mark.parametrize("missing", ["error", "plate", "black"])
def test_the_right_picture_comes_out(
    tmp_path: Path, gui: bool, frame: int, version: int, missing: str
) -> None:
    node = finished(tmp_path)
    node["result_version"]._raw, node["on_missing"]._raw = str(version), missing
    source = source_of(node, Context(frame, gui=gui))
    assert source is not None
    if version and frame == 1001:
        assert source.name() == "Comp"
        (read,) = (n for n in node.nodes() if n.name() == "Result")
        wanted = tmp_path / "infusion/Infusion1/v002/main/result/result.1001.exr"
        assert read_file(read, Context(frame)) == str(wanted)
    elif gui:
        assert source.name() == "plate"
    else:
        assert source.name() == {"error": "Missing", "plate": "plate", "black": "Black"}[missing]


def test_outside_the_matte_the_comp_is_the_plate_and_inside_it_is_the_result(
    tmp_path: Path,
) -> None:
    node = finished(tmp_path)
    plate, comp = (picture(each, Context(1001)) for each in (node.input(0), node))
    hole = load(str(tmp_path / "matte.1001.exr"))[ALPHA] > 0
    for name in RGB:
        assert (comp[name][~hole] == plate[name][~hole]).all()
        # A soft matte has mixed the result already: it is not mixed again.
        assert (comp[name][hole] == plate[name][hole] * 10).all()
    assert (comp[ALPHA] == plate[ALPHA]).all(), "other channels pass"


def test_a_render_with_no_result_fails_with_a_file_name_that_says_what_to_do(
    tmp_path: Path,
) -> None:
    _, node = shot.begin(tmp_path, "python")
    with pytest.raises(RenderError, match="INFUSION_NO_RESULT_press_Start"):
        picture(node, Context(1001, gui=False))
    assert picture(node, Context(1001, gui=True)).keys()


def test_a_frame_of_the_result_that_is_gone_fails_and_is_named(tmp_path: Path) -> None:
    node = finished(tmp_path)
    (tmp_path / "infusion/Infusion1/v002/main/result/result.1002.exr").unlink()
    with pytest.raises(RenderError, match=r"result\.1002\.exr"):
        picture(node, Context(1002, gui=False))


@pytest.mark.parametrize("output", ["plate", "patch", "raw result", "matte", "difference"])
def test_each_output_is_what_it_says(tmp_path: Path, output: str) -> None:
    node = finished(tmp_path)
    node["output"].setValue(output)
    plate, shown = picture(node.input(0), Context(1001)), picture(node, Context(1001))
    matte = load(str(tmp_path / "matte.1001.exr"))[ALPHA] * 0.5
    red = "rgba.red"
    wanted = {
        "plate": plate[red],
        "patch": plate[red] * 10 * matte,
        "raw result": plate[red] * 10,
        "matte": matte,
        "difference": abs(plate[red] - plate[red] * 10),
    }[output]
    assert shown[red] == pytest.approx(wanted)


def test_without_a_result_every_output_shows_something_in_the_interface(tmp_path: Path) -> None:
    _, node = shot.begin(tmp_path, "python")
    for output in ("auto", "plate", "patch", "raw result", "matte", "difference"):
        node["output"].setValue(output)
        assert picture(node, Context(1001, gui=True))["rgba.red"].shape == (24, 32)


def test_a_moved_folder_moves_the_result_with_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    node = finished(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "ä b $y")
    node._session.root["name"]._raw = f"{tmp_path}/ä b $y/comp.nk"
    (read,) = (n for n in node.nodes() if n.name() == "Result")
    assert Path(read_file(read, Context(1001))).is_file()

"""The node's buttons in a strict fake of Nuke, with a stand-in for Infusion as a real process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from nuke_fake import nuke, shot
from nuke_fake.nodes import Group, saved
from nuke_fake.render import ALPHA, LONG, RGB, Context, load, picture, read_file, save

import infusion_poll
from infusion_ofx.job import Job
from infusion_versions import NodeError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shot.python_with_stand_in(tmp_path_factory.mktemp("env"))


@pytest.fixture(autouse=True)
def _its_own_nuke() -> Iterator[None]:
    infusion_poll.POLLER = infusion_poll.Poller()
    yield
    shot.let_them_end()


def done(node: Group) -> bool:
    return bool(node["result_version"].value()) and not node["awaited"].value()


def run(node: Group) -> None:
    """Start, and all that follows by itself."""
    shot.press(node, "start")
    shot.until(lambda: done(node) or "failed" in str(node["status"].value()))


def job_of(folder: Path, version: str = "v001", view: str = "main") -> dict[str, object]:
    path = folder / "infusion" / "Infusion1" / version / view / "settings.json"
    found: dict[str, object] = json.loads(path.read_text())
    return found


# From Start to the result


def test_start_hands_over_runs_and_shows_the_result_by_itself(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    node["grow"].setValue(3)
    run(node)
    assert session.messages == []
    job = Job.from_dict(job_of(tmp_path))
    assert (job.frames, job.grow, job.plate) == ("1001-1004", 3, "inputs/plate.####.exr")
    assert node["result_dir"].value() == "Infusion1/v001/main"
    assert str(node["status_label"].value()) == "v001 done"
    given = load(str(tmp_path / "infusion/Infusion1/v001/main/inputs/plate.1002.exr"))
    plate = picture(node.input(0), Context(1002))
    assert all((given[name] == plate[name]).all() for name in RGB), "float samples, none clipped"
    assert (picture(node, Context(1002))[ALPHA] == plate[ALPHA]).all()
    assert session.undone == ["Infusion starts v001", "Infusion v001"]
    assert session.undo_off == 0


def test_while_it_runs_the_node_says_how_far_it_is(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    node["seed"].setValue(7)
    shot.press(node, "start")
    shot.until(lambda: "40%" in str(node["status_label"].value()))
    assert node["status_label"].value() == "v001 40% 1 min"
    assert "train 3 of 9" in node["details"].value() and "loss 0.5" in node["details"].value()
    assert not node["start"].enabled() and node["stop"].enabled()
    session.modified = False
    for _ in range(3):
        infusion_poll.POLLER.tick()
    assert not session.modified, "looking does not make the script ask to be saved"
    shot.press(node, "stop")
    shot.until(lambda: "stopped" in str(node["status"].value()))
    assert node["resume"].enabled() and not node["stop"].enabled()
    (tmp_path / "infusion/Infusion1/v001/main/go").touch()
    shot.press(node, "resume")
    shot.until(lambda: done(node))


def test_resume_asks_when_the_knobs_say_something_else_by_now(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    node["seed"].setValue(7)
    shot.press(node, "start")
    shot.until(lambda: "40%" in str(node["status_label"].value()))
    shot.press(node, "stop")
    shot.until(lambda: "stopped" in str(node["status"].value()))
    node["steps"].setValue(9)
    session.answers = [False, True]
    shot.press(node, "resume")
    assert "steps: not as v001 was started with" in session.messages[-1]
    assert "stopped" in node["status"].value()
    (tmp_path / "infusion/Infusion1/v001/main/go").touch()
    shot.press(node, "resume")
    shot.until(lambda: done(node))
    assert "steps" not in job_of(tmp_path), "with its own settings"


def test_nothing_is_looked_at_while_nuke_renders(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    run(node)
    node["status"].setValue("before")
    with nuke._rendering():
        for _ in range(5):
            infusion_poll.POLLER.tick()
    assert node["status"].value() == "before"


def test_a_job_that_fails_shows_the_engines_message_and_hint(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    node["seed"].setValue(13)
    run(node)
    assert node["status_label"].value() == "v001 failed: this job cannot run: seed 13"
    assert node["details"].value().splitlines()[-2:] == ["this job cannot run: seed 13", "do this"]
    assert session.messages == [], "the poller opens no dialog"


# Closing, opening, copying


def test_a_script_that_is_opened_again_adopts_the_job(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    node["seed"].setValue(7)
    shot.press(node, "start")
    text = saved(node)
    (tmp_path / "infusion/Infusion1/v001/main/go").touch()
    nuke._begin(script=f"{tmp_path}/comp.nk")
    nuke.scriptReadText(text)
    again = nuke.toNode("Infusion1")
    assert isinstance(again, Group)
    assert again["seed"].value() == 7
    shot.until(lambda: done(again))
    assert again["result_version"].value() == 1


def test_a_copy_shows_the_same_job_and_starts_its_own(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    run(node)
    nuke.scriptReadText(saved(node))
    (copy,) = (n for n in nuke.allNodes("Group") if n is not node)
    assert isinstance(copy, Group)
    assert copy["result_version"].value() == 1
    copy.setName("Other")
    for i in range(2):
        copy.setInput(i, node.input(i))
    run(copy)
    assert copy["job_dir"].value() == "Other/v001"
    assert (node["job_dir"].value(), node["result_dir"].value()) == (
        "Infusion1/v001", "Infusion1/v001/main"
    )  # fmt: skip


def test_a_folder_that_was_moved_with_its_script_still_shows(tmp_path: Path, python: Path) -> None:
    (tmp_path / "a").mkdir()
    _, node = shot.begin(tmp_path / "a", python)
    run(node)
    text = saved(node)
    (tmp_path / "a").rename(tmp_path / "b ö c")
    nuke._begin(script=f"{tmp_path}/b ö c/comp.nk")
    nuke.scriptReadText(text)
    (again,) = nuke.allNodes("Group")
    source = shot.read(f"{tmp_path}/b ö c/plate.%04d.exr")
    again.setInput(0, source)
    assert picture(again, Context(1003)).keys()


def test_the_poller_keeps_its_hands_off_a_node_that_is_gone(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    run(node)
    infusion_poll.POLLER.tick()
    nuke.delete(node)
    for _ in range(3):
        infusion_poll.POLLER.tick()


# Versions


def test_a_second_start_is_a_new_version_on_the_same_inputs(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    run(node)
    rendered = len(session.rendered)
    node["steps"].setValue(5)
    run(node)
    assert node["result_version"].value() == 2 and len(session.rendered) == rendered
    assert job_of(tmp_path, "v002")["plate"] == "../../v001/main/inputs/plate.####.exr"
    node["result_version"].setValue(1)
    assert node["result_dir"].value() == "Infusion1/v001/main"
    node["result_version"].setValue(9)
    assert node["result_version"].value() == 1, "there is none"
    assert "v009 is not there" in node["status"].value()
    node["result_version"].setValue(0)
    assert node["has_result"].value() == 0


def test_a_plate_that_was_rendered_anew_under_its_name_is_handed_over_anew(
    tmp_path: Path, python: Path
) -> None:
    session, node = shot.begin(tmp_path, python)
    run(node)
    rendered = len(session.rendered)
    save(tmp_path / "plate.1002.exr", {n: load(str(tmp_path / "plate.1001.exr"))[LONG[n]] * 2
                                       for n in "RGB"})  # fmt: skip
    run(node)
    assert len(session.rendered) == 2 * rendered
    assert job_of(tmp_path, "v002")["plate"] == "inputs/plate.####.exr"


def test_a_take_can_be_picked_among_those_there_are(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    node["takes"].setValue(2)
    run(node)
    result = tmp_path / "infusion/Infusion1/v001/main/result"
    shutil.copytree(result, result / "take_02")
    node["take"].setValue(2)
    assert node["take_dir"].value() == "take_02/"
    (read,) = (n for n in node.nodes() if n.name() == "Result")
    assert read_file(read, Context(1001)) == str(result / "take_02" / "result.1001.exr")
    node["take"].setValue(7)
    assert node["take"].value() == 2, "there are two"
    node["take"].setValue(1)
    assert node["take_dir"].value() == ""


def test_a_version_whose_inputs_another_uses_is_not_deleted(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    run(node)
    node["steps"].setValue(5)
    run(node)
    node["result_version"].setValue(1)
    shot.press(node, "delete_version")
    assert "v002 works on the inputs of v001" in session.messages[-1]
    node["result_version"].setValue(2)
    session.answers = [False, True]
    for left in (True, False):
        shot.press(node, "delete_version")
        assert (tmp_path / "infusion/Infusion1/v002").exists() is left
    assert node["result_version"].value() == 0


def test_a_result_of_other_inputs_is_flagged_and_stays(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    run(node)
    (plate,) = (n for n in [node.input(0)] if n is not None)
    assert "inputs changed" not in node["status_label"].value()
    plate["colorspace"].setValue("sRGB")
    import infusion_show

    infusion_show.refresh(shot.as_nukes(node))
    assert node["status_label"].value() == "v001 done\ninputs changed since v001"
    assert node["result_version"].value() == 1, "it is never switched off by itself"
    plate["colorspace"].setValue("default")
    plate["xpos"].setValue(300)
    infusion_show.refresh(shot.as_nukes(node))
    assert node["status_label"].value() == "v001 done"


# What is handed over


def test_proxy_is_off_for_the_render_and_put_back(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    session.root["proxy"].setValue(True)
    session.modified = False
    run(node)
    given = load(str(tmp_path / "infusion/Infusion1/v001/main/inputs/plate.1001.exr"))
    assert given["rgba.red"].shape == (shot.HEIGHT, shot.WIDTH)
    assert session.root["proxy"].value() is True
    inner = {n.name(): n for n in node.nodes()}
    assert inner["WritePlate"]["disable"].value() and inner["WriteMatte"]["disable"].value()


def test_an_untouched_read_hands_over_its_own_files(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    plate = node.input(0)
    assert plate is not None
    plate["raw"].setValue(True)
    run(node)
    assert job_of(tmp_path)["plate"] == f"{tmp_path}/plate.%04d.exr"
    assert all("matte" in name for name in session.rendered)


@pytest.mark.parametrize(
    ("knob", "value"),
    [("raw", False), ("premultiplied", True), ("frame", "frame+1"), ("first", 1002),
     ("on_error", "black")],
)  # fmt: skip
def test_a_read_that_changes_anything_is_rendered(tmp_path: Path, knob: str, value: object) -> None:
    from infusion_export import is_source
    from infusion_settings import Span

    shot.begin(tmp_path, "python")
    plate = shot.read(f"{tmp_path}/plate.%04d.exr", raw=True)
    assert is_source(shot.as_nukes(plate), Span(1001, 1004))
    plate[knob].setValue(value)
    assert not is_source(shot.as_nukes(plate), Span(1001, 1004))


def test_with_no_matte_connected_the_plates_own_alpha_is_taken(
    tmp_path: Path, python: Path
) -> None:
    _, node = shot.begin(tmp_path, python)
    node.setInput(1, None)
    run(node)
    given = load(str(tmp_path / "infusion/Infusion1/v001/main/inputs/matte.1001.exr"))
    assert list(given) == [ALPHA] and (given[ALPHA] == 1).all()


def test_each_view_is_a_job_of_its_own(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    session.views = ["left", "right"]
    run(node)
    assert node["result_dir"].value() == "Infusion1/v001/%V"
    for view in session.views:
        assert job_of(tmp_path, view=view)["job_dir"] == "."
        assert picture(node, Context(1001, view)).keys()
    node["views"].setValue("middle")
    shot.press(node, "start")
    assert "the script has no view middle" in session.messages[-1]


# What keeps it from starting


def test_every_fault_is_told_at_once_and_no_version_is_left(tmp_path: Path) -> None:
    session, node = shot.begin(tmp_path, "/no/python")
    session.root["name"]._raw = ""
    node.setInput(0, None)
    node["frame_range"].setValue("custom")
    node["last"].setValue(-5)
    shot.press(node, "start")
    (said,) = session.messages
    for part in ("no plate is connected", "has never been saved", "is empty", "is not there"):
        assert part in said
    assert not (tmp_path / "infusion").exists()


def test_a_matte_of_another_size_or_without_the_channel_is_told(tmp_path: Path) -> None:
    session, node = shot.begin(tmp_path, "/no/python")
    for frame in range(shot.FIRST, shot.LAST + 1):
        small = load(str(tmp_path / f"matte.{frame}.exr"))[ALPHA][:8]
        save(tmp_path / f"matte.{frame}.exr", {"A": small})
    node["matte_channel"].setValue("mask.a")
    shot.press(node, "check")
    assert "the matte is 32 x 8, the plate 32 x 24" in session.messages[0]
    assert "no channel mask.a" in session.messages[0]


def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    (tmp_path / "infusion").write_text("a file in the way")
    shot.press(node, "start")
    assert "cannot be written to" in session.messages[0]
    assert node["job_dir"].value() == ""


def test_a_render_that_is_stopped_leaves_nothing(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    session.cancel_after = 2
    shot.press(node, "start")
    assert session.messages == ["the render of the inputs was stopped\nNothing was started."]
    assert list((tmp_path / "infusion" / "Infusion1").iterdir()) == []
    assert node["job_dir"].value() == "" and session.undo_off == 0


def test_without_an_interface_a_fault_is_an_error(tmp_path: Path) -> None:
    _, node = shot.begin(tmp_path, "/no/python", gui=False)
    with pytest.raises(NodeError, match="is not there"):
        shot.press(node, "start")


def test_backslashes_in_the_data_directory_are_folders(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    node["data_dir"].setValue(f"{tmp_path}/new\\\\takes")
    import infusion_settings

    assert infusion_settings.data_dir(shot.as_nukes(node)) == tmp_path / "new" / "takes"


def test_a_relative_data_directory_is_the_projects(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    session.root["project_directory"].setValue(tmp_path.as_posix())
    node["data_dir"].setValue("work")
    import infusion_settings

    assert infusion_settings.data_dir(shot.as_nukes(node)) == tmp_path / "work"


# The other buttons


def test_check_asks_infusion_and_says_what_the_job_takes(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    shot.press(node, "check")
    shot.until(lambda: "toaster" in str(node["estimate"].value()))
    assert "ready on a toaster" in node["estimate"].value() and session.messages == []
    run(node)
    shot.press(node, "check")
    shot.until(lambda: "2 min on a toaster" in str(node["estimate"].value()))


def test_the_buttons_of_the_progress_tab(tmp_path: Path, python: Path) -> None:
    session, node = shot.begin(tmp_path, python)
    shot.press(node, "make_read")
    assert session.messages.pop() == "there is no result yet"
    run(node)
    shot.press(node, "make_read")
    shot.press(node, "show_log")
    assert "at work" in session.messages[-1]
    shot.press(node, "copy_command")
    assert "-m infusion_cli run --job settings.json" in session.printed[-1]
    shot.press(node, "open_folder")
    assert session.printed[-1].endswith("Infusion1/v001")
    sheet = tmp_path / "infusion/Infusion1/v001/main/report/contact_sheet.png"
    shot.press(node, "make_sheet")
    assert "no contact sheet yet" in session.messages[-1]
    sheet.parent.mkdir()
    sheet.write_bytes(b"")
    shot.press(node, "make_sheet")
    made = [n["file"].value() for n in nuke.allNodes("Read")][-2:]
    assert made[0].endswith("result/result.%04d.exr") and made[1].endswith("contact_sheet.png")


def test_an_older_node_is_renewed_with_all_that_it_has(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    run(node)
    viewer = nuke.createNode("Grade")
    viewer.setInput(0, node)
    node["steps"].setValue(77)
    node["node_version"]._raw = "0"
    import infusion_show

    infusion_show.refresh(shot.as_nukes(node))
    assert node["upgrade"].visible()
    shot.press(node, "upgrade")
    (made,) = nuke.allNodes("Group")
    assert made is not node and made.name() == "Infusion1" and viewer.input(0) is made
    assert (made["steps"].value(), made["result_version"].value()) == (77, 1)
    assert made["node_version"].value() == 1 and made.input(0) is node.input(0)


def test_a_newer_node_shows_its_picture_and_starts_nothing(tmp_path: Path, python: Path) -> None:
    _, node = shot.begin(tmp_path, python)
    run(node)
    node["node_version"]._raw = "99"
    import infusion_show

    infusion_show.refresh(shot.as_nukes(node))
    assert not node["start"].enabled() and "newer Infusion" in node["status"].value()
    assert picture(node, Context(1001)).keys()


@pytest.mark.parametrize("runner", ["Slurm", "OpenJD bundle", "farm command"])
def test_a_farm_gets_the_same_job(tmp_path: Path, python: Path, runner: str) -> None:
    _, node = shot.begin(tmp_path, python)
    node["runner"].setValue(runner)
    node["farm_command"].setValue("true {bundle}")
    run(node)
    (view,) = json.loads((tmp_path / "infusion/Infusion1/v001/plan.json").read_text())["views"]
    assert view["commands"][0][3:6] == ["infusion_cli", "farm", {"Slurm": "submit"}.get(
        runner, "export")]  # fmt: skip


def test_on_a_machine_without_infusion_the_picture_is_all_there(
    tmp_path: Path, python: Path
) -> None:
    _, node = shot.begin(tmp_path, python)
    run(node)
    text = saved(node)
    shutil.rmtree(tmp_path / "infusion/Infusion1/v001/main/work", ignore_errors=True)
    session = nuke._begin(gui=False, script=f"{tmp_path}/comp.nk")
    import sys

    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "infusion_node"}
    sys.modules["infusion_node"] = None  # type: ignore[assignment]
    try:
        nuke.scriptReadText(text)
        (again,) = nuke.allNodes("Group")
        again.setInput(0, shot.read(f"{tmp_path}/plate.%04d.exr"))
        assert picture(again, Context(1001)).keys()
        button = again["start"]
        assert isinstance(button, nuke.PyScript_Knob)
        button.execute()
        assert "infusion nuke install" in session.messages[0]
    finally:
        sys.modules.update(ours)

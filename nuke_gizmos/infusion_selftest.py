"""The steps of docs/nuke_acceptance.md that need no interface, in a real Nuke.

``nuke -t infusion_selftest.py SHOT WORK``: SHOT is a folder with plate.####.exr and matte.####.exr,
as `infusion demo` makes one; WORK an empty folder. Prints a line a step, and ends with the number
of those that failed.
"""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import nuke

import infusion_check
import infusion_node
from infusion_settings import KEPT, NODE_VERSION, data_dir, group_node
from infusion_show import refresh
from infusion_versions import NodeError, Version
from infusion_watch import look

__all__ = ["STEPS", "Trial", "main"]

SECONDS = 1800.0
"""Longest that a job is waited for: the draft recipe, two steps of it."""


class Trial:
    """One script in one Nuke, with the node to be tried."""

    def __init__(self, shot: Path, work: Path) -> None:
        self.shot, self.script = shot, work / "comp with space.nk"
        found = (re.fullmatch(r"plate\.(\d+)\.exr", path.name) for path in shot.iterdir())
        self.frames = sorted(int(match[1]) for match in found if match)
        nuke.scriptSaveAs(self.script.as_posix(), 1)
        self.node = nuke.createNode("Infusion", inpanel=False)

    def read(self, name: str) -> nuke.Node:
        """A Read of the shot's plate or matte."""
        return nuke.nodes.Read(
            file=f"{self.shot.as_posix()}/{name}.%04d.exr",
            first=self.frames[0],
            last=self.frames[-1],
        )

    def version(self) -> Version:
        """The version that was started last."""
        found = Version.of(data_dir(self.node), str(self.node["job_dir"].value()))
        assert found is not None, "nothing was started"
        return found

    def wait(self, *states: str) -> None:
        """Waits until the job is in one of these states."""
        end = time.monotonic() + SECONDS
        while look(self.version()).state not in states:
            assert time.monotonic() < end, f"still {look(self.version())}"
            time.sleep(0.5)
        refresh(self.node)

    def render(self) -> str:
        """What Nuke says to a render of the node's first frame; empty when it went well."""
        write = nuke.nodes.Write(
            file=f"{self.script.parent.as_posix()}/out.%04d.exr", file_type="exr", raw=True
        )
        write.setInput(0, self.node)
        try:
            nuke.execute(write, self.frames[0], self.frames[0])
        except RuntimeError as error:
            return str(error)
        finally:
            nuke.delete(write)
        return ""

    def middle(self, node: nuke.Node) -> float:
        """Red in the middle of a node's picture."""
        return nuke.sample(node, "rgba.red", node.width() // 2, node.height() // 2)

    def corner(self, node: nuke.Node) -> float:
        """Red in the corner of a node's picture, where no matte is."""
        return nuke.sample(node, "rgba.red", 1, 1)


def _node_is_whole(t: Trial) -> None:
    assert [name for name in KEPT if t.node.knob(name) is None] == []
    assert int(t.node["node_version"].value()) == NODE_VERSION


def _graph_is_whole(t: Trial) -> None:
    assert group_node(t.node, "Show").inputs() == 6
    assert group_node(t.node, "Comp").inputs() == 3


def _folder_lies_beside_the_script(t: Trial) -> None:
    assert data_dir(t.node) == t.script.parent / "infusion", data_dir(t.node)


def _faults_are_told(t: Trial) -> None:
    assert any("no plate" in fault for fault in infusion_check.faults(t.node))


def _inputs_connect(t: Trial) -> None:
    t.node.setInput(0, t.read("plate"))
    t.node.setInput(1, t.read("matte"))
    assert infusion_check.faults(t.node) == [], infusion_check.faults(t.node)


def _matte_is_taken_from_the_second_input(t: Trial) -> None:
    t.node["output"].setValue("matte")
    assert t.corner(t.node) == 0
    t.node["output"].setValue("auto")


def _no_result_fails_and_says_what_to_do(t: Trial) -> None:
    assert "INFUSION_NO_RESULT" in t.render()


def _no_result_gives_the_plate_if_asked(t: Trial) -> None:
    t.node["on_missing"].setValue("plate")
    assert t.render() == ""
    t.node["on_missing"].setValue("error")


def _start_hands_over_and_returns(t: Trial) -> None:
    for name, value in (("recipe", "draft"), ("steps", 2), ("sampling_steps", 3)):
        t.node[name].setValue(value)
    nuke.root()["proxy"].setValue(True)
    infusion_node.start(t.node)
    inputs = t.version().view(t.version().views[0]) / "inputs"
    assert len(list(inputs.glob("*.exr"))) == 2 * len(t.frames)


def _proxy_is_put_back(t: Trial) -> None:
    assert nuke.root()["proxy"].value()
    nuke.root()["proxy"].setValue(False)


def _writes_are_off_again(t: Trial) -> None:
    for name in ("WritePlate", "WriteMatte"):
        assert group_node(t.node, name)["disable"].value(), name


def _inputs_are_the_nodes_own_samples(t: Trial) -> None:
    folder = t.version().view(t.version().views[0]) / "inputs"
    given = nuke.nodes.Read(file=f"{folder.as_posix()}/plate.%04d.exr", raw=True,
                            first=t.frames[0], last=t.frames[-1])  # fmt: skip
    plate = t.node.input(0)
    assert plate is not None and t.middle(given) == t.middle(plate)
    nuke.delete(given)


def _stop_reaches_the_job(t: Trial) -> None:
    infusion_node.stop(t.node)
    t.wait("stopped", "done")


def _resume_goes_on_to_the_end(t: Trial) -> None:
    if look(t.version()).state == "stopped":
        infusion_node.resume(t.node)
    t.wait("done", "failed", "lost")
    assert look(t.version()).state == "done", look(t.version())


def _result_is_adopted(t: Trial) -> None:
    assert int(t.node["result_version"].value()) == t.version().number
    assert t.render() == ""


def _outside_nothing_changes(t: Trial) -> None:
    plate = t.node.input(0)
    assert plate is not None and t.corner(t.node) == t.corner(plate)


def _looking_leaves_the_script_as_it_was(t: Trial) -> None:
    nuke.root().setModified(False)
    for _ in range(3):
        refresh(t.node)
    assert not nuke.root().modified()


def _stale_inputs_are_flagged(t: Trial) -> None:
    t.node["matte_channel"].setValue("rgba.red")
    refresh(t.node)
    assert "inputs changed" in str(t.node["status_label"].value())
    t.node["matte_channel"].setValue("rgba.alpha")


def _version_0_is_no_result(t: Trial) -> None:
    number = int(t.node["result_version"].value())
    t.node["result_version"].setValue(0)
    assert "INFUSION_NO_RESULT" in t.render()
    t.node["result_version"].setValue(number)
    infusion_node.knob_changed(t.node, t.node["result_version"])
    assert t.render() == ""


def _opened_again_it_is_all_there(t: Trial) -> None:
    name = t.node.name()
    nuke.scriptSaveAs(t.script.as_posix(), 1)
    nuke.scriptClear()
    nuke.scriptOpen(t.script.as_posix())
    node = nuke.toNode(name)
    assert node is not None and int(node["result_version"].value()) > 0
    t.node = node
    assert t.render() == ""


STEPS: tuple[tuple[str, Callable[[Trial], None]], ...] = tuple(
    (action.__name__.strip("_").replace("_", " "), action)
    for action in (
        _node_is_whole, _graph_is_whole, _folder_lies_beside_the_script, _faults_are_told,
        _inputs_connect, _matte_is_taken_from_the_second_input,
        _no_result_fails_and_says_what_to_do, _no_result_gives_the_plate_if_asked,
        _start_hands_over_and_returns, _proxy_is_put_back, _writes_are_off_again,
        _inputs_are_the_nodes_own_samples, _stop_reaches_the_job, _resume_goes_on_to_the_end,
        _result_is_adopted, _outside_nothing_changes, _looking_leaves_the_script_as_it_was,
        _stale_inputs_are_flagged, _version_0_is_no_result, _opened_again_it_is_all_there,
    )
)  # fmt: skip
"""What is tried, in order, each in words."""


def main(shot: Path, work: Path) -> int:
    """Tries every step; returns how many failed."""
    trial, failed = Trial(shot, work), 0
    for number, (words, action) in enumerate(STEPS, 1):
        try:
            action(trial)
            print(f"ok     {number:2} {words}", flush=True)
        except (AssertionError, NodeError, RuntimeError, NameError, TypeError, AttributeError):
            failed += 1
            print(f"FAILED {number:2} {words}\n{traceback.format_exc()}", flush=True)
    print(f"{len(STEPS) - failed} passed, {failed} failed, in Nuke {nuke.NUKE_VERSION_STRING}")
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))

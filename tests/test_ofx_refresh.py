"""The OFX plug-in's Refresh and Stop: how a job stands, whatever lies in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofx_host.host import Instance
from ofx_host.shots import RUNNING, show, status

pytest_plugins = ("ofx_host.fixtures",)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (RUNNING, "running: train, 42.5 %, 1:02:03 left"),
        ({**RUNNING, "seconds_left": None}, "running: train, 42.5 %"),
        ({**RUNNING, "age": 1000}, "lost: nothing heard for 1000 s; Launch goes on from there"),
        (
            {"state": "failed", "error": {"code": 2, "message": 'no "Gr\u00f6\u00dfe"\n\u2026'}},
            'failed: no "Gr\u00f6\u00dfe" \u2026',
        ),
        ({"state": "stopped", "error": {"message": "by \U0001f3ac"}}, "stopped: by ??"),
        ({"state": "done"}, "done; the frames are on their way"),
    ],
    ids=["running", "at the start", "lost", "failed", "stopped", "done"],
)
def test_refresh_says_how_the_job_stands(
    facts: dict[str, Any], said: str, node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    assert node.press("refresh") == "no job yet"
    status(folder, **facts)
    assert node.press("refresh") == said


def test_whatever_a_status_holds_refresh_says_a_line_of_text(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    status(folder, state="failed", error={"message": '\u00e9\\ "x" \u2026' * 3, "code": 1})
    path = folder / "plate/v001/status.json"
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert "\n" not in node.press("refresh")
    for odd in (b"\0" * 99, b'"state": "' + b"x" * 40000, b'"state": "\\', b'"state": "\\u12'):
        path.write_bytes(odd)
        assert "\n" not in node.press("refresh")
    status(folder, state="failed", error={"message": "\u00e9" * 9000})
    assert 200 < node.press("refresh").count("\u00e9") < 512


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (b"one\ntwo\n\n\n", "two"),
        (b"two\r\n", "two"),
        (b"\n\n", "no job yet"),
        (b"", "no job yet"),
        ("\u00e9".encode() * 4000, None),
        (
            b"\xff\xc3(\xed\xa0\x80\xf4\x90\x80\x80 \x1b[0m \xf0\x9f\x8e\xac",
            "??(??????? \u0020[0m \U0001f3ac",
        ),
    ],
    ids=["two lines", "of Windows", "no words", "empty", "long", "no UTF-8"],
)
def test_refresh_says_the_engines_last_words(
    log: bytes, said: str | None, node_with: Callable[..., Instance], folder: Path
) -> None:
    (folder / "engine.log").write_bytes(log)
    heard = node_with().press("refresh")
    assert heard == said if said is not None else heard.count("\u00e9") > 200


def test_refresh_makes_the_host_render_anew(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    props = node.params.params["result_version"].props
    assert props.get("ParamPropCacheInvalidation") == "OfxParamInvalidateAll"
    status(folder, state="done")
    show(folder, 1)
    assert (node.press("refresh"), node.get("result_version")) == ("done", 1)
    (folder / "shown").write_text("plate/v000/fills\n")
    assert node.press("refresh") == "done; the frames are on their way"
    node.set(result_version=2**31 - 1)
    node.press("refresh")
    assert node.get("result_version") == 0


def test_stop_leaves_the_file_that_the_engine_looks_for(
    node_with: Callable[..., Instance], folder: Path
) -> None:
    node = node_with()
    assert "no job to stop" in node.press("stop")
    status(folder, state="running")
    assert "asked to stop" in node.press("stop")
    assert (folder / "plate/v001/cancel").exists()


def test_what_the_plugin_sets_itself_presses_no_button(node_with: Callable[..., Instance]) -> None:
    node = node_with()
    assert node.changed("launch", "OfxChangePluginEdited") == 14
    assert node.changed("launch", "OfxChangeTime") == 14

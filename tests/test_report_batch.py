"""Reports of many jobs, and of one that is served while it runs."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx.begin import submit
from infusion_ofx.errors import JobError
from infusion_ofx.folder import write_json
from infusion_ofx.paths import PathMap
from infusion_ofx.report.batch import batch_page, look_at, write_batch
from infusion_ofx.report.build import SUMMARY
from infusion_ofx.report.serve import Live, server

if TYPE_CHECKING:
    from conftest import Shot


def _done(shot: Shot, output: str) -> Path:
    """A job whose result is the plate, which costs no training."""
    folder = submit(shot.job(output))
    (shot.folder / output).mkdir(exist_ok=True)
    for path in shot.folder.glob("plate.*.exr"):
        shutil.copy(path, shot.folder / output / path.name)
    write_json(folder.result, {"filled": 1, "takes": [[]]})
    return folder.path


def test_a_batch_shows_the_worst_first_and_leads_to_every_page(shot: Shot) -> None:
    good, bad = _done(shot, "good/"), _done(shot, "b 'a&<d>/")
    waiting = submit(shot.job("waiting/")).path
    shots = look_at([good, waiting, shot.folder, bad], PathMap())
    write_json(bad / "report" / SUMMARY, {"outside": 7, "fault": 0.5})
    shots = sorted(shots, key=lambda each: each.badness)
    assert [each.folder for each in shots] == [shot.folder, waiting, bad, good]
    write_batch(shots[::-1], shot.folder / "batch.html")
    text = (shot.folder / "batch.html").read_text()
    assert text == "".join(batch_page(shots, shot.folder))
    assert "2 of 4 shots are done" in text and "1 differ from their plate" in text
    links = re.findall(r'<a class="shot" href="([^"]+)"', text)
    assert len(links) == 3 and "b%20%27a%26%3Cd%3E/infusion" in links[1]
    assert "/report.html#frame=" in text  # the good one's worst
    names = re.findall(r'<a class="shot"[^>]*>([^<]+)<', text)
    assert names == [
        f"{folder}/infusion/plate/v001" for folder in ("waiting", "b &#x27;a&amp;&lt;d&gt;", "good")
    ]  # else all would be called plate v001
    assert "<d>" not in text and "is no job folder" in text
    assert text.count("data:image/png") == 2


def test_the_report_of_a_batch_names_its_shots(shot: Shot) -> None:
    done = {"shot": "sh010", "folder": str(submit(shot.job()).path), "message": ""}
    never = {"shot": "sh020", "folder": "", "message": "no <plate>"}
    write_json(shot.folder / "today.json", {"shots": [done, never]})
    found = look_at([shot.folder / "today.json"], PathMap())
    assert [(each.name, each.state) for each in found] == [
        ("sh010", "waiting"),
        ("sh020", "no job"),
    ]
    assert "no &lt;plate&gt;" in "".join(batch_page(found, shot.folder))
    (shot.folder / "other.json").write_text("[]")
    with pytest.raises(JobError, match="neither a job folder nor"):
        look_at([shot.folder / "other.json"], PathMap())


def test_a_page_that_is_newer_than_its_result_is_not_made_again(shot: Shot) -> None:
    folder = _done(shot, "out/")
    look_at([folder], PathMap())
    page = folder / "report" / "report.html"
    page.write_text("as it was")
    look_at([folder], PathMap())
    assert page.read_text() == "as it was"
    write_json(folder / "result.json", {"filled": 2, "takes": [[]]})
    look_at([folder], PathMap())
    assert page.read_text() != "as it was"


def test_the_verb_writes_a_table_and_a_timeline_in_the_order_given(shot: Shot) -> None:
    otio = pytest.importorskip("opentimelineio")
    folders = [str(_done(shot, name)) for name in ("two/", "one/")]
    page, timeline = shot.folder / "batch.html", shot.folder / "batch.otio"
    asked = ["report", *folders, "-o", str(page), "--otio", str(timeline), "--json"]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"report": str(page)}
    tracks = otio.adapters.read_from_file(str(timeline)).tracks
    names = [f"{folder}/infusion/plate/v001" for folder in ("two", "one")]
    assert [[clip.name for clip in track] for track in tracks] == 2 * [names]
    reference = tracks[1][0].media_reference
    assert reference.target_url_for_image_number(0) == (
        (shot.folder / "two" / "plate.1001.exr").as_uri()
    )
    assert tracks[1][0].duration().value == len(shot.frames)
    assert CliRunner().invoke(main, ["report", *folders]).exit_code == 2


@pytest.fixture
def live(shot: Shot) -> Iterator[tuple[Live, int]]:
    """A job that is served, and the port."""
    job = Live(submit(shot.job()).path)
    with server(job) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield job, listening.server_address[1]
        listening.shutdown()
        thread.join()


def _get(port: int, path: str, host: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_a_running_job_is_served_under_its_token_alone(live: tuple[Live, int]) -> None:
    job, port = live
    code, page = _get(port, f"/{job.token}/")
    assert code == 200 and b"connect-src 'self'" in page
    code, status = _get(port, f"/{job.token}/status.json?1")
    assert code == 200 and json.loads(status)["said"] == "waiting, 0%"
    assert _get(port, f"/{job.token}/contact_sheet.png")[0] == 404  # there is none yet
    code, report = _get(port, f"/{job.token}/report.html")
    assert code == 200 and b"0 of 8 frames are written" in report


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/", id="no token"),
        pytest.param("/status.json", id="a name without the token"),
        pytest.param("/{token}x/status.json", id="another token"),
        pytest.param("/{token}", id="the token alone"),
        pytest.param("/{token}/../../../../etc/passwd", id="out of the folder"),
        pytest.param("/{token}/%2e%2e/job.json", id="out of the folder, quoted"),
        pytest.param("/{token}/job.json", id="a file of the folder"),
        pytest.param("/{token}//etc/passwd", id="an absolute path"),
        pytest.param("http://other/{token}/status.json", id="a proxy's address"),
    ],
)
def test_hostile_paths_are_refused(live: tuple[Live, int], path: str) -> None:
    job, port = live
    assert _get(port, path.format(token=job.token))[0] == 404


def test_a_path_that_is_no_ascii_is_refused(live: tuple[Live, int]) -> None:
    with socket.create_connection(("127.0.0.1", live[1]), timeout=30) as asking:
        asking.sendall(b"GET /\xe9\xff/ HTTP/1.0\r\nHost: 127.0.0.1:1\r\n\r\n")
        assert b" 404 " in asking.makefile("rb").readline()


def test_a_page_of_another_name_is_refused(live: tuple[Live, int]) -> None:
    job, port = live
    assert _get(port, f"/{job.token}/", host=f"evil.example:{port}")[0] == 404
    assert _get(port, f"/{job.token}/", host=f"localhost:{port}")[0] == 200


def test_a_job_that_is_none_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(JobError):
        Live(tmp_path).answer("")

"""Accounts: what stages took and which fills were chosen, whoever writes it down and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from infusion_ofx.accounts import add_cost, costs, keep_verdict, verdicts
from infusion_ofx.folder import JobFolder


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job folder with room for accounts, and nothing else."""
    made = JobFolder(tmp_path)
    made.accounts.mkdir()
    return made


def test_what_was_not_done_took_nothing_and_chose_nothing(tmp_path: Path) -> None:
    assert costs(JobFolder(tmp_path)) == {} and verdicts(JobFolder(tmp_path)) == {}


def test_a_kind_took_what_all_its_stages_took_also_those_that_were_gone_on_with(
    folder: JobFolder,
) -> None:
    add_cost(folder, "train-00", "train", 2.0, 30.0)
    add_cost(folder, "train-01", "train", 1.0, 10.0)
    add_cost(folder, "sample-00", "sample", 5.0, 7.0)
    add_cost(folder, "train-00", "train", 0.5, 3.0)
    assert costs(folder) == {
        "train": {"seconds": 3.5, "voxels": 43.0},
        "sample": {"seconds": 5.0, "voxels": 7.0},
    }


def test_no_task_writes_what_another_has_written(folder: JobFolder) -> None:
    for take in (1, 2):
        keep_verdict(folder, take, [{"name": "patch", "where": "here", "scores": {}}])
        add_cost(folder, f"sample-00-take{take:02d}", "sample", 1.0, 1.0)
    written = {path: path.stat().st_ino for path in folder.accounts.iterdir()}
    keep_verdict(folder, 3, [])
    add_cost(folder, "sample-00-take03", "sample", 1.0, 1.0)
    assert len(written) == 4 and list(verdicts(folder)) == [1, 2, 3]
    assert all(path.stat().st_ino == before for path, before in written.items())


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"take": "1", "regions": []}',
        '{"take": 1, "regions": 3}',
        '{"take": 1, "regions": [3]}',
        '{"take": 1, "regions": [{"name": "patch", "where": "here"}]}',
        '{"take": 1, "regions": [{"name": "patch", "where": "here", "scores": {"patch": 3}}]}',
        '{"kind": "train", "seconds": "1", "voxels": 1}',
        '{"kind": ["train"], "seconds": 1, "voxels": 1}',
    ],
)
def test_a_damaged_file_says_nothing_and_hides_no_other(folder: JobFolder, text: str) -> None:
    keep_verdict(folder, 2, [])
    add_cost(folder, "train-00", "train", 1.0, 1.0)
    for name in ("score-take01.json", "cost-train-01.json"):
        (folder.accounts / name).write_text(text)
    assert list(verdicts(folder)) == [2] and costs(folder)["train"]["seconds"] == 1.0
    add_cost(folder, "train-01", "train", 1.0, 1.0)
    assert costs(folder)["train"]["seconds"] == 2.0

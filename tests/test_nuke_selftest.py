"""The self-test for a real Nuke, in the fake: that its steps can pass, and that they can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from nuke_fake import nuke, shot

import infusion_selftest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shot.python_with_stand_in(tmp_path_factory.mktemp("env"))


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    plates, work = tmp_path / "plates", tmp_path / "work"
    plates.mkdir()
    work.mkdir()
    shot.make_files(plates)
    return plates, work


def test_every_step_passes_without_an_interface(
    places: tuple[Path, Path], python: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("INFUSION_PYTHON", str(python))
    nuke._begin(gui=False)
    failed = infusion_selftest.main(*places)
    said = capsys.readouterr().out
    assert failed == 0, said
    assert said.count("ok ") == 20
    shot.let_them_end()


def test_a_step_that_fails_is_told_and_counted(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("INFUSION_PYTHON", "/no/python")
    nuke._begin(gui=False)
    assert infusion_selftest.main(*places) > 5
    assert "/no/python is not there" in capsys.readouterr().out


def test_the_list_for_a_person_has_the_same_steps() -> None:
    page = (ROOT / "docs" / "nuke_acceptance.md").read_text(encoding="utf-8")
    for number, (words, _) in enumerate(infusion_selftest.STEPS, 1):
        assert f"| {number} | {words} |" in page

"""``infusion ofx install``, ``path`` and ``remove``: the bundle comes, is replaced, and goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infusion_cli.main import main
from infusion_ofx import __version__
from infusion_ofx.ofx import bundle

BUILT = Path(bundle.__file__).parent / bundle.NAME
BINARY = Path("Contents") / bundle.architecture() / "Infusion.ofx"


def call(*arguments: str | Path) -> Result:
    """The program in this process."""
    return CliRunner().invoke(main, ["ofx", *map(str, arguments)])


@pytest.fixture
def built() -> Iterator[Path]:
    """A bundle where the build leaves it; one that is there already stays as it is."""
    ours = not (BUILT / BINARY).exists()
    if ours:
        (BUILT / BINARY).parent.mkdir(parents=True, exist_ok=True)
        (BUILT / BINARY).write_text("a library")
    yield BUILT
    if ours:
        bundle.remove(BUILT.parent)


def test_install_leaves_one_whole_bundle_however_often_it_is_called(
    built: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "plug ins"
    for _ in range(2):
        done = call("install", folder)
        assert done.exit_code == 0 and f"OFX_PLUGIN_PATH={folder}" in done.output
        assert [path.name for path in folder.iterdir()] == [bundle.NAME]
    target = folder / bundle.NAME
    assert (target / BINARY).read_bytes() == (built / BINARY).read_bytes()


def test_the_installed_plugin_calls_the_infusion_that_installed_it(
    built: Path, tmp_path: Path
) -> None:
    engine = (bundle.install(tmp_path) / "Contents/Resources/engine").read_text().splitlines()
    said = subprocess.run(
        [*engine, "--version"], cwd="/", env={}, capture_output=True, text=True, check=True
    )
    assert (engine[0], said.stdout) == (sys.executable, f"infusion, version {__version__}\n")


def test_a_dry_run_writes_nothing(built: Path, tmp_path: Path) -> None:
    done = call("install", tmp_path / "there", "--dry-run", "--json")
    facts = json.loads(done.output)
    assert facts["installed"] is False and facts["source"] == str(built)
    assert facts["target"] == str(tmp_path / "there" / bundle.NAME)
    assert not list(tmp_path.iterdir())


def test_remove_takes_it_away_again(built: Path, tmp_path: Path) -> None:
    call("install", tmp_path)
    assert "removed" in call("remove", tmp_path).output
    assert not list(tmp_path.iterdir())
    assert "there is none" in call("remove", tmp_path).output


def test_path_says_where_the_build_has_left_it(built: Path) -> None:
    assert call("path").output.strip() == str(built)


def test_without_a_compiler_it_is_said_what_is_missing(tmp_path: Path) -> None:
    # A copy of the package as it is installed where nothing could be compiled.
    code = (
        "import sys, shutil, pathlib; source = pathlib.Path(sys.argv[1])\n"
        "ignore = shutil.ignore_patterns('*.bundle', '__pycache__')\n"
        "shutil.copytree(source / 'infusion_ofx', 'infusion_ofx', ignore=ignore)\n"
        "shutil.copytree(source / 'cli/infusion_cli', 'infusion_cli', ignore=ignore)\n"
        "sys.path.insert(0, '.'); from infusion_cli.main import main; main(['ofx', 'install'])"
    )
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, root], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "was not built" in done.stderr and "install a C compiler" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_may_not_be_written_is_named(built: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("install", tmp_path / "file" / "plugins")
    assert done.exit_code == 2 and str(tmp_path / "file") in done.output

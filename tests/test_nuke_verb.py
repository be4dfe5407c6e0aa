"""``infusion nuke``: it writes two lines where Nuke looks, and takes out what it has written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from infusion_cli.main import main
from infusion_cli.nuke import gizmos

OWN = "import nuke\nnuke.pluginAddPath('/site')"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["nuke", *arguments])


def test_the_path_is_that_of_the_gizmo() -> None:
    assert (Path(call("path").output.strip()) / "Infusion.gizmo").is_file()
    assert call("path", "--python").output.strip() == sys.executable


@pytest.mark.parametrize("before", ["", OWN, OWN + "\n", "# ü\n\n"], ids=repr)
def test_what_is_installed_can_be_taken_back(tmp_path: Path, before: str) -> None:
    file = tmp_path / "new" / "init.py"
    if before:
        file.parent.mkdir()
        file.write_text(before, encoding="utf-8")
    for _ in range(2):
        assert call("install", "--dir", str(file.parent)).exit_code == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith(before) and text.count("pluginAddPath") == 1 + before.count("plugin")
    compile(text, "init.py", "exec")
    assert call("uninstall", "--dir", str(file.parent)).exit_code == 0
    left = file.read_text(encoding="utf-8") if file.exists() else ""
    assert left.rstrip("\n") == before.rstrip("\n")
    assert "nothing of Infusion" in call("uninstall", "--dir", str(file.parent)).output


def test_where_the_end_of_ours_is_gone_nothing_is_taken_out(tmp_path: Path) -> None:
    file = tmp_path / "init.py"
    call("install", "--dir", str(tmp_path))
    cut = "".join(file.read_text().splitlines(keepends=True)[:-1]) + OWN
    file.write_text(cut)
    for verb in ("install", "uninstall"):
        said = call(verb, "--dir", str(tmp_path))
        assert said.exit_code == 2 and "after line 1" in said.output
        assert file.read_text() == cut


def test_what_it_writes_tells_nuke_the_folder_and_the_python(tmp_path: Path) -> None:
    call("install", "--dir", str(tmp_path))
    added: list[str] = []
    code = (tmp_path / "init.py").read_text().replace("import nuke\n", "")
    environment: dict[str, str] = {}
    names = {"nuke": type("nuke", (), {"pluginAddPath": added.append})}
    exec(code.replace("os.environ", "environment"), {**names, "environment": environment})
    assert added == [str(gizmos())] and environment == {"INFUSION_PYTHON": sys.executable}


def test_a_file_that_cannot_be_read_or_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "init.py").write_bytes(b"\xff\xfe")
    for verb in ("install", "uninstall"):
        said = call(verb, "--dir", str(tmp_path))
        assert said.exit_code == 2 and "cannot be read" in said.output
    (tmp_path / "file").write_text("")
    said = call("install", "--dir", str(tmp_path / "file" / "below"))
    assert said.exit_code == 2 and "ERROR" in said.output

"""The package as it is installed: the wheel, an editable checkout, and no installation at all.

Seconds, not milliseconds, hence ``slow``. Nothing is downloaded: builds use the setuptools that is
there, and the environments see the packages of the one that runs the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import infusion_ofx
from infusion_ofx.ofx.bundle import NAME, architecture

ROOT = Path(__file__).parents[1]
PARTS = (
    "infusion_ofx", "cli", "nuke_gizmos", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md",
    "LICENSE",
)  # fmt: skip
PLUGIN = f"infusion_ofx/ofx/{NAME}/Contents/{architecture()}/Infusion.ofx"
BUILD_WHEEL = (sys.executable, *"-m pip --quiet wheel --no-deps --no-build-isolation".split())

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints. It must end well, and does not see PYTHONPATH."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**clean, **environment}, capture_output=True,
        text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built, since building leaves folders behind."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", NAME)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy(source, folder / part)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*BUILD_WHEEL, "-w", folder, ".", cwd=checkout)
    (found,) = folder.glob("*.whl")
    return found


def python_with(folder: Path, *install: str | Path) -> Path:
    """A new environment's Python, with our package and with the packages of this one."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = Path(run(python, "-c", code, cwd=folder).strip())
    ours = run(sys.executable, "-c", code, cwd=folder).strip()
    # Ours come last on the path; a .pth among them, as of an editable install, is not followed.
    (theirs / "of_the_tests.pth").write_text(ours + "\n")
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", python, "install")
    run(*pip, "--ignore-installed", "--no-deps", "--no-build-isolation", *install, cwd=folder)
    return python


def test_the_wheel_holds_what_is_imported_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "infusion_ofx",
        "infusion_cli",
        "infusion_gizmos",
    }
    sources = {
        str(path.relative_to(root))
        for root, package in ((ROOT, "infusion_ofx"), (ROOT / "cli", "infusion_cli"))
        for path in (root / package).rglob("*.py")
    } | {f"infusion_gizmos/{path.name}" for path in (ROOT / "nuke_gizmos").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    carried = {"infusion_ofx/py.typed", "infusion_cli/py.typed", "infusion_gizmos/Infusion.gizmo"}
    carried |= {
        str(path.relative_to(ROOT)) for path in (ROOT / "infusion_ofx/report/web").iterdir()
    }
    assert carried | {PLUGIN} <= set(names)
    assert not [name for name in names if name.endswith((".c", ".h"))]


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    name = re.escape(f"infusion_ofx-{infusion_ofx.__version__}-py3-none-")
    assert re.fullmatch(rf"{name}(linux|macosx|win)_\w+\.whl", wheel.name)
    assert "\nRequires-Python: >=3.10\n" in text
    assert "\nLicense-File: LICENSE\n" in text
    for package in ("torch>=2.6", "OpenImageIO", "click", "rich"):
        assert f"\nRequires-Dist: {package}" in text


def test_the_installed_wheel_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    python = python_with(tmp_path / "env", wheel)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = python.parent / "infusion"
    assert infusion_ofx.__version__ in run(script, "--version", cwd=elsewhere)
    assert "Usage: infusion run" in run(python, "-m", "infusion_cli", "run", "-h", cwd=elsewhere)
    installed = Path(run(script, "ofx", "path", cwd=elsewhere).strip())
    assert (installed / "Contents" / architecture() / "Infusion.ofx").is_file()
    where = run(python, "-c", "import infusion_ofx; print(infusion_ofx.__file__)", cwd=elsewhere)
    assert where.startswith(str(tmp_path / "env"))
    gizmos = Path(run(script, "nuke", "path", cwd=elsewhere).strip())
    assert gizmos.is_relative_to(tmp_path / "env") and (gizmos / "Infusion.gizmo").is_file()
    code = "import importlib.util as u; print(u.find_spec('cli'), u.find_spec('tests'))"
    assert run(python, "-c", code, cwd=elsewhere).split() == ["None", "None"]


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_an_editable_install_works_in_the_checkout_and_elsewhere(
    mode: str, checkout: Path, tmp_path: Path
) -> None:
    settings = ["--config-settings", f"editable_mode={mode}"]
    python = python_with(tmp_path / "env", *settings, "--editable", checkout)
    for folder in (checkout, tmp_path):
        assert "Usage: infusion" in run(python, "-m", "infusion_cli", "--help", cwd=folder)
        assert "Usage: infusion" in run(python.parent / "infusion", "--help", cwd=folder)
        code = "import infusion_cli.main, infusion_ofx.job; print(infusion_ofx.job.__file__)"
        assert run(python, "-c", code, cwd=folder).startswith(str(checkout))
        assert NAME in run(python, "-m", "infusion_cli", "ofx", "path", cwd=folder)


@pytest.mark.parametrize("start", [["pytest"], ["python", "-m", "pytest"]], ids=" ".join)
def test_the_tests_run_with_nothing_installed(
    start: list[str], checkout: Path, tmp_path: Path
) -> None:
    (checkout / "tests").mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests" / "conftest.py", checkout / "tests")
    shutil.copy(ROOT / "tests" / "test_printers.py", checkout / "tests")
    (checkout / "tests" / "test_where.py").write_text(
        "import infusion_cli, infusion_ofx\n"
        "def test_the_checkout_is_tested():\n"
        f"    assert infusion_ofx.__file__.startswith({str(checkout)!r})\n"
        f"    assert infusion_cli.__file__.startswith({str(checkout)!r})\n"
    )
    command = [str(Path(sys.executable).parent / start[0]), *start[1:]]
    out = run(*command, "-q", "-p", "no:cacheprovider", cwd=checkout)
    assert re.search(r"\d+ passed", out) and "failed" not in out


def test_without_a_compiler_all_but_the_plugin_is_installed(checkout: Path, tmp_path: Path) -> None:
    alone = tmp_path / "checkout"
    shutil.copytree(checkout, alone, ignore=shutil.ignore_patterns("build", NAME))
    run(*BUILD_WHEEL, "-w", tmp_path, ".", cwd=alone, CC="/no/compiler", CXX="/no/compiler")
    (found,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(found) as archive:
        names = archive.namelist()
    assert "infusion_ofx/ofx/bundle.py" in names and PLUGIN not in names


def test_the_sdist_builds_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("build", reason="needs the 'dev' extra")
    build = (sys.executable, "-m", "build", "--no-isolation", "--sdist")
    run(*build, "-o", tmp_path, cwd=checkout)
    (archive,) = tmp_path.glob("*.tar.gz")
    run(*BUILD_WHEEL, "-w", tmp_path, archive, cwd=tmp_path)
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(again) as ours, zipfile.ZipFile(wheel) as theirs:
        assert sorted(ours.namelist()) == sorted(theirs.namelist())


def test_constraints_pin_every_dependency() -> None:
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    names = {name.lower().replace("_", "-") for name in pinned}
    wanted = re.findall(r'"([A-Za-z-]+)>=', (ROOT / "setup.py").read_text())
    assert {name.lower() for name in wanted} - names == set()


def test_no_file_names_a_package_index() -> None:
    for path in (ROOT / "constraints.txt", ROOT / "Makefile", ROOT / ".ci" / "run"):
        assert "://" not in path.read_text(), path


def test_the_settings_of_the_tools_are_strict() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    assert {"strict = true", 'filterwarnings = ["error"]', "line-length = 100"} <= set(lines)

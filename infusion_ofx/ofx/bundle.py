"""The built plug-in: where it is, and how it comes to the folder in which hosts look for it.

A bundle is a folder of a fixed shape (OpenFX reference, "Packaging OFX Plug-ins"). What is
installed holds, beside the binary, the file ``Resources/engine``: how the engine is called, one
argument a line. That is the very Infusion which has installed it. Standard library only.
"""

from __future__ import annotations

import os
import platform
import plistlib
import shutil
import sys
from pathlib import Path

from infusion_ofx import __version__
from infusion_ofx.errors import InfusionError
from infusion_ofx.sequence.atomic import storage_error

__all__ = ["NAME", "architecture", "built", "engine", "hosts_folder", "install", "remove"]

NAME = "Infusion.ofx.bundle"

_NEEDS_COMPILER = (
    "install a C compiler (gcc, clang or Visual C++), then Infusion again from its source with "
    "`pip install --force-reinstall --no-deps`"
)


def architecture() -> str:
    """The bundle's folder for binaries of this machine."""
    if sys.platform == "win32":
        return "Win64"
    if sys.platform == "darwin":
        return "MacOS"
    return "Linux-" + platform.machine().replace("x86_64", "x86-64")


def built() -> Path:
    """The bundle that came with this Infusion.

    Raises:
        InfusionError: when it was installed without a C compiler.
    """
    found = Path(__file__).parent / NAME
    if not (found / "Contents" / architecture() / "Infusion.ofx").is_file():
        raise InfusionError(
            "the OFX plug-in is missing: it was not built for this machine", _NEEDS_COMPILER
        )
    return found


def hosts_folder() -> Path:
    """Where every host looks for plug-ins on this system."""
    if sys.platform == "win32":
        common = os.environ.get("CommonProgramFiles", r"C:\Program Files\Common Files")
        return Path(common) / "OFX" / "Plugins"
    return Path("/Library/OFX/Plugins" if sys.platform == "darwin" else "/usr/OFX/Plugins")


def install(folder: Path) -> Path:
    """Copies the bundle to a folder of plug-ins, in place of an older one; returns where it is.

    Hosts pass by names that begin with @: no host sees a part of it.

    Raises:
        InfusionError: when it was not built.
        JobError: when the folder may not be written.
        TryAgainError: when the storage fails.
    """
    source, target = built(), folder / NAME
    making, old = folder / f"@{NAME}", folder / f"@old.{NAME}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in (making, old):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(source, making)
        _write_resources(making / "Contents")
        if target.exists():
            target.rename(old)
        making.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise storage_error(target, error) from error
    return target


def remove(folder: Path) -> bool:
    """Removes the bundle from a folder of plug-ins; False where there was none.

    Raises:
        JobError: when it may not be removed.
        TryAgainError: when the storage fails.
    """
    target, old = folder / NAME, folder / f"@old.{NAME}"
    if not target.exists():
        return False
    try:
        target.rename(old)
        shutil.rmtree(old)
    except OSError as error:
        raise storage_error(target, error) from error
    return True


def _write_resources(contents: Path) -> None:
    resources = contents / "Resources"
    resources.mkdir(exist_ok=True)
    (resources / "engine").write_text("\n".join(engine()) + "\n", encoding="utf-8")
    if sys.platform == "darwin":
        facts = {
            "CFBundleExecutable": "Infusion.ofx",
            "CFBundleIdentifier": "org.infusion.Infusion",
            "CFBundlePackageType": "BNDL",
            "CFBundleVersion": __version__,
        }
        (contents / "Info.plist").write_bytes(plistlib.dumps(facts))


def engine() -> list[str]:
    """A command that is this interpreter with these very packages, whatever surrounds it: ``-I``
    keeps the host's folder and settings out, the path is said in so many words."""
    paths = [os.path.abspath(path) for path in sys.path if path]
    code = (
        f"import sys; sys.path += [p for p in {paths!r} if p not in sys.path]; "
        "from infusion_cli.main import main; main()"
    )
    return [sys.executable, "-I", "-c", code]

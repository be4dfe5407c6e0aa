"""Packages, entry point, dependencies and the OFX plug-in; settings of the tools are in
pyproject.toml.

``cli/`` is a source root, as ``src/`` is elsewhere: the module that the command starts is
``infusion_cli``. Mapped packages are listed by hand, since ``find_packages`` does not see them.

The OFX plug-in is a shared library in C, built into the bundle that hosts look for. Where there is
no C compiler the rest is installed all the same, and ``infusion ofx install`` says what is missing.
"""

import os
import re
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent.resolve()
sys.path.insert(0, str(HERE))  # these two need the standard library only

from infusion_ofx.ofx.bundle import NAME, architecture  # noqa: E402
from infusion_ofx.ofx.table import header  # noqa: E402

PLUGIN = "infusion_ofx/ofx/plugin"
LINUX = sys.platform.startswith("linux")


def version() -> str:
    """The one version, read as text so that building needs none of the dependencies."""
    text = (HERE / "infusion_ofx" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError("infusion_ofx/__init__.py holds no __version__")
    return found.group(1)


def plugin() -> Extension:
    """The plug-in: C99 and the C library; of the system files the one that is this system's."""
    other = "system_posix.c" if sys.platform == "win32" else "system_windows.c"
    sources = sorted((HERE / PLUGIN).glob("*.c"))
    flags = ["-std=c99", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-pedantic"]
    return Extension(
        "infusion_ofx.ofx.Infusion",
        [str(path.relative_to(HERE)) for path in sources if path.name != other],
        depends=[str(path.relative_to(HERE)) for path in (HERE / PLUGIN).glob("*.h")],
        extra_compile_args=[] if sys.platform == "win32" else flags,
        libraries=["dl"] if LINUX else [],  # dladdr, where the C library is older than 2.34
        export_symbols=["OfxGetNumberOfPlugins", "OfxGetPlugin"],
        optional=True,
    )


class BuildPlugin(build_ext):
    """Builds a plain shared library: no init function, no libpython, no ABI in its name."""

    def build_extension(self, ext: Extension) -> None:
        """Makes the table of parameters from Job first."""
        folder = Path(self.build_temp)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job_table.h").write_text(header(), encoding="utf-8")
        ext.include_dirs.append(str(folder))
        super().build_extension(ext)

    def get_ext_filename(self, fullname: str) -> str:
        """The place in the bundle, below the package that the name is given with."""
        *packages, _ = fullname.split(".")
        return os.path.join(*packages, NAME, "Contents", architecture(), "Infusion.ofx")

    def _get_inplace_equivalent(self, build_py, ext):
        # An editable install: setuptools would keep the file's name and lose the bundle's folders.
        inside = self.get_ext_filename(self.get_ext_fullname(ext.name))
        target = HERE / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        return str(target), os.path.join(self.build_lib, inside)

    def get_export_symbols(self, ext: Extension) -> list:
        """What the extension names, and no more."""
        return ext.export_symbols

    def get_libraries(self, ext: Extension) -> list:
        """What the extension names, and no Python."""
        return ext.libraries


class Wheel(bdist_wheel):
    """A wheel for this system and any Python 3: the library in it is no Python module."""

    def get_tag(self) -> tuple:
        """The usual tag without the interpreter's."""
        return "py3", "none", super().get_tag()[2]


setup(
    name="infusion-ofx",
    version=version(),
    description="Fills holes in film plates with a diffusion network trained on the shot alone",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The Infusion authors",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["infusion_ofx", "infusion_ofx.*"]),
        "infusion_cli",
        "infusion_gizmos",
    ],
    package_dir={"infusion_cli": "cli/infusion_cli", "infusion_gizmos": "nuke_gizmos"},
    package_data={
        "infusion_ofx": ["py.typed", "report/web/*"],
        "infusion_cli": ["py.typed"],
        "infusion_gizmos": ["*.gizmo"],
    },
    include_package_data=False,
    ext_modules=[plugin()],
    cmdclass={"build_ext": BuildPlugin, "bdist_wheel": Wheel},
    zip_safe=False,
    install_requires=[
        "torch>=2.6",
        "OpenImageIO>=3.0",
        "OpenEXR>=3.5",
        "opencolorio>=2.5",
        "numpy>=1.26",
        "pyseq>=0.9",
        "click>=8.1",
        "rich>=13",
        "psutil>=5.9",
        "opencv-python-headless>=4.9",
        "pillow>=10",
        "PyYAML>=6",
    ],
    extras_require={
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6",
            "safetensors>=0.4",
            "ruff>=0.9",
            "mypy>=1.13",
            "build>=1",
            "setuptools>=70.1",
            "flip-evaluator>=1.6",
            # The pinned ones of these no longer take 3.10; nothing but `make site` needs them.
            "mkdocs>=1.6 ; python_version >= '3.11'",
            "mkdocstrings[python]>=0.30 ; python_version >= '3.11'",
            "opentimelineio>=0.17",
            "playwright>=1.50",
            "openjd-cli>=0.8",
            "deadline>=0.60",
            "opencue-pyoutline>=1.37",
            "types-PyYAML>=6",
            "types-nuke>=13.2",
        ],
        "review": ["opentimelineio>=0.17"],
        "bench": ["flip-evaluator>=1.6"],
    },
    entry_points={"console_scripts": ["infusion=infusion_cli.main:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Graphics",
        "Topic :: Multimedia :: Video",
        "Typing :: Typed",
    ],
)

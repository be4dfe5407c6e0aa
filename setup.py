"""Packages, entry point and dependencies; settings of the tools are in pyproject.toml.

``cli/`` is a source root, as ``src/`` is elsewhere: the module that the command starts is
``infusion_cli``. Mapped packages are listed by hand, since ``find_packages`` does not see them.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def version() -> str:
    """The one version, read as text so that building needs none of the dependencies."""
    text = (HERE / "infusion_ofx" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise RuntimeError("infusion_ofx/__init__.py holds no __version__")
    return found.group(1)


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
        "safetensors>=0.4",
        "psutil>=5.9",
        "opencv-python-headless>=4.9",
        "pillow>=10",
    ],
    extras_require={
        "dev": [
            "pytest>=8",
            "hypothesis>=6",
            "ruff>=0.9",
            "mypy>=1.13",
            "build>=1",
            "setuptools>=64",
            "flip-evaluator>=1.6",
            "playwright>=1.50",
            "openjd-cli>=0.8",
            "deadline>=0.60",
            "opencue-pyoutline>=1.37",
            "PyYAML>=6",
            "types-PyYAML>=6",
            "types-nuke>=13.2",
        ],
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

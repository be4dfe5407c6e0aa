"""Infusion fills holes in film plates with a small diffusion network trained on the shot alone.

>>> from infusion_ofx import Job
>>> Job(plate="plate.####.exr", matte="matte.####.exr", output="out/").recipe
'standard'

Names are loaded when they are first used: importing this package costs the standard library only,
so that Nuke and a farm's submitter can do it. ``run`` brings torch with it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infusion_ofx.errors import InfusionError
    from infusion_ofx.job import Job
    from infusion_ofx.progress import Progress
    from infusion_ofx.run import run

__all__ = ["InfusionError", "Job", "Progress", "__version__", "run"]

__version__ = "0.2.0"

_HOMES = {"InfusionError": "errors", "Job": "job", "Progress": "progress"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``infusion_ofx.run`` the function, whoever imports the module of that name."""

    @property
    def run(self) -> Any:
        return import_module(f"{__name__}.run").run

    @run.setter
    def run(self, module: ModuleType) -> None:
        # Importing infusion_ofx.run ends with setting it here, over the function. Let it pass.
        pass


sys.modules[__name__].__class__ = _Package

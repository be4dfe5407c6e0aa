"""A strict stand-in for Nuke: its nodes are built from the shipped gizmo by a real Tcl interpreter.

Not a mock: a knob that the gizmo lacks, or a name that Nuke's own stubs lack, raises.
"""

from __future__ import annotations

import importlib
import sys

# ``import nuke`` finds the fake from here on.
sys.modules.setdefault("nuke", importlib.import_module("nuke_fake.nuke"))

"""The OpenFX plug-in: its front end in C (``plugin/``), and what the engine does for it.

Front end and engine meet in the node's job folder and nowhere else. ``table`` makes the plug-in's
parameters from ``Job``; ``work`` is the process that Launch starts; ``plain`` are the files without
a codec that both sides read; ``bundle`` installs the built plug-in.
"""

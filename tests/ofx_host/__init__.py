"""A small OpenFX host in Python: it drives the plug-in as Resolve or Natron would, more strictly.

It knows the interface from ``sheet``, a second statement of the facts in plugin/ofx.h. It spoils
what a plug-in may not use any longer, and tells of images that are not given back and of bytes that
are written where they must not be. x86-64 and aarch64 on Linux: arguments after the dots of a C
function are read as if they were named ones, which these two allow.
"""

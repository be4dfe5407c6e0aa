"""What every exporter does in the end: give the job a name, and write its files. Standard library
only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from infusion_ofx.folder import JobFolder
from infusion_ofx.sequence.atomic import storage_error, whole_file

__all__ = ["title", "write_files"]


def title(folder: JobFolder) -> str:
    """What a job is called in a farm's lists: ``infusion plate v003``."""
    return f"infusion {folder.path.parent.name} {folder.path.name}"


def write_files(where: Path, files: Mapping[str, str]) -> None:
    """Writes files by name into a folder that is made where it is missing.

    Raises:
        JobError: when the folder may not be written.
        TryAgainError: when the storage fails.
    """
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(where, error) from error
    for name, text in files.items():
        with whole_file(where / name) as temporary:
            temporary.write_bytes(os.fsencode(text))  # a path need not be text

"""The matte as it was used: it says of each pixel how much of the fill it took."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from infusion_ofx.errors import JobError
from infusion_ofx.material import open_material
from infusion_ofx.run import run
from infusion_ofx.sequence.frame import Box
from infusion_ofx.sequence.store import Sequence

if TYPE_CHECKING:
    from conftest import Shot

ALL = Box(0, 0, 24, 32)


def alpha(path: Path, frame: int) -> npt.NDArray[Any]:
    pixels: npt.NDArray[Any] = Sequence.open(str(path)).choose(["A"]).read(frame, ALL)
    return pixels[:, :, 0]


def test_the_used_matte_is_the_grown_and_faded_one(shot: Shot) -> None:
    used = shot.folder / "used" / "matte.####.exr"
    job = shot.job(grow=3, feather=2, matte_output=str(used))
    run(job)
    material = open_material(job)
    for frame in shot.frames:
        hole = material.hole(frame)
        found = alpha(used, frame)
        rows, columns = ALL.slices(hole.box)
        assert np.array_equal(found[rows, columns], hole.alpha)
        assert found.sum() == pytest.approx(hole.alpha.sum())
        changed = shot_difference(shot, frame)
        assert not changed[found == 0].any()


def shot_difference(shot: Shot, frame: int) -> npt.NDArray[np.bool_]:
    """Where a frame of the result is not the plate."""
    before, after = (
        Sequence.open(text).choose(["R", "G", "B"]).read(frame, ALL).view(np.uint16)
        for text in (shot.plate, f"{shot.folder}/out/plate.####.exr")
    )
    return np.asarray((before != after).any(2))


def test_a_matte_that_is_gone_is_written_again(shot: Shot) -> None:
    job = shot.job(matte_output=f"{shot.folder}/used.####.exr")
    run(job)
    gone = shot.folder / "used.1003.exr"
    before = gone.read_bytes()
    gone.unlink()
    run(job)
    assert gone.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "why"),
    [("used.exr", "no sequence"), ("used.####.dpx", "no sequence"), ("matte.####.exr", "taken"),
     ("plate.####.exr", "taken"), ("out/plate.####.exr", "taken"),
     ("linked/plate.####.exr", "taken"), ("plate.%05d.exr", "taken"),
     ("plate.1001.exr/used.####.exr", "cannot be made")],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(shot: Shot, name: str, why: str) -> None:
    (shot.folder / "linked").symlink_to(shot.folder)
    with pytest.raises(JobError, match=why):
        open_material(shot.job(matte_output=f"{shot.folder}/{name}"))

"""A page stays under 50 MB whatever the shot, and what is seen first comes first in it."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import write_exr
from numpy.typing import NDArray
from PIL import Image

from infusion_ofx.begin import submit
from infusion_ofx.material import open_material
from infusion_ofx.report.examine import SAID, Budget, Checked, Examined, examine
from infusion_ofx.report.facts import gather
from infusion_ofx.report.page import PICTURE_BYTES, Page, page
from infusion_ofx.report.sheets import within

if TYPE_CHECKING:
    from conftest import Shot

MOST = 50_000_000


def _grain(height: int, width: int) -> NDArray[np.float32]:
    """What no packing makes small, (height, width, 3)."""
    rng = np.random.default_rng(0)
    return np.exp(rng.standard_normal((height, width, 3), np.float32))


def _texts(blocks: dict[int, dict[str, str]]) -> int:
    return sum(len(block["text"]) for block in blocks.values())


@pytest.mark.parametrize("share", [1.0, 0.7, 0.3, 0.1, 0.05])
def test_the_frames_keep_to_their_budget_though_one_is_unlike_the_others(
    shot: Shot, share: float
) -> None:
    (shot.folder / "out").mkdir()
    for frame in shot.frames:
        pixels = _grain(24, 32) if frame == 1002 else np.zeros((24, 32, 3), np.float32)
        path = shot.folder / f"plate.{frame}.exr"
        write_exr(path, pixels, ("R", "G", "B"))
        shutil.copy(path, shot.folder / "out")
    material = open_material(shot.job())
    whole = examine(material, shot.frames)
    said = SAID * len(shot.frames)
    budget = Budget(said + int(share * _texts(whole.shot)), int(share * _texts(whole.region)))
    found = examine(material, shot.frames, budget=budget)
    assert said + _texts(found.shot) <= budget.shot and _texts(found.region) <= budget.region
    assert sorted(found.shot) == list(shot.frames)  # coarser, but all of them
    assert found.factor == whole.factor if share == 1 else found.factor > whole.factor


@pytest.mark.parametrize("frames", [pytest.param(1, id="one frame"), 200, 5000])
def test_a_page_with_all_that_it_may_hold_is_small_enough(shot: Shot, frames: int) -> None:
    budget, numbers = Budget(), range(1001, 1001 + frames)
    examined = Examined((4096, 2160), 7, b"", region_size=(640, 640))
    examined.checks = [Checked(n, 12345678, 12345678, 1 / 3, 1 / 3) for n in numbers]
    text = "A" * ((budget.shot - SAID * frames) // frames)
    examined.shot = {n: {"box": [1000, 1000, 1000, 1000], "text": text} for n in numbers}
    examined.region = {n: {**examined.shot[n], "text": ""} for n in numbers}
    examined.region[1001]["text"] = "A" * budget.region
    sheet = b"A" * PICTURE_BYTES
    content = Page(gather(submit(shot.job()).path), examined, "", sheet, sheet, sheet, [])
    made = "".join(page(content))
    assert 0.9 * MOST < len(made.encode()) <= MOST
    # The viewer and its first frame do not wait for the rest to arrive.
    assert made.index("</script>", made.index("use strict")) < len(text) + 600 * frames + 50_000


def test_a_sheet_that_is_too_large_is_kept_as_a_picture_that_is_not(tmp_path: Path) -> None:
    file = BytesIO()
    Image.fromarray((255 * np.clip(_grain(300, 400), 0, 1)).astype(np.uint8)).save(file, "PNG")
    png = file.getvalue()
    assert within(png, len(png)) == ("image/png", png)
    for most in (len(png) - 1, len(png) // 20):
        media, kept = within(png, most)
        picture = Image.open(BytesIO(kept))
        assert len(kept) <= most and picture.get_format_mimetype() == media == "image/jpeg"
        assert picture.width / picture.height == 4 / 3

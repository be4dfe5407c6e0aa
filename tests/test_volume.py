"""Laws of volumes."""

from __future__ import annotations

import pytest
import torch

from infusion_ofx.engine.volume import Volume
from infusion_ofx.sequence.frame import Box

BOXES = (Box(0, 0, 6, 8), Box(-2, 3, 5, 9), Box(1, 1, 1, 1))


def _coordinates() -> Volume:
    """Each pixel holds 1000 times its row plus its column."""

    def fill(i: int, box: Box) -> torch.Tensor:
        y = torch.arange(box.top, box.bottom)[:, None]
        return (1000.0 * y + torch.arange(box.left, box.right))[None]

    return Volume.make(BOXES, fill)


def test_a_frame_is_as_large_as_its_box() -> None:
    for box, frame in zip(BOXES, _coordinates().data, strict=True):
        assert frame.shape == (1, box.height, box.width)


def test_a_cut_finds_each_pixel_by_its_place_on_the_plate() -> None:
    cut = _coordinates().cut(0, 2, Box(2, 4, 5, 8))
    assert cut.shape == (1, 2, 3, 4)
    assert torch.equal(cut[0, 0], cut[0, 1])
    assert cut[0, 0, 0].tolist() == [2004, 2005, 2006, 2007]


def test_a_cut_is_a_copy_and_a_view_is_not() -> None:
    volume = _coordinates()
    volume.cut(0, 1, Box(0, 0, 1, 1)).fill_(7)
    assert volume.data[0][0, 0, 0] == 0
    volume.view(0, Box(0, 0, 1, 1)).fill_(7)
    assert volume.data[0][0, 0, 0] == 7


@pytest.mark.parametrize("box", [Box(-1, 0, 2, 2), Box(0, 0, 7, 2), Box(0, 0, 2, 9)])
def test_a_box_outside_the_volume_is_refused(box: Box) -> None:
    with pytest.raises(AssertionError):
        _coordinates().view(0, box)


def test_a_volume_on_the_device_it_is_on_is_the_same(device: str) -> None:
    moved = _coordinates().to(torch.device(device))
    assert moved.boxes == BOXES
    for here, there in zip(_coordinates().data, moved.data, strict=True):
        assert torch.equal(here, there.cpu())

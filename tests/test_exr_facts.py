"""What is told of an OpenEXR header, and that whatever stands in it prints as one line."""

from __future__ import annotations

import struct

import pytest

from infusion_ofx.sequence.exr_facts import facts
from infusion_ofx.sequence.exr_part import Attribute, StoredPart
from infusion_ofx.sequence.frame import Box

LABELS = {
    "timeCode": "time code",
    "framesPerSecond": "frame rate",
    "capDate": "date",
    "colorInteropID": "colour interop ID",
    "envmap": "environment map",
    "lineOrder": "line order",
}


def told(name: str, kind: str, value: bytes) -> str | None:
    """The fact that one attribute gives."""
    attributes = {name: Attribute(kind.encode(), value, 0)}
    box = Box(0, 0, 1, 1)
    found = facts(StoredPart(attributes, False, False, box, box, (), 0))
    return found.get(LABELS.get(name, name))


@pytest.mark.parametrize(
    "name, kind, value, text",
    [
        ("timeCode", "timecode", struct.pack("<II", 0x23595824, 0), "23:59:58:24"),
        ("timeCode", "timecode", struct.pack("<II", 0x01020344, 0), "01:02:03;04"),
        ("timeCode", "timecode", struct.pack("<II", 0xC1828384, 0), "01:02:03:04"),
        ("framesPerSecond", "rational", struct.pack("<iI", 24, 1), "24"),
        ("framesPerSecond", "rational", struct.pack("<iI", 24000, 1001), "23.976 (24000/1001)"),
        (
            "chromaticities",
            "chromaticities",
            struct.pack("<8f", 0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
            "red 0.64 0.33, green 0.3 0.6, blue 0.15 0.06, white 0.3127 0.329",
        ),
        ("colorInteropID", "string", b"lin_ap1_scene", "lin_ap1_scene"),
        ("owner", "string", "A. Ü.".encode(), "A. Ü."),
        ("comments", "string", b"two\nlines\tand \x1b[31mred", "two lines and ?[31mred"),
        ("capDate", "string", b"2024:01:02 03:04:05", "2024:01:02 03:04:05"),
        ("envmap", "envmap", b"\1", "cube"),
        ("lineOrder", "lineOrder", b"\1", "decreasing"),
    ],
)
def test_a_fact_reads_as_a_person_would_write_it(
    name: str, kind: str, value: bytes, text: str
) -> None:
    assert told(name, kind, value) == text


@pytest.mark.parametrize(
    "name, kind, value",
    [
        pytest.param("timeCode", "string", b"01:00:00:00", id="another type"),
        pytest.param("timeCode", "timecode", b"\1\2\3", id="too short"),
        pytest.param("framesPerSecond", "rational", struct.pack("<iI", 24, 0), id="over nothing"),
        pytest.param("envmap", "envmap", b"\7", id="an unknown number"),
        pytest.param("lineOrder", "lineOrder", b"\0", id="as it mostly is"),
        pytest.param("owner", "string", b"", id="empty"),
    ],
)
def test_what_says_nothing_is_not_told(name: str, kind: str, value: bytes) -> None:
    assert told(name, kind, value) is None


def test_tiles_and_levels_are_told() -> None:
    attributes = {"tiles": Attribute(b"tiledesc", struct.pack("<IIB", 64, 32, 0x11), 0)}
    box = Box(0, 0, 1, 1)
    part = StoredPart(attributes, True, False, box, box, (), 0)
    assert facts(part) == {"tiles": "64 x 32, mip levels"}

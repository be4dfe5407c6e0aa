"""Laws of colour: what is in a file to light and back."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infusion_ofx.colour import BUILT_IN, Encoding, encoding
from infusion_ofx.composite import composite
from infusion_ofx.errors import JobError
from infusion_ofx.sequence.frame import Box, Channel, Header, Part

Array = npt.NDArray[Any]
CURVES = pytest.mark.parametrize("name", ["sRGB", "Cineon"])
LOGS = ("ARRI LogC3 (EI800)", "ARRI LogC4", "S-Log3 S-Gamut3.Cine", "ADX10")

CONFIG = """ocio_profile_version: 2
search_path: .
file_rules:
  - !<Rule> {name: Default, colorspace: light}
roles: {scene_linear: light, plates: squared}
displays: {screen: [!<View> {name: raw, colorspace: light}]}
colorspaces:
  - !<ColorSpace> {name: light}
  - !<ColorSpace>
    name: squared
    aliases: [second power]
    to_scene_reference: !<ExponentTransform> {value: [2, 2, 2, 1]}
  - !<ColorSpace>
    name: table
    to_scene_reference: !<FileTransform> {src: table.spi1d, interpolation: linear}
"""

DISPLAY = """
view_transforms:
  - !<ViewTransform>
    name: tone map
    from_scene_reference: !<ExponentTransform> {value: [3, 3, 3, 1], direction: inverse}
display_colorspaces:
  - !<ColorSpace> {name: XYZ}
  - !<ColorSpace>
    name: monitor
    to_display_reference: !<ExponentTransform> {value: [2, 2, 2, 1]}
"""


@pytest.fixture(autouse=True)
def no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """The studio's own $OCIO, where these tests run, is not what they are about."""
    monkeypatch.delenv("OCIO", raising=False)


def _header(format: str = "openexr", kind: str = "half", transfer: str = "") -> Header:
    box = Box(0, 0, 1, 1)
    part = Part(box, tuple(Channel(name, kind) for name in "RGB"))
    return Header(Path("plate"), format, box, (part,), transfer=transfer)


def _encoding(name: str) -> Encoding:
    return encoding(name, _header())


def _refusal(name: str) -> str:
    with pytest.raises(JobError) as refusal:
        _encoding(name)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def _greys(bits: int) -> Array:
    """Every code of a depth, as pixels (codes, 3)."""
    return np.repeat(np.arange(2**bits)[:, None], 3, axis=1)


def _lost(colour: Encoding, codes: Array, bits: int) -> int:
    """How many codes do not come back."""
    most = 2**bits - 1
    values = colour.from_light(colour.to_light((codes / most).astype(np.float32)))
    return int((np.rint(np.clip(values.astype(np.float64), 0, 1) * most) != codes).sum())


def _use(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, table: str = "") -> Path:
    path = folder / "config.ocio"
    path.write_text(text)
    (folder / "table.spi1d").write_text(table)
    monkeypatch.setenv("OCIO", str(path))
    return path


def _table(*light: float) -> str:
    lines = "\n".join(map(str, light))
    return f"Version 1\nFrom 0 1\nLength {len(light)}\nComponents 1\n{{\n{lines}\n}}\n"


@pytest.mark.parametrize(
    ("format", "kind", "transfer", "expected"),
    [
        ("openexr", "half", "", "linear"),
        ("openexr", "uint", "", "linear"),
        ("tiff", "float", "", "linear"),
        ("dpx", "uint10", "printing density", "Cineon"),
        ("dpx", "uint10", "logarithmic", "Cineon"),
        ("dpx", "uint16", "user defined", "Cineon"),
        ("dpx", "uint16", "linear", "linear"),
        ("dpx", "uint10", "ITU-R 709", "sRGB"),
        ("dpx", "uint8", "undefined", "sRGB"),
        ("png", "uint8", "", "sRGB"),
        ("tiff", "uint16", "", "sRGB"),
        ("jpeg", "uint8", "", "sRGB"),
    ],
)
def test_auto_goes_by_the_format_and_the_dpx_tag(
    format: str, kind: str, transfer: str, expected: str
) -> None:
    found = encoding("auto", _header(format, kind, transfer))
    assert found.name.startswith(f"{expected} (auto: {format}, ")
    assert (transfer or kind) in found.name
    assert (found.decode, found.encode) == (_encoding(expected).decode, _encoding(expected).encode)


@pytest.mark.parametrize("name", ["AUTO", "cineon", "CINEON"])
def test_upper_and_lower_case_are_one(name: str) -> None:
    header = _header("dpx", "uint10", "printing density")
    assert encoding(name, header).decode is _encoding("Cineon").decode


def test_auto_asks_no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", "/nowhere/config.ocio")
    assert encoding("auto", _header("dpx", "uint10", "logarithmic")).name.startswith("Cineon")


@pytest.mark.parametrize(
    "name", ["linear", "auto", "ACEScg", "scene_linear", "lin_arri_wide_gamut_3", "Raw"]
)
def test_what_is_light_already_comes_back_as_it_is(name: str) -> None:
    half = np.array([[1.0, -0.0, np.nan]], np.float16)
    assert _encoding(name).to_light(half) is half
    assert _encoding(name).from_light(half) is half


@CURVES
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_every_code_comes_back(name: str, bits: int) -> None:
    assert _lost(_encoding(name), _greys(bits), bits) == 0


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_every_grey_and_any_colour_of_a_camera_comes_back(name: str, bits: int) -> None:
    colours = np.random.default_rng(0).integers(0, 2**bits, (50_000, 3))
    corners = (2**bits - 1) * np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)])
    codes = np.concatenate([_greys(bits), colours, corners])
    assert _lost(_encoding(name), codes, bits) == 0


def test_every_half_comes_back_from_srgb() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)][:, None]
    srgb = _encoding("sRGB")
    back = srgb.from_light(srgb.to_light(halves)).astype(np.float16)
    assert np.array_equal(back.view(np.uint16), halves.view(np.uint16))


@pytest.mark.parametrize(
    ("name", "value", "light"),
    [
        ("sRGB", 0, 0),
        ("sRGB", 0.04, 0.04 / 12.92),
        ("sRGB", 0.5, 0.21404114),
        ("sRGB", -0.5, -0.21404114),
        ("sRGB", 1, 1),
        ("Cineon", 95 / 1023, 0),
        ("Cineon", 685 / 1023, 1),
        ("Cineon", 1, 13.521695),
        ("Cineon", 0, -0.00565082),
    ],
)
def test_the_curves_are_those_of_the_standards(name: str, value: float, light: float) -> None:
    found = _encoding(name).to_light(np.array([value], np.float32))
    assert found.item() == pytest.approx(light, rel=1e-4, abs=1e-7)


def test_our_srgb_is_opencolorios() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)[:, None]
    ours, theirs = _encoding("sRGB"), _encoding("srgb_texture")
    assert np.allclose(ours.to_light(values), theirs.to_light(values), atol=1e-6)


@CURVES
@given(st.floats(-3, 3, width=32), st.floats(-3, 3, width=32))
def test_more_in_the_file_is_more_light(name: str, one: float, other: float) -> None:
    values = np.array(sorted([one, other]), np.float32)[:, None]
    for way in (_encoding(name).to_light, _encoding(name).from_light):
        low, high = way(values)
        assert low <= high
        assert low < high or values[1] - values[0] < 1e-5


@CURVES
@given(st.floats(-100, 3, width=32))
def test_values_below_black_and_above_white_come_back(name: str, value: float) -> None:
    values = np.array([value], np.float32)
    there, back = _encoding(name).to_light, _encoding(name).from_light
    assert back(there(values)) == pytest.approx(values, rel=1e-5, abs=1e-6)
    assert there(back(values)) == pytest.approx(values, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", ["sRGB", "Cineon", "ACEScc", *LOGS])
def test_what_is_not_finite_stays_what_it_is(name: str) -> None:
    odd = np.array([[np.nan, np.inf, -np.inf], [0.25, 0.5, 0.75]], np.float32)
    for way in (_encoding(name).to_light, _encoding(name).from_light):
        found = way(odd)
        assert np.array_equal(found[0], odd[0], equal_nan=True)
        assert np.array_equal(found[1], way(odd[1]))
        assert np.isfinite(found[1]).all()


@pytest.mark.parametrize("name", LOGS)
def test_light_is_opencolorios_but_for_a_matrix(name: str) -> None:
    import PyOpenColorIO as ocio

    values = np.random.default_rng(0).random((1000, 3), np.float32)
    theirs = values.copy()
    config = ocio.Config.CreateFromBuiltinConfig(BUILT_IN)
    config.getProcessor(name, "scene_linear").getDefaultCPUProcessor().applyRGB(theirs)
    ours = _encoding(name).to_light(values).astype(np.float64)
    matrix = np.linalg.lstsq(ours, theirs, rcond=None)[0]
    assert np.abs(ours @ matrix - theirs).max() < 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("name", ["sRGB", "Cineon", "ARRI LogC4", "ADX10"])
def test_the_fourth_channel_is_no_colour(name: str) -> None:
    pixels = np.random.default_rng(0).random((2, 3, 4), np.float32)
    for way in (_encoding(name).to_light, _encoding(name).from_light):
        found = way(pixels)
        assert np.array_equal(found[..., 3], pixels[..., 3])
        assert np.array_equal(found[..., :3], way(pixels[..., :3]))


@pytest.mark.parametrize("name", ["sRGB", "Cineon", "ARRI LogC4", "S-Log3 S-Gamut3.Cine"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_curve_needs_no_other_channel(name: str, channels: int) -> None:
    pixels = np.random.default_rng(0).random((5, 3), np.float32)
    found, few = _encoding(name), pixels[:, :channels]
    found.check(channels)
    assert np.array_equal(found.to_light(few), found.to_light(pixels)[:, :channels])
    assert np.array_equal(found.from_light(few), found.from_light(pixels)[:, :channels])


def test_what_mixes_colours_refuses_fewer_than_three() -> None:
    adx = _encoding("ADX10")
    adx.check(3)
    for refuse in (adx.check, lambda c: adx.to_light(np.zeros((2, c), np.float32))):
        with pytest.raises(JobError, match="'ADX10' of .* needs red, green and blue .* 1 channel;"):
            refuse(1)


@pytest.mark.parametrize("name", ["sRGB", "Cineon", "ARRI LogC4"])
def test_any_array_goes_in_and_stays_as_it_was(name: str) -> None:
    pixels = np.random.default_rng(0).random((3, 300, 260), np.float32).transpose(1, 2, 0)[::-1]
    pixels.setflags(write=False)
    kept, found = pixels.copy(), _encoding(name)
    light = found.to_light(pixels)
    assert light.shape == pixels.shape and light.dtype == np.float32
    assert np.array_equal(pixels, kept)
    assert np.array_equal(light[7:9], found.to_light(pixels[7:9]))
    assert np.array_equal(found.to_light(pixels.astype(np.float64)), light)
    assert found.to_light(pixels[:0]).shape == (0, 260, 3)


@pytest.mark.parametrize("name", ["Cineon", "ARRI LogC4"])
def test_memory_beside_the_result_does_not_grow_with_the_frame(name: str) -> None:
    pixels, found = np.zeros((600, 1000, 3), np.float32), _encoding(name)
    tracemalloc.start()
    found.to_light(pixels)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < pixels.nbytes + 2**23


@pytest.mark.parametrize("name", ["Cineon", "ARRI LogC4"])
def test_threads_share_an_encoding(name: str) -> None:
    pixels = np.random.default_rng(0).random((8, 20_000, 3), np.float32)
    found = _encoding(name)
    expected = [found.to_light(frame) for frame in pixels]
    with ThreadPoolExecutor(4) as pool:
        for light, alone in zip(pool.map(found.to_light, pixels), expected, strict=True):
            assert np.array_equal(light, alone)


@pytest.mark.parametrize("name", ["Cineon", "sRGB", "ARRI LogC3 (EI800)"])
def test_a_trace_of_alpha_changes_no_code(name: str) -> None:
    found, codes = _encoding(name), _greys(10)[None]
    plate = found.to_light((codes / 1023).astype(np.float32))
    mixed = composite(plate, np.full_like(plate, 0.18), np.full((1, 1024), 1e-6, np.float32))
    assert np.array_equal(np.rint(found.from_light(mixed) * 1023), codes)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("LogC3", "'ARRI LogC3 (EI800)'"),
        ("S-Log3", "'S-Log3 S-Gamut3', 'S-Log3 S-Gamut3.Cine'"),
        ("sRBG", "'sRGB'"),
        ("acescgg", "'ACEScg'"),
        ("kodak", "'linear', 'sRGB', 'Cineon', "),
        ("", "'linear'"),
    ],
)
def test_a_wrong_name_is_told_the_likely_ones_and_the_config(name: str, near: str) -> None:
    told = _refusal(name)
    assert f"no colour space {name!r} in {BUILT_IN} ($OCIO is not set)" in told
    assert near in told


@given(st.text(st.characters(), max_size=20))
@settings(deadline=None, max_examples=10)
def test_any_other_text_is_refused_in_a_line(name: str) -> None:
    _refusal(f"no such space {name}")


@pytest.mark.parametrize("name", ["squared", "SQUARED", "second power", "plates"])
def test_a_space_of_the_studio_goes_by_name_alias_and_role(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _use(monkeypatch, tmp_path, CONFIG)
    found = _encoding(name)
    assert found.name == f"'squared' of $OCIO {str(path)!r}"
    assert found.to_light(np.array([[0.5, 1, 2]], np.float32)) == pytest.approx(
        np.array([[0.25, 1, 4]]), rel=1e-5
    )


def test_a_table_may_clip_shadows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, tmp_path, CONFIG, _table(0, 0, 0.1, 0.4, 1))
    found = _encoding("table")
    values = np.array([[0.1, 0.5, 0.8]], np.float32)
    assert found.to_light(values) == pytest.approx(np.array([[0, 0.1, 0.52]]), abs=1e-6)
    assert found.from_light(found.to_light(values))[0, 1:] == pytest.approx(values[0, 1:])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "valid version", id="empty"),
        pytest.param("\x00\xff\xfe", "OpenColorIO cannot use", id="bytes"),
        pytest.param(CONFIG.replace("scene_linear", "other"), "no role 'scene_linear'", id="role"),
        pytest.param(CONFIG.replace("version: 2", "version: 9"), "version is 9", id="version"),
        pytest.param(CONFIG.replace("table.spi1d", "lacking.spi1d"), "lacking.spi1d", id="table"),
        pytest.param(CONFIG, "table.spi1d", id="empty table"),
    ],
)
def test_a_broken_config_is_one_line(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _use(monkeypatch, tmp_path, "")
    path.write_bytes(text.encode("latin-1"))
    assert told in _refusal("table")
    assert str(path) in _refusal("table")


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_a_config_that_is_no_file_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.ocio"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    monkeypatch.setenv("OCIO", str(path))
    assert "which is no file; mend or unset it" in _refusal("ACEScg")


def test_no_view_stands_between_a_display_and_its_light(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.linspace(0, 1, 101, dtype=np.float32)[:, None]
    shown = _encoding("sRGB - Display").to_light(values)
    assert np.allclose(shown, _encoding("sRGB").to_light(values), atol=1e-6)
    text = CONFIG.replace("roles: {", "roles: {cie_xyz_d65_interchange: XYZ, ") + DISPLAY
    _use(monkeypatch, tmp_path, text)
    assert np.allclose(_encoding("monitor").to_light(values), values**2, atol=1e-6)


def test_a_display_without_a_way_to_light_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, tmp_path, CONFIG + DISPLAY)
    assert "has no role 'cie_xyz_d65_interchange'" in _refusal("monitor")


def test_opencolorio_loads_only_for_its_own_names_and_beside_openimageio() -> None:
    code = (
        "import sys, OpenImageIO as oiio\n"
        "from infusion_ofx.colour import encoding\n"
        "encoding('Cineon', None)\n"
        "assert 'PyOpenColorIO' not in sys.modules\n"
        "encoding('ADX10', None)\n"
        "picture = oiio.ImageBuf(oiio.ImageSpec(2, 2, 3, 'float'))\n"
        "done = oiio.ImageBufAlgo.colorconvert(picture, 'lin_srgb', 'srgb_texture')\n"
        "assert not done.has_error, done.geterror()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (run.returncode, run.stderr) == (0, b"")

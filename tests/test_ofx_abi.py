"""plugin/ofx.h against the sheet of the interface; what the binary shows and needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ofx_host.build import SOURCES, compile_plugin, compiler
from ofx_host.sheet import CONSTANTS, OFFSETS, STATUS, STRUCTS

HEADER = (SOURCES / "ofx.h").read_text(encoding="utf-8")
MOST_LINES = 400


def test_every_constant_is_the_sheets() -> None:
    ours = dict(re.findall(r'^#define (kOfx\w+) "([^"]*)"$', HEADER, re.MULTILINE))
    assert ours == CONSTANTS
    assert len(re.findall(r"#define", HEADER)) == len(ours) + 1  # and the guard


def test_every_status_is_the_sheets() -> None:
    ours = {name: int(value) for name, value in re.findall(r"(kOfx\w+) = (\d+)", HEADER)}
    assert ours.items() <= STATUS.items() and len(ours) == 6


def test_every_struct_is_the_sheets() -> None:
    named = set(re.findall(r"^\}? ?(?:typedef struct \{.*\} )?(\w+);", HEADER, re.MULTILINE))
    assert named >= set(STRUCTS)
    bodies = re.findall(r"typedef struct \{(.*?)\} (\w+);", HEADER, re.DOTALL)
    assert {name for _, name in bodies} == set(STRUCTS)
    for body, name in bodies:
        functions = re.findall(r"\(\*(\w+)\)\(", body)
        if len(functions) > 2:
            assert tuple(functions) == STRUCTS[name]


def test_every_member_lies_where_the_sheet_has_it(tmp_path: Path) -> None:
    lines = [
        f'printf("{struct} {member} %zu\\n", offsetof({struct}, {member}));'
        for struct, members in STRUCTS.items()
        for member in members
    ]
    sizes = [f'printf("{struct} size %zu\\n", sizeof({struct}));' for struct in STRUCTS]
    body = "\n".join([*lines, *sizes])
    source, program = tmp_path / "offsets.c", tmp_path / "offsets"
    source.write_text(f'#include <stdio.h>\n#include "ofx.h"\nint main(void) {{\n{body}\n}}\n')
    subprocess.run([compiler(), "-std=c99", f"-I{SOURCES}", source, "-o", program], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    expected = []
    for struct, members in STRUCTS.items():
        places = OFFSETS.get(struct, tuple(8 * i for i in range(len(members))))
        expected += [f"{struct} {m} {p}" for m, p in zip(members, places, strict=True)]
    expected += [
        f"{struct} size {16 if struct == 'OfxRectI' else OFFSETS.get(struct, (0,))[-1] + 8}"
        if struct in OFFSETS
        else f"{struct} size {8 * len(members)}"
        for struct, members in STRUCTS.items()
    ]
    assert said.splitlines() == expected


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("abi") / "Infusion.ofx"
    compile_plugin(made, "-O2")
    return made


def test_the_two_entry_points_are_all_that_the_binary_shows(binary: Path) -> None:
    command = ["nm", "--dynamic", "--defined-only", str(binary)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [line.split()[1:] for line in said.splitlines()] == [
        ["T", "OfxGetNumberOfPlugins"],
        ["T", "OfxGetPlugin"],
    ]


def test_the_binary_needs_the_c_library_alone_and_an_old_one_will_do(binary: Path) -> None:
    command = ["readelf", "--dynamic", "--version-info", str(binary)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    needed = set(re.findall(r"\(NEEDED\)\s+Shared library: \[(.*?)\]", said))
    assert needed <= {"libc.so.6", "libdl.so.2"}
    assert "GLIBC_2.38" not in said  # __isoc23_strtol and the like: not on a farm's Rocky


@pytest.mark.parametrize("path", sorted(SOURCES.iterdir()), ids=lambda path: str(path.name))
def test_a_file_in_c_is_read_in_one_sitting(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_LINES and max(map(len, lines)) <= 100
    assert lines[0].startswith("/* ")  # it says what it is
    starts = [i for i, line in enumerate(lines) if line == "{"]
    for start in starts:
        assert lines.index("}", start) - start <= 40, lines[start - 1]

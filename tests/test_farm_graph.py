"""The one description of a job's steps that every farm's exporter writes its own from."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from infusion_cli.main import main
from infusion_ofx.farm.graph import CUDA_MIB, Step, graph
from infusion_ofx.folder import Record
from infusion_ofx.job import Job

SHARED = {"train-shared": 4, **{f"{k}-{i:02d}": 1 for i in range(3) for k in ("train", "sample")}}
CHAIN = {name: steps for name, steps in SHARED.items() if name != "train-shared"}


def steps(stages: dict[str, int] = SHARED, memory: int = 0, **settings: Any) -> list[Step]:
    job = Job("/p.#.exr", "/m.exr", "/out/", **settings)
    return graph(Record(job, "1", "abc", stages, memory))


def test_intervals_spread_after_a_shared_training() -> None:
    found = {step.name: step for step in steps()}
    assert list(found) == ["prepare", "train-shared", "train", "sample", "assemble"]
    assert [step.needs for step in found.values()] == [
        (), ("prepare",), ("train-shared",), ("train",), ("sample",),
    ]  # fmt: skip
    assert found["train"].parts == (0, 1, 2)
    assert found["train"].tasks == ["train-00", "train-01", "train-02"]
    assert found["sample"].tasks == ["sample"]


@pytest.mark.parametrize("stages", [CHAIN, {"train-00": 5, "sample-00": 3}])
def test_without_a_shared_training_there_is_one_task_for_all(stages: dict[str, int]) -> None:
    found = [(step.name, step.needs, step.parts) for step in steps(stages)]
    assert found == [
        ("prepare", (), ()),
        ("train", ("prepare",), ()),
        ("sample", ("train",), ()),
        ("assemble", ("sample",), ()),
    ]


def test_intervals_that_are_never_sampled_have_no_task() -> None:
    stages = {name: n for name, n in SHARED.items() if not name.endswith("-01")}
    assert {step.name: step.parts for step in steps(stages)}["train"] == (0, 2)


def test_takes_are_sampled_side_by_side() -> None:
    found = {step.name: step for step in steps(takes=3)}
    assert found["sample"].tasks == ["sample-take01", "sample-take02", "sample-take03"]
    assert found["sample"].argv("/f", "2") == ["infusion", "sample", "/f", "--take", "2"]
    assert found["train"].tasks == ["train-00", "train-01", "train-02"]


def test_the_engine_asks_for_a_gpu_and_for_what_it_will_hold() -> None:
    found = {step.name: step for step in steps(memory=5 * 2**30 + 1)}
    assert (found["train"].gpu, found["train"].gpu_memory) == (True, 5121)
    assert found["sample"].memory == 5121 + CUDA_MIB
    assert (found["prepare"].gpu, found["prepare"].gpu_memory) == (False, 0)
    assert found["assemble"].memory == 8 * 1024


def test_a_job_for_the_processor_asks_for_no_gpu() -> None:
    for step in steps(device="cpu", memory=2**30):
        assert (step.gpu, step.gpu_memory) == (False, 0)
        assert step.memory == (1024 if step.name in ("train-shared", "train", "sample") else 8192)


def test_what_nobody_has_worked_out_is_the_jobs_budget() -> None:
    assert {step.memory for step in steps(device="cpu")} == {8192}


@pytest.mark.parametrize("takes", [1, 2])
@pytest.mark.parametrize("stages", [SHARED, CHAIN], ids=["shared", "chain"])
def test_every_command_is_one_that_the_program_takes(stages: dict[str, int], takes: int) -> None:
    for step in steps(stages, takes=takes):
        for task, part in zip(step.tasks, step.parts or ("",), strict=True):
            program, *arguments = step.argv("/no/such folder", str(part))
            assert program == "infusion"
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 2, task
            assert "'/no/such folder' is no job folder" in result.stderr

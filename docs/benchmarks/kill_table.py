"""The figures of kill.py as a page: ``python docs/benchmarks/kill_table.py kill.json kill.md``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HEAD = """# Killed at any moment

Each round takes a tiny shot ({frames} frames, `--recipe final` with two intervals) as an unbroken
job had left it before one task, starts that task, sends it a signal after a random time, and looks
at the frames that are there. Then the task and all after it are run, and every frame and every file
of the job is held against the unbroken job's. In a quarter of the rounds a twin of the task runs at
the same time and is left alone. Half of the rounds write a checkpoint at each step, half at the end
alone, which is what the default of 5 minutes is to tasks of seconds.

`python docs/benchmarks/kill.py --rounds {rounds} -o docs/benchmarks/kill.json` gave, on {machine},
in {minutes:.0f} minutes: **{rounds} rounds, {failures} failures**. A failure would be a frame that
is torn, missing or not the unbroken job's to the last byte, a file too many or too few, or a task
that ends in an error.

| task | signal | rounds | ended by it | midway in a file | with a twin | steps redone |
| --- | --- | ---: | ---: | ---: | ---: | --- |
"""

FOOT = """
*Ended by it*: the other rounds' tasks were done before the signal came. *Midway in a file*: a
half-written temporary was left, which the next attempt has removed. *Steps redone*: of those that
the task has, over the rounds without a twin that the signal has ended; of `prepare` none are
counted, since all of it is done again, and of `assemble` a step is a frame: it writes all of them
again.
"""


def rows(tasks: Mapping[str, Any]) -> Iterator[str]:
    """A line of the table for each task and signal."""
    for name, tally in tasks.items():
        task, signal = name.split()
        redone, steps = tally["redone"], tally["steps"]
        said = [
            f"{redone[pace]} of {steps[pace]}, checkpoints {pace}"
            for pace in sorted(steps, reverse=True)
            if steps[pace]
        ]
        if task == "assemble" and said:
            said = [f"{sum(redone.values())} of {sum(steps.values())}"]
        cells = [task, signal.removeprefix("SIG"), tally["rounds"], tally["hit"], tally["writing"]]
        yield "| " + " | ".join(map(str, [*cells, tally["twins"], "; ".join(said) or "-"])) + " |"


def main() -> None:
    """Writes the page."""
    source, page = map(Path, sys.argv[1:])
    facts = json.loads(source.read_text(encoding="utf-8"))
    told = {
        "frames": facts["frames"], "rounds": facts["rounds"], "machine": facts["machine"],
        "minutes": facts["seconds"] / 60, "failures": len(facts["failures"]),
    }  # fmt: skip
    text = HEAD.format(**told) + "\n".join(rows(facts["tasks"])) + "\n" + FOOT
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

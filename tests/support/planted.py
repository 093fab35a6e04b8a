"""Runs with planted results, written as the harness writes them."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from factories import a_sample, a_spec, a_verdict, an_environment, some_problems

from xftbench.scoring.aggregate import aggregate
from xftbench.store.run_dir import RunDir, Timings
from xftbench.store.spec import RunSpec


def passed(which: str) -> list[list[bool]]:
    """Return answers from a string: one character a problem, ``1`` passed, ``0`` failed."""
    return [[character == "1"] for character in which]


def plant(
    runs: Path,
    name: str,
    answers: Sequence[Sequence[bool]],
    spec: RunSpec | None = None,
    suite: str = "humaneval",
    tasks: Sequence[str] = (),
    objection: str = "",
    program: str = "x",
) -> Path:
    """Write a complete run whose problems, T/0, T/1, ... unless they are named, have these answers.

    With an objection, strict has it to each answer that passed.
    """
    if spec is None:
        spec = a_spec(checkpoint_sha256=name[:1] * 64, suite=suite, n_problems=len(answers))
    path = runs / f"{suite}--{name}--{spec.run_id}"
    tasks = tasks or [f"T/{index}" for index in range(len(answers))]
    with RunDir(path, spec, an_environment(name)) as run:
        for task, drawn in zip(tasks, answers, strict=True):
            for index, is_right in enumerate(drawn):
                run.add_sample(a_sample(task, index))
                verdict = a_verdict(task, index, "passed" if is_right else "failed")
                strict = "failed" if objection else verdict.verdict
                run.add_verdict(
                    msgspec.structs.replace(verdict, strict=strict, evidence=objection, solution=program)
                )
        scores = aggregate(some_problems(*tasks), run.verdicts.values(), n=len(answers[0]))
        run.finish(scores, Timings(n_tokens=6, generation_s=2.0, total_s=3.0), tasks, "2026-01-01")
    return path

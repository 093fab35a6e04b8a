"""Small real records for tests of the layers that pass them on."""

import json

from xftbench.records import (
    Limits,
    OracleName,
    PlusProblem,
    Problem,
    Sample,
    SamplingParams,
    Verdict,
    VerdictName,
)
from xftbench.store.spec import Environment, GenerationSpec, RunSpec, ScoringSpec


def some_problems(*task_ids: str) -> list[Problem]:
    return [Problem(task_id=task_id, prompt="") for task_id in task_ids]


def a_sample(task_id: str = "T/0", index: int = 0, completion: str = "x") -> Sample:
    return Sample(task_id=task_id, sample_index=index, completion=completion, n_tokens=3)


def a_verdict(task_id: str = "T/0", index: int = 0, verdict: VerdictName = "passed") -> Verdict:
    return Verdict(
        task_id=task_id,
        sample_index=index,
        verdict=verdict,
        detail="",
        rule="append",
        solution="x",
        program_sha256="0" * 64,
        cpu_s=0.1,
        wall_s=0.1,
    )


def a_spec(**changes: object) -> RunSpec:
    generation = {
        "checkpoint_sha256": "a" * 64,
        "style": "base",
        "prompts_sha256": "b" * 64,
        "sampling": SamplingParams(),
        "engine": "hf",
        "engine_version": "1",
        "dtype": "float32",
        "device": "cpu",
        "processor": "a CPU, avx2, 2 threads",
    }
    scoring = {
        "suite": "humaneval",
        "suite_version": "1.0",
        "data_sha256": "c" * 64,
        "n_problems": 2,
        "problems_sha256": "d" * 64,
        "extraction": "append",
        "limits": Limits(),
        "isolation": "namespaces",
        "python": "3.11.7",
        "libraries": {},
    }
    generation |= {key: value for key, value in changes.items() if key in generation}
    scoring |= {key: value for key, value in changes.items() if key in scoring}
    return RunSpec(generation=GenerationSpec(**generation), scoring=ScoringSpec(**scoring))  # type: ignore[arg-type]


def an_environment(name: str = "m") -> Environment:
    return Environment(
        name=name,
        ref="ref",
        kind="dense",
        started="2026-01-01T00:00:00+00:00",
        command=("xftbench",),
        git_commit=None,
        packages={"xftbench": "0"},
        machine="test",
    )


def plus_problem(
    source: str,
    entry_point: str,
    inputs: list[list[object]],
    oracle: OracleName = "equal",
    atol: float = 0.0,
    plus_inputs: list[list[object]] | None = None,
) -> PlusProblem:
    base, plus = (json.dumps(part).encode() for part in (inputs, plus_inputs or inputs))
    return PlusProblem(
        task_id="Plus/0",
        prompt=source,
        entry_point=entry_point,
        canonical_solution="",
        contract="",
        base_input=base,
        plus_input=plus,
        atol=atol,
        oracle=oracle,
        content_sha256=f"{source} {inputs} {plus_inputs} {oracle} {atol}",
    )

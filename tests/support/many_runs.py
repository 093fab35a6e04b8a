"""Run directories of any size, written straight to disk: shaped like real ones, with programs that differ."""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
from factories import a_spec, an_environment

from xftbench import jsonl
from xftbench.hashing import sha256_file
from xftbench.records import Failure, Problem, Sample, SamplingParams, Verdict
from xftbench.scoring.aggregate import aggregate
from xftbench.store.run_dir import SCHEMA_VERSION, ScoresFile, Timings
from xftbench.store.spec import SpecFile

_WORDS = (
    "count", "total", "index", "value", "items", "result", "left", "right", "seen", "stack", "node", "best",
)  # fmt: skip
_LINES = (
    "for {a} in range(len({b})):\n        {c} = {c} + {b}[{a}] * {n}",
    "if {a} > {n} and {b} is not None:\n        return {c}",
    "while {a} < {n}:\n        {a} += 1\n        {b}.append({c} % {n})",
    "{a} = sorted({b}, key=lambda {c}: ({c} % {n}, -{c}))",
    "{c} = {{{a}: {b} for {a} in range({n})}}",
    "# keep the {a} that has the largest {b} so far",
    "try:\n        {a} = int({b})\n    except ValueError:\n        {a} = {n}",
)


def program(draw: random.Random, problem: int) -> str:
    """Return some 600 characters of code: half of it the problem's, half of it the draw's own."""
    own, shared = draw, random.Random(problem)
    lines = [
        f"def solve_{problem}(items, limit):",
        f'    """Problem {problem}: {" ".join(shared.choices(_WORDS, k=12))}."""',
    ]
    for number in range(9):
        source = shared if number % 2 else own
        a, b, c = source.choices(_WORDS, k=3)
        lines.append("    " + source.choice(_LINES).format(a=a, b=b, c=c, n=source.randrange(1000)))
    return "\n".join([*lines, f"    return {own.choice(_WORDS)}\n"])


def write_run(
    runs: Path, model: str, suite: str, *, n_problems: int, n: int, rate: float, seed: int = 0,
    programs: Sequence[str] = (), **changes: object,
) -> Path:  # fmt: skip
    """Write a complete run; `programs` stand in for the first made-up ones, `changes` are of its spec."""
    draw = random.Random(f"{model} {suite} {seed}")
    tasks = [Problem(task_id=f"{suite}/{index}", prompt="") for index in range(n_problems)]
    samples, verdicts = [], []
    given = list(programs)
    for number, task in enumerate(tasks):
        ease = random.Random(f"{suite} {number}").uniform(-0.3, 0.3)
        for index in range(n):
            passed = draw.random() < rate + ease
            code = given.pop(0) if given else program(draw, number)
            samples.append(
                Sample(
                    task_id=task.task_id,
                    sample_index=index,
                    completion=code,
                    n_tokens=len(code) // 4,
                    finish_reason="stop",
                )
            )
            failure = (
                None
                if passed
                else Failure(
                    input=f"([{draw.randrange(99)}, 2], 3)",
                    expected="[2, 3]",
                    actual=repr([draw.randrange(99)]),
                )
            )
            verdicts.append(Verdict(
                task_id=task.task_id, sample_index=index, verdict="passed" if passed else "failed",
                rule="append", solution=code, program_sha256="0" * 64, cpu_s=0.01, wall_s=0.02,
                failure=failure,
                detail="" if passed else "AssertionError: expected [2, 3]",
            ))  # fmt: skip
    spec = a_spec(suite=suite, checkpoint_sha256=(model.encode().hex() * 64)[:64], n_problems=n_problems,
                  sampling=SamplingParams(n=n, temperature=0.0 if n == 1 else 0.2), **changes)  # fmt: skip
    path = runs / f"{suite}--{model}"
    path.mkdir(parents=True)
    jsonl.write(path / "samples.jsonl", samples)
    jsonl.write(path / "verdicts.jsonl", verdicts)
    tokens = sum(sample.n_tokens or 0 for sample in samples)
    records = {
        "spec.json": SpecFile(schema_version=SCHEMA_VERSION, run_id=spec.run_id, spec=spec,
                              environment=an_environment(model)),
        "scores.json": ScoresFile(
            schema_version=SCHEMA_VERSION, run_id=spec.run_id, finished="2026-01-01T00:00:00+00:00",
            scores=aggregate(tasks, verdicts, n), n_tokens=tokens,
            samples_sha256=sha256_file(path / "samples.jsonl"),
            verdicts_sha256=sha256_file(path / "verdicts.jsonl"),
            timings=Timings(n_tokens=tokens, generation_s=tokens / 500, total_s=tokens / 400),
        ),
    }  # fmt: skip
    for name, record in records.items():
        (path / name).write_bytes(msgspec.json.encode(record))
    return path

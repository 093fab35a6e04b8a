"""Our verdict on a mutant of a canonical solution is evalplus' own; see `golden/README.md`."""

import json
from pathlib import Path

import pytest
from mutants import drawn

from xftbench.benchmarks import parse_suite
from xftbench.execution.pool import Pool

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"
PER_PROBLEM = {"humaneval+@0.1.10": 8, "mbpp+@0.2.0": 4}
FIELDS = ("task_id", "prompt", "canonical_solution", "entry_point")
GOLDEN = [json.loads(line) for line in (HERE / "golden" / "evalplus.jsonl").read_text().splitlines()]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not here: evalplus' data files")


@pytest.mark.slow
@pytest.mark.parametrize("suite", sorted(PER_PROBLEM))
def test_every_recorded_mutant_gets_evalplus_verdicts(suite: str) -> None:
    benchmark, version = parse_suite(suite)
    problems = {problem.task_id: problem for problem in benchmark.load(version, DATA).problems}
    rows = [row for row in GOLDEN if row["suite"] == suite]
    with Pool(2, benchmark.limits) as pool:
        futures = []
        for row in rows:
            problem = problems[row["task_id"]]
            fields = {
                name: getattr(problem, name) for name in ("prompt", "canonical_solution", "entry_point")
            }
            solution = dict(drawn({"task_id": problem.task_id, **fields}, PER_PROBLEM[suite]))[row["mutant"]]
            futures.append(pool.submit(benchmark.program(problem, solution)))
        differences = [
            (row, part, future.result())
            for row, future in zip(rows, futures, strict=True)
            for part in ("base", "plus")
            if (getattr(future.result(), part) == "passed") != (row[part] == "pass")
        ]
    assert len(rows) == 300
    assert not differences


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "numbers"),
    [
        ("humaneval+@v0.1.10", range(0, 164, 9)),
        ("humaneval+@v0.1.9", range(4, 164, 20)),
        ("mbpp+@v0.2.0", range(2, 809)),
        ("mbpp+@v0.1.0", range(2, 809)),
        ("mbpp:all", range(1, 975, 7)),
        ("mbpp@sanitized", range(1, 975, 5)),
    ],
)
def test_canonical_solutions_pass_by_every_rule(suite: str, numbers: range) -> None:
    benchmark, version = parse_suite(suite)
    heavy = {36, 59, 83, 94, 123, 255, 271, 300, 389, 392, 583, 589, 592, 599, 603, 630}
    problems = benchmark.load(version, DATA).problems
    step = 6 if suite.startswith("mbpp+") else 1
    chosen = [one for one in problems if int(one.task_id.split("/")[1]) in set(numbers) - heavy][::step]
    with Pool(2, benchmark.limits) as pool:
        futures = [pool.submit(program) for program in benchmark.known_good(chosen)]
        outcomes = [future.result() for future in futures]
    assert len(chosen) > 7
    assert {outcome.verdict for outcome in outcomes} == {"passed"}
    assert {outcome.strict for outcome in outcomes} <= {"passed", None}


def test_the_problems_are_those_that_are_published() -> None:
    counts = {
        "humaneval+": 164, "humaneval+@v0.1.9": 164, "mbpp+": 378, "mbpp+@0.1.0": 399,
        "mbpp": 500, "mbpp:all": 974, "mbpp@sanitized": 427, "mbpp:test@sanitized": 257,
    }  # fmt: skip
    for suite, count in counts.items():
        benchmark, version = parse_suite(suite)
        assert len(benchmark.load(version, DATA).problems) == count, suite

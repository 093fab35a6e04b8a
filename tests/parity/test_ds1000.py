"""DS-1000 itself: its reference solutions, recorded answers of a public model, and the paper's prompts.

The data is not in this repository. These tests take it from `../shared/data`, and skip where that is absent.
"""

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import contexts
import pytest

from xftbench.benchmarks.ds1000 import ContextProblem, Ds1000
from xftbench.execution import environments, offline_data
from xftbench.execution.pool import Isolation, Pool
from xftbench.generation.replay import read_samples
from xftbench.prompts.extract import extract
from xftbench.prompts.render import find_style, render
from xftbench.records import Outcome, Problem, Program

DATA = Path(__file__).parents[3] / "shared" / "data"
ANSWERS = DATA / "known_results" / "ds1000" / "codex002-answers.jsonl.gz"

pytestmark = pytest.mark.skipif(not (DATA / "ds1000").is_dir(), reason=f"no data at {DATA}")


@pytest.fixture(scope="module")
def problems() -> list[ContextProblem]:
    data = Ds1000().load("2024-04", DATA)
    return [problem for problem in data.problems if isinstance(problem, ContextProblem)]


@pytest.fixture(scope="module")
def environment() -> environments.Environment:
    found = contexts.environment()
    assert offline_data.add(found, DATA, lambda _: None) == []
    return found


def judged(programs: list[Program], isolation: Isolation = "namespaces") -> list[Outcome]:
    with Pool(2, Ds1000.limits, isolation) as pool:
        return [future.result() for future in [pool.submit(program) for program in programs]]


def test_the_problems_are_those_that_were_published(problems: list[ContextProblem]) -> None:
    assert [problem.task_id for problem in problems] == [str(number) for number in range(1000)]
    libraries = Counter(problem.tags["library"] for problem in problems)
    assert libraries == {
        "Pandas": 291, "Numpy": 220, "Matplotlib": 155, "Sklearn": 115, "Scipy": 106, "Pytorch": 68,
        "Tensorflow": 45,
    }  # fmt: skip
    classes = Counter(problem.tags["perturbation"] for problem in problems)
    assert classes == {"Origin": 452, "Semantic": 234, "Difficult-Rewrite": 162, "Surface": 152}


def test_the_fifteen_problems_that_download_something_are_known(problems: list[ContextProblem]) -> None:
    needing = {int(problem.task_id) for problem in problems if problem.needs}
    assert needing == {519, 539, 565, 566, 567, 577, 598, 624, 629, 650, 654, 655, 656, 661, 819}


def test_a_part_is_selected_by_library() -> None:
    for words in (["pytorch", "tensorflow"], ["Pytorch", "Tensorflow"]):
        part = Ds1000(words)
        assert part.name == "ds1000:tensorflow,pytorch"
        assert len(part.load("2024-04", DATA).problems) == 113


def test_the_default_prompt_is_the_benchmarks_own_to_the_byte(problems: list[ContextProblem]) -> None:
    style = find_style("ds1000", None)
    assert style.stop == ("</code>", "# SOLUTION END")
    assert all(render(problem, style).text == problem.prompt for problem in problems)
    assert sum(problem.prompt.endswith("### BEGIN SOLUTION") for problem in problems) == 71


def test_the_papers_prompts_are_the_papers(problems: list[ContextProblem]) -> None:
    style = find_style("ds1000", "magicoder")
    texts = "\0".join(render(problem, style).text for problem in problems)
    # Of all 1000 texts that preprocess_completion_prompt and PROMPT of ise-uiuc/magicoder
    # experiments/ds_1000.py made of this data, on 2026-11-24.
    expected = "766ab9361ad0ce03c6c5f7e3083f625206933e3b58e2e41f2164f6647642b9c8"
    assert hashlib.sha256(texts.encode()).hexdigest() == expected
    assert (style.sampling.n, style.sampling.temperature, style.sampling.top_p) == (40, 0.2, 0.5)


def test_answers_are_read_by_number_and_to_the_byte(problems: list[ContextProblem]) -> None:
    samples = read_samples(ANSWERS, {problem.task_id: problem for problem in problems})
    rows = [json.loads(line) for line in gzip.decompress(ANSWERS.read_bytes()).splitlines()]
    assert [sample.completion for sample in samples] == [row["code"] for row in rows]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("isolation", ["namespaces", "rlimits"])
def test_every_reference_solution_passes(
    problems: list[ContextProblem], environment: environments.Environment, isolation: Isolation
) -> None:
    outcomes = judged(Ds1000().all_references(problems), isolation)
    failed = {
        problem.task_id: (outcome.verdict, outcome.detail)
        for problem, outcome in zip(problems, outcomes, strict=True)
        if (outcome.verdict, outcome.strict) != ("passed", "passed")
    }
    assert not failed


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_recorded_answers_score_what_they_did_elsewhere(
    problems: list[ContextProblem], environment: environments.Environment
) -> None:
    """codex002: 388 published (xlang-ai/DS-1000 at b39aab7), 386 to 387 by the official script here."""
    samples = read_samples(ANSWERS, {problem.task_id: problem for problem in problems})
    by_task: dict[str, Problem] = {problem.task_id: problem for problem in problems}
    benchmark = Ds1000()
    programs = [
        benchmark.program(by_task[sample.task_id], extract(by_task[sample.task_id], sample, "insert").code)
        for sample in samples
    ]
    outcomes = judged(programs)
    passed = Counter(
        by_task[program.task_id].tags["library"]
        for program, outcome in zip(programs, outcomes, strict=True)
        if outcome.verdict == "passed"
    )
    assert 386 <= sum(passed.values()) <= 388, passed
    assert (passed["Pytorch"], passed["Tensorflow"], passed["Scipy"]) == (27, 17, 37)
    assert not [outcome for outcome in outcomes if outcome.verdict == "infrastructure_error"]

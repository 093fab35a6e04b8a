"""Which programs are executed, and which are known."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from factories import a_sample, a_spec, an_environment

from xftbench.benchmarks import BENCHMARKS
from xftbench.judge import Judge, preflight
from xftbench.pipeline import Task, evaluate, from_samples
from xftbench.records import FunctionProgram, Outcome, Problem, Program, VerdictName
from xftbench.store.outcome_cache import OutcomeCache
from xftbench.store.run_dir import RunDir, ScoresFile


class Counting:
    """Executes by looking the verdict up, and remembers what it was given."""

    def __init__(self, verdict: VerdictName = "passed") -> None:
        self.verdict = verdict
        self.programs: list[Program] = []

    def submit(self, program: Program) -> Future[Outcome]:
        self.programs.append(program)
        future: Future[Outcome] = Future()
        future.set_result(Outcome(verdict=self.verdict, detail=str(len(self.programs))))
        return future


def a_program(solution: str) -> FunctionProgram:
    return FunctionProgram(task_id="T/0", solution=solution, entry_point="f", context="", test="")


def settle(judge: Judge, solution: str) -> Outcome:
    program = a_program(solution)
    outcome = judge.submit(program).result()
    judge.keep(program.sha256, outcome)
    return outcome


def test_the_same_program_is_executed_once() -> None:
    pool = Counting()
    judge = Judge(pool)
    first = settle(judge, "x")
    assert settle(judge, "x") is first
    settle(judge, "y")
    assert len(pool.programs) == 2
    assert (judge.work.executed, judge.work.repeated, judge.work.cached) == (2, 1, 0)


def test_a_failure_of_ours_is_not_taken_for_the_programs_outcome() -> None:
    pool = Counting("infrastructure_error")
    judge = Judge(pool)
    settle(judge, "x")
    settle(judge, "x")
    assert len(pool.programs) == 2


def test_a_later_run_knows_the_outcome_if_nothing_else_changed(tmp_path: Path) -> None:
    with OutcomeCache(tmp_path / "c") as cache:
        known = settle(Judge(Counting(), cache, "executor A"), "x")
        pool = Counting("failed")
        again = Judge(pool, cache, "executor A")
        assert settle(again, "x") == known
        assert again.work.cached == 1
        assert not pool.programs
        assert settle(Judge(pool, cache, "executor B"), "x").verdict == "failed", "another executor"


def test_a_time_limit_is_tried_again_in_the_next_run_but_not_in_this_one(tmp_path: Path) -> None:
    with OutcomeCache(tmp_path / "c") as cache:
        pool = Counting("timed_out")
        judge = Judge(pool, cache, "A")
        settle(judge, "x")
        settle(judge, "x")
        assert len(pool.programs) == 1
        settle(Judge(pool, cache, "A"), "x")
        assert len(pool.programs) == 2


@pytest.fixture
def score(problems: dict[str, Problem], tmp_path: Path) -> Callable[..., ScoresFile]:
    task = Task(benchmark=BENCHMARKS["humaneval"](), problems=[problems["HumanEval/0"]], extraction="append")

    def call(pool: Counting, completions: list[str], cache: OutcomeCache | None = None) -> ScoresFile:
        samples = [a_sample("HumanEval/0", index, text) for index, text in enumerate(completions)]
        with RunDir(tmp_path / "run", a_spec(), an_environment()) as run_dir:
            return evaluate(task, from_samples(samples), run_dir, Judge(pool, cache, "A"), lambda _: None)

    return call


def test_every_sample_has_its_verdict_and_the_timings_say_what_was_executed(
    score: Callable[..., ScoresFile], tmp_path: Path
) -> None:
    pool = Counting()
    found = score(pool, ["same"] * 5 + ["other"])
    assert len(pool.programs) == 2
    assert found.scores.counts == {"passed": 6}
    assert (found.timings.n_executed, found.timings.n_repeated, found.timings.n_cached) == (2, 4, 0)
    assert (tmp_path / "run" / "verdicts.jsonl").read_text().count("\n") == 6


def test_verdicts_of_an_interrupted_run_serve_the_samples_that_repeat_their_programs(
    score: Callable[..., ScoresFile], tmp_path: Path
) -> None:
    score(Counting(), ["same", "same", "other"])
    path = tmp_path / "run" / "verdicts.jsonl"
    path.write_text(path.read_text().split("\n")[0] + "\n")
    (tmp_path / "run" / "scores.json").unlink()
    pool = Counting()
    found = score(pool, ["same", "same", "other"])
    assert [program.solution[-5:] for program in pool.programs] == ["other"]
    assert found.scores.n_samples == 3


def test_one_known_good_program_of_each_kind_is_executed_even_if_all_are_known(
    problems: dict[str, Problem], tmp_path: Path
) -> None:
    benchmark, chosen = BENCHMARKS["humaneval"](), list(problems.values())[:5]
    with OutcomeCache(tmp_path / "c") as cache:
        first = Counting()
        assert preflight(benchmark, chosen, Judge(first, cache, "A")) == 5
        assert len(first.programs) == 5
        second = Counting()
        preflight(benchmark, chosen, Judge(second, cache, "A"))
        assert len(second.programs) == 1

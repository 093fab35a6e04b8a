"""How samples become scores, with a stand-in for the sandbox: what is asked again and what is not."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from factories import a_sample, a_spec, a_verdict, an_environment

from xftbench import jsonl
from xftbench.benchmarks import BENCHMARKS
from xftbench.errors import BackendError, SandboxError, StoreError
from xftbench.generation.backend import Request
from xftbench.judge import Judge, preflight
from xftbench.pipeline import Progress, Source, Task, evaluate, from_model, from_samples
from xftbench.prompts.render import find_style, render_all
from xftbench.records import Outcome, Problem, Program, Sample, SamplingParams, Verdict, VerdictName
from xftbench.store.outcome_cache import OutcomeCache
from xftbench.store.run_dir import RunDir, ScoresFile


class FakePool:
    """Judges by a word in the solution, and remembers what it was given."""

    def __init__(self) -> None:
        self.programs: list[Program] = []
        self.default: VerdictName = "failed"
        self.strict: VerdictName | None = None

    def submit(self, program: Program) -> Future[Outcome]:
        self.programs.append(program)
        future: Future[Outcome] = Future()
        verdict = "passed" if "right" in program.solution else self.default
        future.set_result(Outcome(verdict=verdict, strict=self.strict))
        return future


class FakeModel:
    """Answers the first `answers` requests, then breaks."""

    def __init__(self, answers: int = 1000) -> None:
        self.answers = answers
        self.asked: list[tuple[str, int]] = []
        self.seeds: list[int] = []

    def generate(self, requests: Sequence[Request], sampling: SamplingParams) -> Iterator[Sample]:
        for request in requests:
            if len(self.asked) == self.answers:
                raise BackendError("the engine died")
            self.asked.append((request.prompt.task_id, request.sample_index))
            self.seeds.append(request.seed)
            text = "    # right" if request.sample_index == 0 else "    # wrong"
            yield Sample(task_id=request.prompt.task_id, sample_index=request.sample_index, completion=text)


@pytest.fixture
def task(problems: dict[str, Problem]) -> Task:
    chosen = [problems[f"HumanEval/{number}"] for number in range(3)]
    return Task(benchmark=BENCHMARKS["humaneval"](), problems=chosen, extraction="append")


def source(task: Task, model: FakeModel, n: int = 2) -> Source:
    prompts = render_all(task.problems, find_style("humaneval", "base"))

    @contextmanager
    def load() -> Iterator[FakeModel]:
        yield model

    return from_model(prompts, SamplingParams(n=n, temperature=0.8 if n > 1 else 0.0), load)


def run(task: Task, drawn: Source, path: Path, pool: FakePool) -> ScoresFile:
    with RunDir(path, a_spec(), an_environment()) as run_dir:
        return evaluate(task, drawn, run_dir, Judge(pool), lambda _: None)


def test_every_sample_is_generated_and_judged_once(task: Task, tmp_path: Path) -> None:
    model, pool = FakeModel(), FakePool()
    scores = run(task, source(task, model), tmp_path, pool).scores
    assert len(set(model.asked)) == len(model.asked) == 6
    assert len(pool.programs) == 6
    assert scores.counts == {"passed": 3, "failed": 3}
    assert scores.at(1) is not None
    assert scores.at(1).value == pytest.approx(0.5)  # type: ignore[union-attr]
    assert scores.is_complete


def test_a_run_that_broke_goes_on_with_what_is_missing(task: Task, tmp_path: Path) -> None:
    pool = FakePool()
    with pytest.raises(BackendError):
        run(task, source(task, FakeModel(answers=4)), tmp_path, pool)
    model = FakeModel()
    scores = run(task, source(task, model), tmp_path, pool).scores
    assert len(model.asked) == 2
    assert scores.n_samples == 6
    whole = FakeModel()
    run(task, source(task, whole), tmp_path / "whole", pool)
    assert model.seeds == whole.seeds[4:], "a resumed sample is drawn with the seed it would have had"


@pytest.mark.parametrize("strange", [("HumanEval/999", 0), ("HumanEval/0", 7)])
@pytest.mark.parametrize(("name", "make"), [("samples.jsonl", a_sample), ("verdicts.jsonl", a_verdict)])
def test_a_run_that_holds_what_it_should_not_is_refused(
    task: Task, tmp_path: Path, name: str, make: Callable[..., Sample | Verdict], strange: tuple[str, int]
) -> None:
    drawn = source(task, FakeModel(answers=2))
    with pytest.raises(BackendError):
        run(task, drawn, tmp_path, FakePool())
    with (tmp_path / name).open("ab") as file:
        file.write(jsonl.encode_line(make(*strange)))
    with pytest.raises(StoreError, match=f"sample {strange[1]} of {strange[0]}"):
        run(task, drawn, tmp_path, FakePool())


def test_a_complete_run_loads_no_model_and_runs_no_program(task: Task, tmp_path: Path) -> None:
    run(task, source(task, FakeModel()), tmp_path, FakePool())
    model, pool = FakeModel(answers=0), FakePool()
    assert run(task, source(task, model), tmp_path, pool).scores.n_samples == 6
    assert not pool.programs


def test_another_run_of_the_same_programs_executes_none(task: Task, tmp_path: Path) -> None:
    cache, timings = tmp_path / "cache.sqlite", []
    for name in ("one", "two"):
        with OutcomeCache(cache) as outcomes, RunDir(tmp_path / name, a_spec(), an_environment()) as run_dir:
            judge = Judge(FakePool(), outcomes, identity="same")
            timings.append(evaluate(task, source(task, FakeModel()), run_dir, judge, lambda _: None).timings)
    assert [(one.n_executed, one.n_cached) for one in timings] == [(6, 0), (0, 6)]


def test_infrastructure_errors_make_a_run_incomplete_and_are_tried_again(task: Task, tmp_path: Path) -> None:
    broken = FakePool()
    broken.default = "infrastructure_error"
    first = run(task, source(task, FakeModel()), tmp_path, broken).scores
    assert not first.is_complete
    assert first.counts == {"passed": 3, "infrastructure_error": 3}
    assert first.at(1).value == 1.0, "a sample that was not judged is not wrong"  # type: ignore[union-attr]
    pool = FakePool()
    second = run(task, source(task, FakeModel(answers=0)), tmp_path, pool).scores
    assert len(pool.programs) == 3
    assert second.is_complete
    assert second.counts == {"passed": 3, "failed": 3}


def test_nothing_is_scored_where_known_good_programs_fail(task: Task) -> None:
    with pytest.raises(SandboxError, match=r"(?s)3 of 3 known-good programs.*HumanEval/0: failed") as caught:
        preflight(task.benchmark, task.problems, Judge(FakePool()))
    assert "not a model's" in str(caught.value)


def test_a_tool_that_executes_nothing_is_found_out(task: Task) -> None:
    pool = FakePool()
    pool.default, pool.strict = "passed", "failed"
    with pytest.raises(SandboxError, match=r"HumanEval/0: passed, but the strict verdict is failed"):
        preflight(task.benchmark, task.problems, Judge(pool))


def test_a_machine_that_is_too_slow_is_told_so(task: Task) -> None:
    pool = FakePool()
    pool.default = "timed_out"
    with pytest.raises(SandboxError, match=r"(?s)HumanEval/0: timed_out.*larger --timeout-scale"):
        preflight(task.benchmark, task.problems, Judge(pool))


def test_given_samples_may_cover_part_of_the_problems(task: Task, tmp_path: Path) -> None:
    samples = [Sample(task_id="HumanEval/1", sample_index=0, completion=None, solution="right")]
    scores = run(task, from_samples(samples), tmp_path, FakePool()).scores
    assert (scores.n_scored, scores.n_problems, scores.is_complete) == (1, 3, False)
    assert scores.at(1).value == 1.0  # type: ignore[union-attr]


def test_progress_ends_at_the_total(task: Task, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with RunDir(tmp_path, a_spec(), an_environment()) as run_dir:
        evaluate(task, source(task, FakeModel()), run_dir, Judge(FakePool()), seen.append)
    last = seen[-1]
    assert (last.n_samples, last.n_generated, last.n_judged, last.n_passed) == (6, 6, 6, 3)

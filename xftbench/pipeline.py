"""The one module that wires the layers together: completions are executed while others are generated.

The caller's thread generates, stores and waits; the pool's threads execute. Everything that is written goes
through the caller's thread, so an error on the disk surfaces where it can be reported.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from xftbench.benchmarks.benchmark import Benchmark
from xftbench.errors import SandboxError
from xftbench.execution.pool import Pool
from xftbench.generation.backend import Backend, Request
from xftbench.prompts.extract import ExtractionName, extract
from xftbench.records import Outcome, Problem, Prompt, Sample, SampleKey, SamplingParams, Solution, Verdict
from xftbench.scoring.aggregate import DEFAULT_KS, aggregate
from xftbench.store.memory import MemoryWatch
from xftbench.store.run_dir import RunDir, ScoresFile, Timings, read_scores

Draw = Callable[[Sequence[SampleKey]], Iterator[Sample]]
"""Yields the samples that are asked for, in any order, each as soon as it exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a run's samples come from."""

    keys: Sequence[SampleKey]
    """Every sample that the run should have."""
    n: int | None
    """Samples per problem, where the run prescribes it."""
    open: Callable[[], AbstractContextManager[Draw]]
    """Loads the model; called only if samples are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the samples answer, and how they are judged."""

    benchmark: Benchmark
    problems: Sequence[Problem]
    extraction: ExtractionName
    ks: Sequence[int] = DEFAULT_KS


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is; handed to `OnProgress` after every step."""

    n_samples: int
    n_generated: int
    n_judged: int
    n_passed: int
    n_tokens: int = 0
    """Generated in this session."""
    generation_s: float = 0.0
    """Since this session's first request."""


OnProgress = Callable[[Progress], None]

_REPORT_EVERY_S = 0.2


def from_model(
    prompts: Sequence[Prompt], sampling: SamplingParams, load: Callable[[], AbstractContextManager[Backend]]
) -> Source:
    """Return the samples that a model draws for some prompts."""
    by_task = {prompt.task_id: prompt for prompt in prompts}

    @contextmanager
    def opened() -> Iterator[Draw]:
        with load() as backend:
            yield lambda missing: backend.generate(
                [Request.draw(by_task[task_id], index, sampling.seed) for task_id, index in missing], sampling
            )

    keys = [(task_id, index) for task_id in by_task for index in range(sampling.n)]
    return Source(keys=keys, n=sampling.n, open=opened)


def from_samples(samples: Sequence[Sample]) -> Source:
    """Return samples that exist already."""
    by_key = {sample.key: sample for sample in samples}
    draw: Draw = lambda missing: (by_key[key] for key in missing)  # noqa: E731 - typed as a Draw
    return Source(keys=list(by_key), n=None, open=lambda: nullcontext(draw))


def preflight(benchmark: Benchmark, problems: Sequence[Problem], pool: Pool) -> None:
    """Run the programs that are known to be right, and refuse to go on unless all pass.

    Most of the silent zeros in this field's tables are a broken sandbox, interpreter, toolchain or data
    file: nothing is scored on a machine where the right answers fail.

    Raises:
        SandboxError: Naming the programs that failed, and how.
    """
    outcomes = [(program, pool.submit(program)) for program in benchmark.known_good(problems)]
    failures = [
        f"{program.task_id}: {outcome.verdict} {outcome.detail}".rstrip()
        for program, future in outcomes
        if (outcome := future.result()).verdict != "passed"
    ]
    if failures:
        raise SandboxError(
            f"{len(failures)} of {len(outcomes)} known-good programs of {benchmark.name} do not pass here, "
            "so nothing was scored\n  " + "\n  ".join(failures[:5]),
            hint="this is the machine's or the data's fault, not a model's; see xftbench doctor",
        )


def generate(source: Source, run_dir: RunDir, on_progress: OnProgress) -> None:
    """Make the samples that a run lacks, and judge nothing."""
    session = _Session(source, run_dir, on_progress)
    for _ in session.missing_samples():
        session.report()
    session.report(always=True)


def evaluate(task: Task, source: Source, run_dir: RunDir, pool: Pool, on_progress: OnProgress) -> ScoresFile:
    """Bring a run to its end from wherever it stands, and return its scores.

    Samples and verdicts that exist are kept; only those that ended as `infrastructure_error` are judged
    again. A run that is complete is not touched.
    """
    if run_dir.is_complete():
        stored = read_scores(run_dir.path)
        if not stored.scores.counts.get("infrastructure_error"):
            return stored
        run_dir.reopen()
    started = time.monotonic()
    session = _Session(source, run_dir, on_progress)
    judge = _Judge(task, run_dir, pool)
    for sample in run_dir.samples.values():
        judge.submit(sample)
    for sample in session.missing_samples():
        judge.submit(sample)
        judge.collect(block=False)
        session.report()
    while judge.pending:
        judge.collect(block=True)
        session.report()
    session.report(always=True)
    task_ids = [problem.task_id for problem in task.problems]
    return run_dir.finish(
        aggregate(task.problems, run_dir.verdicts.values(), source.n, task.ks),
        Timings(
            n_tokens=session.progress.n_tokens,
            generation_s=session.progress.generation_s,
            total_s=time.monotonic() - started,
            peak_memory_bytes=session.memory.peak_bytes,
            peak_gpu_memory_bytes=session.memory.peak_gpu_bytes,
        ),
        task_ids,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


class _Session:
    """One process' work on the samples of a run."""

    def __init__(self, source: Source, run_dir: RunDir, on_progress: OnProgress) -> None:
        self._source = source
        self._run_dir = run_dir
        self._on_progress = on_progress
        self.progress = Progress(n_samples=len(source.keys), n_generated=0, n_judged=0, n_passed=0)
        self.memory = MemoryWatch()
        self._next_report = 0.0
        self.report(always=True)

    def missing_samples(self) -> Iterator[Sample]:
        """Yield each sample that the run lacked, once it is stored."""
        missing = [key for key in self._source.keys if key not in self._run_dir.samples]
        if not missing:
            return
        with self.memory, self._source.open() as draw:
            started = time.monotonic()
            for sample in draw(missing):
                self._run_dir.add_sample(sample)
                self.progress.n_tokens += sample.n_tokens or 0
                self.progress.generation_s = time.monotonic() - started
                yield sample

    def report(self, *, always: bool = False) -> None:
        """Tell the caller how far the run is, a few times a second at most."""
        now = time.monotonic()
        if now < self._next_report and not always:
            return
        self._next_report = now + _REPORT_EVERY_S
        verdicts = self._run_dir.verdicts.values()
        self.progress.n_generated = len(self._run_dir.samples)
        self.progress.n_judged = len(verdicts)
        self.progress.n_passed = sum(verdict.verdict == "passed" for verdict in verdicts)
        self._on_progress(self.progress)


class _Judge:
    """Turns samples into verdicts through the pool, and stores them."""

    def __init__(self, task: Task, run_dir: RunDir, pool: Pool) -> None:
        self._task = task
        self._problems = {problem.task_id: problem for problem in task.problems}
        self._run_dir = run_dir
        self._pool = pool
        self.pending: dict[Future[Outcome], tuple[Sample, Solution, str]] = {}

    def submit(self, sample: Sample) -> None:
        """Hand a sample's program to the pool, unless it has been judged; waits while the pool is full."""
        verdict = self._run_dir.verdicts.get(sample.key)
        if verdict is not None and verdict.verdict != "infrastructure_error":
            return
        problem = self._problems[sample.task_id]
        solution = extract(problem, sample, self._task.extraction)
        program = self._task.benchmark.program(problem, solution.code)
        self.pending[self._pool.submit(program)] = (sample, solution, program.sha256)

    def collect(self, *, block: bool) -> None:
        """Store the verdicts that are there; with `block`, wait until at least one is."""
        done, _ = wait(self.pending, timeout=None if block else 0, return_when=FIRST_COMPLETED)
        for future in done:
            sample, solution, program_sha256 = self.pending.pop(future)
            self._run_dir.add_verdict(Verdict.of(sample, solution, program_sha256, future.result()))

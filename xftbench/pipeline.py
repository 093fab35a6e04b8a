"""The one module that wires the layers together: completions are executed while others are generated.

The caller's thread generates, stores and waits; the pool's threads execute. Everything that is written goes
through the caller's thread, so an error on the disk surfaces where it can be reported.
"""

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec import structs

from xftbench.benchmarks.benchmark import Benchmark
from xftbench.benchmarks.clusters import clusters_of
from xftbench.errors import StoreError
from xftbench.generation.backend import Backend, Request
from xftbench.judge import Judge
from xftbench.prompts.extract import extract
from xftbench.prompts.style import ExtractionName, Policy
from xftbench.records import Outcome, Problem, Prompt, Sample, SampleKey, SamplingParams, Solution, Verdict
from xftbench.scoring.aggregate import DEFAULT_KS, aggregate, renewed
from xftbench.store.memory import MemoryWatch
from xftbench.store.run_dir import RunDir, ScoresFile, Timings, read_scores, read_verdicts

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
    policy: Policy = "strict"
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
    prompts: Sequence[Prompt],
    sampling: SamplingParams,
    load: Callable[[], AbstractContextManager[Backend]],
    style: str | None = None,
) -> Source:
    """Return the samples that a model draws for some prompts; each names the style that it answers."""
    by_task = {prompt.task_id: prompt for prompt in prompts}

    @contextmanager
    def opened() -> Iterator[Draw]:
        with load() as backend:
            yield lambda missing: (
                structs.replace(sample, style=style)
                for sample in backend.generate(
                    [Request.draw(by_task[task_id], index, sampling.seed) for task_id, index in missing],
                    sampling,
                )
            )

    keys = [(task_id, index) for task_id in by_task for index in range(sampling.n)]
    return Source(keys=keys, n=sampling.n, open=opened)


def from_samples(samples: Sequence[Sample]) -> Source:
    """Return samples that exist already."""
    by_key = {sample.key: sample for sample in samples}
    draw: Draw = lambda missing: (by_key[key] for key in missing)  # noqa: E731 - typed as a Draw
    return Source(keys=list(by_key), n=None, open=lambda: nullcontext(draw))


def generate(source: Source, run_dir: RunDir, on_progress: OnProgress) -> None:
    """Make the samples that a run lacks, and judge nothing."""
    session = _Session(source, run_dir, on_progress)
    for _ in session.missing_samples():
        session.report()
    session.report(always=True)


def evaluate(
    task: Task, source: Source, run_dir: RunDir, judge: Judge, on_progress: OnProgress
) -> ScoresFile:
    """Bring a run to its end from wherever it stands, and return its scores.

    Samples and verdicts that exist are kept; only those that ended as `infrastructure_error` are judged
    again. A run that is complete is not touched.
    """
    cluster_of = clusters_of(task.benchmark.name)
    if run_dir.is_complete():
        stored = read_scores(run_dir.path)
        verdicts = read_verdicts(run_dir.path, stored)
        if not stored.scores.counts.get("infrastructure_error"):
            return structs.replace(stored, scores=renewed(stored.scores, verdicts, cluster_of))
        run_dir.reopen()
    _refuse_strange(run_dir, source)
    started = time.monotonic()
    session = _Session(source, run_dir, on_progress)
    bench = _Bench(task, run_dir, judge)
    for sample in run_dir.samples.values():
        bench.submit(sample)
        bench.collect(block=False)
        session.report()
    for sample in session.missing_samples():
        bench.submit(sample)
        bench.collect(block=False)
        session.report()
    while bench.pending:
        bench.collect(block=True)
        session.report()
    session.report(always=True)
    task_ids = [problem.task_id for problem in task.problems]
    return run_dir.finish(
        aggregate(task.problems, run_dir.verdicts.values(), source.n, task.ks, cluster_of),
        Timings(
            n_tokens=session.progress.n_tokens,
            generation_s=session.progress.generation_s,
            total_s=time.monotonic() - started,
            peak_memory_bytes=session.memory.peak_bytes,
            peak_gpu_memory_bytes=session.memory.peak_gpu_bytes,
            n_executed=judge.work.executed,
            n_repeated=judge.work.repeated,
            n_cached=judge.work.cached,
        ),
        task_ids,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _refuse_strange(run_dir: RunDir, source: Source) -> None:
    """Check that an unfinished run holds no sample but those that it should have.

    Raises:
        StoreError: If it holds another one: it was changed.
    """
    if strange := {*run_dir.samples, *run_dir.verdicts} - {*source.keys}:
        task_id, index = min(strange)
        raise StoreError(
            f"{run_dir.path} holds sample {index} of {task_id}, which is none of this run's",
            hint="something else changed its files; move the run directory away and start again",
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


class _Bench:
    """Turns samples into verdicts through the judge, and stores them."""

    def __init__(self, task: Task, run_dir: RunDir, judge: Judge) -> None:
        self._task = task
        self._problems = {problem.task_id: problem for problem in task.problems}
        self._run_dir = run_dir
        self._judge = judge
        self.pending: dict[Future[Outcome], list[tuple[Sample, Solution, str]]] = {}
        self._done: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        for verdict in run_dir.verdicts.values():
            judge.know(verdict.program_sha256, verdict.outcome)

    def submit(self, sample: Sample) -> None:
        """Hand a sample's program to the judge, unless it has its verdict; waits if too many are queued."""
        verdict = self._run_dir.verdicts.get(sample.key)
        if verdict is not None and verdict.verdict != "infrastructure_error":
            return
        problem = self._problems[sample.task_id]
        solution = extract(problem, sample, self._task.extraction, self._task.policy)
        program = self._task.benchmark.program(problem, solution.code)
        future = self._judge.submit(program)
        if future not in self.pending:
            self.pending[future] = []
            future.add_done_callback(self._done.put)
        self.pending[future].append((sample, solution, program.sha256))

    def collect(self, *, block: bool) -> None:
        """Store the verdicts that are there; with `block`, wait until at least one is."""
        while self.pending:
            try:
                future = self._done.get(block=block)
            except queue.Empty:
                return
            block = False
            outcome = future.result()
            samples = self.pending.pop(future)
            self._judge.keep(samples[0][2], outcome)
            for sample, solution, program_sha256 in samples:
                self._run_dir.add_verdict(Verdict.of(sample, solution, program_sha256, outcome))

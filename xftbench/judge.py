"""Programs -> outcomes: each distinct program is executed once, and one that is known not at all."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from platform import platform
from types import TracebackType
from typing import Protocol, Self

from xftbench import execution
from xftbench.benchmarks.benchmark import Benchmark
from xftbench.errors import SandboxError
from xftbench.execution.pool import Isolation, Pool
from xftbench.execution.runners import kind_of
from xftbench.hashing import sha256_file, sha256_record, sha256_text
from xftbench.plan import Suite
from xftbench.records import Limits, Outcome, Problem, Program
from xftbench.store.outcome_cache import OutcomeCache

_logger = logging.getLogger(__name__)
_SHOWN = 5


class Executes(Protocol):
    """What runs programs: a `Pool`."""

    def submit(self, program: Program) -> "Future[Outcome]":
        """Queue a program and return its outcome to come."""
        ...


@dataclass(slots=True)
class Work:
    """How the outcomes of some programs came about."""

    executed: int = 0
    repeated: int = 0
    """The same program as another one of the run."""
    cached: int = 0
    """Known from an earlier run."""


class Judge:
    """Outcomes for the programs of one run; used by one thread."""

    def __init__(self, executes: Executes, outcomes: OutcomeCache | None = None, identity: str = "") -> None:
        self._executes = executes
        self._cache = outcomes or OutcomeCache(None)
        self._identity = identity
        self._known: dict[str, Future[Outcome]] = {}
        self._new: set[str] = set()
        self.work = Work()

    def know(self, program_sha256: str, outcome: Outcome) -> None:
        """Take over an outcome that the run has already; one that is our fault counts as none."""
        self._known[program_sha256] = _done(outcome)

    def submit(self, program: Program, *, always: bool = False) -> "Future[Outcome]":
        """Return a program's outcome to come; with `always` it is executed, whatever is known."""
        sha256 = program.sha256
        known = None if always else self._known.get(sha256)
        if known is not None and not _is_ours(known):
            self.work.repeated += 1
            return known
        cached = None if always else self._cache.get(self._key(sha256))
        if cached is not None:
            self.work.cached += 1
            future = _done(cached)
        else:
            self.work.executed += 1
            future = self._executes.submit(program)
            self._new.add(sha256)
        self._known[sha256] = future
        return future

    def keep(self, program_sha256: str, outcome: Outcome) -> None:
        """Remember the outcome of a program that was executed, for later runs."""
        if program_sha256 in self._new:
            self._new.remove(program_sha256)
            self._cache.put(self._key(program_sha256), outcome)

    def _key(self, program_sha256: str) -> str:
        return sha256_text(f"{self._identity} {program_sha256}")


def _done(outcome: Outcome) -> "Future[Outcome]":
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


def _is_ours(future: "Future[Outcome]") -> bool:
    """Return whether a program failed by our fault, so that it is to be tried again."""
    if not future.done():
        return False
    return (
        future.cancelled()
        or future.exception() is not None
        or (future.result().verdict == "infrastructure_error")
    )


class Court:
    """Judges for the suites of a command, over one pool of workers at a time. Use as a context manager.

    A pool belongs to its limits; suites with other limits get another one, and the one before is closed:
    the warm interpreters of some suites hold gigabytes.
    """

    def __init__(self, workers: int, isolation: Isolation, cache_path: Path | None) -> None:
        self._workers = workers
        self._isolation: Isolation = isolation
        self._outcomes = OutcomeCache(cache_path)
        self._pool: tuple[Limits, Pool] | None = None

    def judge(self, suite: Suite) -> Judge:
        """Return a judge for one run of a suite."""
        return Judge(_Later(partial(self._pool_for, suite.limits)), self._outcomes, identity(suite))

    def check(self, suite: Suite, problems: Sequence[Problem]) -> None:
        """See that the programs that are known to be right pass here; raises as `preflight` does."""
        started = time.monotonic()
        judge = self.judge(suite)
        n = preflight(suite.benchmark, problems, judge)
        _logger.info(
            "%s: all %d pass (%.1f s; %d were known from before)",
            suite.name, n, time.monotonic() - started, judge.work.cached,
        )  # fmt: skip

    def _pool_for(self, limits: Limits) -> Pool:
        if self._pool is None or self._pool[0] != limits:
            self._close_pool()
            pool = Pool(self._workers, limits, self._isolation)
            self._pool = (limits, pool)
        return self._pool[1]

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool[1].close()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_pool()
        self._outcomes.close()


class _Later:
    """A pool that is started when the first program is to be executed."""

    def __init__(self, pool: Callable[[], Pool]) -> None:
        self._pool = pool

    def submit(self, program: Program) -> "Future[Outcome]":
        """Hand a program to the pool."""
        return self._pool().submit(program)


def preflight(benchmark: Benchmark, problems: Sequence[Problem], judge: Judge) -> int:
    """Run the programs that are known to be right, and refuse to go on unless all pass; return their number.

    Most of the silent zeros in this field's tables are a broken sandbox, interpreter, toolchain or data
    file: nothing is scored on a machine where the right answers fail. One program of each kind is run in any
    case; the others may be known from before.

    Raises:
        SandboxError: Naming the programs that failed, and how.
    """
    kinds: set[str] = set()
    outcomes = []
    for program in benchmark.known_good(problems):
        key = kind_of(program).key
        outcomes.append((program, judge.submit(program, always=key not in kinds)))
        kinds.add(key)
    failed = []
    for program, future in outcomes:
        outcome = future.result()
        judge.keep(program.sha256, outcome)
        if outcome.verdict != "passed" or outcome.strict not in ("passed", None):
            failed.append((program, outcome))
    if failed:
        told = [f"{program.task_id}: {_told(one)}" for program, one in failed]
        hint = "this is the machine's or the data's fault, not a model's; see xftbench doctor"
        if any(outcome.verdict == "timed_out" for _, outcome in failed):
            hint = "if this machine is only slow: a larger --timeout-scale gives all programs more time"
        raise SandboxError(
            f"{len(failed)} of {len(outcomes)} known-good programs of {benchmark.name} do not pass here, "
            "so nothing was scored\n  " + "\n  ".join(told[:_SHOWN]),
            hint=hint,
        )
    return len(outcomes)


def _told(outcome: Outcome) -> str:
    if outcome.verdict == "passed":
        return f"passed, but the strict verdict is {outcome.strict}: was it executed at all?"
    return f"{outcome.verdict} {outcome.detail}".rstrip()


def identity(suite: Suite) -> str:
    """Return a hash of everything besides a program's own bytes that can change its outcome."""
    return sha256_record([suite.data.sha256, suite.executor, suite.limits, _code_sha256(), platform()])


@cache
def _code_sha256() -> str:
    """Return the hash of the executor's own sources: a fix there makes every outcome unknown."""
    root = Path(execution.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sha256_record([(str(path.relative_to(root)), sha256_file(path)) for path in files])

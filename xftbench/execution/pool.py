"""N programs at a time: workers in threads, a bounded queue before them, everything dead at the end.

What a solution is kept from, and what not, is told in `docs/`. `bwrap` (bubblewrap) is not used and need not
be installed.
"""

import logging
import queue
import resource
import threading
import time
import traceback
from concurrent.futures import Future
from types import TracebackType
from typing import Literal, Self

from xftbench.errors import SandboxError
from xftbench.execution import processors
from xftbench.execution.lanes import Lanes
from xftbench.execution.outcome import InfrastructureError, printable
from xftbench.execution.runners import PROBED, Kind, Runner, kind_of
from xftbench.execution.worker import WorkerLostError
from xftbench.records import Limits, Outcome, Program

Isolation = Literal["namespaces", "rlimits"]
_ATTEMPTS = 3
_RUNNERS_PER_SLOT = 4  # a warm interpreter with torch or tensorflow in it holds half a gigabyte
_WAITING_PER_WORKER = 512  # completions are small; generation should not wait for a slow program
_CLOSING_S = 30.0  # from the kill of every process to the end of the threads
_logger = logging.getLogger(__name__)


class Pool:
    """Workers that judge programs; a context manager.

    Leaving the ``with`` block normally waits for what was submitted; leaving it by an exception, Ctrl-C
    included, kills everything at once. Ctrl-C that strikes inside a lock written in Python, such as a
    ``queue.Queue``'s, leaves it locked for ever: those of the caller's thread here are in C.

    Args:
        workers: Programs that run at a time.
        limits: What each of them may use.
        isolation: ``namespaces``, or by name the clearly weaker ``rlimits``.

    Raises:
        SandboxError: If this machine does not allow that isolation. There is no silent downgrade.
    """

    def __init__(self, workers: int, limits: Limits, isolation: Isolation = "namespaces") -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}, expected at least 1")
        self._limits = limits
        self._isolation: Isolation = isolation
        self._lanes = Lanes()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()  # an entry for each job that may yet wait
        for _ in range(workers * _WAITING_PER_WORKER):
            self._room.put(None)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._live: set[Runner] = set()
        self._first: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(
                target=self._work, args=(index, workers), name=f"xftbench-worker-{index}", daemon=True
            )
            for index in range(workers)
        ]
        _open_all_that_may_be()
        self._start()

    def submit(self, program: Program) -> "Future[Outcome]":
        """Queue a program and return its outcome to come; blocks while enough others are waiting.

        Raises:
            RuntimeError: If the pool is closed.
        """
        future: Future[Outcome] = Future()
        while not self._closing.is_set():
            try:
                self._room.get(timeout=0.5)
            except queue.Empty:
                continue
            self._lanes.put((program, future))
            return future
        raise RuntimeError("the pool is closed")

    def close(self) -> None:
        """Kill everything at once; outcomes that are still to come are cancelled."""
        self._closing.set()
        with self._lock:
            for runner in self._live:
                runner.stop()
        self._lanes.cancel_all()
        self._end_threads(time.monotonic() + _CLOSING_S)
        self._lanes.cancel_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._closing.is_set():
                self._end_threads(None)
        finally:
            self.close()

    def _start(self) -> None:
        """Start the threads, and wait until the first of them has a worker: that is the probe."""
        try:
            for thread in self._threads:
                thread.start()
            if (error := self._first.get()) is not None:
                raise error
        except InfrastructureError as error:
            self.close()
            raise unavailable(self._isolation, error) from error
        except BaseException:
            self.close()
            raise

    def _end_threads(self, deadline: float | None) -> None:
        """Wait for the end of every thread behind the jobs that are queued now.

        A thread that has not ended by the deadline waits for a future that Ctrl-C left locked; its processes
        are dead, and it ends with ours.
        """
        for _ in self._threads:
            self._lanes.end_one()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _work(self, index: int, workers: int) -> None:
        slot = _Slot(self, processors.of_worker(index, workers))
        if index == 0:
            try:
                slot.start(PROBED)
            except BaseException as error:  # noqa: BLE001 - raised again by the constructor
                self._first.put(error)
                return
            self._first.put(None)
        try:
            while job := self._lanes.take(slot, slot.warm):
                self._room.put(None)
                self._settle(slot, *job)
        finally:
            slot.discard_all()

    def _settle(self, slot: "_Slot", program: Program, future: "Future[Outcome]") -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            outcome = slot.run(program)
        except _Closed:
            future.set_exception(SandboxError("the pool was closed before this program had an outcome"))
        except Exception:  # noqa: BLE001 - a bug here must reach the caller, not end the worker in silence
            future.set_exception(SandboxError(f"a worker of the pool failed:\n{traceback.format_exc()}"))
        else:
            future.set_result(outcome)


def _open_all_that_may_be() -> None:
    """Raise this process' limit of open files as far as it may.

    A worker needs some 10, or 50 if it runs every kind of program; most shells allow 1,024 in all.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def unavailable(isolation: Isolation, error: InfrastructureError) -> SandboxError:
    """Return the error that tells what does not work here and what else there is."""
    hint = None
    if isolation == "namespaces":
        hint = "--isolation rlimits runs without namespaces; it is clearly weaker and must be asked for"
    return SandboxError(f"isolation {isolation!r} does not work on this machine: {error}", hint)


class _Closed(Exception):  # noqa: N818 - not an error
    """The pool is being closed."""


class _Slot:
    """A thread's place for runners, one for each kind of program that it met: replaces one that is lost."""

    def __init__(self, pool: Pool, processor: int | None) -> None:
        self._pool = pool
        self._processor = processor
        self._runners: dict[str, Runner] = {}
        """Least recently used first."""

    @property
    def warm(self) -> list[str]:
        """Keys of the kinds that it has a runner for."""
        return list(self._runners)

    def run(self, program: Program) -> Outcome:
        """Run a program; our own failures are tried again with fresh runners before they are reported."""
        kind = kind_of(program)
        reason = ""
        for _ in range(_ATTEMPTS):
            if self._pool._closing.is_set():
                raise _Closed
            if reason:
                _logger.info("a worker was lost and is replaced: %s", reason)
            try:
                return self.start(kind).run(program)
            except WorkerLostError as error:
                self.discard(kind.key)
                reason = str(error)
            except InfrastructureError as error:
                return Outcome(verdict="infrastructure_error", detail=printable(str(error)))
        return Outcome(verdict="infrastructure_error", detail=printable(reason))

    def start(self, kind: Kind) -> Runner:
        """Return the runner of a kind, a fresh one if there is none."""
        runner = self._runners.pop(kind.key, None)
        if runner is None:
            while len(self._runners) >= _RUNNERS_PER_SLOT:
                self.discard(next(iter(self._runners)))
            with processors.starting_on(self._processor if kind.is_together else None):
                runner = kind.start(self._pool._limits, self._pool._isolation)
            with self._pool._lock:
                self._pool._live.add(runner)
            if self._pool._closing.is_set():  # meanwhile: `close` has not seen it
                runner.stop()
        self._runners[kind.key] = runner
        return runner

    def discard(self, key: str) -> None:
        """Kill a runner, if there is one."""
        if runner := self._runners.pop(key, None):
            with self._pool._lock:
                self._pool._live.discard(runner)
            runner.kill()

    def discard_all(self) -> None:
        """Kill every runner."""
        for key in list(self._runners):
            self.discard(key)

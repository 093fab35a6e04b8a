"""The harness' eye on one candidate: wait for the report and for the end, have it killed when time is up."""

import time
from collections.abc import Callable
from typing import Any

from xftbench.execution.inside import waits
from xftbench.execution.outcome import Exit, was_sigkilled
from xftbench.execution.worker import GRACE_S, Worker, WorkerLostError, living, used_by

_LEAVE_S = 0.05
"""A candidate that is no longer asked ends by itself; one that has not after this is killed."""
_LOOK_S = 1.0
_MAX_STRETCH = 8
"""A program that other work keeps from the processors gets at most this many times its wall limit."""


class Watch:
    """Watches a candidate that has just been ordered from a worker.

    Args:
        worker: What runs it.
        limit_s: Seconds of its own time that it may take; can be changed while it runs.
        is_report: Takes each message of the checker and says whether it is the last.
    """

    def __init__(self, worker: Worker, limit_s: float, is_report: Callable[[Any], bool]) -> None:
        self.limit_s = limit_s
        self.report: Any = None
        self.timed_out = False
        self._worker = worker
        self._is_report = is_report
        self._started = time.monotonic()
        self._deadline = self._started + limit_s
        self._exit: Exit | None = None
        self._is_killed = False
        self._looked = self._started
        self._longest = waits.Longest()
        self._lost_s = 0.0

    def run(self) -> Exit:
        """Return how the candidate ended, after the checker has spoken or is given up.

        Raises:
            WorkerLostError: If the worker must be replaced.
        """
        checker = self._worker.checker
        while self._exit is None or (self.report is None and not self.timed_out):
            left_s = self._deadline - time.monotonic()
            # One at a time: what is heard of one may close another, and open a new one of the same number.
            # And first, though time may be up: what has come meanwhile has come in time.
            heard = self._worker.poll.poll(max(0.0, min(left_s, _LOOK_S) * 1000 + 1))[:1]
            for fd, _ in heard:
                if checker and fd == checker.fileno():
                    self._hear_checker()
                else:
                    self._hear_forker(fd)
            if not heard and left_s <= 0:
                self._on_deadline()
            elif time.monotonic() > self._looked + _LOOK_S:
                self._starved_s()  # before threads that have waited are gone
        return self._exit

    def wall_s(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def own_s(self) -> float:
        """Return the seconds since the start, less the time in which the candidate could not go on.

        Time in which it was ready but other work had the processors is not its own: without this a verdict
        would depend on the number of workers.
        """
        return self.wall_s() - self._starved_s()

    def kill(self) -> None:
        """Have the candidate killed."""
        if self._exit is None and not self._is_killed:
            self._is_killed = True
            self._deadline = time.monotonic() + GRACE_S
            self._worker.kill_candidate()

    def _on_deadline(self) -> None:
        if self.timed_out or self._is_killed:
            raise WorkerLostError("the candidate did not die")
        if self.report is None:
            allowed_s = min(self.limit_s + self._starved_s(), _MAX_STRETCH * self.limit_s)
            if self._started + allowed_s > time.monotonic():
                self._deadline = self._started + allowed_s
                return
            self.timed_out = True
        self.kill()

    def _starved_s(self) -> float:
        """Return how long the candidate could not go on because other work had the processors.

        The processes that it has started count as well: it could be waiting for them. But if all of them
        together have used more CPU time than one program may, they keep it from each other.
        """
        self._looked = time.monotonic()
        try:
            pid = self._worker.candidate_pid()
        except LookupError:
            return self._lost_s
        waited: dict[str, float] = {}
        used_s = 0.0
        for process in living(pid):
            used_s += used_by(process)
            waited |= waits.of_threads(process.name)
        waited_s = self._longest.since_last(waited)
        if used_s <= self._worker.limits.cpu_s:
            self._lost_s += waited_s
        return self._lost_s

    def _hear_forker(self, fd: int) -> None:
        message, _ = self._worker.receive(fd)
        if message[0] != "candidate_exited":
            # Either of its connections may be the first to tell that the worker's processes have died.
            raise WorkerLostError(f"the worker's processes ended: {' '.join(map(str, message))}")
        _, status, cpu_s, *is_clean = message
        was_killed = was_sigkilled(status) and not self._is_killed
        out_of_memory = self._worker.had_oom_kill(was_killed=was_killed)
        self._exit = Exit(status=status, cpu_s=cpu_s, out_of_memory=out_of_memory)
        if is_clean == [False]:
            self._worker.replace_cell()

    def _hear_checker(self) -> None:
        checker = self._worker.checker
        assert checker is not None
        message, _ = checker.receive()
        if self._is_report(message):
            self.report = message
            if not self._is_killed:
                self._deadline = time.monotonic() + _LEAVE_S

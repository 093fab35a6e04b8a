"""A candidate's own sense of time: a test that takes too long is interrupted by an exception.

Time that the machine spent on other work does not count: what counts is wall time less the time that this
process waited for a processor, so a test that sleeps is caught and one on a loaded machine is not. A
candidate may switch this off, or be in C code where nothing interrupts it: who was late is known even so, if
it has not got at this module. The harness watches from outside as well.
"""

import _signal  # type: ignore[import-not-found]
import os
import re
from _thread import _count
from time import monotonic, process_time
from typing import Any

_TICK_S = 0.2
_LEAST_CPU_S = 0.001
_SLACK_S = 2 * _TICK_S
"""An interruption comes so much after the limit, at most."""


class TimeoutException(Exception):  # noqa: N818 - Parity: evalplus' name, and like there not a BaseException
    """A test has used up its time. A solution can catch it, as in evalplus; the strict verdict knows."""


_SHARED = re.compile("signal|alarm|itimer")
"""What is in a solution that may use the clock's signal or its timer itself, as a `@timeout(5)` does."""


class Clock:
    """Counts the time of the test that is running; `index` says which one, -1 for none."""

    def __init__(self, schedstat_fd: int) -> None:
        self._schedstat_fd = schedstat_fd
        self.is_shared = False
        """Whether each call has to be between `arm` and `disarm`."""
        self.index = -1
        self.began_s = 0.0
        """When the test that is running began, by `monotonic`."""
        self.limit_s = 0.0
        self.was_late = -1
        """Index of the last test that took longer than it may, whether it was interrupted or not."""
        self._seen = -2
        self._used_s = 0.0
        self._last = (0.0, 0.0, 0.0)
        self._excused_s = self._waited_before_s = 0.0

    def start(self, source: str) -> None:
        """Begin to tick; beside a solution that may use the signal itself only while it is called."""
        self.is_shared = bool(_SHARED.search(source))
        if not self.is_shared:
            self._tick_from(_TICK_S)

    def begin_part(self) -> None:
        """Before a solution is executed: forget the test that was seen last, others will have its number.

        The signal and the timer are as a new process has them, where they are shared.
        """
        self._seen = -2
        if self.is_shared:
            self.disarm()
            _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)

    def arm(self) -> None:
        """Before a call, where the signal is shared: have it and its timer, first of all.

        Parity: evalplus takes them anew for each call, and its signal comes when time is up, not before: a
        handler of the solution's own must hear no other.
        """
        self._seen, self._used_s = self.index, 0.0
        self._tick_from(self.limit_s)

    def disarm(self) -> None:
        """After such a call: stop the timer, whoever has set it."""
        _signal.setitimer(_signal.ITIMER_REAL, 0)

    def _tick_from(self, first_s: float) -> None:
        self._last = self._now()
        _signal.signal(_signal.SIGALRM, self._tick)  # `signal`'s own touches much more
        _signal.setitimer(_signal.ITIMER_REAL, first_s, _TICK_S)

    def mark(self) -> None:
        """Remember how long this process has waited before the tests that follow."""
        self._waited_before_s = self._waited_s() + self._excused_s

    def note(self, index: int, wall_s: float) -> None:
        """Take down that a test was late, if it was: `wall_s` less what was waited since the last mark."""
        waited_s = self._waited_s() + self._excused_s - self._waited_before_s
        if wall_s - waited_s > self.limit_s + _SLACK_S:
            self.was_late = index

    def _waited_s(self) -> float:
        if self._schedstat_fd >= 0:
            try:
                return int(os.pread(self._schedstat_fd, 100, 0).split()[1]) / 1e9
            except (OSError, ValueError, IndexError):
                self._schedstat_fd = -1
        return 0.0

    def _now(self) -> tuple[float, float, float]:
        """Return (wall seconds, seconds of waiting for a processor, CPU seconds of all threads)."""
        return monotonic(), self._waited_s(), process_time()

    def _tick(self, *_: Any) -> None:
        now = self._now()
        wall_s, waited_s, cpu_s = (one - before for one, before in zip(now, self._last, strict=True))
        passed_s = wall_s - waited_s
        self._last = now
        # How long others of its threads wait is not known in here. While they compute, their CPU time counts:
        # who uses a little and sleeps is left to the harness, which sees all threads.
        if _count() and _LEAST_CPU_S < cpu_s < passed_s:
            self._excused_s += passed_s - cpu_s
            passed_s = cpu_s
        if self.index != self._seen:
            self._seen, self._used_s = self.index, 0.0
            # Of the signals that come while C code runs one is left: it has to count for all of that time.
            passed_s = max(0.0, min(passed_s, now[0] - self.began_s - waited_s))
        self._used_s += passed_s
        if self.index >= 0 and self._used_s > self.limit_s and self.was_late != self.index:
            self.was_late = self.index
            raise TimeoutException("Timed out!")

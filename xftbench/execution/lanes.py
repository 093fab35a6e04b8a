"""The queue before a pool's workers: a lane for each kind of job, and a worker keeps to those it is warm for.

Starting what runs a kind may cost seconds, as it does where torch or TensorFlow is imported, so a worker
takes up a kind that another one serves only if enough jobs of it wait.
"""

import contextlib
import queue
import threading
from collections import deque
from concurrent.futures import Future

from xftbench.execution.runners import Kind, is_long, kind_of
from xftbench.records import Outcome, Program

Job = tuple[Program, "Future[Outcome]"]


class _End:
    """One worker may end when it finds nothing more to do."""


class Lanes:
    """Jobs in, jobs out. Putting is safe at any moment, Ctrl-C included: only workers take the lock."""

    def __init__(self) -> None:
        self._inlet: queue.SimpleQueue[Job | _End] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._lanes: dict[str, deque[Job]] = {}
        self._kinds: dict[str, Kind] = {}
        self._served: dict[object, set[str]] = {}
        """Worker -> keys that it is warm for."""
        self._ends = 0
        self._bells: dict[object, queue.SimpleQueue[None]] = {}
        """Worker -> what it waits on."""

    def put(self, job: Job) -> None:
        """Queue a job."""
        self._inlet.put(job)
        self._ring()

    def end_one(self) -> None:
        """Let one worker end behind everything that is queued now."""
        self._inlet.put(_End())
        self._ring()

    def _ring(self) -> None:
        """Wake every worker that waits: only together do they know who is to take what has come.

        If one alone were woken, and left the job to another that is warm for it, that one would sleep on.
        """
        for bell in list(self._bells.values()):
            bell.put(None)

    def take(self, worker: object, warm: list[str]) -> Job | None:
        """Return a worker's next job, when there is one; None if the worker may end.

        Args:
            worker: Who asks.
            warm: Keys of the kinds that it has a runner for, the last used one last.
        """
        bell = self._bells.setdefault(worker, queue.SimpleQueue())
        while True:
            _silence(bell)
            with self._lock:
                self._drain()
                self._served[worker] = set(warm)
                key = self._choose(worker, warm)
                if key is not None:
                    self._served[worker].add(key)
                    return self._lanes[key].popleft()
                if self._ends:
                    self._ends -= 1
                    del self._served[worker], self._bells[worker]
                    return None
            bell.get()

    def cancel_all(self) -> None:
        """Cancel what waits; workers that still take may win a job."""
        while True:
            try:
                entry = self._inlet.get_nowait()
            except queue.Empty:
                break
            if isinstance(entry, tuple):
                entry[1].cancel()
        for lane in list(self._lanes.values()):
            while lane:
                lane.popleft()[1].cancel()

    def _drain(self) -> None:
        while True:
            try:
                self._sort_in(self._inlet.get_nowait())
            except queue.Empty:
                return

    def _sort_in(self, entry: Job | _End) -> None:
        if isinstance(entry, _End):
            self._ends += 1
        else:
            kind = kind_of(entry[0])
            self._kinds[kind.key] = kind
            lane = self._lanes.setdefault(kind.key, deque())
            if is_long(entry[0]):
                lane.appendleft(entry)  # or one worker is still busy with it when the others are done
            else:
                lane.append(entry)

    def _choose(self, worker: object, warm: list[str]) -> str | None:
        waiting = {key: len(lane) for key, lane in self._lanes.items() if lane}
        for key in reversed(warm):
            if key in waiting:
                return key
        elsewhere = set().union(*(keys for other, keys in self._served.items() if other is not worker))
        cold = [key for key in waiting if key not in elsewhere]
        worth = [key for key in waiting if waiting[key] >= self._kinds[key].worth_a_second]
        choice = cold or worth
        return max(choice, key=lambda key: waiting[key]) if choice else None


def _silence(bell: "queue.SimpleQueue[None]") -> None:
    """Forget what was rung: whoever looks after this sees all that it was rung for."""
    with contextlib.suppress(queue.Empty):
        while True:
            bell.get_nowait()

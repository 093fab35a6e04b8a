"""One program on its way through a worker: hand out, watch, judge."""

import os
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from xftbench.execution.inside.channel import ChannelClosed
from xftbench.execution.outcome import Exit, judge
from xftbench.execution.worker import GRACE_S, Worker, WorkerLostError, pid_of
from xftbench.records import FunctionProgram, Outcome

_MAX_STRETCH = 8
"""A program that other work keeps from the processors gets at most this many times its wall limit."""


def run(worker: Worker, program: FunctionProgram) -> Outcome:
    """Run a program on a worker to its outcome.

    Raises:
        WorkerLostError: If the worker must be replaced.
        InfrastructureError: If the benchmark's own code failed.
    """
    try:
        return _Job(worker, program).run()
    except (ChannelClosed, OSError) as error:
        raise WorkerLostError(f"the worker's processes ended: {error}{worker.last_words()}") from error


class _Job:
    """One program on its way through a worker."""

    def __init__(self, worker: Worker, program: FunctionProgram) -> None:
        self._worker = worker
        self._program = program
        self._started = time.monotonic()
        self._deadline = self._started + worker.limits.wall_s
        self._pidfd = -1
        self._report: list[str] | None = None
        self._exit: Exit | None = None
        self._timed_out = False
        self._kill_wanted = False

    def run(self) -> Outcome:
        try:
            self._hand_out()
            self._watch()
        finally:
            if self._pidfd >= 0:
                os.close(self._pidfd)
        if self._report is None:
            self._worker.replace_checker()
        elif self._report[0] == "unjailed":
            raise WorkerLostError(f"a candidate's jail could not be built: {self._report[1]}")
        assert self._exit is not None
        wall_s = time.monotonic() - self._started
        return judge(
            self._report or [], self._exit, self._worker.limits, timed_out=self._timed_out, wall_s=wall_s
        )

    def _hand_out(self) -> None:
        """Give the test to the checker and the solution to the zygote's next child, who hold the two ends."""
        checker = self._worker.checker
        assert checker is not None
        program = self._program
        with ExitStack() as stack:
            ends = socket.socketpair()
            near, far = (stack.enter_context(end) for end in ends)
            job = os.memfd_create("job")
            stack.callback(os.close, job)
            text = f"{program.entry_point}\n{program.solution}".encode("utf-8", "surrogatepass")
            os.write(job, text)
            os.lseek(job, 0, os.SEEK_SET)
            self._worker.control.send(["candidate"], (job, far.fileno()))
            test = {"context": program.context, "test": program.test, "entry_point": program.entry_point}
            checker.send(test, (near.fileno(),))

    def _watch(self) -> None:
        """Wait until the checker has spoken (or is given up) and the candidate is dead."""
        while self._exit is None or (self._report is None and not self._timed_out):
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                self._on_deadline()
                continue
            for fd, _ in self._worker.poll.poll(left_s * 1000 + 1):
                if fd == self._worker.control.fileno():
                    self._hear_zygote()
                else:
                    self._hear_checker()

    def _on_deadline(self) -> None:
        if self._timed_out:
            raise WorkerLostError("the candidate did not die")
        # Time in which the candidate was ready but other work had the processors is not its own: without this
        # a verdict would depend on the number of workers.
        allowed_s = min(
            self._worker.limits.wall_s + self._starved_s(), _MAX_STRETCH * self._worker.limits.wall_s
        )
        if self._started + allowed_s > time.monotonic():
            self._deadline = self._started + allowed_s
            return
        self._timed_out = True
        self._deadline = time.monotonic() + GRACE_S
        self._kill()

    def _starved_s(self) -> float:
        """Return how long the candidate's main thread has waited for a processor.

        With processes of its own it gets no such credit: it could be waiting for them.
        """
        if self._pidfd < 0:
            return 0.0
        process = Path(f"/proc/{pid_of(self._pidfd)}")
        try:
            if any(children.read_text() for children in process.glob("task/*/children")):
                return 0.0
            return int((process / "schedstat").read_text().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _kill(self) -> None:
        self._kill_wanted = True
        if self._pidfd >= 0 and self._exit is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _hear_zygote(self) -> None:
        message, fds = self._worker.control.receive()
        if message[0] == "candidate_started":
            (self._pidfd,) = fds
            if self._kill_wanted:
                self._kill()
        elif message[0] == "candidate_exited":
            group = self._worker.group
            self._exit = Exit(
                status=message[1], cpu_s=message[2], out_of_memory=group is not None and group.had_oom_kill()
            )
        else:
            # Either of its two connections may be the first to tell that the checker has died.
            raise WorkerLostError(f"the worker's processes ended: {' '.join(map(str, message))}")

    def _hear_checker(self) -> None:
        checker = self._worker.checker
        assert checker is not None
        self._report, _ = checker.receive()
        self._kill()

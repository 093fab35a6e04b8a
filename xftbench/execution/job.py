"""One Python function on its way through a worker: hand out, watch, judge."""

import socket
from contextlib import ExitStack
from typing import Any

from xftbench.execution.outcome import judge
from xftbench.execution.watch import Watch
from xftbench.execution.worker import Worker, WorkerLostError
from xftbench.records import FunctionProgram, Outcome


def run(worker: Worker, program: FunctionProgram) -> Outcome:
    """Run a program on a worker to its outcome.

    Raises:
        WorkerLostError: If the worker must be replaced.
        InfrastructureError: If the benchmark's own code failed.
    """
    with worker.or_lost():
        return _Job(worker, program).run()


class _Job:
    """One program on its way through a worker."""

    def __init__(self, worker: Worker, program: FunctionProgram) -> None:
        self._worker = worker
        self._program = program
        self._watch = Watch(worker, worker.limits.wall_s, lambda message: True)

    def run(self) -> Outcome:
        self._hand_out()
        watch = self._watch
        ended = watch.run()
        report: list[Any] = watch.report or []
        if not report:
            self._worker.replace_checker()
        elif report[0] == "unjailed":
            raise WorkerLostError(f"a candidate's jail could not be built: {report[1]}")
        return judge(report, ended, self._worker.limits, timed_out=watch.timed_out, wall_s=watch.wall_s())

    def _hand_out(self) -> None:
        """Give the test to the checker and the solution to the zygote's next child, who hold the two ends."""
        checker, program = self._worker.checker, self._program
        assert checker is not None
        with ExitStack() as stack:
            ends = socket.socketpair()
            near, far = (stack.enter_context(end) for end in ends)
            option = " names" if program.names else ""
            text = f"{program.entry_point}{option}\n{program.solution}".encode("utf-8", "surrogatepass")
            self._worker.order("candidate", text, far.fileno())
            test = {
                "context": program.context,
                "test": program.test,
                "entry_point": program.entry_point,
                "names": program.names,
            }
            checker.send(test, (near.fileno(),))

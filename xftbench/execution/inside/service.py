"""What a worker's candidates and its checker do: one class for each way of judging Python functions."""

import contextlib
import os
from typing import NoReturn

from xftbench.execution.inside import checker, solution


class FunctionService:
    """Solutions that are called from a test; see `solution` and `checker`."""

    serve_checker = staticmethod(checker.serve)
    kept_fds: tuple[int, ...] = ()

    def open_in_child(self) -> list[int]:
        """Return descriptors that a candidate needs from outside its jail."""
        return []

    def serve_candidate(self, job: int, rpc: int) -> NoReturn:
        """Become the solution."""
        solution.serve(job, rpc)


class PlusService:
    """Solutions that run through evalplus' inputs; see `plus_solution` and `plus_checker`.

    Made before the jail is: it keeps the machine's /proc open, which no candidate gets.
    """

    def __init__(self) -> None:
        from xftbench.execution.inside import plus_checker, plus_solution

        self._serve = plus_solution.serve
        self.serve_checker = plus_checker.serve
        self._proc = -1
        with contextlib.suppress(OSError):
            self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self.kept_fds = (self._proc,) if self._proc >= 0 else ()

    def open_in_child(self) -> list[int]:
        """Return the descriptor that tells a candidate how long it has waited for a processor."""
        try:
            return [os.open("self/schedstat", os.O_RDONLY, dir_fd=self._proc)]
        except OSError:
            return []

    def serve_candidate(self, job: int, rpc: int, inputs: int, schedstat: int = -1) -> NoReturn:
        """Become the solution."""
        self._serve(job, rpc, inputs, schedstat)


Service = FunctionService | PlusService


def by_name(name: str) -> Service:
    """Return the service that the harness asks for."""
    return PlusService() if name == "plus" else FunctionService()

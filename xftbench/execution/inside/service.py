"""What a worker's candidates and its checker do: one class for each way of judging Python functions."""

import contextlib
import importlib
import os
from typing import Any, NoReturn

from xftbench.execution.inside import checker, solution


class FunctionService:
    """Solutions that are called from a test; see `solution` and `checker`."""

    serve_checker = staticmethod(checker.serve)
    kept_fds: tuple[int, ...] = ()

    def prepare(self) -> None:
        """In a process that has no other task than to fork candidates, or to become one: nothing."""

    def open_in_child(self) -> list[int]:
        """Return descriptors that a candidate needs from outside its jail."""
        return []

    def serve_candidate(self, job: int, rpc: int) -> NoReturn:
        """Become the solution."""
        solution.serve(job, rpc)


class PlusService:
    """Solutions that run through evalplus' inputs; see `plus_solution` and `plus_checker`.

    Made before the jail is: it keeps the machine's /proc open, which no candidate gets.

    Args:
        stack_bytes: How large a candidate's stack may become.
    """

    def __init__(self, stack_bytes: int) -> None:
        from xftbench.execution.inside import plus_checker, plus_solution

        self._stack_bytes = stack_bytes
        self._solution = plus_solution
        self._traps = plus_solution.Traps()
        self.serve_checker = plus_checker.serve
        self._proc = -1
        with contextlib.suppress(OSError):
            self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self.kept_fds = (self._proc,) if self._proc >= 0 else ()

    def prepare(self) -> None:
        """In a process that has no other task than to fork candidates, or to become one."""
        self._solution.allow_stack(self._stack_bytes)
        self._traps.lay()

    def open_in_child(self) -> list[int]:
        """Return the descriptor that tells a candidate how long it has waited for a processor."""
        try:
            return [os.open("self/schedstat", os.O_RDONLY, dir_fd=self._proc)]
        except OSError:
            return []

    def serve_candidate(self, job: int, rpc: int, schedstat: int = -1) -> NoReturn:
        """Become the solution."""
        self._solution.serve(job, rpc, schedstat, self._traps)


Service = FunctionService | PlusService


def asked_for(config: dict[str, Any]) -> Service:
    """Return the service that the harness asks for."""
    if config["service"] == "plus":
        return PlusService(config["limits"]["memory_bytes"])
    if config["service"] == "context":
        # No jail shows its files; other workers do without, as it is a third of what they would import.
        importlib.import_module("xftbench.execution.inside.context")
    return FunctionService()

"""Which kind of program is run by what: a few lines for each kind.

What runs a kind is imported when its first program comes: all together take as long as thirty programs.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple, Protocol

from xftbench.execution import job
from xftbench.execution.worker import Worker, WorkerRunner
from xftbench.records import (
    ContextProgram,
    FunctionProgram,
    Limits,
    NativeProgram,
    Outcome,
    PlusProgram,
    Program,
)


class Runner(Protocol):
    """Processes that judge one program after another; belongs to one slot of the pool."""

    def run(self, program: Program) -> Outcome:
        """Run a program to its outcome.

        Raises:
            WorkerLostError: If this runner must be replaced.
            InfrastructureError: If the benchmark's own code failed.
        """
        ...

    def stop(self) -> None:
        """Kill every process at once; the only call that may come from another thread."""
        ...

    def kill(self) -> None:
        """Kill every process, wait until they are gone, and release what was held."""
        ...


class Kind(NamedTuple):
    """What a program needs to be run."""

    key: str
    """Programs of one key share a runner."""
    start: Callable[[Limits, str], Runner]
    """(limits, isolation) -> runner; raises `WorkerLostError`."""
    worth_a_second: int = 1
    """How many programs must wait before a second slot of the pool starts a runner of its own."""
    is_together: bool = False
    """Whether its processes do better on one processor; see `processors`."""


class FunctionRunner(WorkerRunner):
    """Python functions: a solution and a checker in two jailed processes."""

    def __init__(self, limits: Limits, isolation: str) -> None:
        super().__init__(Worker(limits, isolation))

    def run(self, program: Program) -> Outcome:
        """Run a `FunctionProgram`."""
        assert isinstance(program, FunctionProgram)
        return job.run(self._worker, program)


PROBED = Kind("function", FunctionRunner, is_together=True)
"""What a pool starts at once, to find out whether its isolation works on this machine."""

_LONG_S = 0.5


def is_long(program: Program) -> bool:
    """Return whether a program is known to take much longer than most, and had better be started early."""
    if not isinstance(program, PlusProgram):
        return False
    from xftbench.execution import references

    return references.cost_s(program.problem) > _LONG_S


def kind_of(program: Program) -> Kind:
    """Return what runs a program."""
    if isinstance(program, FunctionProgram):
        return PROBED
    if isinstance(program, NativeProgram):
        return _native()
    if isinstance(program, ContextProgram):
        from xftbench.execution import contexts

        family = contexts.family(program)
        return Kind(f"context:{family}", contexts.starter(family), contexts.worth_a_second(family))
    if isinstance(program, PlusProgram):
        return _plus()
    raise TypeError(f"no runner for a {type(program).__name__}")


@cache
def _plus() -> Kind:
    from xftbench.execution.plus import PlusRunner

    return Kind("plus", PlusRunner, is_together=True)


@cache
def _native() -> Kind:
    from xftbench.execution.native.runner import NativeRunner
    from xftbench.execution.native.warm import Compilers

    return Kind("native", partial(NativeRunner, compilers=Compilers()))

"""Fixtures that several test files share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from xftbench.benchmarks import BENCHMARKS
from xftbench.records import Problem


@pytest.fixture(scope="session")
def problems() -> dict[str, Problem]:
    """HumanEval's own problems, by task_id; the wheel that holds them is a dependency."""
    data = BENCHMARKS["humaneval"].load("1.0", None)
    return {problem.task_id: problem for problem in data.problems}


@dataclass(frozen=True)
class CliResult:
    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[[Sequence[str]], CliResult]:
    """Run the real command line in this process; returns exit code, stdout and stderr."""
    from xftbench.cli import run

    def call(arguments: Sequence[str]) -> CliResult:
        capfd.readouterr()
        code = run(list(arguments))
        out, err = capfd.readouterr()
        return CliResult(code, out, err)

    return call

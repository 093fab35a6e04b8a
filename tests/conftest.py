"""Fixtures that several test files share."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from xftbench.benchmarks import BENCHMARKS
from xftbench.execution.probe import probe
from xftbench.records import Problem

# The same examples in every run, and as much time as a busy machine needs: a failure is a defect, never luck.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

# What a shell starts behind `&` ignores Ctrl-C, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def problems() -> dict[str, Problem]:
    """HumanEval's own problems, by task_id; the wheel that holds them is a dependency."""
    data = BENCHMARKS["humaneval"]().load("1.0", None)
    return {problem.task_id: problem for problem in data.problems}


@pytest.fixture(scope="session")
def needs_namespaces() -> None:
    """Skip, with the reason, where the kernel allows no jails."""
    if not (found := probe("namespaces")).works:
        pytest.skip(found.reason)


@pytest.fixture(scope="session")
def pico_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer checkpoint with a chat template, long enough for any problem's prompt."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'xftbench[hf]'")
    from pico import TEMPLATE, save_model, save_tokenizer

    directory = tmp_path_factory.mktemp("pico-checkpoint")
    save_model(directory, save_tokenizer(directory, TEMPLATE), max_length=4096)
    return directory


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


@pytest.fixture
def run(cli: Callable[[Sequence[str]], CliResult], tmp_path: Path) -> Callable[..., CliResult]:
    """Run `xftbench run`, or another command that makes runs, with all that it writes below `tmp_path`."""

    def call(*arguments: str, command: str = "run") -> CliResult:
        places = ["--out", str(tmp_path / "runs"), "--cache-dir", str(tmp_path / "cache")]
        if command == "run":
            places += ["--leaderboards", str(tmp_path / "leaderboards")]
        return cli([command, *arguments, *places])

    return call

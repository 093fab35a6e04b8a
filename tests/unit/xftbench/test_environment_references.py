"""``env check --references`` and ``env create``: an environment is tried on its benchmark's own solutions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import contexts
import pytest

from xftbench.benchmarks.benchmark import DataSet
from xftbench.benchmarks.ds1000 import ContextProblem, Ds1000


def problem(task_id: str, reference: str, needs: str = "") -> ContextProblem:
    return ContextProblem(
        task_id=task_id,
        prompt="",
        tags={},
        reference_code=reference,
        code_context=contexts.ARRAY,
        needs=needs,
    )


GOOD = (problem("7", contexts.ARRAY_SOLUTION), problem("8", contexts.ARRAY_SOLUTION))
WRONG = problem("9", "result = data")
LACKING = problem("10", "result = data", needs="a data set that nobody has")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have DS-1000 consist of made-up problems; skips without its environment."""
    contexts.environment()

    def holds(*problems: ContextProblem) -> None:
        data_set = DataSet(version="2024-04", sha256="", path="", problems=problems)
        monkeypatch.setattr(Ds1000, "load", lambda *_: data_set)

    return holds


def test_solutions_that_all_pass_are_counted(cli: Callable[..., Any], benchmark: Callable[..., None]) -> None:
    benchmark(*GOOD, LACKING)
    result = cli(["env", "check", "ds1000", "--references"])
    assert result.exit_code == 0
    assert "2 of 2 reference solutions pass" in result.stdout


def test_one_that_fails_is_named_and_the_exit_code_says_so(
    cli: Callable[..., Any], benchmark: Callable[..., None]
) -> None:
    benchmark(*GOOD, WRONG)
    result = cli(["env", "check", "ds1000", "--references"])
    assert result.exit_code == 3
    assert "2 of 3 reference solutions pass" in result.stdout
    assert "9: failed" in result.stderr
    assert "7: " not in result.stderr


def test_an_environment_that_is_there_is_not_tried_again(
    cli: Callable[..., Any], benchmark: Callable[..., None], tmp_path: Path
) -> None:
    benchmark(WRONG)
    result = cli(["env", "create", "ds1000", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert "reference" not in result.stdout + result.stderr

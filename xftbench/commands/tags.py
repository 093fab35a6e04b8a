"""Tags of a suite's problems, such as language and library, from the benchmark's data."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from xftbench.benchmarks import parse_suite


def tags_reader(data_dir: Path | None) -> Callable[[str, str], Mapping[str, Mapping[str, str]]]:
    """Return a function from (suite, version) to each problem's tags; it raises as `Benchmark.load` does."""

    @cache
    def tags_of(suite: str, version: str) -> Mapping[str, Mapping[str, str]]:
        benchmark, _ = parse_suite(f"{suite}@{version}")
        problems = benchmark.load(version, data_dir).problems
        return {problem.task_id: {"language": problem.language, **problem.tags} for problem in problems}

    return tags_of

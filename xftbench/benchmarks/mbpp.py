"""MBPP (Austin et al. 2021, arXiv:2108.07732): short Python programs asked for in one sentence.

Right is: every assertion of the problem's `test_list` holds. Published programs run solution and assertions
in one namespace; here the assertions run in another process and reach the solution's names through it.
"""

import ast
import builtins
import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from xftbench.benchmarks.benchmark import DataSet
from xftbench.benchmarks.datafiles import Content, DataFile, hub_rows, read
from xftbench.benchmarks.suggest import suggestion
from xftbench.errors import DataFileError, UsageProblem
from xftbench.records import AssertProblem, FunctionProgram, Limits, Problem, Program

_HUB = "google-research-datasets/mbpp"
_SOURCE = "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/"
DATA_FILES = {
    "sanitized": DataFile(
        benchmark="mbpp",
        version="sanitized",
        file_name="sanitized-mbpp.json",
        sha256="ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
        licence="CC BY 4.0",
        source=f"{_SOURCE}sanitized-mbpp.json",
        folder="mbpp",
        cache_path="evalplus/sanitized-mbpp.json",
        distribution="datasets",
    ),
    "full": DataFile(
        benchmark="mbpp",
        version="full",
        file_name="mbpp.jsonl",
        sha256="ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
        licence="CC BY 4.0",
        source=f"{_SOURCE}mbpp.jsonl",
        folder="mbpp",
        distribution="datasets",
    ),
}
SPLITS = {
    "prompt": range(1, 11),
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
    "all": range(1, 975),
}
"""Part -> numbers of its problems. Source: the paper, section 2.1, and the data's README."""
_SHOTS = (2, 3, 4)
"""What the published few-shot prompt shows. Source: google-research, mbpp/README.md."""
_FIELDS = {
    "full": ("text", "code", "task_id", "test_setup_code", "test_list", "challenge_test_list"),
    "sanitized": ("source_file", "task_id", "prompt", "code", "test_imports", "test_list"),
}


class Mbpp:
    """The benchmark as Google published it.

    Without a part: of the full data the test split (500 problems, the published protocol), of the sanitized
    data all 427.
    """

    family = "mbpp"
    versions = tuple(DATA_FILES)
    # The usual 3 s would leave Mbpp/123 to chance: its reference solution takes 2 to 4 s, the others 4 ms.
    limits = Limits(cpu_s=10, wall_s=50.0)

    def __init__(self, parts: Sequence[str] = ()) -> None:
        for part in parts:
            if part not in SPLITS:
                raise UsageProblem(f"mbpp has no part {part!r}", hint=suggestion(part, list(SPLITS)))
        self._parts = tuple(part for part in SPLITS if part in parts)
        self.name = f"mbpp:{','.join(self._parts)}" if parts else "mbpp"

    def load(self, version: str, data_dir: Path | None) -> DataSet:
        """Return the problems, verified against the pinned hash."""
        data_file = DATA_FILES[version]
        content = read(data_file, data_dir, lambda: _through_datasets(version))
        wanted = self._parts or (("test",) if version == "full" else ("all",))
        numbers = {number for part in wanted for number in SPLITS[part]}
        try:
            rows = {row["task_id"]: row for row in _rows(content.data, version)}
            shots = tuple(_problem(rows[number]) for number in _SHOTS if number in rows)
            problems = tuple(_problem(row, shots) for number, row in rows.items() if number in numbers)
        except (ValueError, KeyError, TypeError) as error:
            raise DataFileError(f"{content.path}: not the data of mbpp: {error}") from error
        return DataSet(version=version, sha256=data_file.sha256, path=content.path, problems=problems)

    def program(self, problem: Problem, solution: str) -> Program:
        """Return the program that judges a solution."""
        assert isinstance(problem, AssertProblem)
        body = "\n".join((problem.setup, *problem.tests))
        if _only_imports(problem.setup):
            # Published programs import it into the namespace that is the solution's, too.
            solution = f"{solution}\n{problem.setup}\n"
        return FunctionProgram(
            task_id=problem.task_id,
            solution=solution,
            entry_point=problem.entry_point,
            context="",
            test=f"def check(candidate):\n{_indented(body)}\n",
            names=_borrowed_names(body, problem.entry_point),
        )

    def known_good(self, problems: Sequence[Problem]) -> list[Program]:
        """Return the programs of the reference solutions."""
        return [
            self.program(problem, problem.canonical_solution)
            for problem in problems
            if isinstance(problem, AssertProblem)
        ]

    def toolchains(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """Python alone."""
        return ("python",)


def _only_imports(setup: str) -> bool:
    statements = ast.parse(setup).body
    return bool(statements) and all(isinstance(one, ast.Import | ast.ImportFrom) for one in statements)


def _rows(data: bytes, version: str) -> list[dict[str, Any]]:
    if version == "sanitized":
        rows: list[dict[str, Any]] = json.loads(data)
        return rows
    return [json.loads(line) for line in data.splitlines()]


def _through_datasets(version: str) -> Content:
    """Load the rows through the `datasets` library, and write them as the published file has them."""
    rows = hub_rows(_HUB, version, ("prompt", "test", "validation", "train"))
    rows = [
        {name: row[name] for name in _FIELDS[version]} for row in sorted(rows, key=lambda row: row["task_id"])
    ]
    if version == "sanitized":
        return Content(f"{_HUB} ({version})", json.dumps(rows).encode())
    return Content(f"{_HUB} ({version})", b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def _problem(row: dict[str, Any], shots: tuple[AssertProblem, ...] = ()) -> AssertProblem:
    number = row["task_id"]
    code = row["code"].replace("\r\n", "\n")
    tests = tuple(test.strip() for test in row["test_list"])
    setup = row["test_setup_code"] if "test_setup_code" in row else "\n".join(row["test_imports"])
    return AssertProblem(
        task_id=f"Mbpp/{number}",
        prompt=row["text"] if "text" in row else row["prompt"],
        entry_point=_entry_point(code, tests),
        canonical_solution=code,
        setup=setup.replace("\r\n", "\n"),
        tests=tests,
        shots=shots,
        tags={"split": next(part for part, numbers in SPLITS.items() if number in numbers)},
    )


def _entry_point(code: str, tests: Iterable[str]) -> str:
    """Return the function that the assertions are about: the first one of the reference's that they name."""
    defined = {node.name for node in ast.walk(_parsed(code)) if isinstance(node, ast.FunctionDef)}
    for test in tests:
        for node in ast.walk(_parsed(test)):
            if isinstance(node, ast.Name) and node.id in defined:
                return node.id
    raise ValueError(f"no test calls one of {sorted(defined)}")


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some references have escapes such as "\\w" in ordinary texts
        return ast.parse(source)


def _borrowed_names(body: str, entry_point: str) -> tuple[str, ...]:
    """Return the names that setup and assertions use but don't define, in order."""
    known = {entry_point, *dir(builtins)}
    used: list[str] = []
    for node in ast.walk(_parsed(body)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            known |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name):
            used.append(node.id)
            if isinstance(node.ctx, ast.Store):
                known.add(node.id)
    return tuple(sorted(set(used) - known))


def _indented(body: str) -> str:
    """Return statements as the body of a function; unparsed, because a text may go over several lines."""
    return "\n".join(f"    {line}" for line in ast.unparse(_parsed(body)).splitlines())

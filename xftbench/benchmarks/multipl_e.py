"""MultiPL-E (Cassano et al. 2023, arXiv:2208.08227): HumanEval and MBPP translated into other languages.

A program is one source file: the prompt, the completion and the test, which in many languages begins with
the brace that closes the function. Right is what the language's own rule says when that file has been
compiled and run; the rules and time limits are with the languages, in `execution`.
"""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Self

import msgspec

from xftbench.benchmarks import multipl_e_data as data
from xftbench.benchmarks.benchmark import DataSet
from xftbench.benchmarks.multipl_e_code import entry_point
from xftbench.benchmarks.multipl_e_parts import WHOLE, Part, parse_parts, words
from xftbench.hashing import sha256_record
from xftbench.records import Limits, NativeProblem, NativeProgram, Problem, Program, Record


class Probe(Record):
    """A program whose verdict is known: it passes, and with the 5 of its test made a 6 it fails."""

    solution: str
    test: str

    def program(self, language: str, *, is_right: bool = True) -> NativeProgram:
        """Return it as a program, or its failing twin."""
        test = self.test if is_right else self.test.replace("5", "6")
        return NativeProgram(
            task_id=f"probe/{language}", solution=self.solution, language=language, test=test
        )


def probes() -> dict[str, Probe]:
    """Return the probe of each language."""
    text = files("xftbench.benchmarks").joinpath("multipl_e_probes.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Probe])


class MultiplE:
    """The benchmark, or some parts of it.

    Args:
        parts: What is asked; by default HumanEval's problems in all languages.
    """

    family = "multipl-e"
    versions: tuple[str, ...] = ("3",)
    # The evaluators' general time limit; a language's own stands in its row and is scaled with this one.
    limits = Limits(cpu_s=15, wall_s=25.0, disk_bytes=256 << 20, processes=256)

    def __init__(self, parts: Sequence[Part] = WHOLE) -> None:
        self._parts = tuple(parts)
        self.name = self.family if self._parts == WHOLE else f"{self.family}:{','.join(words(self._parts))}"
        self._has_one_language = len({part.language for part in self._parts}) == 1

    @classmethod
    def of(cls, selected: Sequence[str]) -> Self:
        """Return the parts that some words name; see `parse_parts`."""
        return cls(parse_parts(selected))

    def load(self, version: str, data_dir: Path | None) -> DataSet:
        """Return the problems of all parts, each verified against its pinned content."""
        loaded = data.load_all(self._parts, version, data_dir)
        problems = [
            self._problem(row, part)
            for part, file in zip(self._parts, loaded, strict=True)
            for row in file.rows
        ]
        return DataSet(
            version=version,
            sha256=sha256_record([[file.part, file.sha256] for file in loaded]),
            path=loaded[0].path if len(loaded) == 1 else f"{loaded[0].path} and {len(loaded) - 1} more",
            problems=tuple(problems),
        )

    def _problem(self, row: data.Row, part: Part) -> NativeProblem:
        return NativeProblem(
            task_id=row.name if self._has_one_language else f"{part.language}/{row.name}",
            prompt=row.prompt,
            entry_point=entry_point(part.language, row.prompt),
            language=part.language,
            stop=row.stop_tokens,
            tags={"language": part.language, "source": part.source},
            test=row.tests,
        )

    def program(self, problem: Problem, solution: str) -> Program:
        """Return the program that judges a solution; the newline before the test is the runner's."""
        assert isinstance(problem, NativeProblem)
        return NativeProgram(
            task_id=problem.task_id, solution=solution, language=problem.language, test=problem.test
        )

    def known_good(self, problems: Sequence[Problem]) -> list[Program]:
        """Return the probe of each language: a broken toolchain scores nothing."""
        known = probes()
        return [known[language].program(language) for language in self.toolchains(problems)]

    def toolchains(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """One for each language."""
        return tuple(dict.fromkeys(problem.language for problem in problems))

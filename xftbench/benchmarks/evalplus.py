"""HumanEval+ and MBPP+ (Liu et al. 2023, arXiv:2305.01210): the original problems with many more inputs.

Right is what the canonical solution returns, on the original inputs (base) and on the added ones (plus), by
evalplus' own rules for tolerance and for the few problems with more than one answer.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from xftbench.benchmarks.benchmark import DataSet
from xftbench.benchmarks.datafiles import Content, DataFile, as_data_error, read, unpacked
from xftbench.errors import DataFileError
from xftbench.records import Limits, OracleName, PlusProblem, PlusProgram, Problem, Program

HUMANEVAL_ORACLES: dict[str, OracleName] = {
    "find_zero": "root",  # HumanEval/32: any root of the polynomial will do
}
MBPP_ORACLES: dict[str, OracleName] = {
    "are_equivalent": "anything",  # Mbpp/164 (0.1.0 only): upstream gave the comparison up
    "sum_div": "zero_too",  # Mbpp/295 (0.1.0 only)
    "surface_Area": "other_surface",  # Mbpp/581: "height" can be read in two ways
    "digit_distance_nums": "other_digits",  # Mbpp/558: numbers of different length
    # Any order, repeated or not:
    "similar_elements": "as_set",  # Mbpp/2
    "find_char_long": "as_set",  # Mbpp/7
    "common_in_nested_lists": "as_set",  # Mbpp/111
    "extract_singly": "as_set",  # Mbpp/140
    "larg_nnum": "as_set",  # Mbpp/232
    "intersection_array": "as_set",  # Mbpp/249 (0.1.0 only)
    "find_dissimilar": "as_set",  # Mbpp/579
    "Diff": "as_set",  # Mbpp/769
    # The canonical solution returns a match object:
    "check_str": "not_none",  # Mbpp/737
    "text_match_three": "not_none",  # Mbpp/787
    "text_starta_endb": "not_none",  # Mbpp/794
}
"""Function name -> comparison where equality is not the rule; see `execution.inside.oracles`.

Source: evalplus master 26d6d00, eval/__init__.py:161-190 and eval/_special_oracle.py. Upstream goes by the
function's name as well.
"""

_RELEASES = "https://github.com/evalplus/{repository}/releases/download/v{version}/{name}.jsonl.gz"
_LIMITS = Limits(cpu_s=60, wall_s=124.0)
"""Parity: evalplus gives all inputs of base or plus together 60 seconds. See also `execution.plus`."""


class EvalPlus:
    """One of evalplus' two suites, by the files of its versions and its table of comparisons."""

    limits = _LIMITS

    def __init__(
        self, family: str, files: Mapping[str, DataFile], oracles: Mapping[str, OracleName], package_name: str
    ) -> None:
        self.family = self.name = family
        self.versions = tuple(files)
        self._files = files
        self._oracles = oracles
        self._package_name = package_name

    def load(self, version: str, data_dir: Path | None) -> DataSet:
        """Return a version's problems, verified against its pinned hash."""
        data_file = self._files[version]
        content = read(data_file, data_dir, lambda: _through_evalplus(self._package_name, version))
        problems = tuple(_problems(content, self._oracles))
        return DataSet(version=version, sha256=data_file.sha256, path=content.path, problems=problems)

    def program(self, problem: Problem, solution: str) -> Program:
        """Return the program that judges a solution."""
        assert isinstance(problem, PlusProblem)
        return PlusProgram(task_id=problem.task_id, solution=solution, problem=problem)

    def known_good(self, problems: Sequence[Problem]) -> list[Program]:
        """Return the programs of the canonical solutions."""
        return [
            self.program(problem, problem.prompt + problem.canonical_solution)
            for problem in problems
            if isinstance(problem, PlusProblem)
        ]

    def toolchains(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """Python alone."""
        return ("python",)


def _problems(content: Content, oracles: Mapping[str, OracleName]) -> Iterator[PlusProblem]:
    for number, line in enumerate(content.data.splitlines(), start=1):
        if line.strip():
            try:
                row = _row(line)
            except (ValueError, KeyError, TypeError) as error:
                where = f"{content.path}, line {number}"
                raise DataFileError(f"{where}: not a problem of evalplus: {error}") from error
            yield _problem(row, oracles.get(row.entry_point, "equal"), line)


class _Row(msgspec.Struct):
    """A line of evalplus' files; what is not listed here is not needed."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    contract: str
    base_input: msgspec.Raw
    plus_input: msgspec.Raw
    atol: float


def _row(line: bytes) -> _Row:
    try:
        return msgspec.json.decode(line, type=_Row)
    except msgspec.DecodeError:
        # The inputs of Mbpp/590 and others hold Infinity and NaN, which Python writes but JSON does not know.
        row = json.loads(line)
        parts = ("base_input", "plus_input")
        row |= {name: msgspec.Raw(json.dumps(row[name]).encode()) for name in parts}
        return _Row(**{name: row[name] for name in _Row.__struct_fields__})


def _problem(row: _Row, oracle: OracleName, line: bytes) -> PlusProblem:
    return PlusProblem(
        task_id=row.task_id,
        prompt=row.prompt,
        entry_point=row.entry_point,
        canonical_solution=row.canonical_solution,
        contract=row.contract,
        base_input=bytes(row.base_input),
        plus_input=bytes(row.plus_input),
        atol=float(row.atol),
        oracle=oracle,
        content_sha256=hashlib.sha256(oracle.encode() + b" " + line).hexdigest(),
    )


def _through_evalplus(name: str, version: str) -> Content:
    """Let the installed evalplus package find the file in its cache, or download it."""
    with as_data_error(f"{name} v{version}", "evalplus"):
        from evalplus.data.utils import get_dataset_metadata, make_cache

        # Not get_human_eval_plus(version=...): it takes its newest version whatever it is asked for.
        url, path = get_dataset_metadata(name, f"v{version}", False)
        make_cache(url, path)
    return Content(path, unpacked(Path(path)))


def _files(family: str, name: str, repository: str, hashes: Mapping[str, str]) -> dict[str, DataFile]:
    return {
        version: DataFile(
            benchmark=family,
            version=version,
            file_name=f"{name}-v{version}.jsonl",
            aliases=(f"{name}.jsonl",),
            sha256=sha256,
            licence="Apache-2.0",
            source=_RELEASES.format(repository=repository, version=version, name=name),
            folder="evalplus",
            cache_path=f"evalplus/{name}-v{version}.jsonl",
            distribution="evalplus",
        )
        for version, sha256 in hashes.items()
    }


_HUMANEVAL_FILES = _files(
    "humaneval+",
    "HumanEvalPlus",
    "humanevalplus_release",
    {
        "0.1.9": "50d50fda1ecf4c9168d762456ae29c1d8b8b922e68c66964f7891c98d93a04b7",
        "0.1.10": "42526ec0e7d5f3ee0b06d6ced98f8c8bae3d76519151bfb3d36f79010645bd7f",
    },
)
_MBPP_FILES = _files(
    "mbpp+",
    "MbppPlus",
    "mbppplus_release",
    {
        "0.1.0": "a855b9de667baea8e2f8aa61f898767a7336872208a85222b35622545e819fe9",
        "0.2.0": "b54e762755248ca411b523c917fa9f93c07b5ff2966bf60b3917b853926a3dad",
    },
)
DATA_FILES = (*_HUMANEVAL_FILES.values(), *_MBPP_FILES.values())


def humaneval_plus() -> EvalPlus:
    """Return HumanEval+: 164 problems."""
    return EvalPlus("humaneval+", _HUMANEVAL_FILES, HUMANEVAL_ORACLES, "HumanEvalPlus")


def mbpp_plus() -> EvalPlus:
    """Return MBPP+: 378 problems, 399 in version 0.1.0."""
    return EvalPlus("mbpp+", _MBPP_FILES, MBPP_ORACLES, "MbppPlus")

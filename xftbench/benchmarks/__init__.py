"""What is asked, and when an answer is right."""

import difflib

from xftbench.benchmarks.benchmark import Benchmark
from xftbench.benchmarks.datafiles import DataFile
from xftbench.benchmarks.humaneval import DATA_FILES as HUMANEVAL_FILES
from xftbench.benchmarks.humaneval import HumanEval
from xftbench.errors import UsageProblem

BENCHMARKS: dict[str, Benchmark] = {"humaneval": HumanEval()}

DATA_FILES: tuple[DataFile, ...] = (*HUMANEVAL_FILES.values(),)


def parse_suite(text: str) -> tuple[Benchmark, str]:
    """Return the benchmark and version that ``SUITE`` or ``SUITE@VERSION`` names.

    Raises:
        UsageProblem: If either is unknown; the nearest known name is suggested.
    """
    name, _, version = text.partition("@")
    benchmark = BENCHMARKS.get(name)
    if benchmark is None:
        raise UsageProblem(f"unknown suite {name!r}", hint=suggestion(name, list(BENCHMARKS)))
    if version and version not in benchmark.versions:
        raise UsageProblem(
            f"{name} has no version {version!r}", hint=suggestion(version, list(benchmark.versions))
        )
    return benchmark, version or benchmark.versions[-1]


def suggestion(word: str, known: list[str]) -> str:
    """Return 'did you mean ...?' where something is near, and in any case what there is."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    listed = "known: " + ", ".join(known)
    return f"did you mean {' or '.join(near)}? {listed}" if near else listed

"""What is asked, and when an answer is right."""

from collections.abc import Callable, Sequence

from xftbench.benchmarks.benchmark import Benchmark
from xftbench.benchmarks.datafiles import DataFile
from xftbench.benchmarks.ds1000 import DATA_FILES as DS1000_FILES
from xftbench.benchmarks.ds1000 import Ds1000
from xftbench.benchmarks.evalplus import DATA_FILES as EVALPLUS_FILES
from xftbench.benchmarks.evalplus import humaneval_plus, mbpp_plus
from xftbench.benchmarks.humaneval import DATA_FILES as HUMANEVAL_FILES
from xftbench.benchmarks.humaneval import HumanEval
from xftbench.benchmarks.mbpp import DATA_FILES as MBPP_FILES
from xftbench.benchmarks.mbpp import Mbpp
from xftbench.benchmarks.multipl_e import MultiplE
from xftbench.benchmarks.suggest import suggestion
from xftbench.errors import UsageProblem

BENCHMARKS: dict[str, Callable[[], Benchmark]] = {
    "humaneval": HumanEval,
    "humaneval+": humaneval_plus,
    "mbpp": Mbpp,
    "mbpp+": mbpp_plus,
    "multipl-e": MultiplE,
    "ds1000": Ds1000,
}
"""Family -> its whole."""

SELECTABLE: dict[str, Callable[[Sequence[str]], Benchmark]] = {
    "mbpp": Mbpp,
    "multipl-e": MultiplE.of,
    "ds1000": Ds1000,
}
"""Family -> a part of it, by the words behind the colon; a word that it does not know is a UsageProblem."""

DATA_FILES: tuple[DataFile, ...] = (
    *HUMANEVAL_FILES.values(),
    *EVALPLUS_FILES,
    *MBPP_FILES.values(),
    *DS1000_FILES.values(),
)


def parse_suite(text: str) -> tuple[Benchmark, str]:
    """Return the benchmark and version that ``FAMILY[:PART,...][@VERSION]`` names.

    Raises:
        UsageProblem: If one of them is unknown; the nearest known name is suggested.
    """
    name, _, version = text.partition("@")
    family, colon, parts = name.partition(":")
    if family not in BENCHMARKS:
        raise UsageProblem(f"unknown suite {family!r}", hint=suggestion(family, list(BENCHMARKS)))
    if colon and family not in SELECTABLE:
        raise UsageProblem(f"{family} has no parts to select", hint=f"use --suite {family}, or --task-id")
    benchmark = SELECTABLE[family](parts.split(",")) if colon else BENCHMARKS[family]()
    if version not in benchmark.versions:
        version = version.removeprefix("v")  # evalplus writes v0.1.10, its files 0.1.10
    if version and version not in benchmark.versions:
        raise UsageProblem(
            f"{family} has no version {version!r}", hint=suggestion(version, list(benchmark.versions))
        )
    return benchmark, version or benchmark.versions[-1]

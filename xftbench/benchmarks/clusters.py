"""Which problems of a suite are one problem asked several times: translations, and variants of a question.

A model that solves one of them is likely to solve the others, so they are not independent evidence. This goes
by the suite's name and the task_id alone: it holds for runs and baselines of any age, without the data.
"""

import re
import tomllib
from bisect import bisect
from collections.abc import Callable
from functools import cache
from importlib.resources import files

_TRANSLATED = re.compile(r"(?:[^/]+/)?((?:HumanEval|mbpp)_\d+)(?:_.*)?")
"""MultiPL-E: the language, where the suite has several, and the problem that was translated."""

_REASONS = {
    "multipl-e": "translations of one problem are not independent",
    "ds1000": "variants of one question are not independent",
}


def clusters_of(suite: str) -> Callable[[str], str]:
    """Return the function from a suite's task_id to what its problems have in common; alone, it is itself."""
    match suite.partition(":")[0]:
        case "multipl-e":
            return _translated
        case "ds1000":
            return _origin
        case _:
            return str


def counted_as(suite: str, n_problems: int, n_clusters: int) -> str:
    """Return how many independent problems some count as, and why; nothing if each stands alone."""
    if n_clusters == n_problems:
        return ""
    return f"counted as {n_clusters}: {_REASONS.get(suite.partition(':')[0], 'some belong together')}"


def _translated(task_id: str) -> str:
    found = _TRANSLATED.fullmatch(task_id)
    return found[1] if found else task_id


def _origin(task_id: str) -> str:
    n_problems, first = _origins()
    if not task_id.isdecimal() or int(task_id) >= n_problems:
        return task_id
    return str(first[bisect(first, int(task_id)) - 1])


@cache
def _origins() -> tuple[int, list[int]]:
    """Return the number of DS-1000's problems, and the first of each question's variants."""
    text = files("xftbench.benchmarks").joinpath("ds1000_origins.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return table["n_problems"], table["first"]

"""Replies about one small problem, and what is made of them."""

from xftbench.prompts.extract import extract
from xftbench.prompts.style import ExtractionName, Policy
from xftbench.records import FunctionProblem, Sample, Solution

PROBLEM = FunctionProblem(
    task_id="T/0",
    prompt="from typing import List\n\n\ndef helper(x):\n    return x\n\n\n"
    'def add(a: int, b: int) -> int:\n    """Add."""\n',
    entry_point="add",
    canonical_solution="    return a + b\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n",
)
BODY = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return 0\n"


def chat(reply: str) -> tuple[str, str]:
    """Return the rule and the code for a chat's reply, read leniently."""
    solution = extracted(reply, "chat", "lenient")
    return solution.rule, solution.code


def extracted(completion: str, extraction: ExtractionName, policy: Policy) -> Solution:
    """Return what is made of a completion."""
    sample = Sample(task_id="T/0", sample_index=0, completion=completion)
    return extract(PROBLEM, sample, extraction, policy)


def fenced(code: str, tag: str = "python") -> str:
    """Return a fenced block."""
    return f"```{tag}\n{code}```\n"

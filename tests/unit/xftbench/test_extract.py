"""One behaviour of extraction per test."""

import time

import pytest

from xftbench.prompts.extract import extract
from xftbench.records import FunctionProblem, Sample

PROBLEM = FunctionProblem(
    task_id="T/0",
    prompt="from typing import List\n\n\ndef helper(x):\n    return x\n\n\n"
    'def add(a: int, b: int) -> int:\n    """Add."""\n',
    entry_point="add",
    canonical_solution="    return a + b\n",
    test="def check(candidate):\n    assert candidate(1, 2) == 3\n",
)
BODY = "def add(a, b):\n    return a + b\n"


def chat(reply: str) -> tuple[str, str]:
    sample = Sample(task_id="T/0", sample_index=0, completion=reply)
    solution = extract(PROBLEM, sample, "chat", "lenient")
    return solution.rule, solution.code


def test_a_completion_is_appended_to_the_unstripped_prompt() -> None:
    sample = Sample(task_id="T/0", sample_index=0, completion="\n    return a + b")
    solution = extract(PROBLEM, sample, "append")
    assert (solution.rule, solution.code) == ("append", PROBLEM.prompt + "\n    return a + b")


def test_a_solution_that_came_with_the_sample_stands_alone() -> None:
    sample = Sample(task_id="T/0", sample_index=0, completion=None, solution=BODY)
    assert extract(PROBLEM, sample, "chat").code == BODY
    assert extract(PROBLEM, sample, "given").rule == "solution"


def test_the_fence_that_defines_the_entry_point_wins_over_an_earlier_one() -> None:
    rule, code = chat(f"First:\n```python\nprint(add(1, 2))\n```\nNow:\n```python\n{BODY}```\nDone.")
    assert rule == "fence"
    assert code.endswith(BODY)
    assert "print" not in code


def test_a_whole_block_wins_over_an_earlier_broken_one() -> None:
    rule, code = chat(f"```python\ndef add(a, b):\n  ...(\n```\n```python\n{BODY}```")
    assert rule == "fence"
    assert code.endswith(BODY)


def test_the_prompts_imports_and_helpers_come_first() -> None:
    _, code = chat(f"```python\n{BODY}```")
    assert code.startswith("from typing import List")
    assert "def helper" in code


def test_decorators_helpers_and_try_import_are_kept() -> None:
    block = (
        "import functools\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n"
        "def twice(f):\n    @functools.wraps(f)\n    def g(*a):\n        return f(*a)\n    return g\n\n"
        "LIMIT, OTHER = 1, 2\n\n@twice\ndef add(a, b):\n    return a + b\n"
    )
    assert chat(f"Sure!\n```python\n{block}```")[1].endswith(block)


def test_a_block_that_only_continues_the_prompt_is_appended_to_it() -> None:
    rule, code = chat("```python\n    return a + b\n```")
    assert (rule, code) == ("fence_body", PROBLEM.prompt + "    return a + b\n")


def test_a_block_cut_off_by_the_token_limit_is_used_as_far_as_it_goes() -> None:
    rule, code = chat("Here:\n```python\ndef add(a, b):\n    return a +")
    assert rule == "open_fence"
    assert code.endswith("return a +")


def test_blocks_in_other_languages_are_not_python() -> None:
    rule, code = chat(f"```bash\npip install add\n```\n```python\n{BODY}```")
    assert rule == "fence"
    assert "pip" not in code


def test_code_without_a_fence_is_taken_whole() -> None:
    assert chat(BODY)[0] == "whole_text"


def test_prose_around_unfenced_code_is_left_out() -> None:
    rule, code = chat(f"Here you go:\n\n{BODY}\nThis adds two numbers.\n")
    assert rule == "lines"
    assert "Here you go" not in code
    assert "This adds" not in code


@pytest.mark.parametrize("reply", ["", "I can't do that.", "```python\n```", "def other(): pass"])
def test_a_reply_without_the_function_is_not_made_up(reply: str) -> None:
    rule, code = chat(reply)
    assert rule in {"nothing", "fence"}
    assert "def add" not in code


@pytest.mark.parametrize(
    "reply",
    ["Some words about it.\n" * 100_000, "```\n" * 100_001, "    x\n" * 100_000, "def f():\n" * 100_000],
)
def test_a_hundred_thousand_lines_take_seconds_not_hours(reply: str) -> None:
    started = time.process_time()
    chat(reply)
    assert time.process_time() - started < 10

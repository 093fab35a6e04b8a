"""One behaviour of extraction per test."""

import ast
import textwrap
import time
from typing import Any

import pytest
from replies import BODY, PROBLEM, chat, extracted

from xftbench.prompts import python_code
from xftbench.prompts.extract import extract
from xftbench.prompts.style import ExtractionName, Policy
from xftbench.records import FinishReason, Sample, Solution


def test_a_completion_is_appended_to_the_unstripped_prompt() -> None:
    sample = Sample(task_id="T/0", sample_index=0, completion="\n    return a + b")
    solution = extract(PROBLEM, sample, "append")
    assert (solution.rule, solution.code) == ("append", PROBLEM.prompt + "\n    return a + b")


def test_a_solution_that_came_with_the_sample_stands_alone() -> None:
    sample = Sample(task_id="T/0", sample_index=0, completion=None, solution=BODY)
    assert extract(PROBLEM, sample, "chat").code == BODY
    assert extract(PROBLEM, sample, "given").rule == "solution"


@pytest.mark.parametrize("extraction", ["append", "append_stripped", "given"])
def test_lenient_takes_the_literal_result_where_it_is_a_program(extraction: ExtractionName) -> None:
    strict = extracted("    return a + b\n", extraction, "strict")
    assert extracted("    return a + b\n", extraction, "lenient") == strict
    assert strict.rule == "append"


@pytest.mark.parametrize("policy", ["strict", "lenient"])
def test_evalplus_protocol_has_no_tabs(policy: Policy) -> None:
    tabbed = "\tif a:\n\t\tb += 0\n\treturn a + b\n"
    assert extracted(tabbed, "append_stripped", policy) == extracted(
        tabbed.replace("\t", "    "), "append_stripped", policy
    )
    assert "\t" in extracted(tabbed, "append", "strict").code


def test_strict_leaves_a_tail_of_prose_and_lenient_cuts_it() -> None:
    completion = "    return a + b\n\nThis function adds two numbers.\nIt's simple.\n"
    strict = extracted(completion, "append", "strict")
    assert (strict.rule, strict.code) == ("append", PROBLEM.prompt + completion)
    lenient = extracted(completion, "append", "lenient")
    assert (lenient.rule, lenient.code) == ("cut", PROBLEM.prompt + "    return a + b\n\n")


def test_a_cut_never_reaches_into_the_prompt() -> None:
    assert extracted("    return (\n", "append", "lenient").code == PROBLEM.prompt + "    return (\n"


def test_lenient_finds_a_whole_reply_where_a_completion_was_asked_for() -> None:
    found = extracted(f"Sure:\n```python\n{BODY}```\n", "append", "lenient")
    assert found.rule == "fence"
    assert found.code.endswith(BODY)


def test_a_reply_inside_an_opened_fence_stands_alone() -> None:
    for policy in ("strict", "lenient"):
        found = extracted(f"{BODY}```\nIt adds.", "alone", policy)
        assert (found.rule, found.code) == ("block", BODY.rstrip("\n"))


def test_strict_takes_the_first_fence_of_a_chat_reply_as_it_stands() -> None:
    found = extracted(f"```python\nprint(1)\n```\n```python\n{BODY}```", "chat", "strict")
    assert (found.rule, found.code) == ("fence", "print(1)\n")


def test_a_solution_with_prose_in_it_is_read_leniently_only() -> None:
    sample = Sample(task_id="T/0", sample_index=0, completion=None, solution=f"Here you go:\n\n{BODY}")
    assert extract(PROBLEM, sample, "given", "strict").rule == "solution"
    assert extract(PROBLEM, sample, "given", "lenient").rule == "lines"


HUGE = [
    "Some words about it, and more.\n" * 10_000,
    "```\n" * 10_001,
    "```python\nx = 1\n```\n" * 5_000,
    "    x\n" * 10_000,
    "def f():\n" * 10_000,
    "def add(a, b):\n    return a\n" * 5_000 + "and then",
    "@a\n" * 10_000,
    'x = """\n' * 5_000,
    "x = (\n" * 10_000,
    "a, b.c " * 10_000,
    "from " + "import add x " * 10_000,
    "<think>\n" * 10_000,
    f"```python\n{BODY}return\n```\n" * 2_000,
    "```python\ndef add(a, b):\n"
    + "    if not a:\n        return b\n" * 500
    + "```\n"
    + ("```python\ndef add(a, b):\n" + "    if not a:\n        return b\n" * 499 + "```\n") * 20,
]


@pytest.mark.parametrize("reply", HUGE, ids=range(len(HUGE)))
@pytest.mark.parametrize("extraction", ["chat", "append", "alone"])
def test_a_long_reply_is_parsed_a_fixed_number_of_times(
    reply: str, extraction: ExtractionName, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = 0
    real = ast.parse

    def counting(text: str, *more: Any, **options: Any) -> ast.Module:
        nonlocal parsed
        parsed += len(text)
        return real(text, *more, **options)

    monkeypatch.setattr(python_code.ast, "parse", counting)
    extracted(reply, extraction, "lenient")
    assert parsed < 32 * len(reply), "the work grows with the length, not with its square"


def test_100000_lines_of_prose_take_seconds_not_hours() -> None:
    started = time.process_time()
    extracted("Some words about it, and (more) = of them.\n" * 100_000, "chat", "lenient")
    assert time.process_time() - started < 30


RUNS = {
    "spaces behind a fence": "x```" + " " * 100_000 + "!",
    "spaces before a fence": "x" + " " * 100_000 + "``!",
    "marks of a fence": "x" + "`" * 100_000 + "!",
    "a tag": "x```" + "a" * 100_000 + " !",
    "tildes": "~" * 100_000,
    "spaces and a tag": "x``` " * 20_000 + "!",
    "spaces behind thoughts": "</think>" + " " * 100_000 + "!",
    "dots in a comment": f"```python\n{BODY}```\n```python\n{BODY}```\n".replace(
        "b):\n", f"b):\n    # {'.' * 20_000}!\n"
    ),
    "statements on a line": f"```python\n{BODY}{'x = 1; ' * 3_000}\nSo:",
}


@pytest.mark.parametrize("reply", RUNS.values(), ids=RUNS)
def test_a_long_run_of_one_character_is_read_once(reply: str) -> None:
    started = time.process_time()
    extracted(reply, "chat", "lenient")
    assert time.process_time() - started < 5


def test_the_literal_rule_keeps_notes_that_happen_to_parse() -> None:
    completion = "    return a + b\n\nComplexity: O(n)\n"
    assert extracted(completion, "append", "strict").code == PROBLEM.prompt + completion


ENDING = """
# Example
numbers = [5, 3]
numbers.append(2)
result = add(*numbers[:2])
assert result == 8, "wrong"
assert add(3, 5) == 8
import math
from math import floor

for case in [[1, 2], [3, 4]]:
    print(add(*case))
"""


@pytest.mark.parametrize("extraction", ["chat", "alone", "append_stripped"])
def test_a_token_limit_behind_the_function_takes_nothing_from_it(extraction: ExtractionName) -> None:
    begun = {"chat": f"```python\n{BODY}", "alone": BODY, "append_stripped": "    return a + b\n"}[extraction]
    for length in range(len(ENDING)):
        reasons: tuple[FinishReason | None, ...] = ("length", None)
        for reason in reasons:
            sample = Sample(
                task_id="T/0",
                sample_index=0,
                completion=begun + ENDING[:length],
                finish_reason=reason,
            )
            namespace: dict[str, Any] = {}
            exec(extract(PROBLEM, sample, extraction, "lenient").code, namespace)
            assert namespace["add"](1, 2) == 3, ENDING[:length]


@pytest.mark.parametrize("tail", ["print(add(", "x = [1, 2,", "@@ Instruction\nDo more.", 'TEXT = """'])
def test_a_tail_that_was_cut_off_takes_nothing_from_an_opened_fence(tail: str) -> None:
    sample = Sample(task_id="T/0", sample_index=0, completion=f"{BODY}\n{tail}")
    assert extract(PROBLEM, sample, "alone", "lenient") == Solution(
        code=f"{PROBLEM.prompt.partition('def add')[0].rstrip()}\n\n{BODY}\n", rule="cut"
    )


def test_a_chat_reply_was_cut_off_if_its_fence_is_open() -> None:
    again = "def add(a, b):\n    c = a\n    return c"
    assert chat(f"```python\n{BODY}{again}")[1].endswith(BODY)
    assert chat(f"```python\n{BODY}{again}\n```")[1].endswith(f"{again}\n")


def test_a_reply_that_is_all_indented_is_taken_for_a_program_and_not_for_a_body() -> None:
    rule, code = chat(textwrap.indent(BODY, "    "))
    assert (rule, code) == ("whole_text", chat(BODY)[1])


def test_what_only_parses_is_no_program() -> None:
    future = Sample(task_id="T/0", sample_index=0, completion=f"from __future__ import division\n{BODY}")
    assert extract(PROBLEM, future, "append", "lenient").rule == "whole_text"

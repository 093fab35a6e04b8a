"""Laws of extraction: it chooses lines, invents none, and leaves a program alone."""

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

from xftbench.prompts.extract import extract
from xftbench.prompts.python_strays import without_strays
from xftbench.prompts.style import ExtractionName, Policy
from xftbench.records import FinishReason, Problem, Sample

PROMPT = 'import math\n\n\ndef f(x):\n    """Do it."""\n'
PROBLEM = Problem(task_id="T/0", prompt=PROMPT, entry_point="f")
LINES = [
    "Sure, here it is:", "```python", "```", "~~~", "```java", "def f(x):", "    return x", "@cache",
    "import os", "try:", "except ImportError:", "    pass", "x = (1,", "2)", '"""', "", "def g():",
    "</think>", "class A:", "    def f(self): ...", "for i in range(3):", "print(f(1))", "That is all.",
    "   ```", "\x0c",
    "else:", "async def f(x):", "f = lambda x: x", "from a import f", "\u2028", "if x", "    return (",
]  # fmt: skip
replies = st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=30).map("\n".join)
extractions: st.SearchStrategy[ExtractionName] = st.sampled_from(
    ["given", "append", "append_stripped", "alone", "chat"]
)
policies: st.SearchStrategy[Policy] = st.sampled_from(["strict", "lenient"])


def solution(text: str, extraction: ExtractionName, policy: Policy) -> str:
    return extract(PROBLEM, Sample(task_id="T/0", sample_index=0, completion=text), extraction, policy).code


@settings(max_examples=300, deadline=None)
@given(text=replies, extraction=extractions, policy=policies)
def test_no_line_is_invented(text: str, extraction: ExtractionName, policy: Policy) -> None:
    known = {line.strip() for line in [*PROMPT.splitlines(), *text.splitlines()]}
    for line in solution(text, extraction, policy).splitlines():
        assert any(line.strip() in whole for whole in known)


def statements(code: str) -> list[str] | None:
    try:
        return [ast.dump(node) for node in ast.parse(code).body]
    except (SyntaxError, ValueError):
        return None


@settings(max_examples=300, deadline=None)
@given(text=replies)
def test_what_is_a_program_by_the_literal_rule_is_left_alone(text: str) -> None:
    literal = solution(text, "append", "strict")
    assert literal == PROMPT + text
    if statements(literal) is None or without_strays(literal, "f", finish_reason=None) != literal:
        return
    assert solution(text, "append", "lenient") == literal


@settings(max_examples=300, deadline=None)
@given(text=replies, finish_reason=st.sampled_from([None, "stop", "length"]))
def test_strays_are_whole_statements(text: str, finish_reason: FinishReason | None) -> None:
    before = statements(PROMPT + text)
    after = statements(without_strays(PROMPT + text, "f", (), finish_reason))
    if before is None:
        return
    assert after is not None
    rest = iter(before)
    assert all(each in rest for each in after), "they stand in the same order"


@settings(max_examples=200, deadline=None)
@given(before=replies, body=st.sampled_from(["    return x + 1", "    y = x\n    return y"]))
def test_a_fenced_function_at_the_end_is_always_found(before: str, body: str) -> None:
    fences_closed = before.replace("`", "'").replace("~", "-")
    code = solution(f"{fences_closed}\n```python\ndef f(x):\n{body}\n```\n", "chat", "lenient")
    assert f"def f(x):\n{body}\n" in code

"""How a reply becomes the code that DS-1000 inserts."""

import time

import pytest

from xftbench.errors import DataFileError
from xftbench.generation.answers import as_sample_row
from xftbench.prompts.extract import extract
from xftbench.records import Problem, Sample

FREE = Problem(task_id="0", prompt="A:\n<code>\nx = 1\n</code>\nBEGIN SOLUTION\n<code>\n")
IN_FUNCTION = Problem(task_id="1", prompt="<code>\ndef f(x):\n    ### BEGIN SOLUTION")


def code_of(problem: Problem, reply: str, policy: str = "strict") -> str:
    sample = Sample(task_id=problem.task_id, sample_index=0, completion=reply)
    return extract(problem, sample, "insert", policy).code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("    result = x\n    return result\n</code>\nmore", "    result = x\n    return result\n"),
        ("```python\nresult = 1\n```\ntext", "\nresult = 1\n"),
        ("<code>\nresult = 1\nEND SOLUTION\nrest", "\nresult = 1"),
        ("Sure:\n```python\nresult = 1\n```", "Sure:\n\nresult = 1\n"),
        (" result = 1", " result = 1"),
        ("", ""),
    ],
)
def test_the_official_rule_is_kept_and_nothing_is_stripped(reply: str, code: str) -> None:
    assert code_of(FREE, reply) == code


def test_lenient_keeps_what_can_be_inserted() -> None:
    assert code_of(FREE, "result = 1\n</code>", "lenient") == "result = 1\n"
    assert code_of(IN_FUNCTION, "    return x", "lenient") == "    return x"


def test_lenient_finds_the_block_behind_prose() -> None:
    assert code_of(FREE, "Here it is:\n```python\nresult = 1\n```\n", "lenient") == "result = 1\n"
    assert code_of(FREE, "Here it is:\n<code>\nresult = 1\n</code>\n", "lenient").strip() == "result = 1"


@pytest.mark.parametrize("heading", ["Solution", "Result: x", "Answer\n", "Time/space", '"Code"'])
@pytest.mark.parametrize(
    "code", ["```python\nresult = 1\n```\n", "<code>\nresult = 1\n</code>\n", "```\nresult = 1\n"]
)
def test_lenient_takes_a_heading_before_the_block_for_no_code(heading: str, code: str) -> None:
    assert code_of(FREE, f"{heading}\n{code}", "lenient").strip() == "result = 1"
    assert code_of(FREE, f"{heading}\n{code}", "strict").strip() != "result = 1"


@pytest.mark.parametrize("first", ["x = 2", "print(1)", "x: int = 2", "del x", "# Solution"])
def test_lenient_keeps_what_does_something_before_a_fence(first: str) -> None:
    reply = f"{first}\n```python\nresult = 1\n```\n"
    assert code_of(FREE, reply, "lenient") == code_of(FREE, reply, "strict")


def test_words_without_a_block_behind_them_are_the_reply() -> None:
    assert code_of(FREE, "df", "lenient") == "df"
    assert code_of(FREE, "df\n```\nresult = (\n```", "lenient") == "df\n"


def test_lenient_indents_for_a_prompt_that_ends_inside_a_function() -> None:
    assert code_of(IN_FUNCTION, "So:\n```python\nreturn x\n```", "lenient") == "    return x\n"
    whole = "So:\n```python\ndef f(x):\n    y = x\n    return y\n```"
    assert code_of(IN_FUNCTION, whole, "lenient") == "    y = x\n    return y"


@pytest.mark.parametrize(
    "reply",
    [
        "<think>\nHm.\n</think>\n{}",
        "<think>\n\n</think>\n\n{}",
        "{}<|endoftext|>\n",
        "{}\n<|im_end|>\n",
        "{}\n<|im_end|>\n<|im_start|>user\nMore",
        "\x1b[1m{}\x1b[0m",
    ],
)
def test_lenient_reads_bare_code_without_thoughts_and_later_turns(reply: str) -> None:
    assert code_of(FREE, reply.format("result = 1"), "lenient").strip() == "result = 1"
    assert code_of(IN_FUNCTION, reply.format("    return x"), "lenient").strip("\n") == "    return x"


@pytest.mark.parametrize("heading", ["### Solution", "# Solution\n"])
@pytest.mark.parametrize("tag", ["", "py", "Python"])
def test_lenient_takes_a_heading_of_markdowns_for_no_code(heading: str, tag: str) -> None:
    assert code_of(FREE, f"{heading}\n```{tag}\nresult = 1\n```\n", "lenient") == f"{heading}\nresult = 1\n"
    plain = f"{heading}\n```python\nresult = 1\n```\n"
    assert code_of(FREE, plain, "lenient") == code_of(FREE, plain, "strict")


def test_lenient_takes_a_quotation_in_a_comment_for_no_fence() -> None:
    code = "# use ```x``` here\nresult = 1\n"
    assert code_of(FREE, f"```python\n{code}```\n", "lenient") == code


@pytest.mark.parametrize("first", ["import a\n", "First:\n```python\nimport a\n```\nThen:\n"])
def test_lenient_puts_imports_before_the_next_block(first: str) -> None:
    assert code_of(FREE, f"{first}```\nresult = a\n```\n", "lenient") == "import a\nresult = a\n"


def test_lenient_indents_imports_as_the_body_behind_them() -> None:
    reply = "First:\n```python\nimport a\n```\nThen:\n```python\n{}```\n"
    assert code_of(IN_FUNCTION, reply.format("  return a\n"), "lenient") == "  import a\n  return a\n"
    assert code_of(IN_FUNCTION, reply.format("return a\n"), "lenient") == "    import a\n    return a\n"


def test_lenient_takes_the_last_of_two_whole_functions() -> None:
    whole = "So:\n```python\ndef f(x):\n    return 1\n\n# Better:\ndef f(x):\n    return 2\n```\n"
    assert code_of(IN_FUNCTION, whole, "lenient") == "    return 2"


def test_lenient_parses_imports_behind_each_other_no_more_than_a_few_times() -> None:
    blocks = "```python\nimport a\n```\n" * 2_000 + "```python\nx = (\n```\n" * 2_000
    started = time.process_time()
    code_of(FREE, f"So:\n{blocks}", "lenient")
    assert time.process_time() - started < 2


def test_lenient_takes_imports_alone_where_nothing_follows() -> None:
    assert code_of(FREE, "So:\n```python\n# nothing to do\n```\n", "lenient") == "# nothing to do\n"


def test_lenient_sees_a_fence_behind_the_last_line_of_code() -> None:
    glued = "import a\n```python\nreturn a```\n"
    assert code_of(IN_FUNCTION, glued, "lenient") == "    import a\n    return a\n"
    assert code_of(FREE, "So:\n```python\nresult = 1```\n", "lenient") == "result = 1\n"


def test_lenient_takes_what_a_whole_function_needs() -> None:
    whole = (
        "So:\n```python\nimport a\nimport b\nx = 1\n\ndef g(y):\n    return y\n\n"
        "@b.cache\ndef f(x=x):\n    return g(a.h(x))\n\nprint(f())\n```"
    )
    assert code_of(IN_FUNCTION, whole, "lenient") == (
        "    import a\n    def g(y):\n        return y\n    return g(a.h(x))"
    )


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("def f(x): return x + 1\n", "    return x + 1"),
        ("def f(x='\u00e9'): return [x,\n  1]\n", "    return [x,\n  1]"),
        ("def f(x,\n      y='\u00e9'): return x\n", "    return x"),
        ("def f(x):\n  y = '''\na'''\n  return y\n", "  y = '''\na'''\n  return y"),
        ("y = '''a\nb'''\nreturn y\n", "    y = '''a\nb'''\n    return y\n"),
        ("# so\n    return x\n", "# so\n    return x\n"),
        ("def f(x):\n    @a\n    def g(): pass\n    return g\n", "    @a\n    def g(): pass\n    return g"),
    ],
)
def test_lenient_alters_nothing_in_a_body(code: str, body: str) -> None:
    assert code_of(IN_FUNCTION, f"So:\n```python\n{code}```", "lenient") == body


@pytest.mark.parametrize("task_id", ["17", 17, "ds1000/17", "DS-1000/17"])
def test_a_problem_may_be_named_in_four_ways(task_id: object) -> None:
    assert (
        as_sample_row("", {"task_id": task_id, "completion": "x"}, dict.fromkeys(["17"]))["task_id"] == "17"
    )


@pytest.mark.parametrize("code", ["x", ["x"], ["x", "y"]])
def test_a_row_of_the_official_answer_files_is_a_sample(code: object) -> None:
    row = as_sample_row("", {"code": code, "metadata": {"problem_id": 3}}, dict.fromkeys(["3"]))
    assert row == {"task_id": "3", "completion": "x"}


@pytest.mark.parametrize("number", [True, "3", None])
def test_a_problem_of_the_official_answer_files_is_named_by_a_number(number: object) -> None:
    with pytest.raises(DataFileError, match="not a number"):
        as_sample_row("", {"code": "x", "metadata": {"problem_id": number}}, dict.fromkeys(["3"]))


def test_other_rows_are_left_alone() -> None:
    for row in (
        {"task_id": 11, "completion": ""},
        {"task_id": "HumanEval/17", "completion": ""},
        {"code": ""},
    ):
        assert as_sample_row("", row, dict.fromkeys(["Mbpp/11", "HumanEval/17", "17"])) == row


def test_an_answer_to_a_problem_of_another_library_is_refused() -> None:
    answerable = {"3": Problem(task_id="3", prompt="", tags={"library": "Pandas"})}
    row = {"code": "x", "metadata": {"problem_id": 3, "library": "Numpy"}}
    with pytest.raises(DataFileError, match="problem 3 is one of Pandas"):
        as_sample_row("", row, answerable)

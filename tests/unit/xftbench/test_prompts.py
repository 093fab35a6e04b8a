import pytest

from xftbench.benchmarks import BENCHMARKS
from xftbench.errors import UsageProblem
from xftbench.prompts.render import find_style, render
from xftbench.prompts.templates import FAMILIES
from xftbench.records import FunctionProblem, Problem


def test_every_benchmark_has_styles() -> None:
    assert set(FAMILIES) >= set(BENCHMARKS)


def test_the_default_is_the_published_protocol() -> None:
    style = find_style("humaneval", None)
    assert (style.name, style.stop) == ("base", ("\nclass", "\ndef", "\n#", "\nif", "\nprint"))


def test_an_unknown_style_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageProblem, match="known: base, chat, magicoder"):
        find_style("humaneval", "instruct")


@pytest.mark.parametrize("style", FAMILIES["humaneval"].styles)
def test_no_prompt_ends_in_white_space(style: str, problems: dict[str, Problem]) -> None:
    for problem in problems.values():
        text = render(problem, find_style("humaneval", style)).text
        assert text == text.rstrip(), problem.task_id
        assert problem.prompt.strip() in text


def test_braces_in_a_prompt_survive(problems: dict[str, Problem]) -> None:
    problem = problems["HumanEval/95"]  # its docstring holds dictionaries
    assert "{" in problem.prompt
    assert render(problem, find_style("humaneval", "base")).text == problem.prompt.rstrip()


def test_the_magicoder_prompt_is_the_papers() -> None:
    problem = FunctionProblem(
        task_id="T/0", prompt="def f():\n    pass\n", entry_point="f", canonical_solution="", test=""
    )
    prompt = render(problem, find_style("humaneval", "magicoder"))
    # ise-uiuc/xft @4c5e439: MAGICODER_PROMPT with the instruction and response prefix of text2code.py
    assert prompt.text == (
        "You are an exceptionally intelligent coding assistant that consistently delivers accurate and "
        "reliable responses to user instructions.\n\n"
        "@@ Instruction\nWrite a solution to the following problem:\n"
        "```python\ndef f():\n    pass\n```\n\n"
        "@@ Response\n```python\ndef f():\n    pass"
    )
    assert prompt.stop == ("```",)
    assert not prompt.is_chat

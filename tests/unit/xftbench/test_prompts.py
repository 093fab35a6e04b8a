import pytest

from xftbench.benchmarks import BENCHMARKS
from xftbench.errors import UsageProblem
from xftbench.prompts.presets import Selection, expand
from xftbench.prompts.render import find_style, render
from xftbench.prompts.style import PromptStyle
from xftbench.prompts.templates import FAMILIES
from xftbench.records import AssertProblem, FunctionProblem, Problem


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


def everything() -> list[PromptStyle]:
    return [style for family in FAMILIES.values() for style in family.styles.values()]


PLUS = Problem(
    task_id="Mbpp/2",
    prompt='"""\nWrite a function to add\nassert add(1, 2) == {3}\n"""\n',
    entry_point="add",
)
JAVA = Problem(
    task_id="T", prompt="\nclass Problem {\n    static int f() {\n", language="java", stop=("\n    }\n",)
)


@pytest.mark.parametrize("style", everything(), ids=lambda style: f"{style.family}-{style.name}")
def test_a_style_names_its_family_its_source_and_how_it_is_decoded(style: PromptStyle) -> None:
    assert FAMILIES[style.family].styles[style.name] is style
    assert style.source
    assert style.sampling.n >= 1
    assert (style.sampling.n == 1) or style.sampling.temperature > 0, "greedy draws are all alike"


def test_evalplus_base_asks_with_a_newline_and_its_own_stops() -> None:
    for suite, ends in (("humaneval+", "\nassert "), ("mbpp+", "\nassert")):
        style = find_style(suite, None)
        assert render(PLUS, style).text == PLUS.prompt.strip() + "\n"
        assert style.stop[:3] == ("<|endoftext|>", "<|endofmask|>", "</s>")
        assert style.stop[-1] == ends
        assert (style.sampling.max_new_tokens, style.sampling.temperature) == (768, 0)


def test_evalplus_instruct_opens_the_reply_with_a_sentence_and_a_fence() -> None:
    prompt = render(PLUS, find_style("mbpp+", "instruct"))
    # evalplus 0.3.1, codegen.py and provider/utility.py, written out
    assert prompt.text == (
        "Please provide a self-contained Python script that solves the following problem in a markdown code "
        'block:\n```\n"""\nWrite a function to add\nassert add(1, 2) == {3}\n"""\n```\n'
    )
    assert prompt.response == (
        "Below is a Python script with a self-contained function that solves the problem and passes "
        "corresponding tests:\n```python\n"
    )
    assert prompt.is_chat
    assert "\n```\n" in prompt.stop
    assert "\ndef " not in prompt.stop, "a helper may follow"


def test_the_papers_mbpp_prompt_has_one_assertion_and_a_full_stop() -> None:
    assert render(PLUS, find_style("mbpp+", "magicoder")).text.endswith(
        "@@ Instruction\nWrite a function to add. Your code should satisfy the following assertion:\n"
        "```python\nassert add(1, 2) == {3}\n```\n\n@@ Response\n```python"
    )


def test_mbpp_is_asked_with_three_solved_examples() -> None:
    def problem(number: int, shots: tuple[AssertProblem, ...] = ()) -> AssertProblem:
        return AssertProblem(
            task_id=f"Mbpp/{number}", prompt=f"Task {number}.", canonical_solution=f"def f{number}(): pass",
            setup="", tests=(f"assert a{number}", f"assert b{number}"), shots=shots,
        )  # fmt: skip

    prompt = render(problem(11, (problem(2), problem(3), problem(4))), find_style("mbpp", None))
    asked = "You are an expert Python programmer, and here is your task: Task {0}. Your code should pass "
    asked += "these tests:\n\nassert a{0}\nassert b{0}\n[BEGIN]\n"
    shot = asked + "def f{0}(): pass\n[DONE]\n\n"
    assert prompt.text == shot.format(2) + shot.format(3) + shot.format(4) + asked.format(11)
    assert prompt.stop == ("[DONE]",)


def test_multipl_e_is_asked_stripped_and_ends_at_the_rows_stops() -> None:
    prompt = render(JAVA, find_style("multipl-e", None))
    assert prompt.text == JAVA.prompt.strip()
    assert prompt.stop == JAVA.stop
    sampling = find_style("multipl-e", None).sampling
    assert (sampling.n, sampling.temperature, sampling.top_p) == (20, 0.2, 0.95)


def test_a_reply_in_prose_does_not_end_where_a_completion_would() -> None:
    prompt = render(JAVA, find_style("multipl-e", "chat"))
    assert prompt.stop == ()
    assert "Java" in prompt.text
    assert "```java\n" in prompt.text


def test_what_fills_a_hole_is_not_searched_for_holes() -> None:
    problem = Problem(task_id="T", prompt="def f():\n    '{stripped} {prompt} {x}'\n")
    assert render(problem, find_style("humaneval", "base")).text == problem.prompt.rstrip()


def test_the_papers_suites_are_asked_as_the_paper_did() -> None:
    chosen = expand(["xft-paper"])
    assert [selection.suite for selection in chosen] == [
        "humaneval+@v0.1.9", "mbpp+@v0.1.0", "multipl-e:java,js,cpp,php,swift,rs", "ds1000",
    ]  # fmt: skip
    assert {selection.style for selection in chosen} == {"magicoder"}
    assert expand(["humaneval", "humaneval"]) == [Selection("humaneval")]

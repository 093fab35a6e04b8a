"""DS-1000's styles. Holes: ``{raw}``, the prompt itself; ``{instruction}`` and ``{opening}``, the paper's.

The prompt comes in three shapes, and how it ends is part of it: 774 end behind ``<code>``, 155 (Matplotlib)
behind ``# SOLUTION START``, and 71 inside a function, behind ``### BEGIN SOLUTION`` and without a newline, so
that the completion has to bring its indentation along.
"""

from collections.abc import Mapping

from xftbench.prompts import magicoder
from xftbench.prompts.style import PromptStyle, family, prompt_holes
from xftbench.records import Problem, SamplingParams

_STOPS = ("</code>", "# SOLUTION END")
_OFFICIAL = "xlang-ai/DS-1000 @b39aab7"
_GREEDY = SamplingParams(n=1, temperature=0.0, top_p=1.0, max_new_tokens=1024)

# The official chat runner says this as the system's message; not every chat template has one, so here it
# stands before the prompt in the user's.
_INSTRUCT = """\
Write a short code following the given format and indentation. Place the executable code between <code> and \
</code> tags, without any other non-executable things.

{raw}"""
_INSTRUCT_BRIEF = """\
Only provide the code completion needed. Don't repeat the context code.

{raw}"""
_CHAT = """\
Complete the program below. Reply with only the code that belongs at the marked place, in one ```python \
block. The inputs are defined already: do not define them again.

{raw}"""

_BASE = PromptStyle(
    family="ds1000",
    name="base",
    template="{raw}",
    stop=_STOPS,
    extraction="insert",
    sampling=_GREEDY,
    source=f"{_OFFICIAL}, run_inference.py",
)


def _chat(name: str, template: str, source: str) -> PromptStyle:
    return PromptStyle(
        family="ds1000",
        name=name,
        template=template,
        is_chat=True,
        extraction="insert",
        policy="lenient" if name == "chat" else "strict",
        sampling=_GREEDY,
        source=source,
    )


# The paper's 1024 tokens include the prompt's; here they are the reply's.
_PAPER = PromptStyle(
    family="ds1000",
    name="magicoder",
    template=magicoder.template("{instruction}"),
    response="{opening}",
    stop=("```",),
    extraction="insert",
    sampling=SamplingParams(n=40, temperature=0.2, top_p=0.5, max_new_tokens=1024),
    source="ise-uiuc/xft @4c5e439, experiments/ds_1000.py, Completion",
)


def holes(problem: Problem) -> Mapping[str, str]:
    """Return what a problem puts into the templates."""
    instruction, opening = _in_the_papers_words(problem.prompt)
    return prompt_holes(problem) | {
        "raw": problem.prompt,
        "instruction": _fenced(instruction),
        "opening": _fenced(opening),
    }


def _in_the_papers_words(prompt: str) -> tuple[str, str]:
    """Return the question, and the code that the response is opened with.

    The code behind the last ``A:`` opens the response; where to put the result becomes a comment in it.
    """
    if "SOLUTION START" in prompt:
        code = prompt[: prompt.rindex("# SOLUTION START")].strip()
        question = f"Write a solution to the following problem:\n```python\n{code}\n```"
        return question, f"```python\n{code}\n# Solution\n"
    question, _, answer = prompt.rpartition("A:")
    question = question.strip().removeprefix("Problem:").strip()
    lines = answer.strip().splitlines()
    if "### BEGIN SOLUTION" in prompt:
        body = "\n".join(lines[:-3]).strip()  # behind it two comments and the marker
        return question, f"{body}\n{lines[-1].replace('### BEGIN SOLUTION', '# Solution')}\n"
    end = len(lines) - 1 - [line.strip() for line in reversed(lines)].index("</code>")
    hints = [f"# {line.lstrip()}" for line in lines[end + 1 : -2]]  # behind them the marker and <code>
    return question, "\n".join([*lines[:end], *hints]).strip() + "\n# Solution\n"


def _fenced(text: str) -> str:
    return text.replace("<code>", "```python").replace("</code>", "```")


DS1000 = family(
    [
        _BASE,
        _chat("instruct", _INSTRUCT, f"{_OFFICIAL}, run_openai.py"),
        _chat("instruct-brief", _INSTRUCT_BRIEF, f"{_OFFICIAL}, run_openai.py, for gpt-4o"),
        _chat("chat", _CHAT, "xftbench"),
        _PAPER,
    ],
    holes,
)

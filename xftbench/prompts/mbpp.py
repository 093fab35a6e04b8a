"""MBPP's styles. Holes: ``{text}``, ``{task}``, ``{tests}``, ``{assertion}``, ``{shots}``, ``{stripped}``."""

from collections.abc import Mapping

from xftbench.prompts import evalplus, humaneval
from xftbench.prompts.style import PromptStyle, family
from xftbench.records import AssertProblem, Problem, SamplingParams

# The format of the data's README. What stands between two examples is not published; here it is a blank line.
_ASKED = """\
You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:

{tests}
[BEGIN]
"""
_CHAT = """\
{task} Your code should pass these tests:
```python
{tests}
```
Reply with the whole program in one ```python block."""

_BASE = PromptStyle(
    family="mbpp",
    name="base",
    template="{shots}" + _ASKED,
    stop=("[DONE]",),
    extraction="alone",
    sampling=SamplingParams(max_new_tokens=512),
    source="Austin et al. 2021; google-research, mbpp/README.md: shots are problems 2, 3 and 4; greedy",
)


def _holes(problem: Problem) -> Mapping[str, str]:
    assert isinstance(problem, AssertProblem)
    task = problem.prompt.strip()
    shots = [f"{_asked(shot)}{shot.canonical_solution.strip()}\n[DONE]\n\n" for shot in problem.shots]
    return {
        "text": task,
        "task": task if task.endswith(".") else f"{task}.",
        "tests": "\n".join(problem.tests),
        "assertion": problem.tests[0],
        "shots": "".join(shots),
        "stripped": f'"""\n{task}\n{problem.tests[0]}\n"""',
    }


def _asked(shot: AssertProblem) -> str:
    return _ASKED.replace("{text}", shot.prompt.strip()).replace("{tests}", "\n".join(shot.tests))


MBPP = family(
    [
        _BASE,
        evalplus.instruct("mbpp"),
        humaneval.chat("mbpp", _CHAT),
        evalplus.mbpp_paper("mbpp"),
    ],
    _holes,
)

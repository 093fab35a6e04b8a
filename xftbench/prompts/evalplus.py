r"""HumanEval+ and MBPP+ as evalplus asks them, and as the XFT paper does.

Parity: evalplus' prompts end in a newline (``prompt.strip() + "\n"``, codegen.py). A model whose tokenizer
has one token for a newline and its indentation can then hardly begin the body: SmolLM2-135M solved 0 of 164
HumanEval problems that way and 6 without the newline. It is kept, because it is the protocol behind the
published numbers; ``--style chat`` and the paper's ``magicoder`` don't have it.
"""

from collections.abc import Mapping

from xftbench.prompts import humaneval, magicoder
from xftbench.prompts.style import PromptStyle, family, prompt_holes
from xftbench.records import Problem, SamplingParams

_SOURCE = "evalplus 0.3.1 (master 26d6d00), codegen.py and provider/utility.py"
_SAMPLING = SamplingParams(n=1, temperature=0.0, top_p=1.0, max_new_tokens=768)
_STOPS = ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(")
_BASE_STOPS = {
    "humaneval+": ("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "),
    "mbpp+": ('\n"""', "\nassert"),
}

_INSTRUCTION = """\
Please provide a self-contained Python script that solves the following problem in a markdown code block:
```
{stripped}
```
"""
_RESPONSE = """\
Below is a Python script with a self-contained function that solves the problem and passes corresponding \
tests:
```python
"""

_MBPP_CHAT = """\
Write a Python program for the following task. Reply with the whole program in one ```python block.

{stripped}"""


def _base(name: str) -> PromptStyle:
    return PromptStyle(
        family=name,
        name="base",
        template="{stripped}\n",
        stop=_STOPS + _BASE_STOPS[name],
        extraction="append_stripped",
        policy="lenient",
        sampling=_SAMPLING,
        source=_SOURCE,
    )


def instruct(name: str) -> PromptStyle:
    """Return evalplus' style for chat models: the reply is opened with a sentence and a fence."""
    return PromptStyle(
        family=name,
        name="instruct",
        template=_INSTRUCTION,
        response=_RESPONSE,
        is_chat=True,
        stop=(*_STOPS, "\n```\n"),
        extraction="alone",
        policy="lenient",
        sampling=_SAMPLING,
        source=_SOURCE,
    )


def mbpp_paper(name: str) -> PromptStyle:
    """Return the paper's style for MBPP: the task, and exactly one assertion."""
    return PromptStyle(
        family=name,
        name="magicoder",
        template=magicoder.template(
            "{task} Your code should satisfy the following assertion:\n```python\n{assertion}\n```"
        ),
        response="```python",
        stop=("```",),
        extraction="alone",
        policy="lenient",
        sampling=magicoder.GREEDY,
        source=f"{magicoder.SOURCE}; then evalplus' tools.sanitize",
    )


def mbpp_holes(problem: Problem) -> Mapping[str, str]:
    """Return also ``{task}``, which ends with a full stop, and ``{assertion}``, out of evalplus' docstring.

    Source: ise-uiuc/xft @4c5e439, experiments/text2code.py, map_mbpp_problem.
    """
    text = problem.prompt.strip().removeprefix('"""').removesuffix('"""')
    task, _, rest = text.partition("assert")
    task = task.strip()
    return prompt_holes(problem) | {
        "task": task if task.endswith(".") else f"{task}.",
        "assertion": f"assert{rest}".strip() if rest else "",
    }


HUMANEVAL_PLUS = family(
    [
        _base("humaneval+"),
        instruct("humaneval+"),
        humaneval.chat("humaneval+", max_new_tokens=768),
        humaneval.paper("humaneval+"),
    ],
    prompt_holes,
)
MBPP_PLUS = family(
    [
        _base("mbpp+"),
        instruct("mbpp+"),
        humaneval.chat("mbpp+", _MBPP_CHAT, max_new_tokens=768),
        mbpp_paper("mbpp+"),
    ],
    mbpp_holes,
)

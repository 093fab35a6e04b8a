"""HumanEval's styles. Holes: ``{prompt}`` and ``{stripped}``."""

from xftbench.prompts import magicoder
from xftbench.prompts.style import PromptStyle, family, prompt_holes
from xftbench.records import SamplingParams

# Chen et al. 2021 (arXiv:2107.03374), section 2.1: sampling ends at these.
_CODEX_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")

CHAT = """\
Complete the following Python function. Reply with the whole function in one ```python block.

```python
{prompt}
```"""

_BASE = PromptStyle(
    family="humaneval",
    name="base",
    template="{prompt}",
    stop=_CODEX_STOPS,
    extraction="append",
    sampling=SamplingParams(max_new_tokens=512),
    source="Chen et al. 2021, section 2.1; greedy, as in the evalplus and bigcode leaderboards",
)


def chat(name: str, template: str = CHAT, max_new_tokens: int = 512) -> PromptStyle:
    """Return our own chat style for a family of Python functions."""
    return PromptStyle(
        family=name,
        name="chat",
        template=template,
        is_chat=True,
        extraction="chat",
        policy="lenient",
        sampling=SamplingParams(max_new_tokens=max_new_tokens),
        source="xftbench",
    )


def paper(name: str) -> PromptStyle:
    """Return the paper's style: the response is opened with a fence and the prompt itself."""
    return PromptStyle(
        family=name,
        name="magicoder",
        template=magicoder.template("Write a solution to the following problem:\n```python\n{stripped}\n```"),
        response="```python\n{stripped}",
        stop=("```",),
        extraction="append",
        sampling=magicoder.GREEDY,
        source=magicoder.SOURCE,
    )


HUMANEVAL = family([_BASE, chat("humaneval"), paper("humaneval")], prompt_holes)

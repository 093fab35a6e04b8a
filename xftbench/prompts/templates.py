"""The literal wording of every prompt style, with its stop strings and the source of both."""

from xftbench.prompts.extract import ExtractionName
from xftbench.records import Record


class PromptStyle(Record):
    """How a benchmark's problems are worded, when generation ends, and how the reply is read."""

    name: str
    template: str
    """Text with a ``{prompt}`` hole, which takes the problem's prompt without trailing white space: the
    tokens of ``\\n`` plus indentation can't be produced by a model whose prompt already ends in ``\\n``."""
    is_chat: bool
    """Whether the checkpoint's own chat template goes around the text."""
    stop: tuple[str, ...]
    extraction: ExtractionName
    source: str


# Chen et al. 2021 (arXiv:2107.03374), section 2.1: sampling ends at these.
_CODEX_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")

_HUMANEVAL_CHAT = """\
Complete the following Python function. Reply with the whole function in one ```python block.

```python
{prompt}
```"""

# Fixed by the protocol of the XFT paper, which took it from Magicoder: the response is opened with a fence
# and the prompt itself, so the reply continues the function and ends at the closing fence.
_HUMANEVAL_MAGICODER = """\
You are an exceptionally intelligent coding assistant that consistently delivers accurate and reliable \
responses to user instructions.

@@ Instruction
Write a solution to the following problem:
```python
{prompt}
```

@@ Response
```python
{prompt}"""

_HUMANEVAL_STYLES = (
    PromptStyle(
        name="base",
        template="{prompt}",
        is_chat=False,
        stop=_CODEX_STOPS,
        extraction="append",
        source="Chen et al. 2021, section 2.1",
    ),
    PromptStyle(
        name="chat",
        template=_HUMANEVAL_CHAT,
        is_chat=True,
        stop=(),
        extraction="chat",
        source="xftbench",
    ),
    PromptStyle(
        name="magicoder",
        template=_HUMANEVAL_MAGICODER,
        is_chat=False,
        stop=("```",),
        extraction="append",
        source="ise-uiuc/xft @4c5e439, experiments/text2code.py",
    ),
)

STYLES: dict[str, dict[str, PromptStyle]] = {
    "humaneval": {style.name: style for style in _HUMANEVAL_STYLES},
}
"""Benchmark -> name of the style -> style; the first one is the benchmark's published protocol."""

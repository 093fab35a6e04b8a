"""(Problem, style) -> Prompt."""

import re
from collections.abc import Mapping, Sequence

from xftbench.errors import UsageProblem
from xftbench.prompts.style import PromptStyle
from xftbench.prompts.templates import FAMILIES
from xftbench.records import Problem, Prompt

_HOLE = re.compile(r"\{(\w+)\}")


def find_style(benchmark: str, name: str | None) -> PromptStyle:
    """Return a benchmark's style by name; without a name, that of its published protocol.

    Raises:
        UsageProblem: If the benchmark has no such style.
    """
    styles = FAMILIES[benchmark].styles
    if name is None:
        return next(iter(styles.values()))
    if name not in styles:
        raise UsageProblem(f"{benchmark} has no prompt style {name!r}", hint="known: " + ", ".join(styles))
    return styles[name]


def render(problem: Problem, style: PromptStyle) -> Prompt:
    """Return what is sent to the model for one problem."""
    holes = FAMILIES[style.family].holes(problem)
    text, response = (_fill(template, holes) for template in (style.template, style.response))
    # A reply in prose must not end where a completion of the function would.
    own_stops = problem.stop if style.extraction in ("append", "append_stripped") else ()
    return Prompt(
        task_id=problem.task_id,
        text=text if style.is_chat else text + response,
        response=response if style.is_chat else "",
        is_chat=style.is_chat,
        stop=tuple(dict.fromkeys((*style.stop, *own_stops))),
    )


def _fill(template: str, holes: Mapping[str, str]) -> str:
    """Fill the holes in one pass: what fills one is not searched for others; prompts are full of braces."""
    return _HOLE.sub(lambda match: holes[match[1]], template)


def render_all(problems: Sequence[Problem], style: PromptStyle) -> tuple[Prompt, ...]:
    """Return the prompts of several problems, in their order."""
    return tuple(render(problem, style) for problem in problems)

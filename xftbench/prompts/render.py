"""(Problem, style) -> Prompt."""

from collections.abc import Sequence

from xftbench.errors import UsageProblem
from xftbench.prompts.templates import STYLES, PromptStyle
from xftbench.records import Problem, Prompt


def find_style(benchmark: str, name: str | None) -> PromptStyle:
    """Return a benchmark's style by name; without a name, that of its published protocol.

    Raises:
        UsageProblem: If the benchmark has no such style.
    """
    styles = STYLES[benchmark]
    if name is None:
        return next(iter(styles.values()))
    if name not in styles:
        raise UsageProblem(f"{benchmark} has no prompt style {name!r}", hint="known: " + ", ".join(styles))
    return styles[name]


def render(problem: Problem, style: PromptStyle) -> Prompt:
    """Return what is sent to the model for one problem."""
    # Not str.format: prompts are full of braces.
    text = style.template.replace("{prompt}", problem.prompt.rstrip())
    return Prompt(task_id=problem.task_id, text=text, is_chat=style.is_chat, stop=style.stop)


def render_all(problems: Sequence[Problem], style: PromptStyle) -> tuple[Prompt, ...]:
    """Return the prompts of several problems, in their order."""
    return tuple(render(problem, style) for problem in problems)

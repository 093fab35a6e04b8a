"""What a prompt style is: the whole protocol by which a benchmark is put to a model and its reply is read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from xftbench.records import Problem, Record, SamplingParams

ExtractionName = Literal["given", "append", "append_stripped", "alone", "insert", "chat"]
"""How the completion relates to the program; see `extract`."""

Policy = Literal["strict", "lenient"]
"""`strict`: the protocol's literal rule. `lenient`: where that gives no program, the code is looked for."""


class PromptStyle(Record, kw_only=True):
    """How a benchmark's problems are worded, drawn, ended and read."""

    family: str
    """The benchmark that it is for."""
    name: str
    template: str
    """Text with holes such as ``{prompt}``; what fills them is said where the family is defined."""
    response: str = ""
    """Opens the model's own turn; the reply goes on from there. In a chat it stands inside the template."""
    is_chat: bool = False
    """Whether the checkpoint's own chat template goes around the text."""
    stop: tuple[str, ...] = ()
    """Generation ends before the first of these, or of the problem's own stop strings."""
    extraction: ExtractionName
    policy: Policy = "strict"
    """What `--extraction` defaults to."""
    sampling: SamplingParams = SamplingParams()
    """What `--n`, `--temperature`, `--top-p` and `--max-new-tokens` default to."""
    source: str
    """Where the wording, the stops and the decoding were published."""


class Family(NamedTuple):
    """The styles of one benchmark."""

    styles: Mapping[str, PromptStyle]
    """By name; the first one is the benchmark's published protocol."""
    holes: Callable[[Problem], Mapping[str, str]]
    """What a problem puts into the holes of the templates."""


def family(styles: Sequence[PromptStyle], holes: Callable[[Problem], Mapping[str, str]]) -> Family:
    """Return the styles of one benchmark by name."""
    return Family({style.name: style for style in styles}, holes)


def prompt_holes(problem: Problem) -> dict[str, str]:
    r"""Return the holes that every benchmark has.

    ``{prompt}`` ends without white space: the tokens of ``\n`` plus indentation can't be produced by a model
    whose prompt already ends in ``\n``. ``{stripped}`` has none at its start either.
    """
    return {"prompt": problem.prompt.rstrip(), "stripped": problem.prompt.strip()}

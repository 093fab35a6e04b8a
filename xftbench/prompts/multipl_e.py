"""MultiPL-E's styles, for every language. Holes: ``{prompt}``, ``{stripped}``, ``{language}``, ``{fence}``.

The prompt goes to the model without the white space around it and into the program with it; generation ends
at the stop strings of each row, because in many languages the tests bring the closing brace.
"""

from collections.abc import Mapping

from xftbench.benchmarks.multipl_e_parts import LANGUAGES
from xftbench.prompts import magicoder
from xftbench.prompts.style import PromptStyle, family, prompt_holes
from xftbench.records import Problem, SamplingParams

_FENCE_TAGS = {
    "clj": "clojure", "cs": "csharp", "hs": "haskell", "jl": "julia", "js": "javascript", "ml": "ocaml",
    "pl": "perl", "rb": "ruby", "rkt": "racket", "rs": "rust", "sh": "bash", "ts": "typescript",
}  # fmt: skip
"""MultiPL-E's abbreviation -> the language's tag on a fence, where that is another word."""

_CHAT = """\
Complete the following {language} code. Reply with the whole code in one ```{fence} block.

```{fence}
{prompt}
```"""

_STYLES = (
    PromptStyle(
        family="multipl-e",
        name="base",
        template="{stripped}",
        extraction="append",
        sampling=SamplingParams(n=20, temperature=0.2, top_p=0.95, max_new_tokens=1024),
        source="nuprl/MultiPL-E: automodel.py, 20 completions at 0.2 as in its tutorial; stops of each row",
    ),
    PromptStyle(
        family="multipl-e",
        name="chat",
        template=_CHAT,
        is_chat=True,
        extraction="chat",
        policy="lenient",
        sampling=SamplingParams(max_new_tokens=1024),
        source="xftbench",
    ),
    PromptStyle(
        family="multipl-e",
        name="magicoder",
        template=magicoder.template(
            "Write a solution to the following problem:\n```{fence}\n{stripped}\n```"
        ),
        response="```{fence}\n{stripped}",
        stop=("```",),
        extraction="append",
        sampling=magicoder.GREEDY,
        source=f"{magicoder.SOURCE}, as for HumanEval; its decoding for MultiPL-E is not published",
    ),
)


def holes(problem: Problem) -> Mapping[str, str]:
    """Return also the language's name and its tag on a fence."""
    language = problem.language
    name = LANGUAGES.get(language, (language,))[0]
    return prompt_holes(problem) | {"language": name, "fence": _FENCE_TAGS.get(language, language)}


MULTIPL_E = family(_STYLES, holes)

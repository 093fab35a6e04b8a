"""The parts of MultiPL-E that can be selected: a source (HumanEval or MBPP) in a language."""

from collections.abc import Sequence
from typing import NamedTuple

from xftbench.benchmarks.suggest import suggestion
from xftbench.errors import UsageProblem

SOURCES = ("humaneval", "mbpp")

LANGUAGES: dict[str, tuple[str, ...]] = {
    "cpp": ("C++", "c++", "cc", "cxx"),
    "cs": ("C#", "c#", "csharp"),
    "d": ("D", "dlang"),
    "go": ("Go", "golang", "go_test.go"),
    "java": ("Java",),
    "jl": ("Julia", "julia"),
    "js": ("JavaScript", "javascript", "node"),
    "lua": ("Lua",),
    "php": ("PHP",),
    "pl": ("Perl", "perl"),
    "r": ("R",),
    "rb": ("Ruby", "ruby"),
    "rkt": ("Racket", "racket"),
    "rs": ("Rust", "rust"),
    "scala": ("Scala",),
    "sh": ("Bash", "bash", "shell"),
    "swift": ("Swift",),
    "ts": ("TypeScript", "typescript"),
    "clj": ("Clojure", "clojure"),
    "elixir": ("Elixir", "ex"),
    "hs": ("Haskell", "haskell"),
    "ml": ("OCaml", "ocaml"),
}
"""Upstream's abbreviation -> the language's name, and other ways to write it."""

UNPINNED = ("clj", "elixir", "hs", "ml")
"""Later additions of upstream, of whose published files no copy was at hand when the content was pinned."""

GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(language for language in LANGUAGES if language not in UNPINNED),
    "paper": ("java", "js", "cpp", "php", "swift", "rs"),  # the six that the XFT paper reports
}

_BY_ALIAS = {alias.lower(): name for name, aliases in LANGUAGES.items() for alias in (name, *aliases)}


class Part(NamedTuple):
    """One file of the benchmark."""

    source: str
    language: str

    @property
    def config(self) -> str:
        """Name of the part in upstream's data set, such as ``humaneval-java``."""
        return f"{self.source}-{self.language}"


WHOLE = tuple(Part("humaneval", language) for language in GROUPS["all"])
"""What MultiPL-E without further words means: its translations of HumanEval."""


def language_of(word: str) -> str | None:
    """Return upstream's abbreviation of a language that is written in any known way."""
    return _BY_ALIAS.get(word.strip().lower())


def parse_parts(words: Sequence[str]) -> tuple[Part, ...]:
    """Return the parts that some words select, in the order of `LANGUAGES`.

    A word is a language or a group, alone (then HumanEval's problems are meant) or behind ``humaneval-`` or
    ``mbpp-``: ``java``, ``mbpp-c++``, ``paper``, ``mbpp-all``.

    Raises:
        UsageProblem: If a word is neither; near ones are suggested.
    """
    chosen = {part for word in words for part in _parse(word)}
    return tuple(
        part for source in SOURCES for language in LANGUAGES if (part := Part(source, language)) in chosen
    )


def words(parts: Sequence[Part]) -> list[str]:
    """Return the shortest words that select some parts."""
    chosen: list[str] = []
    for source in SOURCES:
        prefix = "" if source == "humaneval" else f"{source}-"
        languages = [part.language for part in parts if part.source == source]
        group = [name for name, members in GROUPS.items() if set(members) == set(languages)]
        chosen += [prefix + name for name in group or languages]
    return chosen


def _parse(word: str) -> list[Part]:
    source, _, rest = word.strip().lower().rpartition("-")
    source = source or "humaneval"
    languages = GROUPS.get(rest) or tuple(_BY_ALIAS[name] for name in [rest] if name in _BY_ALIAS)
    if source not in SOURCES or not languages:
        raise UsageProblem(f"multipl-e has no part {word!r}", hint=_advice(word))
    return [Part(source, language) for language in languages]


def _advice(word: str) -> str:
    if word.strip().lower() in SOURCES:
        return f"name languages: {word}-all, {word}-paper or {word}-java"
    prefix = "mbpp-" if word.lower().startswith("mbpp-") else ""
    known = [*LANGUAGES, *GROUPS, *(alias for alias in _BY_ALIAS if alias not in LANGUAGES)]
    return suggestion(prefix + word.lower().removeprefix(prefix), [prefix + name for name in known])

"""Markdown's fenced blocks, in one pass over the lines of a reply."""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[\w+#.-]*)")

_TAGS = {
    "python": {"python", "python3", "py", "py3"},
    "cpp": {"cpp", "c++", "cc", "cxx", "c"},
    "cs": {"cs", "csharp", "c#"},
    "js": {"js", "javascript", "node", "jsx", "mjs"},
    "ts": {"ts", "typescript", "tsx"},
    "rs": {"rs", "rust"},
    "jl": {"jl", "julia"},
    "pl": {"pl", "perl"},
    "rb": {"rb", "ruby"},
    "rkt": {"rkt", "racket", "scheme", "lisp"},
    "sh": {"sh", "bash", "shell", "zsh"},
    "go": {"go", "golang", "go_test.go"},
    "hs": {"hs", "haskell"},
    "ml": {"ml", "ocaml"},
    "adb": {"adb", "ada"},
    "clj": {"clj", "clojure"},
}


class Block(NamedTuple):
    """A fenced block, without its fences."""

    code: str
    closed: bool
    """False if the text ended first, as it does at a token limit."""


def tags(language: str) -> set[str]:
    """Return the tags that name a language on a fence, and the empty one, which many replies have."""
    return {"", *_TAGS.get(language, {language})}


def fenced_blocks(text: str, accepted: Collection[str]) -> Iterator[Block]:
    """Yield the blocks whose tag is accepted; the last may lack its closing fence."""
    lines: list[str] | None = None
    fence, indent, wanted = "", 0, False
    for line in text.splitlines(keepends=True):
        match = _FENCE.match(line)
        if lines is None:
            if match:
                fence, indent = match["fence"], len(match["indent"])
                lines, wanted = [], match["tag"].lower() in accepted
        elif match and match["fence"].startswith(fence) and not match["tag"]:
            if wanted:
                yield Block("".join(lines), closed=True)
            lines = None
        else:
            lines.append(_outdented(line, indent))
    if lines and wanted:
        yield Block("".join(lines), closed=False)


def _outdented(line: str, indent: int) -> str:
    """Take from a line what its fence is indented by, as in a list item."""
    return line[min(indent, len(line) - len(line.lstrip(" \t"))) :]


def without_reasoning(reply: str) -> str:
    """Return what follows a reasoning model's thoughts: they are no part of its reply."""
    return reply.rpartition("</think>")[2]

"""Markdown's fenced blocks, in one pass over the lines of a reply."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[\w+#.-]*)")
_IN_LIST = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?=```|~~~)")
_QUOTED = re.compile(r"^> ?", re.MULTILINE)
# Not in comments of code, which may quote Markdown. Runs that meet are possessive: they split in one way.
_GLUED = re.compile(
    r"(?:(?<=[^`\s/#*])|(?<=[\w)\]}\"'.:])[ \t]++)(`{3,}+[ \t]*+[\w+#.-]*+)[ \t]*+$", re.MULTILINE
)

_TAGS = {
    "python": {"python", "py"},
    "cpp": {"cpp", "c++", "cc", "cxx", "c"},
    "cs": {"cs", "csharp", "c#"},
    "js": {"js", "javascript", "node", "jsx", "mjs"},
    "ts": {"ts", "typescript", "tsx"},
    "rs": {"rs", "rust"},
    "r": {"r", "rscript"},
    "d": {"d", "dlang"},
    "php": {"php", "html+php"},
    "elixir": {"elixir", "ex", "exs"},
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


# On a line of its own or at the end of one: a reply that mentions the tag in a sentence thinks no more.
_THOUGHTS = re.compile(
    r"^[ \t]*<think>.*?(?:</think>|\Z)"
    # What stands in a block is code, and may have the tag in a text.
    r"|^[ \t]*(?P<fence>`{3,}+|~{3,}+)[^`\n]*\n.*?(?:^[ \t]*(?P=fence)|\Z)",
    re.MULTILINE | re.DOTALL,
)
_COLOURS = re.compile(r"\x1B(?:[@-Z\\-_]|\[[0-?]*+[ -/]*+[@-~])|^\ufeff", re.MULTILINE)
_END_OF_THOUGHTS = re.compile(r"^[ \t]*</think>|(?<!#)(?<!# )</think>[ \t]*$", re.MULTILINE)  # no comment
_TOKEN = (
    r"<[|\uff5c](?:eot_id|eom_id|im_end|end|return|endoftext|end_of_text|end\u2581of\u2581sentence)[|\uff5c]>"
)
_END_OF_TURN = re.compile(
    rf"(?<=\S){_TOKEN}[ \t]*$|(?<=\S)</s>\s*\Z",  # `</s>` is HTML elsewhere
    re.MULTILINE,
)
_FINAL = "<|channel|>final<|message|>"
_ONLY_A_TOKEN = re.compile(rf"[ \t]*{_TOKEN}\s*")


class Block(NamedTuple):
    """A fenced block, without its fences."""

    code: str
    closed: bool
    """False if the text ended first, as it does at a token limit."""
    lines: range
    """Which lines of the text it takes, fences included."""


def tags(language: str) -> set[str]:
    """Return the tags that name a language on a fence, and the empty one, which many replies have."""
    return {"", *_TAGS.get(language, {language})}


def fenced_blocks(text: str, accepted: Collection[str] | None = None) -> Iterator[Block]:
    """Yield the blocks whose tag is accepted, with any version; the last may lack its closing fence."""
    lines: list[str] | None = None
    fence, indent, wanted, first = "", 0, False, 0
    text_lines = text.splitlines(keepends=True)
    for number, line in enumerate(text_lines):
        if lines is None and (item := _IN_LIST.match(line)):
            line = " " * item.end() + line[item.end() :]
        match = _FENCE.match(line)
        if lines is None:
            if match and not (
                match["fence"][0] == "`" and "`" in line[match.end() :]
            ):  # which is inline code
                fence, indent, first = match["fence"], len(match["indent"]), number
                tag = match["tag"].lower().rstrip(".0123456789")
                lines, wanted = [], accepted is None or tag in accepted
        elif match and match["fence"].startswith(fence) and not match["tag"]:
            if wanted:
                yield Block("".join(lines), closed=True, lines=range(first, number + 1))
            lines = None
        else:
            lines.append(_outdented(line, indent))
    if lines and wanted:
        yield Block("".join(lines), closed=False, lines=range(first, len(text_lines)))


def loosened(text: str) -> str:
    """Return a text whose fences stand alone: not behind code or a sentence, nor in a quotation."""
    return _GLUED.sub(r"\n\1", _QUOTED.sub("", text))


def before_fences(text: str) -> str:
    """Return what stands before the first fence of a text."""
    return re.split("```|~~~", text, maxsplit=1)[0]


def outside(text: str, blocks: Sequence[Block]) -> str:
    """Return the lines of a text that stand in none of its blocks."""
    inside = {number for block in blocks for number in block.lines}
    return "".join(line for number, line in enumerate(text.splitlines(keepends=True)) if number not in inside)


def indented(text: str) -> str:
    """Return the lines of Markdown's indented blocks: they begin behind an empty line, or the text does."""
    kept: list[str] = []
    may_begin = True
    for line in text.splitlines(keepends=True):
        is_inside = may_begin and (not line.strip() or line.startswith((" ", "\t")))
        if is_inside:
            kept.append(line)
        may_begin = is_inside or not line.strip()
    return "".join(kept)


def _outdented(line: str, indent: int) -> str:
    """Take from a line what its fence is indented by, as in a list item."""
    return line[min(indent, len(line) - len(line.lstrip(" \t"))) :]


def without_colours(reply: str) -> str:
    """Return a reply without a terminal's control sequences, which some servers put between its words.

    Nor has it a byte order mark, which is no Python.

    Source: evalplus master 26d6d00, sanitize.py.
    """
    return _COLOURS.sub("", reply)


def first_turn(reply: str) -> str:
    """Return what stands before a token that ends a turn: some servers leave it behind the last line.

    On a line of its own in a block it is code, such as a text's. Of a reply in harmony's channels, as gpt-oss
    writes it, that is the final one.
    """
    _, final, rest = reply.partition(_FINAL)
    reply = rest if final else reply
    reply = _END_OF_TURN.split(reply, 1)[0]
    lines = reply.splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if _ONLY_A_TOKEN.fullmatch(line)]
    if not ends:
        return reply
    inside = {number for block in fenced_blocks(reply) for number in block.lines}
    end = next((number for number in ends if number not in inside), len(lines))
    return "".join(lines[:end])


def without_reasoning(reply: str) -> str:
    """Return a reply without a reasoning model's thoughts: they are no part of it.

    Thoughts that were cut off leave nothing after them. Where the chat template opened them, the reply has
    only their end.
    """
    end = _END_OF_THOUGHTS.search(reply)
    if end and "<think>" not in reply[: end.start()]:
        reply = reply[end.end() :]
    return _THOUGHTS.sub(lambda match: match[0] if match["fence"] else "", reply)

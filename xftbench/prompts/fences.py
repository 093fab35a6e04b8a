"""Markdown's fenced blocks, in one pass over the lines of a reply."""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
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
_END_OF_THOUGHTS = re.compile(
    r"^[ \t]*</think>|(?<!#)(?<!# )</think>(?=[ \t]*+(?:$|```|~~~))",  # no comment
    re.MULTILINE,
)
_STRINGS = (
    r"\\.|`{3,}+|`[^`\n]*+`|\"{3}(?:[^\n]*?\"{3})?|'{3}(?:[^\n]*?'{3})?"
    r"|\"(?:[^\"\\\n]|\\.)*+\"|(?<!\w)[rbfuRBFU]{0,2}'(?:[^'\\\n]|\\.)*+'"
)
"""Marks of a fence, and what a line quotes or escapes. An apostrophe behind a letter opens nothing."""
_ENDS = (
    r"<[|\uff5c](?:eot_id|eom_id|eot|EOT|im_end|end|return|endoftext|end_of_text|end_of_turn|END_OF_TURN_TOKEN"
    r"|end\u2581of\u2581sentence|user|User)[|\uff5c]>|<end_of_turn>"
)
_NEXT = r"<[|\uff5c]|<start_of_turn>|<s>|\[INST\]|(?:GPT4 Correct )?(?:User|USER|Human):|### Instruction"
"""What the next turn begins with."""
_END_OF_TURN = re.compile(
    rf"{_STRINGS}|(?P<struck><s(?:[ \t][^<>\n]*+)?>)"
    rf"|(?P<end>{_ENDS}|(?P<html></s>))(?:(?P<next>(?=\s*+(?:{_NEXT})))|(?=[ \t]*+$))",
    re.MULTILINE,
)
_FINAL = "<|channel|>final<|message|>"


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
    """Return what stands before a token that ends a turn: some servers leave it, and the turns that follow.

    What a line quotes is no token, nor what stands on a line of its own in a block: it is code, such as a
    text's. Of a reply in harmony's channels, as gpt-oss writes it, that is the final one.
    """
    _, final, rest = reply.partition(_FINAL)
    reply = rest if final else reply
    edges: list[int] | None = None
    n_struck, length = 0, len(reply.rstrip())
    for match in _END_OF_TURN.finditer(reply):
        n_struck += 1 if match["struck"] else 0
        if not match["end"]:
            continue
        if match["html"] and n_struck:  # `<s>old</s>`
            n_struck -= 1
            continue
        edges = _edges(reply) if edges is None else edges
        is_in_block = bisect_right(edges, match.start()) % 2 == 1
        line = reply.rfind("\n", 0, match.start()) + 1
        before = reply[line : match.start()]
        if is_in_block and match["html"] and match["next"] is None and match.end() < length:
            continue
        if _ends_here(match, before, is_in_block):
            return reply[: match.start() if before.strip() else line]
    return reply


def _ends_here(match: re.Match[str], before: str, is_in_block: bool) -> bool:
    """Return whether a turn ends with a token, given what stands before it on its line."""
    if not before.strip():
        return not is_in_block
    # Behind a space it is a word of a sentence.
    return match["next"] is not None or not before[-1].isspace() or not before.strip(" \t`~")


def _edges(text: str) -> list[int]:
    """Return where the code of blocks begins and ends in a text, by characters, in turn."""
    starts = [0, *accumulate(map(len, text.splitlines(keepends=True)))]
    return [
        edge
        for block in fenced_blocks(text)
        for edge in (starts[block.lines.start + 1], starts[block.lines.stop - block.closed])
    ]


def without_reasoning(reply: str) -> str:
    """Return a reply without a reasoning model's thoughts: they are no part of it.

    Thoughts that were cut off leave nothing after them. Where the chat template opened them, the reply has
    only their end.
    """
    end = _END_OF_THOUGHTS.search(reply)
    if end and "<think>" not in reply[: end.start()]:
        reply = reply[end.end() :]
    return _THOUGHTS.sub(lambda match: match[0] if match["fence"] else "", reply)

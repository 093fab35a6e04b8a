"""Completion -> solution: the code that is run, and the name of the rule that took it out.

Nothing here edits code: a rule chooses which lines of the reply (and of the problem's own prompt) are the
program, and says so. Every rule is linear in the length of the reply.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple

from xftbench.records import Problem, Sample, Solution

ExtractionName = Literal["given", "append", "chat"]
"""`given`: a sample made elsewhere, taken literally. `append`: the completion continues the prompt.
`chat`: the completion is a reply in prose that holds code."""

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)")
_PYTHON_TAGS = {"", "python", "python3", "py"}
_CODE_START = ("def ", "class ", "import ", "from ", "@", "async def ")
_CODE_CONTINUES = (*_CODE_START, " ", "\t", "#", ")", "]", "}", "if ", "for ", "while ", "try:", "with ",
                   "else:", "elif ", "except", "finally:")  # fmt: skip
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\s*:[^=]+)?\s*=[^=]")


def extract(problem: Problem, sample: Sample, extraction: ExtractionName) -> Solution:
    """Return the solution that a sample holds.

    Rules, by name: ``solution`` (the sample brought its own), ``append`` (prompt + completion); in a chat
    reply, the first that applies of ``fence`` (a fenced block that defines the entry point), ``fence_body``
    (a fenced block that continues the prompt), ``open_fence`` (a block cut off by the token limit),
    ``whole_text`` (the reply is code), ``lines`` (the lines that look like code), ``nothing`` (no code seen;
    the reply is run as it stands, and fails to compile).
    """
    if sample.solution is not None:
        return Solution(code=sample.solution, rule="solution")
    completion = sample.completion or ""
    if extraction == "chat":
        return _from_reply(problem, completion)
    return Solution(code=problem.prompt + completion, rule="append")


class _Block(NamedTuple):
    code: str
    closed: bool


def _from_reply(problem: Problem, reply: str) -> Solution:
    blocks = list(_fenced_blocks(reply))
    defining = [block for block in blocks if _defines(block.code, problem.entry_point)]
    # A block that parses wins over an earlier one that doesn't: models show fragments before the answer.
    for block in sorted(defining, key=lambda block: not _parses(block.code)):
        return Solution(
            code=with_preamble(problem, block.code), rule="fence" if block.closed else "open_fence"
        )
    for block in blocks:
        if block.code.startswith((" ", "\t")) and _parses(problem.prompt + block.code):
            return Solution(code=problem.prompt + block.code, rule="fence_body")
    if blocks:
        return Solution(code=with_preamble(problem, blocks[0].code), rule="fence")
    if _parses(reply) and _defines(reply, problem.entry_point):
        return Solution(code=with_preamble(problem, reply), rule="whole_text")
    lines = _code_lines(reply)
    if _defines(lines, problem.entry_point):
        return Solution(code=with_preamble(problem, lines), rule="lines")
    return Solution(code=reply, rule="nothing")


def with_preamble(problem: Problem, code: str) -> str:
    """Return code behind what the prompt has before the entry point: its imports and helper functions.

    A reply that repeats them redefines them, to no effect; one that doesn't was told that they are there.
    """
    head, marker, _ = problem.prompt.partition(f"def {problem.entry_point}(")
    if not marker or not head.strip() or "from __future__" in code:
        return code
    return f"{head.rstrip()}\n\n{code}"


def _fenced_blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks tagged as Python or not at all; the last may lack its closing fence."""
    lines: list[str] | None = None
    fence, is_python = "", False
    for line in text.splitlines(keepends=True):
        match = _FENCE.match(line)
        if lines is None:
            if match:
                fence, tag = match.groups()
                lines, is_python = [], tag.lower() in _PYTHON_TAGS
        elif match and match[1].startswith(fence) and not match[2]:
            if is_python:
                yield _Block("".join(lines), closed=True)
            lines = None
        else:
            lines.append(line)
    if lines and is_python:
        yield _Block("".join(lines), closed=False)


def _defines(code: str, entry_point: str) -> bool:
    name = re.escape(entry_point)
    return re.search(rf"^[ \t]*((async[ \t]+)?def|class)[ \t]+{name}\b|^{name}\s*=", code, re.M) is not None


def _parses(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stray "\d" in a reply is the model's business
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _code_lines(text: str) -> str:
    """Return the lines from the first one that starts code up to the first that reads as prose."""
    kept: list[str] = []
    for line in text.splitlines(keepends=True):
        if kept:
            if line.strip() and not line.startswith(_CODE_CONTINUES) and not _ASSIGNMENT.match(line):
                break
            kept.append(line)
        elif line.startswith(_CODE_START):
            kept.append(line)
    return "".join(kept)

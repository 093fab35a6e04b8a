"""A reply in prose -> the Python program that it holds.

Nothing here edits code: a rule chooses which lines of the reply (and of the problem's own prompt) are the
program. A block may lose the indentation that all its lines share.
"""

import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from xftbench.prompts import python_code
from xftbench.prompts.fences import Block, fenced_blocks, indented, loosened, outside, tags
from xftbench.prompts.python_code import Binding, binding, compiles, mentions
from xftbench.prompts.python_helpers import helpers
from xftbench.prompts.python_strays import bound_in, without_strays
from xftbench.records import FinishReason, Problem, Solution

_INDENTED = re.compile(r"(?:[ \t]*\n|#[^\n]*\n)*+[ \t]+\S")
_OPENS = re.compile(r"[ \t]*(?:`{3,}|~{3,})[ \t]*py(?:thon)?[\d.]*\s*$", re.IGNORECASE)
_CODE_TAG = re.compile(r"^[ \t]*(?:<pre>)?</?code(?:[ \t][^<>\n]*)?>|</code>(?:</pre>)?[ \t]*$", re.MULTILINE)
_PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")
_NUMBERED = re.compile(r"[ \t]*(\d+)(?:[:.]| ?\|)?(?P<code>(?:[ \t].*)?)")
_TRIES = 16
"""Blocks that are tried as the rest of the prompt, or repaired."""


def from_reply(
    problem: Problem, reply: str, blocks: Sequence[Block], finish_reason: FinishReason | None = "stop"
) -> Solution | None:
    """Return the program in a reply, given its fenced blocks; None if no program defines the entry point.

    In this order: blocks that are such a program, a block or the whole reply that continues the prompt, a
    reply that is one, blocks whose fences stand behind something else on a line, a block as far as it
    compiles, and the statements among prose.
    """
    name = problem.entry_point
    known = bound_in([_preamble(problem)])
    blocks = [part for block in blocks for part in _unclosed(block, name)]
    blocks = _read_blocks(blocks, name, known, finish_reason)
    if found := _from_blocks(problem, blocks):
        return found
    if found := _from_a_body(problem, blocks):
        return found
    whole = without_strays(_outdented(reply, name), name, known, finish_reason)
    if binding(whole, name) >= Binding.LIKELY:
        return Solution(code=with_preamble(problem, whole), rule="whole_text")
    if _INDENTED.match(reply):
        code = without_strays(problem.prompt + reply, name, finish_reason=finish_reason)
        if binding(code, name) >= Binding.LIKELY:
            return Solution(code=code, rule="append")
    for text in (reply, _CODE_TAG.sub("\n```\n", reply)) if _CODE_TAG.search(reply) else (reply,):
        loose = fenced_blocks(loosened(text), tags("python"))
        if found := _from_blocks(problem, _read_blocks(loose, name, known, finish_reason)):
            return found
    for code, rule in _parts(reply, blocks, name):
        code = without_strays(code, name, known, None if rule == "cut" else "stop")
        if binding(code, name) >= Binding.LIKELY:
            return Solution(code=with_preamble(problem, code), rule=rule)
    return None


def _from_blocks(problem: Problem, blocks: Sequence[Block]) -> Solution | None:
    """Return the block that defines the entry point, with what it needs of others; None if there is none."""
    bindings = [binding(block.code, problem.entry_point) for block in blocks]
    best = max(bindings, default=Binding.NONE)
    if best < Binding.LIKELY:
        return None
    # The last one, as Python itself takes the last definition: corrections come after what they correct.
    # One that was cut off may compile and still lack its end.
    whole = [block for block, how in zip(blocks, bindings, strict=True) if how is best]
    chosen = _last_but_excerpts([block for block in whole if block.closed] or whole, problem.entry_point)
    taken = helpers(chosen.code, [block.code for block in blocks if block is not chosen])
    rule = "fences" if taken else "fence" if chosen.closed else "open_fence"
    return Solution(code=with_preamble(problem, _put_before(taken, chosen.code)), rule=rule)


def _unclosed(block: Block, name: str) -> list[Block]:
    """Return the blocks in one that is no Python: where a block was never closed, another opens inside it."""
    lines = block.code.splitlines(keepends=True)
    opens = [number for number, line in enumerate(lines) if _OPENS.match(line)]
    if not opens or python_code.tree(block.code) is not None:
        return [block]
    first = block.lines.start + 1
    parts = [
        Block("".join(lines[fence + 1 : end]), closed=False, lines=range(first + fence, first + end))
        for fence, end in pairwise([-1, *opens, len(lines)])
    ]
    parts[-1] = parts[-1]._replace(closed=block.closed, lines=range(first + opens[-1], block.lines.stop))
    # A text in a block that was cut off may quote Markdown, too.
    return parts if any(binding(part.code, name) >= Binding.LIKELY for part in parts[1:]) else [block]


def _last_but_excerpts(blocks: Sequence[Block], name: str) -> Block:
    """Return the last block that is no quotation of an earlier one's function, only begun or with gaps."""
    tried = blocks[-_TRIES:]
    bodies = [python_code.body_of(block.code, name) for block in tried] if len(tried) > 1 else []
    are_gapped = [python_code.has_gaps(block.code, name) for block in tried] if len(tried) > 1 else []
    for number in range(len(tried) - 1, 0, -1):
        is_quotation = are_gapped[number] and not all(are_gapped[:number])
        if not is_quotation and not any(
            python_code.is_excerpt(bodies[number], whole) for whole in bodies[:number]
        ):
            return tried[number]
    return tried[0]


def _from_a_body(problem: Problem, blocks: Sequence[Block]) -> Solution | None:
    """Return the first block that continues the prompt, or the reply's own copy of it in a block before."""
    name = problem.entry_point
    openings = [number for number, block in enumerate(blocks) if mentions(block.code, name)]
    if not all(_is_opening(blocks[number].code, name) for number in openings[:_TRIES]):
        return None  # one looks like the function itself
    bodies = [number for number, block in enumerate(blocks) if _INDENTED.match(block.code)]
    for number in bodies[:_TRIES]:
        before = [blocks[each].code for each in openings if each < number]
        head = with_preamble(problem, f"{before[-1].rstrip()}\n") if before else problem.prompt
        if compiles(code := head + blocks[number].code):
            others = [block.code for block in blocks if block is not blocks[number]]
            code = without_strays(code, name, bound_in(others))
            return Solution(code=helpers(code, others) + code, rule="fence_body")
    return None


def _is_opening(code: str, name: str) -> bool:
    """Return whether code ends in a function without a body, or with a docstring alone: one can follow."""
    return binding(f"{code.rstrip()}\n    pass\n", name) is Binding.NAMED


def from_listing(
    problem: Problem, blocks: Sequence[Block], finish_reason: FinishReason | None
) -> Solution | None:
    """Return the program in blocks with a session's prompts or numbers of lines; None if there is none."""
    plain = [block._replace(code=_unlisted(block.code)) for block in blocks]
    if plain == list(blocks):
        return None
    known = bound_in([_preamble(problem)])
    return _from_blocks(problem, _read_blocks(plain, problem.entry_point, known, finish_reason))


def _unlisted(code: str) -> str:
    """Take from code the prompts of a session, and what it printed, or the numbers of all lines."""
    lines = code.splitlines()
    if code.lstrip().startswith(">>> "):
        entered = [line[4:] for line in lines if _PROMPT.match(line)]
        return "".join(f"{line}\n" for line in entered)
    matches = [match for line in lines if line.strip() and (match := _NUMBERED.fullmatch(line))]
    numbers = [match[1] for match in matches]
    if not numbers or len(numbers) < sum(bool(line.strip()) for line in lines):
        return code
    first = int(numbers[0][:9])
    if numbers != [str(first + count) for count in range(len(numbers))]:
        return code
    return textwrap.dedent("".join(f"{match['code']}\n" for match in matches))


def nearest(problem: Problem, reply: str, blocks: Sequence[Block]) -> Solution:
    """Return what comes nearest to a program where none defines the entry point: it is judged, and fails.

    A block that imports the entry point, or has it without a body, can still pass.
    """
    name = problem.entry_point
    ranked = sorted(
        blocks, key=lambda block: (binding(block.code, name) is Binding.NAMED, mentions(block.code, name))
    )
    if not ranked:
        return Solution(code=reply, rule="nothing")
    chosen = ranked[-1] if mentions(ranked[-1].code, name) else blocks[0]
    return Solution(code=with_preamble(problem, chosen.code), rule="fence" if chosen.closed else "open_fence")


def with_preamble(problem: Problem, code: str) -> str:
    """Return code behind what the prompt has before the entry point: its imports and helper functions.

    A reply that repeats them redefines them, to no effect; one that doesn't was told that they are there.
    """
    preamble = _preamble(problem)
    return _put_before(preamble, code) if preamble else code


def _preamble(problem: Problem) -> str:
    head, marker, _ = problem.prompt.partition(f"def {problem.entry_point}(")
    return f"{head.rstrip()}\n\n" if marker and head.strip() else ""


def _put_before(text: str, code: str) -> str:
    """Return a text with code behind it, or rather behind what the code imports from the future."""
    parsed = python_code.tree(code) if "__future__" in code else None
    futures = [
        node for node in (parsed.body if parsed else []) if getattr(node, "module", None) == "__future__"
    ]
    lines = code.split("\n")
    n_first = futures[-1].end_lineno or 0 if futures else 0
    return "".join(f"{line}\n" for line in lines[:n_first]) + text + "\n".join(lines[n_first:])


def _parts(reply: str, blocks: Sequence[Block], name: str) -> Iterator[tuple[str, str]]:
    """Yield parts of a reply that may be a program, and the rule by which they are."""
    broken = [block.code for block in blocks if mentions(block.code, name)]
    for code in reversed(broken[-_TRIES:]):
        yield python_code.cut(code) or "", "cut"
        yield python_code.statements(code), "lines"
    # What stands in blocks is an example or its output, unless a fence inside a string misled us.
    yield python_code.statements(loosened(outside(reply, blocks))), "lines"
    if blocks:
        yield python_code.statements(loosened(reply)), "lines"
    yield python_code.statements(textwrap.dedent(indented(outside(reply, blocks)))), "lines"


def _read_blocks(
    blocks: Iterable[Block], name: str, known: Collection[str], finish_reason: FinishReason | None
) -> list[Block]:
    """Return blocks without the indentation that a whole function may have, and what only looks like code."""
    outdented = [block._replace(code=_outdented(block.code, name)) for block in blocks]
    known = {*known, *bound_in([block.code for block in outdented])} if len(outdented) > 1 else known
    return [
        block._replace(
            code=without_strays(block.code, name, known, "stop" if block.closed else finish_reason)
        )
        for block in outdented
    ]


def _outdented(code: str, name: str) -> str:
    """Take from a whole function the indentation that all lines have."""
    is_method = re.search(rf"\bdef[ \t]+{re.escape(name)}[ \t]*\([ \t\n]*(?:self|cls)\b", code)
    if is_method or not (_INDENTED.match(code) and mentions(code, name)):
        return code
    return textwrap.dedent(code)

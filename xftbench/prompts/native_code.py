"""A reply in prose -> the solution in another language than Python that it holds.

Whole functions and programs are put before the tests by `multipl_e_code.assemble`; what only continues the
prompt is appended to it, up to the problem's own stop strings.
"""

import re
from collections.abc import Iterator, Sequence

from xftbench.benchmarks.multipl_e_blocks import with_helpers, without_prose
from xftbench.benchmarks.multipl_e_code import assemble, is_whole, truncate
from xftbench.benchmarks.multipl_e_definitions import Definition, definition
from xftbench.benchmarks.multipl_e_syntax import skeleton
from xftbench.prompts.fences import Block, before_fences, fenced_blocks, loosened, tags
from xftbench.records import Problem, Solution

_TAGGED_FENCE = re.compile(r"^[ \t]*(?:```+|~~~+)[ \t]*\w", re.MULTILINE)


def from_reply(problem: Problem, reply: str) -> Solution | None:
    """Return the solution in a reply; None if no code is seen.

    Rules: ``fence``, ``fences`` and ``open_fence`` (the block that defines the function, with helpers from
    others, or cut off), ``whole_text`` (the reply without its prose, or what precedes a stray fence),
    ``fence_body`` (the first block continues the prompt), ``append`` (the reply does).
    """
    language, name = problem.language, problem.entry_point
    reply = reply.replace("\r\n", "\n")  # which Bash takes for a part of its words
    blocks = list(fenced_blocks(reply, tags(language)))
    if blocks and not blocks[-1].closed and loosened(blocks[-1].code) != blocks[-1].code:
        reply = loosened(reply)  # the last block's end stands behind a line
        blocks = list(fenced_blocks(reply, tags(language)))
    plain = [block for block in blocks if not _TAGGED_FENCE.search(block.code)]
    loose = fenced_blocks(loosened(reply), tags(language))
    # Those under another language's tag or a file's name come second, and those in a block of Markdown; then
    # those whose fences stand behind something else.
    for candidates in (plain, list(_unfolded(reply)), list(loose)):
        how, chosen = _best(problem, candidates)
        if chosen is not None and how is Definition.OUTRIGHT:
            return _from_block(problem, chosen, candidates)
    if "```" in reply:
        code = without_prose(before_fences(reply))
        if definition(language, code, name) is Definition.OUTRIGHT:
            return _whole_text(problem, code)
    _, chosen = _best(problem, blocks)
    if chosen is not None:
        return _from_block(problem, chosen, blocks)
    if blocks:
        return Solution(code=_continued(problem, blocks[0].code), rule="fence_body")
    first, _, rest = reply.partition("\n")
    text = rest if first.strip().lower() in tags(language) else reply  # a tag that lost its fence
    if (found := _whole_text(problem, without_prose(text))) is not None:
        return found
    if reply.startswith((" ", "\t")):
        return Solution(code=_continued(problem, reply), rule="append")
    return None


def placed(problem: Problem, code: str) -> str:
    """Return a block as the tests need it, if it is a whole program, or as it stands."""
    return assemble(problem, code) or code


def _unfolded(reply: str) -> Iterator[Block]:
    """Yield all blocks of a reply, and for one that holds a block's beginning, the blocks in it.

    It is one of Markdown, or began with a stray fence.
    """
    for block in fenced_blocks(reply):
        yield from fenced_blocks(block.code) if _TAGGED_FENCE.search(block.code) else [block]


def _best(problem: Problem, blocks: Sequence[Block]) -> tuple[Definition, Block | None]:
    """Return the last whole program of those that define the function best, and how it does.

    Corrections come after what they correct. One that was cut off only counts if there is no other, as one
    that only quotes the prompt does.
    """
    found = [
        (definition(problem.language, block.code, problem.entry_point), block)
        for block in blocks
        if is_whole(problem, block.code)
    ]
    found = [(how, block) for how, block in found if not _is_quotation(problem, block.code)] or found
    best = max((how for how, _ in found), default=Definition.NONE)
    defining = [block for how, block in found if how is best]
    closed = [block for block in defining if block.closed]
    return best, next(reversed(closed or defining), None)


def _is_quotation(problem: Problem, code: str) -> bool:
    """Return whether some code has nothing that the prompt has not: a function's head, perhaps closed."""
    quoted, prompt = (re.sub(r"\s", "", skeleton(problem.language, text)) for text in (code, problem.prompt))
    return re.sub(r"(?:\}|end)*\Z", "", quoted) in prompt


def _from_block(problem: Problem, chosen: Block, blocks: Sequence[Block]) -> Solution:
    others = [block.code for block in blocks if block is not chosen]
    code = with_helpers(problem.language, chosen.code, problem.entry_point, others)
    rule = "fences" if code != chosen.code else "fence" if chosen.closed else "open_fence"
    return Solution(code=placed(problem, code), rule=rule)


def _whole_text(problem: Problem, text: str) -> Solution | None:
    code = assemble(problem, text)
    return None if code is None else Solution(code=code, rule="whole_text")


def _continued(problem: Problem, code: str) -> str:
    return problem.prompt + truncate(code, problem.stop)

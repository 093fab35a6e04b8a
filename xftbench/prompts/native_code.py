"""A reply in prose -> the solution in another language than Python that it holds.

Whole functions and programs are put before the tests by `multipl_e_code.assemble`; what only continues the
prompt is appended to it, up to the problem's own stop strings.
"""

from collections.abc import Sequence

from xftbench.benchmarks.multipl_e_code import assemble, truncate
from xftbench.benchmarks.multipl_e_syntax import defines
from xftbench.prompts.fences import Block
from xftbench.records import Problem, Solution


def from_reply(problem: Problem, reply: str, blocks: Sequence[Block]) -> Solution | None:
    """Return the solution in a reply, given its fenced blocks; None if no code is seen.

    Rules: ``fence`` and ``open_fence`` (the last block that defines the function, closed ones first),
    ``fence_body`` (the first block continues the prompt), ``whole_text``, ``append`` (the reply does).
    """
    whole = [(block, code) for block in blocks if (code := assemble(problem, block.code)) is not None]
    if whole:
        # The last one: corrections come after what they correct. A cut-off one only if there is no other, and
        # a PHP file without the function, too.
        defining = [pair for pair in whole if defines(problem.language, pair[0].code, problem.entry_point)]
        candidates = defining or whole
        block, code = ([pair for pair in candidates if pair[0].closed] or candidates)[-1]
        return Solution(code=code, rule="fence" if block.closed else "open_fence")
    if blocks:
        return Solution(code=_continued(problem, blocks[0].code), rule="fence_body")
    if (code := assemble(problem, reply)) is not None:
        return Solution(code=code, rule="whole_text")
    if reply.startswith((" ", "\t")):
        return Solution(code=_continued(problem, reply), rule="append")
    return None


def placed(problem: Problem, code: str) -> str:
    """Return a block as the tests need it, if it is a whole program, or as it stands."""
    return assemble(problem, code) or code


def _continued(problem: Problem, code: str) -> str:
    return problem.prompt + truncate(code, problem.stop)

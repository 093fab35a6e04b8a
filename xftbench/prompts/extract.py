"""Completion -> solution: the code that is run, and the name of the rule that took it out.

Nothing here edits code: a rule chooses which lines of the reply (and of the problem's own prompt) are the
program, and says so. Every rule is linear in the length of the reply. docs/prompts.md lists the rules.
"""

from collections.abc import Sequence

from xftbench.benchmarks.multipl_e_code import truncate
from xftbench.prompts import insertion, native_code, python_code
from xftbench.prompts.fences import Block, fenced_blocks, tags, without_reasoning
from xftbench.prompts.python_code import defines, parses
from xftbench.prompts.style import ExtractionName, Policy
from xftbench.records import Problem, Sample, Solution

_BODIES = 16
"""Blocks that are tried as the rest of the prompt."""


def extract(
    problem: Problem, sample: Sample, extraction: ExtractionName, policy: Policy = "strict"
) -> Solution:
    """Return the solution that a sample holds.

    `strict` is the protocol's literal rule. `lenient` takes its result where that is a program with the entry
    point, and looks for the code otherwise.
    """
    literal = _literal(problem, sample, extraction)
    if extraction == "insert":
        is_ours = policy == "lenient" and sample.solution is None
        return insertion.lenient(problem, sample.completion or "") if is_ours else literal
    if policy == "strict" or (extraction != "chat" and _is_program(problem, literal.code)):
        return literal
    text = sample.solution if sample.solution is not None else (sample.completion or "")
    if extraction == "alone":
        text = f"```\n{text}"
    found = _from_reply(problem, text)
    if found is not None:
        return found
    if extraction == "chat":
        return Solution(code=without_reasoning(text), rule="nothing")
    prompt_lines = literal.code.removesuffix(text).count("\n") if literal.code.endswith(text) else 0
    shorter = python_code.cut(literal.code, prompt_lines)
    if shorter is not None and defines(shorter, problem.entry_point):
        return Solution(code=shorter, rule="cut")
    return literal


def _is_program(problem: Problem, code: str) -> bool:
    if problem.language != "python":
        return "```" not in code  # apart from that its compiler judges
    return defines(code, problem.entry_point) and parses(code)


def _literal(problem: Problem, sample: Sample, extraction: ExtractionName) -> Solution:
    if sample.solution is not None:
        return Solution(code=sample.solution, rule="solution")
    completion = sample.completion or ""
    if extraction == "insert":
        return insertion.literal(completion)
    if extraction == "append_stripped":
        return Solution(code=f"{problem.prompt.strip()}\n{completion}", rule="append")
    if extraction == "alone":
        return Solution(code=completion.partition("\n```")[0], rule="block")
    if extraction == "chat":
        reply = without_reasoning(completion)
        blocks = list(fenced_blocks(reply, tags(problem.language)))
        if not blocks:
            return Solution(code=reply, rule="nothing")
        is_python = problem.language == "python"
        code = blocks[0].code if is_python else native_code.placed(problem, blocks[0].code)
        return Solution(code=code, rule="fence")
    if problem.language != "python":
        completion = truncate(completion, problem.stop)
    return Solution(code=problem.prompt + completion, rule="append")


def _from_reply(problem: Problem, text: str) -> Solution | None:
    """Look for Python in a reply: in its fences, then in the whole text, then line by line."""
    reply = without_reasoning(text)
    blocks = list(fenced_blocks(reply, tags(problem.language)))
    if problem.language != "python":
        return native_code.from_reply(problem, reply, blocks)
    found = _from_fences(problem, blocks)
    if found is not None:
        return found
    if reply.startswith((" ", "\t")) and parses(problem.prompt + reply):
        return Solution(code=problem.prompt + reply, rule="append")
    if defines(reply, problem.entry_point) and parses(reply):
        return Solution(code=with_preamble(problem, reply), rule="whole_text")
    if not blocks and defines(lines := python_code.statements(reply), problem.entry_point):
        return Solution(code=with_preamble(problem, lines), rule="lines")
    return None


def _from_fences(problem: Problem, blocks: Sequence[Block]) -> Solution | None:
    if not blocks:
        return None
    defining = [block for block in blocks if defines(block.code, problem.entry_point)]
    whole = [block for block in defining if parses(block.code)]
    if whole or defining:
        # The last one, as Python itself takes the last definition: corrections come after what they correct.
        chosen = (whole or defining)[-1]
        others = [block.code for block in blocks if block is not chosen and block not in defining]
        helpers = python_code.helpers(chosen.code, others) if whole else ""
        rule = "fences" if helpers else "fence" if chosen.closed else "open_fence"
        return Solution(code=with_preamble(problem, helpers + chosen.code), rule=rule)
    bodies = [block.code for block in blocks if block.code.startswith((" ", "\t"))]
    for body in bodies[:_BODIES]:
        if parses(problem.prompt + body):
            return Solution(code=problem.prompt + body, rule="fence_body")
    return Solution(code=with_preamble(problem, blocks[0].code), rule="fence")


def with_preamble(problem: Problem, code: str) -> str:
    """Return code behind what the prompt has before the entry point: its imports and helper functions.

    A reply that repeats them redefines them, to no effect; one that doesn't was told that they are there.
    """
    head, marker, _ = problem.prompt.partition(f"def {problem.entry_point}(")
    if not marker or not head.strip() or "from __future__" in code:
        return code
    return f"{head.rstrip()}\n\n{code}"

"""Completion -> solution: the code that is run, and the name of the rule that took it out.

A rule chooses which lines of the reply (and of the problem's own prompt) are the program, and says so. Every
rule is linear in the length of the reply. docs/prompts.md lists the rules.
"""

from msgspec import structs

from xftbench.benchmarks.multipl_e_code import truncate
from xftbench.prompts import insertion, native_code, python_code, python_reply
from xftbench.prompts.fences import (
    before_fences,
    fenced_blocks,
    first_turn,
    tags,
    without_colours,
    without_reasoning,
)
from xftbench.prompts.python_code import Binding, binding
from xftbench.prompts.python_strays import without_strays
from xftbench.prompts.style import ExtractionName, Policy
from xftbench.records import FinishReason, Problem, Sample, Solution


def extract(
    problem: Problem, sample: Sample, extraction: ExtractionName, policy: Policy = "strict"
) -> Solution:
    """Return the solution that a sample holds.

    `strict` is the protocol's literal rule. `lenient` takes its result where that is a program with the entry
    point, and looks for the code otherwise.
    """
    if extraction == "append_stripped" and sample.completion:
        # As evalplus' providers do with every reply: behind its prompts' four spaces a tab is an error.
        sample = structs.replace(sample, completion=sample.completion.replace("\t", " " * 4))
    literal = _literal(problem, sample, extraction)
    if extraction == "insert":
        is_ours = policy == "lenient" and sample.solution is None
        return insertion.lenient(problem, sample.completion or "") if is_ours else literal
    if policy == "strict":
        return literal
    text = sample.solution if sample.solution is not None else (sample.completion or "")
    if extraction != "chat" and (found := _as_it_stands(problem, sample, literal)):
        return found
    reply = first_turn(without_colours(text))
    if extraction == "alone" and python_code.cut(before_fences(reply)):
        # Code goes on in the fence that the prompt opened; prose opens one of its own.
        reply = f"```\n{reply}"
    reply = without_reasoning(reply)
    if problem.language != "python":
        found = native_code.from_reply(problem, reply)
        return found or (Solution(code=reply, rule="nothing") if extraction == "chat" else literal)
    blocks = list(fenced_blocks(reply, tags(problem.language)))
    is_cut = extraction == "chat" and sample.finish_reason is None and blocks and not blocks[-1].closed
    finish_reason = "length" if is_cut else _finish_reason(sample)
    found = python_reply.from_reply(problem, reply, blocks, finish_reason)
    if found is not None:
        return found
    if extraction == "chat":
        listed = python_reply.from_listing(problem, blocks, finish_reason)
        return listed or python_reply.nearest(problem, reply, blocks)
    prompt_lines = literal.code.removesuffix(text).count("\n") if literal.code.endswith(text) else 0
    shorter = without_strays(
        python_code.cut(literal.code, prompt_lines) or "", problem.entry_point, finish_reason=None
    )
    if binding(shorter, problem.entry_point) is not Binding.NONE:
        return Solution(code=shorter, rule="cut")
    return literal


def _as_it_stands(problem: Problem, sample: Sample, literal: Solution) -> Solution | None:
    """Return the literal rule's result if it is a program, without what ends it early."""
    if problem.language != "python":
        return literal if "```" not in literal.code else None  # apart from that its compiler judges
    name = problem.entry_point
    is_whole = literal.code.endswith(sample.completion or "")
    code = without_strays(literal.code, name, finish_reason=_finish_reason(sample) if is_whole else "stop")
    how = binding(code, name)
    if code == literal.code:
        return None if how is Binding.NONE else literal
    return Solution(code=code, rule="cut") if how >= Binding.LIKELY else None


def _finish_reason(sample: Sample) -> FinishReason | None:
    return "stop" if sample.solution is not None else sample.finish_reason


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

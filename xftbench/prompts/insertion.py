"""Replies whose code is put into a program at a marked place (DS-1000): to the byte, indentation included."""

import ast
import re
import textwrap
from collections.abc import Sequence

from xftbench.prompts.fences import fenced_blocks, tags, without_colours, without_reasoning
from xftbench.prompts.python_code import compiles, tree
from xftbench.records import Problem, Solution

_INSIDE_FUNCTION = "### BEGIN SOLUTION"
_INDENT = "    "
_MARK = re.compile("```|<code>")


def literal(reply: str) -> Solution:
    """Return what the official script makes of a reply.

    Nothing is stripped: the code may stand inside a function. Text before a fence stays, and then fails.

    Source: xlang-ai/DS-1000 @b39aab7, test_ds1000.py, postprocess.
    """
    code = reply.partition("</code>")[0].replace("```python", "").partition("```")[0]
    return Solution(code=code.partition("\nEND SOLUTION")[0].replace("<code>", ""), rule="insert")


def lenient(problem: Problem, reply: str) -> Solution:
    """Return the official script's result if it can be inserted, else the first block of code that can.

    A heading before the block may be inserted too, and then fails.
    """
    reply = without_colours(reply)
    by_rule = literal(reply)
    in_function = problem.prompt.rstrip().endswith(_INSIDE_FUNCTION)
    if by_rule.code.strip() and _fits(by_rule.code, in_function) and not _is_heading(_MARK.split(reply, 1)):
        return by_rule
    text = without_reasoning(reply).replace("<code>", "\n```python\n").replace("</code>", "\n```\n")
    for block in fenced_blocks(text, tags("python")):
        code = _as_body(block.code) if in_function else block.code
        if code.strip() and _fits(code, in_function):
            return Solution(code=code, rule="fence")
    return by_rule


def _is_heading(parts: Sequence[str]) -> bool:
    """Return whether words before a mark, if there is one, parse and do nothing, such as ``Result: x``."""
    module = tree(parts[0]) if len(parts) > 1 else None
    return module is not None and bool(module.body) and all(map(_does_nothing, module.body))


def _does_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    effects = (ast.Call, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return isinstance(node, ast.Expr) and not any(isinstance(part, effects) for part in ast.walk(node))


def _fits(code: str, in_function: bool) -> bool:
    return compiles(f"def f():\n{code}" if in_function else code)


def _as_body(code: str) -> str:
    """Indent code as a function's body; of a whole function `f` the body alone."""
    if code.startswith((" ", "\t")):
        return code
    if compiles(code):
        for node in ast.parse(code).body:
            if isinstance(node, ast.FunctionDef) and node.name == "f":
                lines = code.splitlines()[node.body[0].lineno - 1 : node.end_lineno]
                code = textwrap.dedent("\n".join(lines))
                break
    return textwrap.indent(code, _INDENT)

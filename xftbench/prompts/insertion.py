"""Replies whose code is put into a program at a marked place (DS-1000): to the byte, indentation included."""

import ast
import re
from collections.abc import Sequence
from itertools import islice

from xftbench.prompts.fences import (
    fenced_blocks,
    first_turn,
    loosened,
    tags,
    without_colours,
    without_reasoning,
)
from xftbench.prompts.python_code import compiles, line_numbers, source_lines, tree
from xftbench.prompts.python_helpers import helpers
from xftbench.records import Problem, Solution

_INSIDE_FUNCTION = "### BEGIN SOLUTION"
_INDENT = "    "
_MARK = re.compile("```|<code>")
_TRIES = 32
"""Blocks that are looked at: each is parsed behind the imports before it."""


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
    reply = first_turn(without_reasoning(without_colours(reply)))
    by_rule = literal(reply)
    in_function = problem.prompt.rstrip().endswith(_INSIDE_FUNCTION)
    head = _MARK.split(reply, 1)[0]
    is_heading = _is_heading(head) or _only_imports(by_rule.code, in_function)
    if not is_heading and _fits(by_rule.code, in_function):
        return by_rule
    text = reply.replace("<code>", "\n```python\n").replace("</code>", "\n```\n")
    before = head if _only_imports(head) else ""
    for read in (text, loosened(text)):
        imports = before
        for block in islice(fenced_blocks(read, tags("python")), _TRIES):
            if _only_imports(block.code):
                imports += block.code
                continue
            code = _as_body(block.code, imports) if in_function else imports + block.code
            if _fits(code, in_function):
                return Solution(code=code, rule="fence")
        if imports.strip() and imports != before:
            return Solution(code=_as_body(imports) if in_function else imports, rule="fence")
    return by_rule


def _is_heading(text: str) -> bool:
    """Return whether words parse and do nothing, such as ``Result: x``."""
    module = tree(text)
    return module is not None and bool(module.body) and all(map(_does_nothing, module.body))


def _does_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, ast.Expr) and not any(isinstance(part, ast.Call) for part in ast.walk(node))


def _only_imports(code: str, in_function: bool = False) -> bool:
    """Return whether code has nothing but imports and comments: what is to be done comes behind it."""
    module = tree(f"if 1:\n{code}\n") if in_function else tree(code)
    nodes = module.body if module else [ast.Pass()]
    nodes = nodes[0].body if in_function and isinstance(nodes[0], ast.If) else nodes
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)


def _fits(code: str, in_function: bool) -> bool:
    return compiles(f"def f():\n{code}" if in_function else code)


def _as_body(code: str, imports: str = "") -> str:
    """Return code as a function's body: indented, and of a whole function `f` its body and what it needs."""
    if code.startswith((" ", "\t")):
        return _indented(imports, code[: len(code) - len(code.lstrip(" \t"))]) + code
    code = imports + code
    if _fits(code, in_function=True):
        return code
    module = tree(code)
    for node in reversed(module.body if module else ()):
        if isinstance(node, ast.FunctionDef) and node.name == "f":
            lines = source_lines(code)
            body = _body(node, lines)
            taken = set(line_numbers(node))
            others = "".join(line for number, line in enumerate(lines, 1) if number not in taken)
            # What it is called with by default is the prompt's.
            node.args.defaults, node.decorator_list, node.returns = [], [], None
            indent = body[: len(body) - len(body.lstrip())]
            return _indented(helpers(ast.unparse(node), [others]), indent) + body
    return _indented(code, _INDENT)


def _body(node: ast.FunctionDef, lines: Sequence[str]) -> str:
    """Return the lines of a function's body as they stand."""
    first = line_numbers(node.body[0])[0] - 1
    *rest, last = lines[first : node.end_lineno]
    body = [*rest, last.rstrip("\r\n")]
    start, indent = body[0].encode(), node.body[0].col_offset
    if start[:indent].strip():  # it begins behind the colon
        body[0] = _INDENT + start[indent:].decode()
    return "".join(body)


def _indented(code: str, indent: str) -> str:
    """Indent code, but not what a text of it has on further lines."""
    module = tree(code)
    inside = {
        number
        for node in (ast.walk(module) if module else ())
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for number in range(node.lineno + 1, (node.end_lineno or 0) + 1)
    }
    return "".join(
        line if number in inside else indent + line for number, line in enumerate(source_lines(code), 1)
    )

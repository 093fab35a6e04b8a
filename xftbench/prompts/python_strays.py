"""What stands beside the function in a program and would end it before it is tested.

Prose that happens to parse, an example with names that nothing binds, a statement that the token limit cut
off, a dialogue. Only top-level statements are left out, and none that the function needs.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from xftbench.prompts.python_code import (
    FUNCTIONS,
    Binding,
    asks_for_a_script,
    binding,
    line_numbers,
    lines_of,
    names,
    source_lines,
    tree,
)
from xftbench.records import FinishReason

_DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
_DYNAMIC = re.compile(r"\b(?:exec|globals|locals|vars)\(")
"""By these a program may bind names that can't be seen."""
_UNLISTED = {"__file__", "__builtins__", "__annotations__"}
"""Names of every module that `dir(builtins)` lacks."""
_STAR = re.compile(r"^from[ \t][\w. \t]+import[ \t]*\*", re.MULTILINE)
_LEAVING = {
    "input", "exit", "quit", "sys.exit", "os._exit", "unittest.main", "SystemExit",
    "sys.stdin.read", "sys.stdin.readline", "sys.stdin.readlines",
    "open", "help", "doctest.testmod", "doctest.run_docstring_examples",
    "os.system", "subprocess.run", "subprocess.call", "subprocess.check_output", "subprocess.Popen",
}  # fmt: skip
"""What waits for input, reads a file that is not there, leaves the program, or is taken away from it."""
_SETTING = {"os.environ.setdefault", "os.environ.update", "os.putenv"}
_ENVIRONMENT = re.compile(r"\b(?:environb?|getenvb?)\b")


class _Part(NamedTuple):
    """A top-level statement, and what it has to do with the others."""

    node: ast.stmt
    text: str
    bound: frozenset[str]
    needed: frozenset[str]
    """Names that it uses, in functions too, and has to find among the globals."""


def without_strays(
    code: str, name: str, known: Collection[str] = (), finish_reason: FinishReason | None = "stop"
) -> str:
    """Return a program without the top-level statements that only keep it from being tested.

    Args:
        code: Python; what does not parse is returned as it is.
        name: The entry point: what it needs stays.
        known: Names that something around the program binds; ``*`` if they can't be known.
        finish_reason: Why the program ended: ``stop`` if nothing was cut off, None if that is unknown.
    """
    module = tree(code)
    if module is None:
        return code
    lines = source_lines(code)
    parts = [_part(node, lines_of(node, lines)) for node in module.body]
    kept = _staying(_finished(parts, name, lines, finish_reason), name)
    if "*" not in known and not _STAR.search(code) and not _DYNAMIC.search(code):
        kept = _with_bound_names(kept, name, {*known, *_UNLISTED})
    return code if len(kept) == len(parts) else _left(lines, parts, kept)


def bound_in(texts: Iterable[str]) -> set[str]:
    """Return the names that programs bind, and ``*`` if one imports names that it doesn't list."""
    found: set[str] = set()
    for text in texts:
        found |= names(text)[0]
        if _STAR.search(text):
            found.add("*")
    return found


def _part(node: ast.stmt, text: str) -> _Part:
    bound, needed = names(text)
    if isinstance(node, ast.Delete):  # a symbol table has what is deleted among what is bound
        bound, needed = frozenset(), bound | needed
    return _Part(node, text, bound, needed)


def _left(lines: Sequence[str], parts: Sequence[_Part], kept: Sequence[_Part]) -> str:
    """Return the lines of a program without those that have only parts that are not kept."""
    stays = {id(part.node) for part in kept}
    wanted = {n for part in kept for n in line_numbers(part.node)}
    dropped = {n for part in parts if id(part.node) not in stays for n in line_numbers(part.node)} - wanted
    return "".join(line for number, line in enumerate(lines, 1) if number not in dropped)


def _reached(parts: Sequence[_Part], name: str) -> set[int]:
    """Return the places of the parts that define a name, and of those that these need."""
    binders: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        for each in part.bound:
            binders.setdefault(each, []).append(place)
    reached: set[int] = set()
    waiting = [name] if name else list(binders)
    seen = set(waiting)
    while waiting:
        for place in binders.get(waiting.pop(), ()):
            if place not in reached:
                reached.add(place)
                waiting += parts[place].needed - seen
                seen |= parts[place].needed
    return reached


def _finished(
    parts: Sequence[_Part], name: str, lines: Sequence[str], finish_reason: FinishReason | None
) -> Sequence[_Part]:
    """Leave out the last statement if it was cut off and the function stands before it.

    A reply that repeats itself is cut off inside a copy, which would take the place of the whole ones.
    """
    if finish_reason == "stop" or len(parts) < 2:
        return parts
    *before, last = parts
    rest = binding(_left(lines, parts, before), name)
    if rest < Binding.LIKELY:
        return parts
    if name in last.bound:
        is_copy = any(name in part.bound and part.text.startswith(last.text.rstrip()) for part in before)
        is_cut = (finish_reason == "length" or is_copy) and rest >= binding(last.text, name)
    else:
        # Where no more is known, a definition at the end does no harm.
        ends_inside = finish_reason == "length" or not (
            lines[-1].endswith("\n") or isinstance(last.node, _DEFINITIONS)
        )
        is_cut = ends_inside and len(before) not in _reached(parts, name)
    return before if is_cut else parts


def _with_bound_names(parts: Sequence[_Part], name: str, known: Collection[str]) -> Sequence[_Part]:
    """Leave out the statements that evaluate a name which nothing binds, and those that need what they bind.

    The program would end there with a `NameError`.
    """
    evaluated = [part.needed.intersection(_evaluated(part.node)).difference(known) for part in parts]
    binders: dict[str, int] = {}
    users: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        for each in part.bound:
            binders[each] = binders.get(each, 0) + 1
        for each in evaluated[place]:
            users.setdefault(each, []).append(place)
    reached = _reached(parts, name)
    waiting = [each for each in users if each not in binders]
    dropped: set[int] = set()
    while waiting:
        for place in users.get(waiting.pop(), ()):
            if place in reached or place in dropped:
                continue
            dropped.add(place)
            for each in parts[place].bound:
                binders[each] -= 1
                if not binders[each]:
                    waiting.append(each)
    return [part for place, part in enumerate(parts) if place not in dropped]


def _evaluated(root: ast.AST) -> Iterator[str]:
    """Yield the names that a statement evaluates whatever its course, when the program reaches it.

    An expression that is a statement has all its names: those that it passes over do nothing.
    """
    is_for_nothing = isinstance(root, ast.Expr)
    waiting: list[ast.AST] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            yield node.id
        if is_for_nothing and isinstance(node, ast.IfExp | ast.BoolOp):
            waiting += ast.iter_child_nodes(node)
        else:
            waiting += _run_parts(node)


def _run_parts(node: ast.AST) -> Iterable[ast.AST]:
    """Return the parts of a node that run whenever it does."""
    match node:
        case ast.Lambda():
            return [node.args]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
        case ast.If() | ast.While() | ast.IfExp():
            return [node.test]
        case ast.BoolOp():
            return node.values[:1]
        case ast.Match():
            return [node.subject]
        case ast.Try() | ast.TryStar():
            return []
    return ast.iter_child_nodes(node)


def _staying(parts: Sequence[_Part], name: str) -> Sequence[_Part]:
    """Leave out the dialogues behind the function, and settings of the environment that nothing reads."""
    reached = _reached(parts, name)
    first = max((place for place in reached if name in parts[place].bound), default=len(parts)) + 1
    leaving = _leaving_functions(parts, name)
    kept = [
        part
        for place, part in enumerate(parts)
        if place < first or place in reached or leaving.isdisjoint(_called(part.node))
    ]
    unset = [part for part in kept if not _sets_environment(part.node)]
    return kept if any(map(_ENVIRONMENT.search, {part.text for part in unset})) else unset


def _leaving_functions(parts: Sequence[_Part], name: str) -> set[str]:
    """Return the functions that wait for input, leave the program or fail, and those that call such ones."""
    callers: dict[str, list[str]] = {}
    for part in parts:
        if isinstance(part.node, FUNCTIONS) and part.node.name != name:
            for called in {call for each in part.node.body for call in _called(each)}:
                callers.setdefault(called, []).append(part.node.name)
    leaving = _LEAVING.difference(*(part.bound for part in parts))
    for part in parts:
        if isinstance(part.node, ast.ImportFrom):
            names_there = part.node.names
            leaving |= {
                each.asname or each.name
                for each in names_there
                if f"{part.node.module}.{each.name}" in _LEAVING
            }
    waiting = list(leaving)
    while waiting:
        found = set(callers.pop(waiting.pop(), ())) - leaving
        leaving |= found
        waiting += found
    return leaving


def _called(root: ast.AST) -> Iterator[str]:
    """Yield the functions that a statement itself may call: not in functions, nor where it asks for a script.

    The tests' program is none.
    """
    waiting: list[ast.AST] = [root]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, (ast.Lambda, *_DEFINITIONS)) and not asks_for_a_script(node):
            if isinstance(node, ast.Call):
                yield _dotted(node.func)
            elif isinstance(node, ast.Raise) and node.exc:
                yield _dotted(node.exc)
            waiting += ast.iter_child_nodes(node)


def _sets_environment(node: ast.stmt) -> bool:
    """Return whether it only sets variables of the process' environment, which evalplus makes impossible."""
    if isinstance(node, ast.Assign):
        return all(
            isinstance(each, ast.Subscript) and _dotted(each.value) == "os.environ" for each in node.targets
        )
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and _dotted(node.value.func) in _SETTING
    )


def _dotted(node: ast.AST) -> str:
    """Return a name with what its attributes are called; nothing for what has none."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(attributes)]) if isinstance(node, ast.Name) else ""

"""What a program needs of a reply's other blocks: a reply may be spread over several."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from xftbench.prompts.python_code import (
    FUNCTIONS,
    asks_for_a_script,
    does_nothing,
    lines_of,
    names,
    source_lines,
    statements,
    tree,
)

_DEFINITIONS = (
    *FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Try, ast.If,
)  # fmt: skip


class _Piece(NamedTuple):
    """A top-level statement of another block."""

    at: tuple[int, int]
    """The number of the block, and that of the statement in it."""
    node: ast.stmt
    text: str
    bound: frozenset[str]
    needed: frozenset[str]


def helpers(code: str, others: Sequence[str]) -> str:
    """Return the definitions among `others` that `code` needs and has not.

    Only what binds a name that is needed is taken, the last that does, with what fills it in the same block:
    examples of use stay out. A function without a body replaces none. A broken block has the statements that
    parse.
    """
    own, needed = names(code)
    binders: dict[str, _Piece] = {}
    fillers: dict[tuple[int, str], list[_Piece]] = {}
    stars: list[_Piece] = []
    for piece in _pieces(others):
        if isinstance(piece.node, ast.ImportFrom) and piece.node.names[0].name == "*":
            stars.append(piece)
        elif piece.bound and isinstance(piece.node, _DEFINITIONS):
            binders |= dict.fromkeys(piece.bound.difference(binders if _is_stub(piece.node) else ()), piece)
        elif own.isdisjoint(piece.needed):
            for name in set(_changed(piece.node)):
                fillers.setdefault((piece.at[0], name), []).append(piece)
    taken: dict[tuple[int, int], str] = {}
    waiting, seen = sorted(needed), set(own)
    while waiting:
        if (name := waiting.pop()) in seen:
            continue
        seen.add(name)
        found = [binders[name], *fillers.get((binders[name].at[0], name), ())] if name in binders else stars
        for piece in found:
            if piece.at not in taken:
                taken[piece.at] = piece.text
                waiting += piece.needed
    return "".join(taken[at] for at in sorted(taken))


def _pieces(others: Sequence[str]) -> Iterator[_Piece]:
    for number, other in enumerate(others):
        text = statements(other) if (module := tree(other)) is None else other
        module = module or tree(text)
        lines = source_lines(text)
        for place, node in enumerate(module.body if module else ()):
            if not asks_for_a_script(node):
                source = lines_of(node, lines)
                yield _Piece((number, place), node, source, *names(source))


def _is_stub(node: ast.stmt) -> bool:
    return isinstance(node, FUNCTIONS) and all(map(does_nothing, node.body))


def _changed(root: ast.stmt) -> Iterator[str]:
    """Yield the names of the tables that a statement may fill, as by ``T[i] = 1`` or ``T.append(1)``."""
    for node in ast.walk(root):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = [target for target in node.targets if not isinstance(target, ast.Name)]
        elif isinstance(node, ast.AugAssign):
            targets = [node.target]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            targets = [node.value.func] if isinstance(node.value.func, ast.Attribute) else []
        for target in targets:
            inner: ast.expr = target
            while isinstance(inner, ast.Attribute | ast.Subscript):
                inner = inner.value
            if isinstance(inner, ast.Name):
                yield inner.id

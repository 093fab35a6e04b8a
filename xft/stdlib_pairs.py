"""Training pairs that need no download: functions of the running Python's own standard library.

The question shows a function's head and docstring, as the benchmarks do; the answer is the whole function in
one fence. Methods are asked for inside their class. What can't stand alone as a lesson is left out, and
counted by reason.
"""

import ast
import builtins
import symtable
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xft.errors import DataError

_SKIPPED_FOLDERS = {
    "test", "tests", "idlelib", "idle_test", "lib2to3", "turtledemo", "site-packages", "dist-packages",
    "__pycache__", "pydoc_data", "_bundled", "encodings", "__phello__",
}  # fmt: skip
_MIN_LINES, _MAX_LINES = 4, 60
_MIN_DOC_WORDS = 4
_QUESTION = (
    "Complete the following Python {kind}. Reply with the whole {kind} in one ```python block.\n\n"
    "```python\n{head}\n```"
)

_KNOWN_NAMES = set(dir(builtins)) | set(sys.stdlib_module_names) | {"__name__", "__file__"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Pair(NamedTuple):
    """A question and its answer."""

    instruction: str
    response: str
    origin: str
    """File inside the standard library, and the function's name."""


def pairs(root: Path | None = None) -> tuple[list[Pair], Counter[str]]:
    """Return the pairs, in an order that depends on nothing but the sources, and what was left out and why.

    Args:
        root: The library's folder; the running Python's by default.

    Raises:
        DataError: If its sources are not there.
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    found: list[Pair] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        relative = path.relative_to(root)
        if not _SKIPPED_FOLDERS.intersection(relative.parts):
            for outcome in _of_file(path, relative.as_posix(), seen):
                if isinstance(outcome, Pair):
                    found.append(outcome)
                else:
                    left_out[outcome] += 1
    if not found:
        raise DataError(
            f"no sources of the standard library in {root}",
            hint="this Python comes without them; name a JSON Lines file instead of stdlib",
        )
    return found, left_out


def _of_file(path: Path, origin: str, seen: set[str]) -> Iterator[Pair | str]:
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return
    lines = text.splitlines()
    for node in tree.body:
        if isinstance(node, _Function):
            yield _pair(node, None, lines, origin, seen)
        elif isinstance(node, ast.ClassDef):
            yield from (_pair(m, node, lines, origin, seen) for m in node.body if isinstance(m, _Function))


def _pair(
    node: _Function, owner: ast.ClassDef | None, lines: list[str], origin: str, seen: set[str]
) -> Pair | str:
    """Return the pair that a function makes, or why it makes none."""
    doc = ast.get_docstring(node)
    if doc is None:
        return "no docstring"
    if len(doc.split()) < _MIN_DOC_WORDS or not doc.isascii():
        return "no sentence in the docstring"
    body = node.body[1:]
    if not body or all(isinstance(statement, ast.Pass | ast.Raise) for statement in body):
        return "nothing but a docstring"
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    end = node.end_lineno or first
    if not _MIN_LINES <= end - first + 1 <= _MAX_LINES:
        return "too short or too long"
    normal = ast.dump(ast.Module(body=list(body), type_ignores=[]))
    if normal in seen:
        return "a copy of another"
    seen.add(normal)
    head_end = node.body[0].end_lineno or first
    class_line = [] if owner is None else [f"class {ast.unparse(_bare(owner)).splitlines()[0][6:]}"]
    head, whole = class_line + lines[first - 1 : head_end], class_line + lines[first - 1 : end]
    if not _stands_alone("\n".join(whole)):
        return "needs other names of its module"
    name = node.name if owner is None else f"{owner.name}.{node.name}"
    question = _QUESTION.format(kind="function" if owner is None else "method", head="\n".join(head))
    return Pair(question, "```python\n" + "\n".join(whole) + "\n```", f"{origin}:{name}")


def _bare(owner: ast.ClassDef) -> ast.ClassDef:
    """Return a class without decorators and body, to write its first line."""
    return ast.ClassDef(
        name=owner.name, bases=owner.bases, keywords=owner.keywords, body=[ast.Pass()], decorator_list=[]
    )


def _stands_alone(code: str) -> bool:
    """Whether a text parses and uses no global names but its own, builtins and modules."""
    try:
        table = symtable.symtable(code, "pair", "exec")
    except SyntaxError:  # a function inside an `if`, or a line that goes on
        return False
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    # What stands outside the function, a base class or a decorator, is in the question.
    used = set[str]().union(*(_globals_used(child) for child in table.get_children()))
    return used <= _KNOWN_NAMES | own


def _globals_used(table: symtable.SymbolTable) -> set[str]:
    used = {
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()
    }
    return used.union(*(_globals_used(child) for child in table.get_children()))

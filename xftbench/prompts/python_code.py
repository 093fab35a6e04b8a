"""Looking at Python source: does it compile, what does it define, which lines of a text are code.

Everything is linear in the length of the text: each stretch of it is parsed a fixed number of times at most.
"""

import ast
import builtins
import enum
import io
import re
import symtable
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache

_CUTS = 8
"""How often a text is cut before the line that does not parse."""
_START = re.compile(
    r"(async[ \t]+def|def|class|import|from|if|for|while|with|try|match)\b|@"
    r"|[A-Za-z_][\w., \[\]]*(:[^=]+)?[-+*/%|&]?=[^=]"  # an assignment
    r"|[A-Za-z_][\w.]*\("  # a call
)
_GAP = re.compile(r"^[ \t]*#[ \t]*(?:\.{3,}+|\u2026)(?:[^\n]*(?:\.{3}|\u2026))?[ \t]*$", re.MULTILINE)
_CONTINUES = re.compile(r"\s|[)\]}#]|(else|elif|except|finally|case)\b")
_BUILTINS = frozenset(dir(builtins))
_BLOCKS = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While, ast.ExceptHandler)
_NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CODE = (
    *FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Try,
    ast.If, ast.For, ast.While, ast.With, ast.Match,
)  # fmt: skip


class Binding(enum.IntEnum):
    """How a program binds a name at its top level."""

    NONE = 0
    NAMED = 1
    """By an import, a function without a body or a value made with the name: elsewhere it is defined."""
    LIKELY = 2
    """By an assignment, or a function that returns nothing: an excerpt, perhaps."""
    DEFINED = 3


def tree(code: str) -> ast.Module | None:
    """Return the syntax tree of a text; None if it has none."""
    try:
        return _parsed(code)
    except _NOT_PYTHON:
        return None


def _parsed(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a stray "\\d" in a reply is the model's business
        return ast.parse(code)


def compiles(code: str) -> bool:
    """Return whether Python would compile it."""
    return _program(code) is not None


def binding(code: str, name: str) -> Binding:
    """Return how a program binds a name, by the best of its statements; not at all if it does not compile.

    If there is no name, any program defines it.
    """
    module = _program(code)
    if module is None:
        return Binding.NONE
    if not name:
        return Binding.DEFINED if module.body else Binding.NONE
    return max((_binding_of(node, name) for node in _top_level(module)), default=Binding.NONE)


def is_excerpt(short: Sequence[ast.stmt], long: Sequence[ast.stmt]) -> bool:
    """Return whether a function's body is but the beginning of another's."""
    return _begins(short, long) and not _begins(long, short)


def body_of(code: str, name: str) -> list[ast.stmt]:
    """Return a function's body, without its docstring and the dots that stand for a rest."""
    function = _function(code, name)
    return [node for node in (function.body if function else ()) if not _is_constant(node)]


def has_gaps(code: str, name: str) -> bool:
    """Return whether dots stand for a part of a function: a statement among others, or a whole comment."""
    function = _function(code, name)
    if function is None:
        return False
    bodies = [body for node in ast.walk(function) if isinstance(body := getattr(node, "body", None), list)]
    return _GAP.search(lines_of(function, source_lines(code))) is not None or any(
        any(map(_is_dots, body)) and not all(map(_is_constant, body)) for body in bodies
    )


def _function(code: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Return the last function of a name at the top level."""
    module = tree(code)
    found = [node for node in (module.body if module else ()) if isinstance(node, FUNCTIONS)]
    return next((node for node in reversed(found) if node.name == name), None)


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_dots(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...


def _begins(short: Sequence[ast.stmt], long: Sequence[ast.stmt]) -> bool:
    """Return whether statements begin others; of the last one, it may be the beginning that stands there."""
    if not short or len(short) > len(long):
        return False
    *first, last = zip(short, long, strict=False)
    return all(_same(*pair) for pair in first) and (_same(*last) or _begins_inside(*last))


def _begins_inside(short: ast.stmt, long: ast.stmt) -> bool:
    if isinstance(short, ast.For) and isinstance(long, ast.For):
        has_same_head = _same(short.iter, long.iter) and _same(short.target, long.target)
    elif isinstance(short, ast.If | ast.While) and isinstance(long, ast.If | ast.While):
        has_same_head = type(short) is type(long) and _same(short.test, long.test)
    else:
        return False
    if short.orelse:
        return has_same_head and _begins(short.body, long.body) and _begins(short.orelse, long.orelse)
    return has_same_head and _begins(short.body, long.body)


def _same(one: ast.AST, other: ast.AST) -> bool:
    return ast.dump(one) == ast.dump(other)


def mentions(code: str, name: str) -> bool:
    """Return whether a text, Python or not, has a line that would bind a name, imports included."""
    if not name:
        return bool(code.strip())
    word = re.escape(name)
    binds = rf"^[ \t]*((async[ \t]+)?def|class)[ \t]+{word}\b|^[ \t]*{word}[ \t]*(:[^=\n]*)?=[^=]"
    imports = rf"^[ \t]*from[ \t].*\b{word}\b"
    return re.search(f"{binds}|{imports}", code, re.MULTILINE) is not None


def _program(code: str) -> ast.Module | None:
    """Return the syntax tree of what compiles: a misplaced ``return`` or ``from __future__`` has a tree."""
    module = tree(code)
    try:
        if module is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(module, "<solution>", "exec", dont_inherit=True)
    except _NOT_PYTHON:
        return None
    return module


def _top_level(module: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that run when a program does, those inside ``if`` and ``try`` included."""
    waiting: list[ast.AST] = [module]
    while waiting:
        for child in ast.iter_child_nodes(waiting.pop()):
            if isinstance(child, ast.stmt):
                yield child
            if isinstance(child, _BLOCKS):
                waiting.append(child)


def _binding_of(node: ast.stmt, name: str) -> Binding:
    if isinstance(node, FUNCTIONS) and node.name == name:
        if all(does_nothing(each) for each in node.body):
            return Binding.NAMED
        returns = any(isinstance(each, ast.Return | ast.Yield | ast.YieldFrom) for each in ast.walk(node))
        return Binding.DEFINED if returns else Binding.LIKELY
    if isinstance(node, ast.ClassDef) and node.name == name:
        return Binding.DEFINED
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(name in _stored(target) for target in targets):
            return Binding.NAMED if name in _used(node.value) else Binding.LIKELY
    is_imported = isinstance(node, ast.Import | ast.ImportFrom) and any(
        name == (alias.asname or alias.name).split(".")[0] for alias in node.names
    )
    return Binding.NAMED if is_imported else Binding.NONE


def asks_for_a_script(node: ast.AST) -> bool:
    """Whether it is a condition on ``__name__``: the tests' program is no script."""
    return isinstance(node, ast.If) and "__name__" in _used(node.test)


def does_nothing(node: ast.stmt) -> bool:
    """Whether it is a docstring, ``...``, ``pass``, ``return None`` or ``raise NotImplementedError``."""
    if isinstance(node, ast.Return):
        return node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
    if isinstance(node, ast.Raise):
        return node.exc is not None and "NotImplementedError" in _used(node.exc)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def cut(code: str, keep_lines: int = 0) -> str | None:
    """Return the longest beginning that parses, found by cutting where the parser gives up.

    Args:
        code: What does not parse as a whole.
        keep_lines: Lines that must stay.
    """
    lines = source_lines(code)
    for _ in range(_CUTS):
        try:
            _parsed("".join(lines))
            return "".join(lines)
        except SyntaxError as error:
            wrong = min(error.lineno or 0, len(lines))
        except _NOT_PYTHON:
            return None
        if wrong <= keep_lines + 1:
            return None
        del lines[wrong - 1 :]
    return None


def source_lines(code: str) -> list[str]:
    """Return lines as the parser counts them: a form feed or U+2028 ends none."""
    return list(io.StringIO(code, newline=""))


def statements(text: str) -> str:
    """Return the top-level statements of a text that is code and prose, each as it stands.

    Nothing that parses and does something is left out: decorated functions, helpers, ``try: import``,
    assignments and loops stay. What follows the last definition is an example, unless it binds a name that
    the definitions need. A last function that was cut off is kept as far as it parses.
    """
    kept, last = [], 0
    for chunk in _chunks(text):
        module = tree(chunk)
        is_definition = chunk.startswith(("def ", "async def ", "class ", "@"))
        if module is not None and any(_acts(node) for node in module.body):
            kept.append(chunk)
        elif module is None and is_definition:
            kept.append(cut(chunk) or "")
        if is_definition:
            last = len(kept)
    _, needed = names("".join(kept[:last]))
    return "".join(kept[:last] + [chunk for chunk in kept[last:] if not last or names(chunk)[0] & needed])


def _acts(node: ast.stmt) -> bool:
    return isinstance(node, _CODE) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))


def _chunks(text: str) -> Iterator[str]:
    """Yield stretches that may be one top-level statement each, by first characters and indentation."""
    chunk: list[str] = []
    quote = ""
    for line in text.splitlines(keepends=True):
        inside = bool(quote) or _CONTINUES.match(line) or (chunk and _only_decorators(chunk))
        if chunk and not inside:
            yield "".join(chunk)
            chunk = []
        if chunk or _START.match(line):
            chunk.append(line)
            quote = _open_quote(line, quote)
    if chunk:
        yield "".join(chunk)


def _only_decorators(chunk: Sequence[str]) -> bool:
    return chunk[-1].startswith("@") and chunk[0].startswith("@")


def _open_quote(line: str, quote: str) -> str:
    """Return the triple quote that is open at the end of a line; prose has none, so a plain count will do."""
    for match in re.finditer(r'"""|\'\'\'', line):
        if not quote:
            quote = match[0]
        elif match[0] == quote:
            quote = ""
    return quote


@lru_cache(maxsize=1)  # statements that share a line have one text
def names(code: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a program binds globally, and those that it needs and has not."""
    try:
        table = symtable.symtable(code, "<solution>", "exec")
    except _NOT_PYTHON:
        return frozenset(), frozenset()
    bound = {
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }
    used: set[str] = set()
    waiting = [table]
    while waiting:
        scope = waiting.pop()
        waiting += scope.get_children()
        used |= {
            symbol.get_name()
            for symbol in scope.get_symbols()
            if symbol.is_referenced() and (scope is table or symbol.is_global())
        }
    return frozenset(bound), frozenset(used - bound - _BUILTINS)


def line_numbers(node: ast.stmt) -> range:
    """Return the numbers of a statement's lines, from 1, decorators included."""
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return range(first, (node.end_lineno or first) + 1)


def lines_of(node: ast.stmt, lines: Sequence[str]) -> str:
    """Return the source of a statement, decorators included."""
    text = "".join(lines[number - 1] for number in line_numbers(node))
    return text if text.endswith("\n") else text + "\n"


def _used(root: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(root) if isinstance(node, ast.Name)}


def _stored(root: ast.AST) -> set[str]:
    return {
        node.id for node in ast.walk(root) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }

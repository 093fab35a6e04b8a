"""Whole programs in languages in which the function is a member of a class, which the tests close."""

import re

from xftbench.benchmarks.multipl_e_pieces import joined, last, opened, split_imports, without
from xftbench.benchmarks.multipl_e_syntax import closing, enclosing, functions, skeleton
from xftbench.records import Problem

_MAIN = {"cs": "Main"}


def in_a_class(problem: Problem, code: str) -> str:
    """Take the members of the class that has the function into the prompt's own class, the function last."""
    language = problem.language
    imports, code = split_imports(language, code)
    bones = skeleton(language, code)
    opening = enclosing(bones, last(language, code, problem.entry_point).start)
    siblings, members = "", code
    if opening is not None:
        end = closing(bones, opening, "{}")
        siblings = _siblings(language, code, bones, opening, end)
        members = code[opening + 1 : end - 1] if bones[end - 1] == "}" else code[opening + 1 :]
    members = without(language, members, _MAIN.get(language, "main"))
    function = last(language, members, problem.entry_point)
    rest = members[: function.start] + members[function.end :]
    head, class_line = _class_head(problem.prompt)
    return joined(*imports, head, siblings, class_line, rest, opened(members, function))


def _class_head(prompt: str) -> tuple[str, str]:
    """Return what a prompt has before its class, and the line that opens it."""
    match = re.search(r"^(?:class|object) \w+ \{$", prompt, re.MULTILINE)
    return (prompt[: match.start()].rstrip("\n"), match[0]) if match else ("", "")


def _siblings(language: str, code: str, bones: str, opening: int, end: int) -> str:
    """Return the other types beside a class; those that hold a ``main`` are examples of use."""
    start = max(bones.rfind(mark, 0, opening) for mark in ";{}") + 1
    outer = enclosing(bones, start)
    first = 0 if outer is None else outer + 1
    last = len(code) if outer is None else closing(bones, outer, "{}") - 1
    pieces = [code[first:start], code[end:last]]
    main = _MAIN.get(language, "main")
    kept = [piece for piece in pieces if not functions(language, skeleton(language, piece), main)]
    return "\n".join(piece for piece in kept if skeleton(language, piece).strip())

"""Whole programs in languages in which the function is a member of a class, which the tests close."""

import re
from collections.abc import Iterator

from xftbench.benchmarks.multipl_e_pieces import (
    forwarding,
    joined,
    last,
    opened,
    renamed,
    split_imports,
    without,
    without_pieces,
)
from xftbench.benchmarks.multipl_e_syntax import all_enclosing, closing, enclosing, functions, skeleton
from xftbench.records import Problem

_MAIN = {"cs": "Main"}
_OBJECTS = ("java", "cs")
_OWN = "OwnProblem"
"""What a class is called whose objects are used."""
_TYPE = re.compile(r"\b(?:class|interface|enum|record|struct|object|trait|delegate)\b(?:\s+(\w+))?")
_STATIC = re.compile(r"\bstatic\s")
_EXTENSION = re.compile(r"\(\s*this\s")
"""A method of C# that can be called as one of its first argument; its class must be static."""
_PUBLIC = re.compile(r"^\s*public\s+(?=[\w\s]*\b(?:class|interface|enum|record)\b)")
_TEST = (
    r"(?:@(?:[a-z]\w{0,40}\.){0,8}(?:Parameterized|Repeated)?Test\b(?:\([^()]{0,200}\))?"
    r"|\[(?:Test|TestMethod|Fact|Theory)\b[^\]]{0,200}\]|@main\b)"
)
_TEST_METHOD = re.compile(_TEST + r"[^;{}(]{0,200}?\b(\w+)\s*\(")
_LOOSE = re.compile(
    r"^[ \t]*(?:(?:for|foreach|if|while)\s*\([^{}]{0,400}\)\s*\{"
    r"|(?:var\s+\w+\s*=|assert\b|(?!(?:for|foreach|if|while)\b)[a-zA-Z_][\w.]*\s*\()"
    r"(?:[^;{}]|\{[^;{}]{0,1000}+\}){0,2000}+;)",
    re.MULTILINE,
)
"""A call, a variable without a type or a loop."""
_BEFORE = (";", "{", "}", "")
"""What a statement stands behind; a line behind anything else, such as ``=>``, goes on with one."""
_HEAD_CHARS = 400
_TEST_IMPORT = re.compile(r"\b(?:junit|testng|hamcrest|assertj|NUnit|Xunit|TestTools)\b")
"""JUnit, NUnit and the like: a reply's own tests, which run elsewhere."""


def in_a_class(problem: Problem, code: str) -> str:
    """Take the members of the class that has the function into the prompt's own class, the function last.

    What calls them by the name of their own class calls them by that of the prompt's. A method that needs an
    object stays in its class, and each call gets a new one.
    """
    language = problem.language
    imports, code = split_imports(language, code)
    head, class_line = _class_head(problem.prompt)
    ours = _TYPE.search(class_line)
    our_name = ours[1] if ours else ""
    function = last(language, code, problem.entry_point, our_name)
    if enclosing(skeleton(language, code), function.start) is None:
        code = _without_loose(language, code)
        if _needs_an_object(problem, code):
            code = f"class {_OWN} {{\n{code}\n}}"
    bones = skeleton(language, code)
    opening = enclosing(bones, last(language, code, problem.entry_point, our_name).start)
    siblings, members, loose = "", code, ""
    if opening is not None:
        start = max(bones.rfind(mark, 0, opening) for mark in ";{}") + 1
        if language == "scala":  # whose statements end where lines do
            start = max(start, bones.rfind("\n", start, _last_type(bones, start, opening)) + 1)
        end = closing(bones, opening, "{}")
        siblings, loose = _siblings(language, code, bones, (start, end))
        members = code[opening + 1 : end - 1] if bones[end - 1] == "}" else code[opening + 1 :]
        named = _TYPE.search(bones, start, opening)
        if named and _needs_an_object(problem, members):
            members = without(language, members, _uses(problem, members))
            owner = f"class {_OWN}{code[named.end() : opening]}{{{members}}}"
            siblings, owner = (renamed(language, text, named[1], _OWN) for text in (siblings, owner))
            call = forwarding(problem.prompt, problem.entry_point, f"new {_OWN}()")
            return joined(*_without_tests(imports), head, siblings, owner, class_line, loose, call)
        if (
            language == "cs"
            and _STATIC.search(bones, start, opening)
            and _EXTENSION.search(bones, opening, end)
        ):
            class_line = f"static {class_line}"
        if named and named[1] and our_name and our_name != named[1]:
            siblings = renamed(language, siblings, named[1], our_name)
            members = renamed(language, members, named[1], our_name)
    members = joined(loose, members) if loose else members
    members = without(language, members, _uses(problem, members))
    function = last(language, members, problem.entry_point)
    rest = members[: function.start] + members[function.end :]
    return joined(*_without_tests(imports), head, siblings, class_line, rest, opened(members, function))


def _without_loose(language: str, code: str) -> str:
    """Return methods without the examples of use beside them, which would be no members of a class."""
    if language not in _OBJECTS:
        return code
    bones = skeleton(language, code)
    heads = list(_LOOSE.finditer(bones))
    braces = all_enclosing(bones, [head.start() for head in heads])
    loose = [
        head
        for head, (depth, _) in zip(heads, braces, strict=True)
        if depth == 0 and bones[max(0, head.start() - _HEAD_CHARS) : head.start()].rstrip()[-1:] in _BEFORE
    ]

    def end_of(head: re.Match[str]) -> int:
        end = head.end()
        return closing(bones, end - 1, "{}") if bones[end - 1] == "{" else end

    return without_pieces(code, loose, end_of)


def _needs_an_object(problem: Problem, members: str) -> bool:
    function = last(problem.language, members, problem.entry_point)
    head = skeleton(problem.language, members)[function.start : function.body]
    return problem.language in _OBJECTS and head != "" and re.search(r"\bstatic\b", head) is None


def _uses(problem: Problem, members: str) -> str:
    """Return a pattern for the methods that run or test the others."""
    tests = {*_TEST_METHOD.findall(skeleton(problem.language, members))} - {problem.entry_point}
    return "|".join([_MAIN.get(problem.language, "main"), *sorted(tests)])


def _without_tests(imports: list[str]) -> list[str]:
    return [line for line in imports if not _TEST_IMPORT.search(line)]


def _last_type(bones: str, start: int, end: int) -> int:
    """Return where the last type's keyword stands in a stretch; its end if there is none."""
    return max((match.start() for match in _TYPE.finditer(bones, start, end)), default=end)


def _class_head(prompt: str) -> tuple[str, str]:
    """Return what a prompt has before its class, and the line that opens it."""
    match = re.search(r"^(?:class|object) \w+ \{$", prompt, re.MULTILINE)
    return (prompt[: match.start()].rstrip("\n"), match[0]) if match else ("", "")


def _siblings(language: str, code: str, bones: str, span: tuple[int, int]) -> tuple[str, str]:
    """Return the types and the methods beside a class; without examples: a ``main`` or tests."""
    start, end = span
    outer = enclosing(bones, start)
    first = 0 if outer is None else outer + 1
    last = len(code) if outer is None else closing(bones, outer, "{}") - 1
    pieces = [*_statements(language, code[first:start]), *_statements(language, code[end:last])]
    types, methods = [], []
    for piece in pieces:
        if _is_helper(language, piece):
            if _TYPE.search(skeleton(language, piece)):
                types.append(_PUBLIC.sub("", piece))
            else:
                methods.append(piece)
    return "\n".join(types), "\n".join(methods)


def _statements(language: str, code: str) -> Iterator[str]:
    """Split a text behind its outermost braces, and before what leads to their opening."""
    bones = skeleton(language, code)
    position = 0
    while (opening := bones.find("{", position)) >= 0:
        start = max(position, bones.rfind(";", position, opening) + 1)
        yield code[position:start]
        position = closing(bones, opening, "{}")
        yield code[start:position]
    yield code[position:]


def _is_helper(language: str, piece: str) -> bool:
    bones = skeleton(language, piece)
    is_use = functions(language, bones, _MAIN.get(language, "main")) or re.search(_TEST, bones)
    return not is_use and bool(_TYPE.search(bones) or functions(language, bones, r"\w+"))

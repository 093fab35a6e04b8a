"""A whole program in a reply -> the solution that MultiPL-E's tests can stand behind.

The tests of half of the languages begin with the brace that closes the function (and, in a class, go on with
``main``), because upstream cuts completions off before it. A reply to a request in prose holds the whole
function instead, often with imports, helpers, a class of another name and a ``main`` of its own. What is
done here is choosing and ordering pieces of it; the only edit is the brace that is left to the tests.
"""

import re
from collections.abc import Sequence

from xftbench.benchmarks.multipl_e_syntax import (
    Function,
    closing,
    defines,
    enclosing,
    functions,
    skeleton,
)
from xftbench.records import Problem

_NAMES = {
    "clj": re.compile(r"^\(defn (\S+)", re.MULTILINE),
    "hs": re.compile(r"^([\w']+) ::", re.MULTILINE),
    "ml": re.compile(r"^let (?:rec )?([\w']+)", re.MULTILINE),
    "pl": re.compile(r"^sub (\w+)", re.MULTILINE),
    "r": re.compile(r"^(\w+) <- function", re.MULTILINE),
    "rkt": re.compile(r"^\(define \((\S+)", re.MULTILINE),
}
_NAME = re.compile(r"(?<![.\w])(\w+)\s*\(")

_IN_A_CLASS = ("java", "cs", "scala")
_IN_A_FILE = ("cpp", "rs", "swift", "sh")
_MAIN = {"cs": "Main"}
_IMPORT = {
    "cpp": r"[ \t]*#[ \t]*include\b[^\n]*",
    "cs": r"[ \t]*using[ \t]+(?:static[ \t]+)?[\w.]+(?:[ \t]*=[^;\n]*)?;",
    "d": r"(?:import[ \t]+[^;]*;|module[ \t]+[^;]*;)",
    "java": r"[ \t]*import[ \t][^;\n]*;",
    "rs": r"use[ \t][^;]*;",
    "scala": r"import[ \t][^\n]*",
    "sh": r"#![^\n]*",
    "swift": r"import[ \t][^\n]*",
}
_GO_IMPORT = re.compile(r'^import[ \t]*(?:\(([^)]*)\)|([^\n]*"[^"\n]*"))', re.MULTILINE)
_DROPPED = {
    # The tests declare it themselves, and JavaScript forbids the second time.
    "js": re.compile(
        r"^[ \t]*(?:const|let)[ \t]+assert[ \t]*=[^\n]*\n?|^import[ \t]+[^\n]*\n?", re.MULTILINE
    ),
    "ts": re.compile(
        r"^[ \t]*(?:const|let)[ \t]+assert[ \t]*=[^\n]*\n?|^import[ \t]+[^\n]*\n?", re.MULTILINE
    ),
    # What runs a program is the tests' own.
    "hs": re.compile(r"^module\s[^\n]*\n?|^main\b[^\n]*(?:\n(?:[ \t][^\n]*)?(?=\n|\Z))*", re.MULTILINE),
    "lua": re.compile(r"^return\b[^\n]*\s*\Z", re.MULTILINE),
    "rkt": re.compile(r"^#lang[^\n]*\n?", re.MULTILINE),
}
_FIRST_LINE = {"php": "<?php\n", "rkt": "#lang racket\n"}


def entry_point(language: str, prompt: str) -> str:
    """Return the name of the function that a prompt leaves to be written; its head is the prompt's end."""
    pattern = _NAMES.get(language)
    if pattern is not None:
        return [match[1] for match in pattern.finditer(prompt)][-1]
    head = prompt.rstrip().rpartition("\n")[2]
    match = _NAME.search(head)
    return match[1] if match else ""


def truncate(completion: str, stops: Sequence[str]) -> str:
    """Return a completion up to its first stop string; what precedes it in the prompt does not count."""
    ends = [found for stop in stops if (found := completion.find(stop)) >= 0]
    return completion[: min(ends, default=len(completion))]


def assemble(problem: Problem, code: str) -> str | None:
    """Return the solution that a whole program holds, ready for the tests; None if it lacks the function."""
    language, name = problem.language, problem.entry_point
    if not name or not (defines(language, code, name) or "<?php" in code):
        return None
    if language in _IN_A_CLASS:
        return _in_a_class(problem, code)
    if language in _IN_A_FILE:
        return _in_a_file(problem, code)
    if language == "go":
        return _go(problem, code)
    if language == "d":
        return _joined(_preamble(problem, code), _without(language, code, "main"))
    if language == "elixir":
        return _elixir(problem, code)
    if language == "php":
        code = _open_php(code)
    code = _DROPPED[language].sub("", code) if language in _DROPPED else code
    first = _FIRST_LINE.get(language, "")
    return code if code.lstrip().startswith(first.strip() or code[:1]) else first + code


def _joined(*pieces: str) -> str:
    """Return the pieces that are not blank, each on lines of its own."""
    return "\n".join(piece.strip("\n") for piece in pieces if piece.strip())


def _in_a_file(problem: Problem, code: str) -> str:
    """Put the function last and open, and everything else before it, without ``main``.

    What stood behind it in C++ and calls it gets a declaration.
    """
    language = problem.language
    code = _without(language, code, "main")
    function = _last(language, code, problem.entry_point)
    before, after = code[: function.start], code[function.end :]
    if language == "sh":
        after = _shell_functions(after)
    bones = skeleton(language, after)
    after = after if bones.strip() else ""
    declared = ""
    if language == "cpp" and re.search(rf"\b{re.escape(problem.entry_point)}\b", bones):
        declared = code[function.start : function.body - 1].strip() + ";"
    return _joined(_preamble(problem, code), before, declared, after, _opened(code, function))


def _last(language: str, code: str, name: str) -> Function:
    """Return the last definition of a function; the end of a text that is too broken to have one."""
    found = functions(language, skeleton(language, code), name)
    return found[-1] if found else Function(len(code), len(code), len(code), has_braces=True)


def _opened(code: str, function: Function) -> str:
    """Return a function without its closing brace."""
    head = code[function.start : function.body]
    body = code[function.body : function.end]
    return head + body.removesuffix("}") if function.has_braces else f"{head} {{ {body}"


def _elixir(problem: Problem, code: str) -> str:
    """Put the functions of a reply into the prompt's module, which has an alias for the tests."""
    head = problem.prompt.rstrip().rpartition("\n")[0]
    module = re.search(r"^defmodule [\w.]+ do\n(.*?)^end$", code, re.DOTALL | re.MULTILINE)
    return _joined(head, module[1] if module else code, "end")


def _open_php(code: str) -> str:
    """Return a PHP file without the tag that ends it: behind that, the tests would be text to print."""
    end = code.rfind("?>")
    return code if end < 0 or code.find("<?", end) >= 0 else code[:end]


def _shell_functions(code: str) -> str:
    """Return the functions of a script; its commands are examples of use."""
    bones = skeleton("sh", code)
    heads = re.finditer(r"^[ \t]*(?:function[ \t]+)?[\w-]+[ \t]*(?:\(\s*\))?\s*\{", bones, re.MULTILINE)
    pieces, end = [], 0
    for head in heads:
        if head.start() >= end:
            end = closing(bones, head.end() - 1, "{}")
            pieces.append(code[head.start() : end])
    return "\n".join(pieces)


def _in_a_class(problem: Problem, code: str) -> str:
    """Take the members of the class that has the function into the prompt's own class, the function last."""
    language = problem.language
    imports, code = _split_imports(language, code)
    bones = skeleton(language, code)
    opening = enclosing(bones, _last(language, code, problem.entry_point).start)
    siblings, members = "", code
    if opening is not None:
        end = closing(bones, opening, "{}")
        siblings = _siblings(language, code, bones, opening, end)
        members = code[opening + 1 : end - 1] if bones[end - 1] == "}" else code[opening + 1 :]
    members = _without(language, members, _MAIN.get(language, "main"))
    function = _last(language, members, problem.entry_point)
    rest = members[: function.start] + members[function.end :]
    head, class_line = _class_head(problem.prompt)
    return _joined(*imports, head, siblings, class_line, rest, _opened(members, function))


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


def _split_imports(language: str, code: str) -> tuple[list[str], str]:
    """Return the import lines of a text, and the text without them and without its package."""
    pattern = re.compile(rf"^{_IMPORT[language]}", re.MULTILINE)
    imports = [match[0].strip() for match in pattern.finditer(code)]
    rest = re.sub(r"^\s*package[ \t][^\n]*", "", pattern.sub("", code))
    return imports, rest


def _without(language: str, code: str, name: str) -> str:
    """Return a text without a function."""
    bones = skeleton(language, code)
    kept, end = [], 0
    for function in functions(language, bones, name):
        if function.start >= end:
            kept.append(code[end : function.start])
            end = function.end
    return "".join([*kept, code[end:]])


def _preamble(problem: Problem, code: str) -> str:
    """Return what a prompt has before its description and a reply does not repeat."""
    language = problem.language
    described = re.compile(r"^[ \t]*(?://|/\*|#(?!!|[ \t]*include))", re.MULTILINE).search(problem.prompt)
    head = problem.prompt[: described.start()] if described else ""
    pattern = re.compile(rf"^{_IMPORT[language]}", re.MULTILINE)
    imports = [match[0] for match in pattern.finditer(head)]
    types = pattern.sub("", head).strip()
    header = types.partition("{")[0].strip()
    if header and re.search(rf"\b{re.escape(header)}\b", code):
        types = ""
    return _joined(*(line for line in imports if not _has_import(language, code, line)), types)


def _has_import(language: str, code: str, line: str) -> bool:
    if language != "rs":
        return re.search(rf"^\s*{re.escape(line.strip())}", code, re.MULTILINE) is not None
    # Rust forbids the second time, also as one of a list.
    last = line.rstrip(";").rpartition("::")[2]
    return re.search(rf"^\s*use\b[^;]*\b{re.escape(last)}\b", code, re.MULTILINE) is not None


def _go(problem: Problem, code: str) -> str:
    """Keep the prompt's package and imports, and those imports of the reply that are used."""
    code = re.sub(r"^\s*package[ \t]+\w+[^\n]*", "", code)
    blocks = [match[1] or match[2] for match in _GO_IMPORT.finditer(code)]
    specs = [line.strip() for block in blocks for line in block.splitlines() if '"' in line]
    rest = _without("go", _GO_IMPORT.sub("", code), "main")
    used = [f"import {spec}" for spec in dict.fromkeys(specs) if _is_used(spec, rest)]
    head = problem.prompt[: problem.prompt.index(")") + 1]
    return _joined(head, *used, rest)


def _is_used(spec: str, code: str) -> bool:
    alias, path, _ = spec.split('"', 2)
    name = alias.strip() or path.rpartition("/")[2]
    return path not in ("testing", "fmt") and re.search(rf"\b{re.escape(name)}\.", code) is not None

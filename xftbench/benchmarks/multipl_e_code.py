"""A whole program in a reply -> the solution that MultiPL-E's tests can stand behind.

The tests of half of the languages begin with the brace that closes the function (and, in a class, go on with
``main``), because upstream cuts completions off before it. A reply to a request in prose holds the whole
function instead, often with imports, helpers, a class of another name and a ``main`` of its own. What is
done here is choosing and ordering pieces of it; edited are the brace that is left to the tests, and names
that the prompt or the tests have for something else.
"""

import re
from collections.abc import Sequence

from xftbench.benchmarks.multipl_e_classes import in_a_class
from xftbench.benchmarks.multipl_e_definitions import as_a_function, defines
from xftbench.benchmarks.multipl_e_pieces import (
    IMPORT,
    forwarding,
    joined,
    last,
    opened,
    without,
    without_pieces,
)
from xftbench.benchmarks.multipl_e_scripts import as_script
from xftbench.benchmarks.multipl_e_syntax import all_enclosing, closing, enclosing, functions, skeleton
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
_NO_CHECKS = re.compile(r"^[ \t]*#[ \t]*define[ \t]+NDEBUG\b[^\n]*\n?", re.MULTILINE)
"""What switches the tests of C++ off."""
_OWN_HEADER = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"(?!bits/)[^"\n]*\.h(?:pp)?"[^\n]*\n?', re.MULTILINE)
"""A file of the reply's own, which is not there."""
_SHELL_EXIT = (
    r"^if\b(?:(?!^fi\b).){0,2000}?\b(?:%(ends)s)\b.{0,2000}?^fi\b[^\n]*\n?"
    r"|^(?!\s)[^\n{}]*\bexit\b[^\n{}]*\n"
    r"|^(?:\[[^\n{}]*|\(\([^\n{}]*|test[ \t][^\n{}]*)?(?<![-\w=$])(?:%(ends)s)(?![-\w=])[^\n{}()]*\n"
)
_LABEL = re.compile(r"^[ \t]*(?:public|private|protected)[ \t]*:", re.MULTILINE)
_VARIABLE = re.compile(
    r"\s*(?!(?:using|typedef|static|constexpr|const|friend|enum|struct|class|template)\b)"
    r"[\w:][\w:<>,&*\s]*[\s>&*]\w+(?:\[[^\]]*\])*\s*(?:=(?s:.*))?"
)
_OWNER = {
    "cpp": re.compile(r"\bnamespace\s+(\w+(?:::\w+)*)\s*\Z"),
    "rs": re.compile(r"\b(?:mod|impl(?:\s+\w+\s+for)?)\s+(\w+)\s*\Z"),
}
"""What a function of C++ or Rust can stand in."""
_USE = {
    "cpp": r"^[ \t]*using[ \t]+(?:namespace[ \t]+{owner}|{owner}::{name})[ \t]*;",
    "rs": r"^(?:pub[ \t]+)?use[ \t]+(?:(?:self|crate)::)?{owner}::{name}[ \t]*;",
}
"""What gives it its bare name already."""
_OWNERS = 8
"""How many namespaces may be in each other."""
_TYPE_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(int|long|float|double)\b", re.MULTILINE)
"""What the tests of C++ must not see: `main` can't return `long long`."""
_DEFAULT = re.compile(r"\s*=[^,(){}=]*(?:\{[^{}]*\}|\([^()]*\))?\s*(?=[,)])")
_RUST_ATTRIBUTE = r"#!\[(?:[^\[\]]|\[[^\[\]]*\])*+\]"
_RUST_INNER = re.compile(
    rf"\A(?:\s*(?:{_RUST_ATTRIBUTE}|//[^\n]*|/\*(?>.*?\*/)))*"
    rf"\s*(?:{_RUST_ATTRIBUTE}|//![^\n]*|/\*!(?>.*?\*/))",
    re.DOTALL,
)
"""What Rust says of a file, up to the last such line: it must come before anything else."""
_RUST_USE = re.compile(r"^[ \t]*(?:pub(?:\([^()]*\))?[ \t]+)?use\b[^;]{0,999};", re.MULTILINE)
_D_MODULE = re.compile(r"^[ \t]*module[ \t]+[\w.]+[ \t]*;[ \t]*\n?", re.MULTILINE)
_D_TEST = re.compile(r"^(?:(?:@\w+|pure|nothrow)\s+)*unittest\s*\{", re.MULTILINE)
_GO_IMPORT = re.compile(r'^import[ \t]*(?:\(([^)]*)\)|([^\n]*"[^"\n]*"))', re.MULTILINE)
_GO_PACKAGE = re.compile(r"\A(?:\s*+(?://[^\n]*\n|/\*.*?\*/))*+\s*package[ \t]+\w+[^\n]*", re.DOTALL)
_GO_MAIN = r"main|(?:Test|Example|Benchmark|Fuzz)(?![a-z])\w*"
"""What is run beside the benchmark's test by `go test`."""


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


def is_whole(problem: Problem, code: str) -> bool:
    """Return whether a text seems to be a program with the function."""
    name = problem.entry_point
    return name != "" and ("<?php" in code or defines(problem.language, code, name))


def assemble(problem: Problem, code: str) -> str | None:
    """Return the solution that a whole program holds, ready for the tests; None if it lacks the function."""
    language, name = problem.language, problem.entry_point
    if not is_whole(problem, code):
        return None
    if language in _IN_A_CLASS:
        return in_a_class(problem, code)
    if language in _IN_A_FILE:
        return _in_a_file(problem, code)
    if language == "go":
        return _go(problem, code)
    if language == "d":
        code = _D_MODULE.sub("", code)  # it would have to come before the prompt's imports
        code = _without_unit_tests(without(language, code, "main"))
        return joined(_preamble(problem, code), _with_bodies(code))
    if language == "elixir":
        return _elixir(problem, code)
    return as_script(language, code, name)


def _without_unit_tests(code: str) -> str:
    """Return D without tests of its own, which would run beside the benchmark's."""
    bones = skeleton("d", code)
    return without_pieces(code, _D_TEST.finditer(bones), lambda head: closing(bones, head.end() - 1, "{}"))


def _with_bodies(code: str) -> str:
    """Return D in which functions that are one expression have a body: few compilers take them otherwise."""
    kept, end = [], 0
    for function in functions("d", skeleton("d", code), r"\w+"):
        if function.start >= end and not function.has_braces:
            kept += [code[end : function.start], opened(code, function), " }"]
            end = function.end
    return "".join([*kept, code[end:]])


def _in_a_file(problem: Problem, code: str) -> str:
    """Put the function last and open, and everything else before it, without ``main``.

    What stood behind it in C++ and calls it gets a declaration, which then has the default arguments.
    """
    language = problem.language
    code = without(language, code, "main")
    if language == "cpp":
        code = as_a_function(code, problem.entry_point)
        code = _unwrapped(problem, _OWN_HEADER.sub("", _NO_CHECKS.sub("", code)))
    elif language == "rs":
        code = _under_its_bare_name(problem, code)
    inner = _RUST_INNER.match(code) if language == "rs" else None
    first, code = (inner[0], code[inner.end() :]) if inner else ("", code)
    function = last(language, code, problem.entry_point)
    before, after = code[: function.start], code[function.end :]
    definition, size = opened(code, function), function.body - function.start
    if language == "sh":
        before, after = _going_on(before), _shell_functions(after)
    bones = skeleton(language, after)
    after = after if bones.strip() else ""
    declared = ""
    if language == "cpp" and re.search(rf"\b{re.escape(problem.entry_point)}\b", bones):
        declared = definition[: size - 1].strip() + ";"
        definition = _DEFAULT.sub("", definition[:size]) + definition[size:]
    forgotten = [f"#undef {word}" for word in _TYPE_MACRO.findall(code)] if language == "cpp" else []
    return joined(first, _preamble(problem, code), before, declared, after, definition, *forgotten)


def _unwrapped(problem: Problem, code: str) -> str:
    """Return C++ in which the members of a class stand by themselves, if the function is one of them.

    What has a constructor or variables stays whole, and each call gets a new object. Namespaces stay, too.
    """
    bones = skeleton("cpp", code)
    opening = enclosing(bones, last("cpp", code, problem.entry_point).start)
    if opening is None:
        return code
    first = max(0, opening - 200)
    header = re.search(r"\b(?:class|struct)\s+(\w+)[^;{}]*\Z", bones[first:opening])
    if header is None:
        return _under_its_bare_name(problem, code)
    end = closing(bones, opening, "{}")
    members = _LABEL.sub("", code[opening + 1 : end - 1])
    if _has_state(header[1], _LABEL.sub("", bones[opening + 1 : end - 1])):
        base = code[first + header.end(1) : opening]
        whole = f"{code[: first + header.start()]}struct {header[1]}{base}{{{members}}};"
        call = forwarding(problem.prompt, problem.entry_point, f"{header[1]}()")
        return joined(whole, code[end:].lstrip().removeprefix(";"), call)
    return f"{code[: first + header.start()]}{members}{code[end:].lstrip().removeprefix(';')}"


def _under_its_bare_name(problem: Problem, code: str) -> str:
    """Return code that has the function under its bare name, too, if it stands in namespaces.

    In Rust, those are modules and what is implemented for a type.
    """
    language, name = problem.language, problem.entry_point
    bones = skeleton(language, code)
    function = last(language, code, name)
    opening = enclosing(bones, function.start)
    names: list[str] = []
    while opening is not None:
        header = _OWNER[language].search(bones, max(0, opening - 200), opening)
        if header is None or len(names) == _OWNERS:
            return code
        names.insert(0, header[1])
        opening = enclosing(bones, opening)
    if not names:
        return code
    owner = "::".join(names)
    if (
        language == "rs"
        and re.search(rf"\bimpl\s+{names[-1]}\s*\{{", bones)
        and not re.search(rf"\b(?:struct|enum)\s+{names[-1]}\b", bones)
    ):
        code = f"struct {names[-1]};\n{code}"
    uses = re.compile(_USE[language].format(owner=owner, name=re.escape(name)), re.MULTILINE)
    code = without_pieces(code, uses.finditer(bones), lambda use: use.end())
    needs_an_object = re.search(r"\bself\b", bones[function.start : function.body]) is not None
    return joined(code, forwarding(problem.prompt, name, owner, "." if needs_an_object else "::"))


def _has_state(name: str, members: str) -> bool:
    """Return whether a class has a constructor, or variables of its own in each object."""
    depth, outer = 0, ""
    for piece in re.split(r"([{}])", members):
        if piece in "{}":
            depth += 1 if piece == "{" else -1
        elif depth == 0:
            outer += f"{piece};"
    return re.search(rf"\b{name}\s*\(", outer) is not None or any(
        _VARIABLE.fullmatch(statement) for statement in outer.split(";")
    )


def _elixir(problem: Problem, code: str) -> str:
    """Put the functions of a reply into the prompt's module, which has an alias for the tests."""
    head = problem.prompt.rstrip().rpartition("\n")[0]
    module = re.search(r"^defmodule [\w.]+ do\n(.*?)^end$", code, re.DOTALL | re.MULTILINE)
    return joined(head, module[1] if module else code, "end")


def _going_on(code: str) -> str:
    """Return the beginning of a script without the commands that may end it, such as a check of arguments."""
    bones = skeleton("sh", code)
    helpers = functions("sh", bones, r"[A-Za-z_]\w*")
    ends = ["exit", *(one.name for one in helpers if re.search(r"\bexit\b", bones[one.body : one.end]))]
    pattern = re.compile(_SHELL_EXIT % {"ends": "|".join(ends)}, re.MULTILINE | re.DOTALL)
    return without_pieces(code, pattern.finditer(bones), lambda command: command.end())


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


def _preamble(problem: Problem, code: str) -> str:
    """Return what a prompt has before its description and a reply does not repeat."""
    language = problem.language
    described = re.compile(r"^[ \t]*(?://|/\*|#(?!!|[ \t]*include))", re.MULTILINE).search(problem.prompt)
    head = problem.prompt[: described.start()] if described else ""
    pattern = re.compile(rf"^{IMPORT[language]}", re.MULTILINE)
    imports = [match[0] for match in pattern.finditer(head)]
    types = pattern.sub("", head).strip()
    header = types.partition("{")[0].strip()
    if header and re.search(rf"\b{re.escape(header)}\b", code):
        types = ""
    return joined(*(line for line in imports if not _has_import(language, code, line)), types)


def _has_import(language: str, code: str, line: str) -> bool:
    if language != "rs":
        return re.search(rf"^[ \t]*{re.escape(line.strip())}", code, re.MULTILINE) is not None
    # Rust forbids the second time, also as one of a list; but not in a function, nor under another name.
    bones = skeleton("rs", code)
    uses = list(_RUST_USE.finditer(bones))
    braces = all_enclosing(bones, [use.start() for use in uses])
    name = re.compile(rf"\b{re.escape(line.rstrip(';').rpartition('::')[2])}\b(?!\s+as\b)")
    return any(
        depth == 0 and name.search(use[0]) is not None for (depth, _), use in zip(braces, uses, strict=True)
    )


def _go(problem: Problem, code: str) -> str:
    """Keep the prompt's package and imports, and those imports of the reply that are used."""
    code = _GO_PACKAGE.sub("", code)
    blocks = [match[1] or match[2] for match in _GO_IMPORT.finditer(code)]
    specs = [line.strip() for block in blocks for line in block.splitlines() if '"' in line]
    rest = without("go", _GO_IMPORT.sub("", code), _GO_MAIN)
    bones = skeleton("go", rest)
    used = [f"import {spec}" for spec in dict.fromkeys(specs) if _is_used(spec, bones)]
    head = problem.prompt[: problem.prompt.index(")") + 1]
    return joined(head, *used, rest)


def _is_used(spec: str, bones: str) -> bool:
    alias, path, _ = spec.split('"', 2)
    if path in ("testing", "fmt") and not alias.strip():
        return False  # the prompt's own
    if alias.strip() in (".", "_"):  # used without its name, or for what its loading does
        return True
    name = alias.strip() or re.sub(r"/v\d+$", "", path).rpartition("/")[2]
    return re.search(rf"\b{re.escape(name)}\.", bones) is not None

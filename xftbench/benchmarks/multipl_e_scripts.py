"""Whole programs in languages whose tests stand behind a complete program."""

import re

from xftbench.benchmarks.multipl_e_definitions import JS_METHOD, under_its_name
from xftbench.benchmarks.multipl_e_pieces import renamed, without_pieces, without_statements
from xftbench.benchmarks.multipl_e_syntax import enclosing, skeleton
from xftbench.benchmarks.multipl_e_taken import with_templates, without_taken_names
from xftbench.benchmarks.multipl_e_uses import without_uses

_DROPPED = {
    # What runs a program is the tests' own, and what ends it would end it before them.
    "hs": re.compile(r"^module\s[^\n]*\n?|^main\b[^\n]*(?:\n(?:[ \t][^\n]*)?(?=\n|\Z))*", re.MULTILINE),
    "lua": re.compile(
        r"^os\.exit\([^\n]*\n?|^return\b(?:[^\n]*|[ \t]*\{(?:[^{}]|\{[^{}]*\})*+\}[ \t;]*)\s*\Z", re.MULTILINE
    ),
    "pl": re.compile(r"^exit\b[^\n]*\n?|^__(?:END|DATA)__\b.*", re.MULTILINE | re.DOTALL),
    "r": re.compile(
        r"^(?:q|quit)\([^\n]*\n?"
        r"|^(?:suppress\w+\()?(?:library|require)\(['\"]?(?:testthat|RUnit)\b[^\n]*\n?",
        re.MULTILINE,
    ),
    "rb": re.compile(
        r"^require[ \t(]*['\"]rspec\b[^\n]*\n?|^exit!?(?:\(\w*\)|[ \t]+\w+)?[ \t]*$|^__END__$.*",
        re.MULTILINE | re.DOTALL,
    ),
    "rkt": re.compile(r"^#lang[^\n]*\n?|^\(exit\b[^\n]*\n?", re.MULTILINE),
}
_FIRST_LINE = {"php": "<?php\n", "rkt": "#lang racket\n"}

_PHP_OPENING = re.compile(r"^[ \t]*<\?php\b", re.MULTILINE)

_JS_IMPORT = re.compile(r"^import\b(?P<names>[^{}\n]*\{[^{}]*\})?(?P<rest>[^\n]*)\n?", re.MULTILINE)
_JS_EXPORT = re.compile(
    r"^(?:export\s+(?:default\s+)?|module\.exports\s*=\s*)"
    r"(?=(?:async|function|class|const|let|var|type|interface|enum|abstract|declare)\b)",
    re.MULTILINE,
)
_JS_AWAIT = re.compile(r"^((?:const|let|var)\s[^=\n]*=\s*)?await\s+(?!import\b)", re.MULTILINE)
"""What only a module may do."""
_JS_MAIN = re.compile(
    r"^(?:export\b|(?:module\.)?exports\b[^\n=]*=(?!=)|process\.exit\("
    r"|declare\s+(?:const|let|function)\s+require\b|process\.exitCode\s*=(?!=)"
    r"|if\s*\((?:typeof\s+)?(?:require\.main|module)\b|(?:describe|it|test|assert(?:\.\w+)*)\s*\()",
    re.MULTILINE,
)
"""Statements that export the function, check it or end the program."""

_JS_CHECKER = re.compile(
    r"^(?:const|let|var)\s+(\{[^{}]*\}|[\w$]+)\s*=\s*require\s*\(\s*['\"](?:node:)?"
    r"(?:@jest/|ava|chai|expect|jasmine|jest|mocha|should|sinon|tape|uvu|vitest)\b[^()\n]*\)[^\n]*\n?",
    re.MULTILINE,
)
"""What loads a library for checks, which is not here."""
_METHOD = {
    "js": JS_METHOD,
    "ts": JS_METHOD,
    "php": r"^[ \t]+(?:(?:public|static|final)\s+)*function\s+&?%s\s*\(",
}
_BARE = r"^(?:(?:async\s+)?function\s*[*&]?\s*|(?:const|let|var)\s+)?%s\b|^(?:const|let|var)\s*\{[^{}]*\b%s\b"
"""What has the name at the top level already."""
_METHOD_OWNER = re.compile(
    r"\bclass\s+([\w$]+)[^;{}]*\Z|^(?:const|let|var)\s+([\w$]+)\s*=\s*\Z", re.MULTILINE
)
"""What stands before the braces that a method is in."""
_MODULE = re.compile(
    r"^import\s+(?P<names>(?:[\w$]+\s*,\s*)?\{[^{}]*\}|\*\s*as\s+[\w$]+|[\w$]+)\s*"
    r"(?:from\s*|=\s*require\()(?P<module>'[^'.][^'\n]*'|\"[^\".][^\"\n]*\")"
)
"""An import of names from a module that is no file beside the program."""


def as_script(language: str, code: str, name: str) -> str:
    """Return a program without what keeps the tests from running, behind the line that must be the first."""
    if language in ("js", "ts"):
        return _javascript(language, under_its_name(code, name), name)
    if language == "php":
        return _php(code, name)
    code = without_uses(language, code, name)
    code = _DROPPED[language].sub("", code) if language in _DROPPED else code
    code += _ADDED[language](code, name) if language in _ADDED else ""
    first = _FIRST_LINE.get(language, "")
    return code if code.lstrip().startswith(first.strip() or code[:1]) else first + code


def _javascript(language: str, code: str, entry_point: str) -> str:
    """Return a script that is no module; what it declares under names that are taken gets other names."""
    used = _variables(_JS_IMPORT.sub("", code))
    code = _JS_IMPORT.sub(lambda imported: _required(imported[0], used), code)
    code = _JS_AWAIT.sub(r"\1", _JS_EXPORT.sub("", code))
    code = without_uses("js", code, entry_point)
    code = _without_checkers(without_statements("js", code, _JS_MAIN))
    code += _method_name(language, code, entry_point)
    return without_taken_names(language, code, entry_point)


def _variables(code: str) -> set[str]:
    """Return the words of JavaScript that are no members."""
    return set(re.findall(r"(?<![\w$.])[\w$]+", with_templates(code, skeleton("js", code))))


def _required(imported: str, used: set[str]) -> str:
    """Return what a script has for an import: nothing for names that it does not use."""
    if re.search(r"\bassert\b[^'\"]*\bfrom\b", imported):
        return "const assert = require('node:assert');\n"
    found = _MODULE.match(imported)
    if found is None:
        return ""
    first, _, listed = found["names"].partition("{")
    names = [part for part in listed.rstrip("}").split(",") if used.intersection(part.split()[-1:])]
    lines = (
        [f"const {{{','.join(names).replace(' as ', ': ')}}} = require({found['module']});\n"]
        if names
        else []
    )
    whole = first.strip(" ,").removeprefix("*").strip().removeprefix("as ").strip()
    if whole in used:
        lines.insert(0, f"const {whole} = require({found['module']});\n")
    return "".join(lines)


def _without_checkers(code: str) -> str:
    """Return JavaScript that loads no library for checks of which it has none."""
    used = _variables(_JS_CHECKER.sub("", code))

    def is_unused(loaded: re.Match[str]) -> bool:
        return not any(part.split(":")[-1].strip() in used for part in loaded[1].strip("{}").split(","))

    return without_pieces(code, filter(is_unused, _JS_CHECKER.finditer(code)), lambda line: line.end())


def _method_name(language: str, code: str, name: str) -> str:
    """Return a function of the bare name, as the tests use it, for a class's method: each call has an object.

    In JavaScript the method may also be one of an object.
    """
    bones, word = skeleton("js" if language == "ts" else language, code), re.escape(name)
    method = re.search(_METHOD[language].replace("%s", word), bones, re.MULTILINE)
    if method is None or re.search(_BARE.replace("%s", word), bones, re.MULTILINE):
        return ""
    owner = _METHOD_OWNER.search(bones, 0, enclosing(bones, method.start()) or 0)
    if owner is None:
        return ""
    is_static = owner[1] is None or "static" in method[0]
    if language == "php":
        of = f"{owner[1]}::" if is_static else f"(new {owner[1]}())->"
        return f"\nfunction {name}(...$list) {{\n    return {of}{name}(...$list);\n}}\n"
    of = owner[1] or owner[2] if is_static else f"new {owner[1]}()"
    if language == "ts":
        return f"\nconst {name} = (...list: any[]) => ({of} as any).{name}(...list);\n"
    return f"\nconst {name} = (...list) => {of}.{name}(...list);\n"


def _lua_name(code: str, name: str) -> str:
    """Return the line that gives a function of a table its bare name, as the tests use it."""
    word = re.escape(name)
    bones = skeleton("lua", code)
    if re.search(rf"\bfunction\s+{word}\b|(?<![.\w]){word}\s*=(?!=)", bones):
        return ""
    member = re.search(rf"^function\s+([\w.]+)([.:]){word}\b|^([\w.]+)\.{word}\s*=\s*function\b", bones, re.M)
    if member is None:
        return ""
    if member[2] == ":":
        return f"\nlocal function {name}(...)\n    return {member[1]}:{name}(...)\nend\n"
    return f"\nlocal {name} = {member[1] or member[3]}.{name}\n"


def _ruby_name(code: str, name: str) -> str:
    """Return a method of the bare name, as the tests use it, for a lambda or a class's method."""
    word = re.escape(name)
    bones = skeleton("rb", code)
    if re.search(rf"^def\s+{word}\b", bones, re.M):
        return ""
    if re.search(rf"^{word}\s*=\s*(?:lambda|proc|->|Proc\.new)", bones, re.M):
        return f"\nself.class.send(:define_method, :{name}, &{name})\n"
    method = re.search(rf"^[ \t]*def\s+(self\.)?{word}\b", bones, re.M)
    if method is None:
        return ""
    is_free = bones.startswith("def", method.start())
    owners = [] if is_free else re.findall(r"^(class|module)\s+(\w+)", bones[: method.start()], re.M)
    kind, owner = owners[-1] if owners else ("", "self")
    opened = re.findall(r"^([ \t]*)(class\s*<<\s*self\b|end\b)", bones[: method.start()], re.M)
    depths = {indent: word != "end" for indent, word in opened}  # what was last, in each indentation
    if kind == "class" and not method[1] and not any(depths.values()):
        owner += ".new"
    if not owners:
        return f"\nself.class.send(:define_method, :{name}, &method(:{name}))\n"
    return f"\ndef {name}(*arguments)\n  {owner}.{name}(*arguments)\nend\n"


_ADDED = {"lua": _lua_name, "rb": _ruby_name}


def _php(code: str, entry_point: str) -> str:
    """Return a PHP file that the tests can go on: it is all code, and its functions are not the tests'.

    Behind the tag that ends a file, the tests would be text to print.
    """
    opening = _PHP_OPENING.search(code)
    if opening is not None and not re.search(r"^function\b", code[: opening.start()], re.MULTILINE):
        code = code[opening.start() :]
    else:
        code = _FIRST_LINE["php"] + code
    bones = skeleton("php", code)
    end = bones.rfind("?>")
    if end < 0 or bones.find("<?", end) >= 0:
        # Behind the last statement, a reply without fences has prose.
        end = max(map(bones.rfind, ";}")) + 1
    elif bones[:end].rstrip()[-1:] not in (";", "}", "{", ":", ""):
        code = f"{code[:end].rstrip()}\n;"  # as the tag does, also that of `<?= add(1, 2) ?>`
        end = len(code)
    code = without_uses("php", code[: end or None], entry_point)
    for name in ("candidate", "test"):
        if re.search(rf"^function\s+{name}\b", code, re.MULTILINE):
            code = renamed("php", code, name, f"own_{name}")
    return f"{code.rstrip()}\n{_method_name('php', code, entry_point)}"

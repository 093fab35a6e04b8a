"""Whole programs in languages whose tests stand behind a complete program."""

import re

from xftbench.benchmarks.multipl_e_pieces import renamed, without_statements
from xftbench.benchmarks.multipl_e_syntax import skeleton

_DROPPED = {
    # What runs a program is the tests' own, and what ends it would end it before them.
    "hs": re.compile(r"^module\s[^\n]*\n?|^main\b[^\n]*(?:\n(?:[ \t][^\n]*)?(?=\n|\Z))*", re.MULTILINE),
    "lua": re.compile(
        r"^os\.exit\([^\n]*\n?|^return\b(?:[^\n]*|[ \t]*\{(?:[^{}]|\{[^{}]*\})*+\}[ \t;]*)\s*\Z", re.MULTILINE
    ),
    "pl": re.compile(r"^exit\b[^\n]*\n?|^__(?:END|DATA)__\b.*", re.MULTILINE | re.DOTALL),
    "r": re.compile(r"^(?:q|quit)\([^\n]*\n?", re.MULTILINE),
    "rb": re.compile(r"^exit!?(?:\(\w*\)|[ \t]+\w+)?[ \t]*$|^__END__$.*", re.MULTILINE | re.DOTALL),
    "rkt": re.compile(r"^#lang[^\n]*\n?|^\(exit\b[^\n]*\n?", re.MULTILINE),
}
_FIRST_LINE = {"php": "<?php\n", "rkt": "#lang racket\n"}

_PHP_OPENING = re.compile(r"^[ \t]*<\?php\b", re.MULTILINE)
_PHP_EXIT = re.compile(r"^(?:exit|die)\b", re.MULTILINE)

_JS_IMPORT = re.compile(r"^import\b(?P<names>[^{}\n]*\{[^{}]*\})?(?P<rest>[^\n]*)\n?", re.MULTILINE)
_JS_EXPORT = re.compile(
    r"^(?:export\s+(?:default\s+)?|module\.exports\s*=\s*)"
    r"(?=(?:async|function|class|const|let|var|type|interface|enum|abstract|declare)\b)",
    re.MULTILINE,
)
_JS_MAIN = re.compile(
    r"^(?:export\b|(?:module\.)?exports\b[^\n=]*=(?!=)|process\.exit\("
    r"|declare\s+(?:const|let|function)\s+require\b|if\s*\((?:typeof\s+)?(?:require\.main|module)\b|(?:describe|it|test|assert(?:\.\w+)*)\s*\()",
    re.MULTILINE,
)
"""Statements that export the function, check it or end the program."""
_JS_DECLARES = r"^(?:(?:async\s+)?(?:function\b\s*\*?|class\b|const\b|let\b|var\b)\s*(?:\{[^{}]*\b)?%s\b)"


def as_script(language: str, code: str) -> str:
    """Return a program without what keeps the tests from running, behind the line that must be the first."""
    if language in ("js", "ts"):
        return _javascript(code)
    if language == "php":
        return _php(code)
    code = _DROPPED[language].sub("", code) if language in _DROPPED else code
    first = _FIRST_LINE.get(language, "")
    return code if code.lstrip().startswith(first.strip() or code[:1]) else first + code


def _javascript(code: str) -> str:
    """Return a script that is no module; what it declares under the names of the tests gets other names.

    The tests declare ``assert`` and ``test``, and JavaScript forbids the second time.
    """
    code = _JS_IMPORT.sub(_required_assert, code)
    code = without_statements("js", _JS_EXPORT.sub("", code), _JS_MAIN)
    for name in ("assert", "test"):
        if re.search(_JS_DECLARES % name, code, re.MULTILINE):
            code = renamed("js", code, name, f"own_{name}")
    return code


def _required_assert(imported: re.Match[str]) -> str:
    """Return what a script has for an import: the tests' language has ``assert`` alone."""
    is_assert = re.search(r"\bassert\b[^'\"]*\bfrom\b", imported[0])
    return "const assert = require('node:assert');\n" if is_assert else ""


def _php(code: str) -> str:
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
    code = without_statements("php", code[: end or None], _PHP_EXIT)
    for name in ("candidate", "test"):
        if re.search(rf"^function\s+{name}\b", code, re.MULTILINE):
            code = renamed("php", code, name, f"own_{name}")
    return f"{code.rstrip()}\n"

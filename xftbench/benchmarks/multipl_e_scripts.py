"""Whole programs in languages whose tests stand behind a complete program."""

import re

from xftbench.benchmarks.multipl_e_pieces import renamed, without_statements

_DROPPED = {
    # What runs a program is the tests' own.
    "hs": re.compile(r"^module\s[^\n]*\n?|^main\b[^\n]*(?:\n(?:[ \t][^\n]*)?(?=\n|\Z))*", re.MULTILINE),
    "lua": re.compile(r"^return\b[^\n]*\s*\Z", re.MULTILINE),
    "rkt": re.compile(r"^#lang[^\n]*\n?", re.MULTILINE),
}
_FIRST_LINE = {"php": "<?php\n", "rkt": "#lang racket\n"}

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
        code = _open_php(code)
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


def _open_php(code: str) -> str:
    """Return a PHP file without the tag that ends it: behind that, the tests would be text to print."""
    end = code.rfind("?>")
    return code if end < 0 or code.find("<?", end) >= 0 else code[:end]

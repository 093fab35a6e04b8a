"""Whole programs in languages whose tests stand behind a complete program."""

import re

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


def as_script(language: str, code: str) -> str:
    """Return a program without what keeps the tests from running, and with the line that must be its first."""
    if language == "php":
        code = _open_php(code)
    code = _DROPPED[language].sub("", code) if language in _DROPPED else code
    first = _FIRST_LINE.get(language, "")
    return code if code.lstrip().startswith(first.strip() or code[:1]) else first + code


def _open_php(code: str) -> str:
    """Return a PHP file without the tag that ends it: behind that, the tests would be text to print."""
    end = code.rfind("?>")
    return code if end < 0 or code.find("<?", end) >= 0 else code[:end]

"""What a script does at its top level beside defining functions: it runs, checks and ends itself.

Behind its end no test runs, so that a wrong answer would pass; a wrong check of its own fails a right answer.
Only statements that begin a line count: what is further in runs when it is called.
"""

import re
from collections.abc import Iterator

from xftbench.benchmarks.multipl_e_definitions import defines
from xftbench.benchmarks.multipl_e_syntax import expression_end, skeleton

_ALWAYS = {
    "js": r"(?:(?:await|void)\s+)?main\s*\(",
    "lua": (
        r"(?:main|assert|(?:\w+\.)?LuaUnit[.:]\w+)\s*\("
        r"|(?:Test|test)\w*\s*=\s*\{[^{}]{0,2000}\btest\w*\s*=\s*function\b"
    ),
    "php": r"(?:exit|die)\b|(?:main|assert)\s*\(",
    "pl": r"&?main\s*(?:\(|;|if\b|unless\b)|__PACKAGE__->\w+\s*(?:\(|;|if\b|unless\b)",
    "r": (
        r"(?:invisible\s*\(\s*)?main\s*\(|stopifnot\s*\("
        r"|(?:testthat::)?(?:test_that|expect_\w+)\s*\(|check(?:Equals|Identical|True)\w*\s*\("
    ),
    "rb": (
        r"main\b(?![ \t]*[=.,+])|(?:exit|abort)!?(?:\(|[ \t]+\w|[ \t]*$)|assert(?:_\w+)?(?:[ \t]+[^=\s]|\()"
    ),
    "rkt": r"\((?:main|check-\w+|test-\w+|run-tests)",
}
"""Statements that go with the lines in which their brackets are closed: calls of ``main`` and checks."""
_BLOCKS = {
    "lua": (
        r"function\s+(?:Test|test)\w*[.:][Tt]est\w*|function\s+[Tt]est\w*\s*\(\s*\)"
        r"|(?:Test|test)\w*\.[Tt]est\w*\s*=\s*function\b"
    ),
    "rb": r"class\s+[\w:]+\s*<\s*(?:::)?(?:Test::Unit|Mini[tT]est)\b|(?:RSpec\.)?describe\b[^\n]*\bdo\b",
}
"""Tests that go with the ``end`` that begins a line: the benchmark's framework would run them, too."""
_PERL_CHECKS = (
    r"(?:ok|is|isnt|like|unlike|is_deeply|cmp_ok|pass|fail|diag|note|subtest|plan|done_testing)\b"
    r"(?![ \t]*(?:=|->|::))"
)
_PERL_PLAN = re.compile(r"^use[ \t]+Test::(?:More|Simple|Most)\b[^;\n]*;", re.MULTILINE)

_MAYBE = {
    "js": r"if\s*\(|;?\(\s*(?:async\s*)?(?:function\b|\(\s*\)\s*=>)",
    "lua": r"if\b",
    "php": r"if\s*\(",
    "pl": r"(?:if|unless)\s*\(",
    "r": r"if\s*\(",
    "rb": r"(?:if|unless)\b",
    "rkt": r"\((?:when|unless|if|cond|begin|void)\b",
}
_ENDS = {
    "js": r"process\.exit\s*\(|\bmain\s*\(",
    "lua": r"\bos\.exit\b|\bmain\s*\(",
    "php": r"\b(?:exit|die)\b|\bmain\s*\(",
    "pl": r"(?<![$@%\w>])(?:exit|main)\b",
    "r": r"(?<![\w.$])(?:quit|q|main)\s*\(",
    "rb": r"(?<![\w.@:])(?:exit|abort|main)\b(?!\s*[=:])",
    "rkt": r"\((?:exit|main)\b",
}
"""Such statements go if they hold this."""
_DEFINES = re.compile(r"\b(?:function|sub|def)\s+\w|\(define\b")

_WITH_END = ("lua", "rb")
_ENDED = re.compile(r"^end\b[^\n]*|\A[^\n]*\bend[ \t;]*$", re.MULTILINE)
_ELSE = re.compile(r"\s*(?:else|elsif|elseif)\b|[ \t]*\n[ \t]+(?=\.\w)")
_STATEMENT_CHARS, _CONDITION_CHARS = 20_000, 2000
"""How long a statement may be. One that does not end there stays."""


def without_uses(language: str, code: str, name: str) -> str:
    """Return a script without the statements that run, check or end it; what defines the function stays."""
    if language == "pl":
        code = _closed_pod(code)
    kept, end = [], 0
    for start, behind in _uses(language, skeleton(language, code)):
        if not defines(language, code[start:behind], name):
            kept.append(code[end:start])
            end = behind + code.startswith("\n", behind)
    code = "".join([*kept, code[end:]])
    # Of Perl's own checks none is left, so that a plan for them can't be kept.
    return _PERL_PLAN.sub("use Test::More;", code) if language == "pl" else code


def _uses(language: str, bones: str) -> Iterator[tuple[int, int]]:
    """Return where the statements stand that go."""
    always, block, maybe = (table.get(language, r"(?!)") for table in (_ALWAYS, _BLOCKS, _MAYBE))
    if language == "pl" and _PERL_PLAN.search(bones):
        always = f"{always}|{_PERL_CHECKS}"
    heads = re.compile(rf"^(?:(?P<always>{always})|(?P<block>{block})|(?P<maybe>{maybe}))", re.MULTILINE)
    end = 0
    for head in heads.finditer(bones):
        if head.start() < end:
            continue
        limit = _CONDITION_CHARS if head["maybe"] else _STATEMENT_CHARS
        text = bones[head.start() : head.start() + limit]
        has_end = head["block"] or (head["maybe"] and language in _WITH_END)
        size = _end_size(text) if has_end else _size(text, is_condition=bool(head["maybe"]))
        if size == limit or (
            head["maybe"] and (_DEFINES.search(text, 0, size) or not re.search(_ENDS[language], text[:size]))
        ):
            continue
        end = head.start() + size
        yield head.start(), end


def _end_size(text: str) -> int:
    found = _ENDED.search(text)
    return found.end() if found else 0


def _size(text: str, *, is_condition: bool) -> int:
    """Return the size of the statement that a text begins with; a condition has what depends on it."""
    size = expression_end(text, 0)
    if is_condition and "{" not in text[:size] and text[size : size + 2] in ("\n ", "\n\t"):
        size = expression_end(text, size + 1)
    while goes_on := _ELSE.match(text, size):
        size = expression_end(text, goes_on.end())
    return size


def _closed_pod(code: str) -> str:
    """Return Perl whose documentation ends: the tests behind it would be part of it."""
    is_open = skeleton("pl", f"{code}\nx")[-1] == " " and re.search(r"^=[a-z]", code, re.MULTILINE)
    return f"{code}\n\n=cut\n" if is_open else code

"""What a script does at its top level beside defining functions: it runs, checks and ends itself.

Behind its end no test runs, so that a wrong answer would pass; a wrong check of its own fails a right answer.
Only statements that begin a line count: what is further in runs when it is called.
"""

import re
from collections.abc import Iterator

from xftbench.benchmarks.multipl_e_definitions import defines
from xftbench.benchmarks.multipl_e_enders import ENDS, Outline
from xftbench.benchmarks.multipl_e_syntax import skeleton

_ALWAYS = {
    "js": r"(?:(?:await|void)\s+)?(?:main|expect|assert(?:\s*\.\s*\w+)*)\s*\(",
    "lua": (
        r"(?:main|assert|(?:\w+\.)?LuaUnit[.:]\w+)\s*\("
        r"|(?:Test|test)\w*\s*=\s*\{[^{}]{0,2000}\btest\w*\s*=\s*function\b"
    ),
    "php": r"(?:exit|die)\b|(?:main|assert)\s*\(",
    "pl": (
        r"&?main\s*(?:\(|;|if\b|unless\b)|__PACKAGE__->\w+\s*(?:\(|;|if\b|unless\b)"
        r"|&?\w[^\n]*\)[ \t]*unless[ \t]+caller\b"
    ),
    "r": (
        r"(?:invisible\s*\(\s*)?main\s*\(|stopifnot\s*\("
        r"|(?:testthat::)?(?:test_that|expect_\w+)\s*\(|check(?:Equals|Identical|True)\w*\s*\("
    ),
    "rb": (
        r"main\b(?![ \t]*[=.,+])|RSpec::"
        r"|(?!def\b|end\b)\w[^\n]*[ \t]if[ \t]+(?:__FILE__|\$0|\$PROGRAM_NAME)\b"
        r"|(?:exit|abort)!?(?:\(|[ \t]+\w|[ \t]*$)|assert(?:_\w+)?(?:[ \t]+[^=\s]|\()"
    ),
    "rkt": r"\((?:main|check-\w+|test-\w+|run-tests)",
}
"""Statements that go with the lines in which their brackets are closed: calls of ``main`` and checks."""
_BLOCKS = {
    "lua": (
        r"function\s+(?:Test|test)\w*[.:][Tt]est\w*|function\s+[Tt]est\w*\s*\(\s*\)"
        r"|(?:Test|test)\w*\.[Tt]est\w*\s*=\s*function\b"
    ),
    "rb": r"class\s+[\w:]+\s*<\s*(?:::)?(?:Test::Unit|Mini[tT]est)\b|(?:RSpec\.\w+|describe)\b[^\n]*\bdo\b",
}
"""Tests that go with the ``end`` that begins a line: the benchmark's framework would run them, too."""
_PERL_CHECKS = (
    r"(?:ok|is|isnt|like|unlike|is_deeply|cmp_ok|pass|fail|diag|note|subtest|plan|done_testing)\b"
    r"(?![ \t]*(?:=|->|::))"
)
_PERL_PLAN = re.compile(r"^use[ \t]+Test::(?:More|Simple|Most)\b[^;\n]*;", re.MULTILINE)

_MAYBE = {
    "js": (
        r"(?:try|do)\s*\{|for\s+await\b|;?(?:[(\[])"
        r"|(?!catch\b)(?:(?:await|void|new)\s+)*[\w$][\w$.]*\s*\(|!|[\w$.]+\s*(?:[<>]|[!=]=|&&|\|\|)"
    ),
    "lua": r"[\w.:]+\s*\(",
    "php": (
        r"(?:try|echo|print)\b|\(new\b|(?!catch\b|elseif\b)(?:new\s+)?[\\$\w:>-]+\s*\("
        r"|!|\$\w+\s*(?:[<>]|[!=]=|or\b|&&|\|\|)"
    ),
    "pl": (
        r"(?:if|unless|for|foreach|while|until|eval|print|printf|say|die)\b|[@$]\w+\s*(?:[<>]|[!=]=|or\b|&&|\|\|)"
        r"|(?!(?:sub|elsif)\b)&?[\w:>-]+\s*(?:\(|;|(?:if|unless)\b)"
    ),
    "r": r"[\w.:]+\s*\(",
    "rb": (
        r"(?!(?:include|extend|prepend|using|require|def|define_method|class|module|if|unless|begin|case|while|until|for|end|else|elsif|rescue|ensure|when)\b)"
        r"(?:\[|\w[\w.:]*[?!]?(?![\w.:?!])(?!,|[ \t]*[-+*/|&]*=(?![=~])))"
    ),
    "rkt": r"\((?!define|require\b|provide\b|struct\b|module)[^\s()\[\]]",
}
_MAYBE_TO_END = {
    "lua": r"(?:if|for|while|do|repeat)\b",
    "rb": r"(?:if|unless|begin|case|while|until|for)\b",
}
"""Calls, conditions, loops and the like: they go if they end the program, unless they define what is used."""
_VALUES = {
    "js": r"(?:const|let|var)\b[^=\n]*=(?!=)",
    "lua": r"(?:local\s+)?\w[\w., ]*=(?!=)",
    "php": r"\$\w+\s*=(?!=)",
    "pl": r"(?:chomp\s*\(?\s*)?my\b[^=\n]*=(?!=)",
    "r": r"[\w.]+\s*(?:<-|=(?!=))",
    "rb": r"[a-z_][\w, ]*=(?![=~>])",
}
"""What sets a variable: if it ends the program, all behind goes, which may use it, unless it defines more."""
_GUARDS = {
    "lua": r"if\b[^\n]*(?:\barg\b|\bdebug\.getlocal\b)",
    "php": r"if\s*\([^\n]*(?:\b__FILE__\b|\bphp_sapi_name\b|\bPHP_SAPI\b)",
    "pl": r"(?:if|unless)\s*\([^\n]*\bcaller\b",
    "r": r"if\s*\([^\n]*(?:\binteractive\s*\(|\bsys\.nframe\s*\()",
    "rb": r"(?:if|unless)\b[^\n]*(?:\b__FILE__\b|\$PROGRAM_NAME\b|\$0\b)",
}
"""What asks whether the script is run by itself."""

_BLOCK_OPENED = re.compile(r"\bdo(?:\s*\|[^|\n]*\|)?[ \t]*\Z")
_ELSE = re.compile(
    r"\s*(?:else|elsif|elseif|catch|finally)\b|[ \t]*\n[ \t]+(?=\??\.\w|[?:&|])|(?<=[,&|\\])[ \t]*\n[ \t]+"
)
_WITH_SEMICOLONS = ("php", "pl")
_CONDITION = re.compile(r"(?:if|unless|for|foreach|while|try)\b")
_STATEMENT_CHARS, _STATEMENT_LINES, _LINE_CHARS = 20_000, 10, 400
"""How long a statement may be (or it stays); in how many lines outside brackets, and how long those."""


def without_uses(language: str, code: str, name: str) -> str:
    """Return a script without the statements that run, check or end it; what defines the function stays."""
    if language == "pl":
        code = _closed_pod(code)
    kept, end = [], 0
    for start, behind in _uses(language, skeleton(language, code), name):
        if not defines(language, code[start:behind], name):
            kept.append(code[end:start])
            end = behind + code.startswith("\n", behind)
    code = "".join([*kept, code[end:]])
    # Of Perl's own checks none is left, so that a plan for them can't be kept.
    return _PERL_PLAN.sub("use Test::More;", code) if language == "pl" else code


def _uses(language: str, bones: str, name: str) -> Iterator[tuple[int, int]]:
    """Return where the statements stand that go."""
    if language not in ENDS:
        return
    tables = {
        "always": _ALWAYS, "block": _BLOCKS, "guard": _GUARDS,
        "to_end": _MAYBE_TO_END, "value": _VALUES, "maybe": _MAYBE,
    }  # fmt: skip
    patterns = {kind: table[language] for kind, table in tables.items() if language in table}
    if language == "pl" and _PERL_PLAN.search(bones):
        patterns["always"] += f"|{_PERL_CHECKS}"
    heads = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in patterns.items())
    outline = Outline(language, bones, name)
    end = 0
    for head in re.finditer(rf"^(?:{heads})", bones, re.MULTILINE):
        start, kind = head.start(), head.lastgroup or ""
        if start < end:
            continue
        behind = _end(language, outline, start, kind)
        if kind == "value":
            if outline.is_behind_all(start) and outline.ends(start, behind):
                yield start, len(bones)
                return
            continue
        if start < behind < start + _STATEMENT_CHARS and (
            kind not in ("to_end", "maybe")
            or (outline.ends(start, behind) and not outline.is_needed(head.end(), behind))
        ):
            end = behind
            yield start, end


def _end(language: str, outline: Outline, start: int, kind: str) -> int:
    """Return the end of the statement that begins at a position; a condition has what depends on it."""
    bones = outline.bones
    if language in ("lua", "rb") and kind in ("block", "guard", "to_end"):
        return outline.keyword_end(start)
    end = outline.lines.end(start)
    if kind in ("guard", "maybe") and end - start < _STATEMENT_CHARS:
        if language == "rb" and _BLOCK_OPENED.search(bones, max(start, end - 200), end):
            return outline.keyword_end(end)
        if (
            _CONDITION.match(bones, start)
            and bones.find("{", start, end) < 0
            and bones[end : end + 2] in ("\n ", "\n\t", "\n{")
        ):
            end = outline.lines.end(end)
        for _ in range(_STATEMENT_LINES if language in _WITH_SEMICOLONS else 0):
            if bones[max(start, end - _LINE_CHARS) : end].rstrip()[-1:] in (";", "}"):
                break
            end = outline.lines.end(end)
    while end - start < _STATEMENT_CHARS and (goes_on := _ELSE.match(bones, end)):
        end = outline.lines.end(goes_on.end())
    return end


def _closed_pod(code: str) -> str:
    """Return Perl whose documentation ends: the tests behind it would be part of it."""
    is_open = skeleton("pl", f"{code}\nx")[-1] == " " and re.search(r"^=[a-z]", code, re.MULTILINE)
    return f"{code}\n\n=cut\n" if is_open else code

"""Control runs: who gets one, and what is made false in it.

A solution can't be judged by a check of ours alone: it may disarm the benchmark's checks and leave that one.
So in a control run one of the benchmark's own checks expects another value, of the same type, and must fail.
"""

import re
from functools import lru_cache

from xftbench.execution.native.language import Language
from xftbench.records import NativeProgram

_TEXT = r"(?:\"(?:\\.|[^\"\\\n])*+\"|'(?:\\.|[^'\\\n])*+'(?=[\s,)\]};:]))"
_LITERAL = re.compile(rf"{_TEXT}|(?<![\w.$@])\d+|\b(?:true|True|TRUE|false|False|FALSE)\b|#[tf]\b")
_OPPOSITE = {"true": "false", "True": "False", "TRUE": "FALSE", "#t": "#f"}
_OPPOSITE |= {value: key for key, value in _OPPOSITE.items()}
_BRACKETS = re.compile(rf"{_TEXT}|[()]")

_WORD = r"([A-Za-z_]\w*)(?![\w-])"
_USED = re.compile(r"(?<![\w.$])[A-Za-z_]\w*+(?!\s*:(?!:))")
_NO_TYPE = (
    "and|as|assert|await|case|defer|delete|do|echo|elif|elsif|else|extends|from|go|goto|if|implements|in|is|"
    "match|move|namespace|new|not|or|package|print|puts|raise|return|then|throw|typeof|unless|until|when|"
    "while|yield"
)
_NEVER_BOUND = {
    "auto", "const", "def", "define", "do", "else", "end", "fn", "for", "func", "function", "if", "in", "let",
    "local", "my", "print", "public", "return", "static", "sub", "use",
}  # fmt: skip
_BEGINS = (
    "alias|class|def|define|enum|fn|fun|func|function|import|interface|macro_rules!|mod|module|namespace|object|proc|"
    "protocol|record|struct|sub|trait|type|typealias|typedef|union"
)
_BINDS = tuple(
    map(
        re.compile,
        (
            rf"(?<!using )\b(?:{_BEGINS})\s+(?:class\s+)?\(?{_WORD}",
            rf"\b(?:let|var|val|my|our)\s+(?:(?:mut|rec|lazy)\s+)?\(?{_WORD}(?!\s*\()",
            rf"\b(?:const|static)\s+(?:mut\s+)?{_WORD}\s*:(?!:)",
            # Behind a type, which may end with a bracket: a function; a variable.
            rf"(?:\b(?!(?:{_NO_TYPE})\b)\w{{1,80}}|(?<![-=\s])[>\]*&])[ \t]+[*&]?{_WORD}\(",
            rf"(?:\b(?!(?:{_NO_TYPE})\b)\w{{1,80}}|(?<![-=\s])[>\]*&])\s+[*&]?{_WORD}\s*[;={{]",
            rf"}}\s*{_WORD}\s*[;,=]",
            rf",\s*{_WORD}\s*;",
            # Assigned; what stands behind a colon is a type.
            rf"(?<![\w&:$])(?<![&:|] ){_WORD}[\"'`]?\s*(?:as\s+\w+[\s)]{{0,9}})?(?::?=(?![=>~])|<<?-)",
            r"(?<![\w.])(?<!: )[\[({]([^\n;=\[\](){}]{0,200})[\])}]\s*=(?![=>~])",
            r"((?:\w{1,80}\s*,\s*){1,9})\w{1,80}\s*(?::?=(?![=>~])|<-)",
        ),
    )
)
"""What gives a name a meaning, in whatever language."""
_BEHIND_TYPES = _BINDS[3:5]


def falsified(test: str, language: Language) -> list[str]:
    """Return a test with one of its checks made false: the last one, the first, and then the others.

    Checks whose expected value has nothing that can be changed for certain are left out. Where texts are
    expected, the second one expects another that is as long: by that one is told who compares nothing but
    lengths, by the others who compares no lengths.
    """
    assert language.proof is not None
    check, end = language.proof.check
    texts: list[str] = []
    as_long: list[str] = []
    place = 0
    for line in test.splitlines(keepends=True) if check else ():
        match = re.match(rf"\s*{check}", line)
        if match and (literal := _changeable(line, match.end(), end)):
            head, tail = test[: place + literal.start()], test[place + literal.end() :]
            other = another(literal[0])
            texts.append(head + other + tail)
            if not as_long and (other := _of_its_length(literal[0])):
                as_long = [head + other + tail]
        place += len(line)
    return [*texts[-1:], *as_long, *texts[:-1]]


def _changeable(line: str, inside: int, end: str) -> re.Match[str] | None:
    """Return what to change in a check's expected value; `inside` is behind its call's first bracket."""
    last = line.rfind(end)
    behind = _behind_call(line, inside)
    literals = [
        match
        for match in _LITERAL.finditer(line)
        if match.end() <= inside or (behind and behind <= match.start() and match.end() <= last)
    ]
    # A large number beside a small one may make the small one's change too small to be seen.
    return max(literals, key=lambda match: _clearness(match[0]), default=None)


def _clearness(literal: str) -> tuple[bool, bool, int]:
    return literal[0] in "'\"", literal[0].isdigit(), len(literal)


def _behind_call(line: str, inside: int) -> int:
    depth = 1
    for match in _BRACKETS.finditer(line, inside):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return 0


def another(literal: str) -> str:
    """Return a literal of the same type and certainly another value, also for those who compare roughly."""
    if literal[0] in "'\"":
        return f"{literal[0]}x{literal[1:]}"
    if literal in _OPPOSITE:
        return _OPPOSITE[literal]
    first = int(literal[0])
    return str(first - 1 if first > 1 else first + 1) + literal[1:]


def _of_its_length(literal: str) -> str:
    """Return another text that is as long as a literal's; nothing if its first character is no plain one."""
    if literal[0] not in "'\"" or not (literal[1].isascii() and literal[1].isalnum()):
        return ""
    return f"{literal[0]}{'y' if literal[1] in 'xX' else 'x'}{literal[2:]}"


def bound_names(text: str, *, behind_types: bool = True) -> set[str]:
    """Return the names that a text gives a meaning; too many rather than too few.

    Args:
        text: A program, or a part of one.
        behind_types: Whether two words beside each other may be a type and a name.
    """
    found = (
        names
        for pattern in _BINDS
        if behind_types or pattern not in _BEHIND_TYPES
        for names in pattern.findall(text)
    )
    return {name for names in found for name in re.findall(_WORD, names)}


def binds_what_the_test_uses(solution: str, program: NativeProgram) -> set[str]:
    """Return names of the test's to which a solution gives a meaning, besides what was asked for."""
    used = used_names(program)
    return bound_names(solution) & used if any(name in solution for name in used) else set()


def used_names(program: NativeProgram) -> frozenset[str]:
    """Return the names that a test uses, besides its own and what was asked for."""
    return _used_names(program.test, program.task_id)


@lru_cache(maxsize=64)
def _used_names(test: str, task_id: str) -> frozenset[str]:
    text = re.sub(_TEXT, '""', test)
    used = frozenset(_USED.findall(text)) - bound_names(text) - _NEVER_BOUND
    task = task_id.replace("_", "").lower()
    asked = [name for name in used if task.endswith(name.replace("_", "").lower())]
    return used - {max(asked, key=len, default="")}

"""Just enough of the syntax of several languages to find a function in a text, and where it ends.

Everything is linear in the length of the text: replies can be a hundred thousand lines of anything.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

_LINE = r"//[^\n]*"
_BLOCK = r"/\*(?:.*?\*/|.*)"
_NESTED_BLOCK = r"/\*(?:[^*/]|\*(?!/)|/(?!\*)|/\*.{0,4000}?\*/)*+(?:\*/)?"
_STRING = r'"(?:\\.|[^"\\\n])*"?'
_INTERPOLATED = r'\$"(?:\\.|\{[^{}"\n]*(?:"[^"\n]*"[^{}"\n]*)*\}|[^"\\\n])*"?'
_TRIPLE = r'"""(?:.*?"""|.*)'
_CHARACTER = r"'(?:\\[^\n]{1,9}?|[^'\\\n])'"
_BACKTICK = r"`[^`]*`?"
_TEMPLATE = r"`(?:\\.|[^`\\])*`?"
_REGEX = (
    r"(?:(?<=\breturn)|(?<=[=(,:;!&|?{}\[]))[ \t]*"
    r"/(?:\\.|\[(?:\\.|[^\]\\\n]){0,200}+\]|[^/\\\n\[]){1,400}+/"
)
_ON_ONE_LINE = (r'"(?:\\.|[^"\\\n])*"', r"'(?:\\.|[^'\\\n])*'")
"""Strings in languages where a quote may also stand for something else: one without its end is none."""
_HASH = r"(?:^|(?<=[\s;,(){}]))#[^\n]*"
_HERE_DOCUMENT = r"(?<!<)<<[-~]?[ \t]*(['\"]?)(?P<end>\w+)\1[^\n]{0,200}\n(?:[^\n]*\n){0,200}?[ \t]*(?P=end)$"


def _shell_string(depth: int) -> str:
    """Return a pattern for a string in double quotes that holds commands, which hold strings."""
    if depth == 0:
        return r'"(?:\\.|[^"\\])*"?'
    quoted = rf"\\.|'[^']*'|{_shell_string(depth - 1)}"
    command = rf"\$\((?:[^()\"'\\]|{quoted}|\((?:[^()\"'\\]|{quoted})*+\)){{0,4000}}+\)"
    return rf'"(?:\\.|{command}|[^"\\])*+"?'


_OPAQUE = {
    "clj": (r";[^\n]*", r"\\\S", r'"(?:\\.|[^"\\])*"?'),
    "cpp": (_LINE, _BLOCK, r'R"(\w*)\((?:.*?\)\1"|.*)', _STRING, _CHARACTER),
    "cs": (_LINE, r"^[ \t]*#[^\n]*", _BLOCK, r'\$?@"(?:""|[^"])*"?', _INTERPOLATED, _STRING, _CHARACTER),
    "d": (_LINE, _BLOCK, r"/\+(?:.*?\+/|.*)", _BACKTICK, _STRING, _CHARACTER),
    "elixir": (_HASH, _TRIPLE, *_ON_ONE_LINE),
    "go": (_LINE, _BLOCK, _BACKTICK, _STRING, _CHARACTER),
    "hs": (r"--[^\n]*", r"\{-(?:.*?-\}|.*)", _ON_ONE_LINE[0]),
    "jl": (r"#=(?:.*?=#|.*)", r"#[^\n]*", _TRIPLE, _STRING, _CHARACTER),
    "js": (_LINE, _BLOCK, _TEMPLATE, _REGEX, _STRING, r"'(?:\\.|[^'\\\n])*'?"),
    "java": (_LINE, _BLOCK, _TRIPLE, _STRING, _CHARACTER),
    "lua": (
        r"--\[(?P<note>=*)\[(?:.*?\](?P=note)\]|.*)",
        r"--[^\n]*",
        r"\[(?P<level>=*)\[(?:.*?\](?P=level)\]|.*)",
        *_ON_ONE_LINE,
    ),
    "ml": (r"\(\*(?:.*?\*\)|.*)", _ON_ONE_LINE[0]),
    "php": (
        r"(?<=\?>)(?:.*?(?=<\?php|<\?=)|.*)",
        r"(?://|#(?!\[))(?:(?!\?>)[^\n])*",
        _BLOCK,
        r"<<<[ \t]*(['\"]?)(?P<end>\w+)\1\n(?:[^\n]*\n){0,200}?[ \t]*(?P=end)\b",
        r'"(?:\\.|[^"\\])*"?',
        r"'(?:\\.|[^'\\])*'?",
    ),
    "pl": (_HERE_DOCUMENT, r"^=[a-z](?:.*?^=cut\b|.*)", _HASH, *_ON_ONE_LINE),
    "r": (r"#[^\n]*", *_ON_ONE_LINE),
    "rb": (_HERE_DOCUMENT, r"^=begin\b(?:.*?^=end\b|.*)", _HASH, *_ON_ONE_LINE),
    "rkt": (r";[^\n]*", r"#\|(?:.*?\|#|.*)", r"#\\.", r'"(?:\\.|[^"\\])*"?'),
    "rs": (_LINE, _NESTED_BLOCK, r'\br(#*)"(?:.*?"\1|.*)', r'"(?:\\.|[^"\\])*"?', _CHARACTER),
    "scala": (_LINE, _NESTED_BLOCK, _TRIPLE, _STRING, _CHARACTER),
    "sh": (r"(?:^|(?<=[\s;]))#[^\n]*", r"\\.", _HERE_DOCUMENT, r"'[^']*'?", _shell_string(3)),
    "swift": (_LINE, _NESTED_BLOCK, _TRIPLE, _STRING),
}
"""Comments and quotes, which may hold unbalanced braces; one without its end goes to the end of the text."""
_OPAQUE["ts"] = _OPAQUE["js"]

_OPAQUE_RE = {
    language: re.compile("|".join(patterns), re.DOTALL | re.MULTILINE)
    for language, patterns in _OPAQUE.items()
}

_TYPED = re.compile(r"(?!\s*(?:return|else|new|throw|case|await)\b)[^(=]*[\w>\]?&*]\s+[&*]*")
_BEFORE = {
    "cpp": _TYPED,
    "cs": _TYPED,
    "d": _TYPED,
    "go": re.compile(r".*\bfunc\s+"),
    "java": _TYPED,
    "rs": re.compile(r".*\bfn\s+"),
    "scala": re.compile(r".*\bdef\s+"),
    "sh": re.compile(r"[ \t]*(?:function\s+)?"),
    "swift": re.compile(r".*\bfunc\s+"),
}
"""What stands before the name in a definition, and not in a call, from the last mark or line end on."""

_HEAD_CHARS = 400
"""How much of the text before a name is looked at."""
_BEGINNING_CHARS = 4000
"""How long a statement's beginning may be."""

_WITHOUT_SEMICOLONS = ("go", "scala", "swift")
"""Where a statement ends with its line; of the lines above a definition only annotations are its own."""

_SPACE = re.compile(r"\s*")
_FOLLOWING = re.compile(r"\s*\n([ \t]+)(?=\S)")
"""The next line that is not blank, and how far in it begins."""
_BRACE = re.compile(r"[{}]")
_OPENING = re.compile(r"[^;{}]*\{")
_PARAMETERS = re.compile(r"\s*(?:[<\[!](?:[^(;={}]|(?<=\w)=(?!=)|(?<=\w )=(?!=)){0,400})?\(")
"""From a name to its parameters; the types that a function is generic in may stand between.

In Rust, those may have types of their own: `<I: Iterator<Item = isize>>`.
"""
_SHELL_OPENING = re.compile(r"[ \t]*\(\s*\)\s*[{(]|\s*\{")
_HANDLER = re.compile(r"\s*catch\s*\([^(){}]{0,400}\)\s*\{")
_ARROW = re.compile(r"\s*(?:(?:pure|nothrow|const|@\w+)\s+)*=>\s*")
_SCALA_OPENING = re.compile(r"[^;{}=]*=\s*\{?")


class Function(NamedTuple):
    """Where a function stands in a text."""

    start: int
    """Of its statement: its type or keyword, with annotations."""
    body: int
    """Behind the opening brace, or where the expression begins that is the whole body."""
    end: int
    """Behind the closing brace."""
    has_braces: bool
    name: str = ""


@lru_cache(maxsize=16)  # what puts a program together asks several times for the same text
def skeleton(language: str, code: str) -> str:
    """Return a text of the same length in which comments and quotes are blank."""
    pattern = _OPAQUE_RE.get(language)
    return code if pattern is None else pattern.sub(lambda match: _blank(match[0]), code)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def functions(language: str, bones: str, name: str) -> list[Function]:
    """Return what a skeleton defines under the names that match a pattern, calls and declarations aside."""
    found = ((match[0], _function(language, bones, match)) for match in _names(language, bones, name))
    return [function._replace(name=word) for word, function in found if function is not None]


def _names(language: str, bones: str, name: str) -> Iterator[re.Match[str]]:
    is_head = _BEFORE[language].fullmatch
    for match in re.finditer(rf"\b(?:{name})\b", bones):
        before = bones[max(0, match.start() - _HEAD_CHARS) : match.start()]
        mark = max(map(before.rfind, "\n;{})"))
        # A type can end in a bracket, too: D's `Tuple!(long, long)`, C#'s `(long, long)`.
        has_tuple = (
            language in ("d", "cs") and before[mark : mark + 1] == ")" and before[mark + 1 :].isspace()
        )
        if has_tuple or is_head(before[mark + 1 :]):
            yield match


def _function(language: str, bones: str, name: re.Match[str]) -> Function | None:
    if language == "sh":
        return _shell_function(bones, name)
    parameters = _PARAMETERS.match(bones, name.end())
    if parameters is None and language != "scala":
        return None
    after = name.end()  # of a method without parameters
    if parameters is not None:
        after = closing(bones, parameters.end() - 1, "()")
    arrow = _ARROW.match(bones, after) if language in ("cs", "d") else None
    if arrow is not None:
        end = _semicolon(bones, arrow.end())
        return Function(_statement_start(language, bones, name.start()), arrow.end(), end, has_braces=False)
    match = (_SCALA_OPENING if language == "scala" else _OPENING).match(bones, after)
    if match is None:
        return None
    start = _statement_start(language, bones, name.start())
    if not match[0].endswith("{"):
        end = _indented_end(bones, bones.rfind("\n", 0, name.start()) + 1, match.end())
        return Function(start, match.end(), end, has_braces=False)
    end = closing(bones, match.end() - 1, "{}")
    while language == "cpp" and (handler := _HANDLER.match(bones, end)):  # of a body that is a try block
        end = closing(bones, handler.end() - 1, "{}")
    return Function(start, match.end(), end, has_braces=True)


def _indented_end(bones: str, line: int, position: int) -> int:
    """Return the end of an expression of Scala: it goes on in lines further in than the one it began in."""
    end = line_ends(bones).end(position)
    first = _SPACE.match(bones, line)
    while (following := _FOLLOWING.match(bones, end)) and first and len(following[1]) > first.end() - line:
        end = line_ends(bones).end(following.end())
    return end


def _shell_function(bones: str, name: re.Match[str]) -> Function | None:
    match = _SHELL_OPENING.match(bones, name.end())
    if match is None:
        return None
    start, opening = bones.rfind("\n", 0, name.start()) + 1, match.end() - 1
    if bones[opening] == "(":
        return Function(start, opening, closing(bones, opening, "()"), has_braces=False)
    end = _ends(bones, "{}").get(opening)
    if end is None:  # more quotes than can be told here
        line = re.compile(r"^\}$", re.MULTILINE).search(bones, opening)
        end = line.end() if line else len(bones)
    return Function(start, match.end(), end, has_braces=True)


def _statement_start(language: str, bones: str, position: int) -> int:
    """Return where the statement around a position begins: behind the last one, or behind a directive."""
    start = begin = (
        max(bones.rfind(mark, max(0, position - _BEGINNING_CHARS), position) for mark in ";{}") + 1
    )
    while (line_end := bones.find("\n", begin, position)) >= 0:
        line = bones[begin:line_end].strip()
        begin = line_end + 1
        if language in _WITHOUT_SEMICOLONS:
            start = start if line.startswith("@") else begin
        elif line and (not line.startswith("#") or line.startswith("#[")):
            break
        else:
            start = begin
    return start


def _semicolon(bones: str, position: int) -> int:
    """Return the position behind the next semicolon that is in no brackets."""
    depth = 0
    for match in re.compile(r"[()\[\]{};]").finditer(bones, position):
        if match[0] == ";":
            if depth == 0:
                return match.end()
        else:
            depth += 1 if match[0] in "([{" else -1
    return len(bones)


class LineEnds:
    """Where the expressions of a skeleton end: with the line in which their brackets are closed.

    A mark is a bracket or the end of a line; its level is twice
    the brackets that are open behind it, and one more for a bracket. The line in which an expression ends is
    that of the first mark which is no higher than twice the brackets that are open before it.
    """

    def __init__(self, bones: str) -> None:
        """Read a skeleton once."""
        self._bones = bones
        self._marks: list[int] = []
        self._levels: list[int] = []
        depth = 0
        for match in re.compile(r"[()\[\]{}\n]").finditer(bones):
            if match[0] != "\n":
                depth += 1 if match[0] in "([{" else -1
            self._marks.append(match.start())
            self._levels.append(2 * depth + (match[0] != "\n"))
        self._lower = [len(self._marks)] * len(self._marks)  # the next mark of a lower level
        higher: list[int] = []
        for index, level in enumerate(self._levels):
            while higher and self._levels[higher[-1]] > level:
                self._lower[higher.pop()] = index
            higher.append(index)

    def end(self, position: int) -> int:
        """Return the end of the line in which the brackets of the expression at a position are closed."""
        begin = _SPACE.match(self._bones, position)
        index = bisect_left(self._marks, begin.end() if begin else position)
        level = self._levels[index - 1] // 2 * 2 if index else 0
        while index < len(self._marks) and self._levels[index] > level:
            index = self._lower[index]
        return self._marks[index] if index < len(self._marks) else len(self._bones)


line_ends = lru_cache(maxsize=16)(LineEnds)
"""As `skeleton`, asked several times for the same text."""


def closing(bones: str, position: int, pair: str) -> int:
    """Return the position behind the bracket that closes the one at `position`; else the end."""
    return _ends(bones, pair).get(position, len(bones))


@lru_cache(maxsize=16)
def _ends(bones: str, pair: str) -> dict[int, int]:
    """Return, for each opening bracket that is closed, the position behind the closing one."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(f"[{re.escape(pair)}]", bones):
        if match[0] == pair[0]:
            opened.append(match.start())
        elif opened:
            ends[opened.pop()] = match.end()
    return ends


def enclosing(bones: str, position: int) -> int | None:
    """Return where the innermost brace around a position opens, or None."""
    ((depth, opening),) = all_enclosing(bones, [position])
    return opening if depth else None


def all_enclosing(bones: str, positions: Sequence[int]) -> list[tuple[int, int]]:
    """Return, for each of some ascending positions, how many braces are open and where the last one is."""
    open_braces: list[int] = []
    found, done = [], 0
    for position in positions:
        for match in _BRACE.finditer(bones, done, position):
            if match[0] == "{":
                open_braces.append(match.start())
            elif open_braces:
                open_braces.pop()
        done = max(done, position)
        found.append((len(open_braces), open_braces[-1] if open_braces else 0))
    return found

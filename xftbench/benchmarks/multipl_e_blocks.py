"""What a reply has beside the block with the function: helpers in other blocks, and prose.

The code of a reply is well laid out, so a statement at the top level begins where a line begins with no white
space, outside of all brackets, and with nothing that closes or continues what precedes it.
"""

import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence

from xftbench.benchmarks.multipl_e_definitions import JS_FUNCTION
from xftbench.benchmarks.multipl_e_syntax import functions, skeleton

_CONTINUES = re.compile(
    r"[)\]}{|&.,:?+*=-]|(?:end|else|elsif|elif|elseif|catch|finally|rescue|ensure|then|fi|done)\b"
)
_BRACKETS = re.compile(r"[()\[\]{}]")
_TYPED = ("cpp", "cs", "d", "java")
_BRACED = (*_TYPED, "go", "rs", "scala", "sh", "swift")
_ENDING = (*_TYPED, "rs")
"""Languages in which a statement may have several lines that begin with no white space."""
_ENDED = re.compile(r"[;}]\Z|\A#(?!\[)")

_CONSTANT = r"(?=[A-Z][A-Z\d_]*\b)"
_TYPE = (
    r"(?:[a-z]+\s+)*?(?:class|interface|enum(?:\s+(?:class|struct))?|struct|union|record|delegate|alias)"
    r"\s+(\w+)"
)
_BINDS = {
    "cpp": (
        rf"(?:template\b[^;{{]*>\s*)?{_TYPE}",
        r"(?:using|namespace|#\s*define)\s+(\w+)|typedef\b[^;]*\b(\w+)\s*;",
        r"(?:(?:static|inline)\s+)*const(?:expr)?\s[^;({=\[]*?(\w+)\s*[=\[{]",
    ),
    "cs": (_TYPE, r"(?:[a-z]+\s+)*?(?:const|static)\s+[^;()={}]{1,200}?(\w+)\s*=(?!>)"),
    "d": (_TYPE, r"(?:enum|immutable|const)\s[^;({=]*?(\w+)\s*="),
    "go": (
        r"func\s+(?:\([^()]*?\*?(\w+)(?:\[[^\]]*\])?\s*\)\s*\w+|(\w+))",
        r"(?:type|var|const)\s+(\w+)",
    ),
    "java": (_TYPE, r"(?:[a-z]+\s+)*?(?:final|static)\s+[^;()={}]{1,200}?(\w+)\s*="),
    "jl": (
        r"(?:function|(?:mutable\s+)?struct|abstract\s+type|const|macro)\s+(\w+)",
        r"(\w+)\([^\n]*\)[^=\n]*=(?!=)",
    ),
    "js": (
        (
            r"(?:export\s+(?:default\s+)?)?(?:(?:async|abstract|declare)\s+)*"
            r"(?:function\s*\*?|class|interface|enum|type)\s+([\w$]+)"
        ),
        (
            rf"(?:export\s+)?(?:const|let|var)\s+(?:{_CONSTANT}|(?=[\w$]+\s*(?::[^=\n]*)?=\s*{JS_FUNCTION})"
            r"|(?=[\w$]+\s*=\s*require\b))([\w$]+)"
        ),
        r"(?:const|let|var)\s*\{([^{}]*)\}\s*=\s*require\b",
    ),
    "lua": (
        r"(?:local\s+)?function\s+(\w+)",
        rf"(?:local\s+)?(?:{_CONSTANT}(\w+)\s*=|(\w+)\s*=\s*function\b)",
    ),
    "php": (
        r"(?:(?:abstract|final|readonly)\s+)*(?:function\s+&?|(?:class|interface|trait|enum|const)\s+)(\w+)",
    ),
    "pl": (r"sub\s+(\w+)|use\s+constant\s+(\w+)", rf"(?:my|our)\s+\(?[$@%]{_CONSTANT}(\w+)"),
    "r": (
        r"`?([\w.]+)`?\s*(?:<?<-|=)\s*(?:function\b|\\\()",
        rf"{_CONSTANT}([\w.]+)\s*(?:<?<-|=(?!=))",
    ),
    "rb": (
        r"(?:def\s+(?:self\.)?|class\s+|module\s+)([\w?!]+)",
        rf"{_CONSTANT}(\w+)\s*=|([A-Z]\w*)\s*=\s*Struct\b",
    ),
    "rkt": (r"\(define(?:[-/]\w+)*\s+\(*([^\s()\[\]]+)", r"\(struct\s+([^\s()\[\]]+)"),
    "rs": (
        (
            r"(?:#!?\[[^\n]*\n)*(?:pub(?:\([^)]*\))?\s+)?(?:(?:unsafe|async|const)\s+)*"
            r"(?:fn|struct|enum|union|trait|type|static|mod|const)\s+(?!tests?\b)(\w+)"
        ),
        r"impl\b(?:<[^{]*?>)?\s+(?:[^{]*?\bfor\s+)?(\w+)|macro_rules!\s*(\w+)",
    ),
    "scala": (
        r"(?:[a-z]+\s+)*?(?:class|trait|object|def|type)\s+(\w+)",
        rf"(?:[a-z]+\s+)*?val\s+{_CONSTANT}(\w+)",
    ),
    "sh": (
        r"function\s+([\w-]+)|([\w-]+)\s*\(\s*\)",
        rf"(?:(?:readonly|declare\s+-\w+)\s+)?{_CONSTANT}(\w+)=",
    ),
    "swift": (r"(?:[a-z]+\s+)*?(?:func|struct|class|enum|protocol|extension|typealias|let|var)\s+(\w+)",),
}
"""Statements that define something for others, and its names. Variables in small letters are examples'."""
_BINDS["ts"] = _BINDS["js"]
_BINDS_RE = {language: re.compile("|".join(patterns)) for language, patterns in _BINDS.items()}

_IMPORTS = {
    "cpp": r"#\s*include\s*<[^\n]*|using\s+namespace\b[^\n]*",
    "cs": r"using\s+(?!var\b)[\w.]+(?:\s+[\w.]+|\s*=[^;\n]*)?;",
    "d": r"import\s+std\b[^;]*;",
    "go": r"import\s*(?:\([^)]*\)|[^\n]*)",
    "java": r"import\s[^;\n]*;",
    "jl": r"(?:using|import)\s[^\n]*",
    "php": r"use\s+(?!function)[^;\n]*;",
    "pl": r"use\s+(?:strict|warnings|utf8|feature|List::|Scalar::|POSIX|Math::|Data::)[^;\n]*;",
    "rb": r"require\s+'[\w/]+'|require\s+\"[\w/]+\"",
    "rkt": r"\(require\s+[\w/ -]+\)",
    "rs": r"use\s+std\b[^;]*;",
    "scala": r"import\s+(?:scala|java)\b[^\n]*",
    "swift": r"import\s[^\n]*",
}
"""Imports of what everybody has, which change nothing where they are not needed."""
_FIRST = re.compile(
    r"(?:\s*(?:<\?php\b|#!|#lang\b|#\s*include\b|import\s*\([^)]*\)|import\b|using\b|package\b|use\b"
    r"|declare\b|library\b|require\b|\(require\b|[\"']use strict[\"'])[^\n]*(?:\n|\Z)"
    r"|[ \t]*(?://|#(?![!\[]))[^\n]*\n|\s*/\*.*?\*/)*+",
    re.DOTALL,
)
"""What a file begins with: before it, helpers would be out of place."""

_DECLARING = re.compile(
    r"\b(?:my|our|local|let|const|var|val|function|func|fn|def|define|sub)\b[^={]*\Z"
    r"|\b(?!return\b|else\b|throw\b|case\b|in\b|of\b)[a-z]\w*[>\]*&]*[ \t]+[*&]*\Z"
)
"""What stands before a parameter or a local variable in its line."""

_DECLARED = re.compile(r"\b(?:const|let|var|val|class|struct|enum|interface|function|def|fn)\s+(\w+)")

_PROSE = re.compile(
    r"^(?:[ \t]*(?:[-*+]|\d+[.)])[ \t]+(?=[*`A-Z])[^\n]*[^\n;{,]"
    r"|#{1,6}[ \t]+[A-Z*\d][^\n]*|\*\*[^\n]+"
    r"|(?:[A-Z][\w']*,?|I'[a-z]+)(?:[ \t]+[\w'`*\"-]+,?){2}[^\n]*[^\n;{]"
    r"|[A-Z]\w+(?: \w+)*:|\[/?[A-Z]+\])[ \t]*$",
    re.MULTILINE,
)
"""A line of Markdown or English, or a mark such as ``[DONE]``.

No code begins with a capital letter and goes on with two words more.
"""


def without_prose(text: str) -> str:
    """Return a text without the lines that are no code in any language."""
    return _PROSE.sub("", text)


def with_helpers(language: str, code: str, name: str, others: Sequence[str]) -> str:
    """Return code with those definitions among other blocks that it needs and has not.

    What mentions the function itself is an example of its use. Standard imports come along with a definition,
    and from blocks that are nothing else.
    """
    if language not in _BINDS_RE:
        return code
    blocks = [_statements(language, textwrap.dedent(other)) for other in others]
    own = _own(language, code)
    places: dict[str, dict[int, list[int]]] = {}
    for number, block in enumerate(blocks):
        for place, (text, names) in enumerate(block):
            if name not in _mentioned(language, text):
                for bound in names - own:
                    places.setdefault(bound, {}).setdefault(number, []).append(place)
    taken: set[tuple[int, int]] = set()
    waiting = sorted(_mentioned(language, code))
    while waiting:
        number_of = places.pop(waiting.pop(), None)
        if number_of:
            last = max(number_of)
            for place in number_of[last]:
                taken.add((last, place))
                waiting += _mentioned(language, blocks[last][place][0])
    imports = list(_imports(language, code, blocks, {number for number, _ in taken}))
    helpers = [blocks[number][place][0].strip("\n") for number, place in sorted(taken)]
    if not imports and not helpers:
        return code
    first = _FIRST.match(code)
    at = first.end() if first else 0
    return "\n".join(filter(None, [code[:at].rstrip("\n"), *imports, *helpers, code[at:]]))


def _imports(
    language: str, code: str, blocks: Sequence[list[tuple[str, set[str]]]], used: set[int]
) -> Iterator[str]:
    pattern = re.compile(_IMPORTS.get(language, r"(?!)"))
    seen: set[str] = set()
    for number, block in enumerate(blocks):
        found = [match[0] for text, _ in block if (match := pattern.match(text))]
        if number in used or len(found) == len(block):
            for line in found:
                if line not in code and line not in seen:
                    seen.add(line)
                    yield line


def _own(language: str, code: str) -> set[str]:
    """Return the names that a program defines, members and local ones included: twice would be an error."""
    bones = skeleton(language, code)
    own = {bound for _, names in _statements(language, code) for bound in names}
    own.update(_DECLARED.findall(bones))
    if language in _BRACED:
        own.update(function.name for function in functions(language, bones, r"\w+"))
    return own | _local(bones)


def _local(bones: str) -> set[str]:
    """Return the names in capital letters that code first has where it declares them."""
    seen, local = set[str](), set[str]()
    for match in re.finditer(r"\b[A-Z][A-Z\d_]*\b", bones):
        if match[0] not in seen and _DECLARING.search(
            bones[bones.rfind("\n", 0, match.start()) + 1 : match.start()]
        ):
            local.add(match[0])
        seen.add(match[0])
    return local


def _mentioned(language: str, text: str) -> set[str]:
    word = r"[^\s()\[\]{}'`\",;]+" if language == "rkt" else r"(?<![.\w])[A-Za-z_][\w]*[?!]?"
    return {
        found.rstrip("?!") if language != "rb" else found
        for found in re.findall(word, skeleton(language, text))
    }


def _statements(language: str, code: str) -> list[tuple[str, set[str]]]:
    """Return the statements of a program's top level and the names that each defines."""
    bones = skeleton(language, code)
    spans = itertools.pairwise([*_starts(language, bones), len(code)])
    return [(code[start:end], _bound(language, bones[start:end])) for start, end in spans]


def _starts(language: str, bones: str) -> Iterator[int]:
    depth, position, before = 0, 0, ""
    for line in bones.splitlines(keepends=True):
        is_outside = depth == 0 and not line[0].isspace() and not _CONTINUES.match(line)
        if is_outside and not _is_open(language, before):
            yield position
            before = ""
        for bracket in _BRACKETS.findall(line):
            depth = max(0, depth + (1 if bracket in "([{" else -1))
        before = line.strip() or before
        position += len(line)


def _is_open(language: str, line: str) -> bool:
    """Return whether the next line goes on with the statement of one, as behind ``template <...>``."""
    return language in _ENDING and bool(line) and not _ENDED.search(line)


def _bound(language: str, bones: str) -> set[str]:
    match = _BINDS_RE[language].match(bones)
    if match:
        groups = [group for group in match.groups() if group]
        return {name for group in groups for name in re.findall(r"[^\s,:]+", group)}
    if language in _TYPED:
        found = functions(language, bones, r"\w+")
        return {found[0].name} if found else set()
    return set()

"""How a text in some language defines a name: outright, by some value, or not at all.

All patterns are for skeletons: in a comment or a quote, nothing is defined.
"""

import enum
import re

from xftbench.benchmarks.multipl_e_syntax import functions, skeleton

_JS_PARAMETERS = r"(?:\((?:[^()]|\([^()]*\)){0,1000}+\)|[\w$]+)"
JS_FUNCTION = (
    r"(?:async\b|function\b|(?:<[^\n>]{1,80}>\s*)?" + _JS_PARAMETERS + r"\s*(?::[^=;\n]{1,200}?)?\s*=>)"
)
"""How a value begins that is a function."""
_JS_ANONYMOUS = (
    r"^(?:module\.exports\s*=|export\s+default\b)\s*"
    rf"(?=(?:async\s+)?function\s*\*?\s*\(|(?:async\s*)?{_JS_PARAMETERS}\s*(?::[^=;\n]{{1,200}}?)?\s*=>)"
)
_JS_MEMBER = (
    r"^(?:module\.exports\s*=|export\s+default\b)\s*"
    r"(?=\{(?:[^}]*[{,])?\s*(?:async\s+)?%s\s*(?:\(|:\s*(?:async\b|function\b|\(|\w+\s*=>)))"
)
_JS = rf"\bfunction\s*\*?\s*%s\s*[(<]|(?<![$\w])%s\s*=\s*{JS_FUNCTION}|{_JS_ANONYMOUS}|{_JS_MEMBER}"
JS_METHOD = r"^[ \t]+(?:(?:public|static|async)\s+)*%s\s*\([^()]*\)\s*(?::[^=;{}\n]{1,200})?\{"
"""A method of a class or an object."""
_JS_VALUE = (
    r"(?:^|\b(?:const|let|var)\s+)%s\s*(?::[^=\n]*)?=(?![=>])(?!\s*(?:await\s+)?(?:require|import)\b)"
    rf"|{JS_METHOD}"
)

_CPP_LAMBDA = r"^[\w:][\w:<>,()&* \t]{0,200}[ \t>&]%s\s*=\s*\[\s*\]\s*(?=\()"

_OUTRIGHT = {
    "clj": r"\(defn-?\s+%s[\s\[]",
    "elixir": r"\bdefp?\s+%s\b",
    "go": r"\bfunc\s+%s\s*[(\[]|^var\s+%s\s*=\s*func\b",
    "hs": r"^%s\s*::|^%s\s[^=\n]*=(?!=)",
    "ml": r"\blet\s+(?:rec\s+)?%s\b",
    "jl": r"\bfunction\s+%s\b|^%s\s*\([^\n]*\)[^=\n]*=(?!=)|^(?:const\s+)?%s\s*=\s*(?:\([^()\n]*\)|\w+)\s*->",
    "js": _JS,
    "lua": r"\bfunction\s+(?:[\w.]+[.:])?%s\b|\b%s\s*=\s*function\b",
    "php": r"\bfunction\s+&?%s\s*\(",
    "pl": r"\bsub\s+%s\b|^\*%s\s*=\s*sub\b",
    "r": r"\b%s`?\s*(?:<?<-|=(?!=))\s*(?:function\b|\\\()",
    "rb": r"\bdef\s+(?:self\.)?%s\b",
    "rkt": r"\(define(?:/\w+)?\s+\(*%s[\s()]",
    "ts": rf"{_JS}|\b(?:const|let|var)\s+%s\s*:[^\n]*?=\s*{JS_FUNCTION}",
}
_BY_A_VALUE = {
    "js": _JS_VALUE,
    "ts": _JS_VALUE,
    "lua": r"^(?:local\s+)?%s\s*=(?!=)(?!\s*require\b)",
    "r": r"^`?%s`?\s*(?:<?<-|=(?!=))",
    "rb": r"^%s\s*=\s*(?:lambda|proc|->|Proc\.new)",
}
"""Perhaps a call's result, or a shorter name for what another block defines; in JavaScript also a method."""


class Definition(enum.IntEnum):
    """How a text defines a function."""

    NONE = 0
    BY_A_VALUE = 1
    OUTRIGHT = 2


def definition(language: str, code: str, name: str) -> Definition:
    """Return how a text seems to define a function of that name."""
    bones, word = skeleton(language, code), re.escape(name)
    if language not in _OUTRIGHT:
        is_defined = functions(language, bones, word) or (
            language == "cpp" and re.search(_CPP_LAMBDA.replace("%s", word), bones, re.MULTILINE)
        )
        return Definition.OUTRIGHT if is_defined else Definition.NONE
    for how, patterns in ((Definition.OUTRIGHT, _OUTRIGHT), (Definition.BY_A_VALUE, _BY_A_VALUE)):
        pattern = patterns.get(language)
        if pattern and re.search(pattern.replace("%s", word), bones, re.MULTILINE):
            return how
    return Definition.NONE


def defines(language: str, code: str, name: str) -> bool:
    """Return whether a text seems to define a function of that name."""
    return definition(language, code, name) is not Definition.NONE


def under_its_name(code: str, name: str) -> str:
    """Return JavaScript in which a function that is only exported has its name in the program, too."""
    word = re.escape(name)
    if re.search(rf"\b(?:function\s*\*?|const|let|var|class)\s+{word}\b", skeleton("js", code)):
        return code
    code = re.sub(
        rf"^(?:module\.)?exports\.{word}\s*=\s*(?={JS_FUNCTION})", f"const {name} = ", code, flags=re.M
    )
    code = re.sub(_JS_ANONYMOUS, f"const {name} = ", code, count=1, flags=re.M)
    return re.sub(_JS_MEMBER.replace("%s", word), f"const {{ {name} }} = ", code, count=1, flags=re.M)


def as_a_function(code: str, name: str) -> str:
    """Return C++ in which a variable at the top level that holds a lambda is a function."""
    found = re.search(_CPP_LAMBDA.replace("%s", re.escape(name)), skeleton("cpp", code), re.MULTILINE)
    return f"{code[: found.start()]}auto {name}{code[found.end() :]}" if found else code

"""How a solution reads: its code without texts and comments, and the names in it that are its own.

This is no parser. What it can't read for certain it refuses: a text that goes on in the next line, a quote
that has no other one, an escape outside of texts. A program that is refused is judged with a control.
"""

import re
from functools import lru_cache

from xftbench.execution.native import control
from xftbench.execution.native.language import Reading
from xftbench.execution.native.words import USUAL

_NEVER = re.compile(
    r"\r(?!\n)|[^\S \t\r\n]|[\x00-\x08\x0e-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
"""Characters that end lines for some compilers and not for others, and such as are not seen."""
_FOREIGN = re.compile(r"[^\x00-\x7f÷≤≥≠∈∉⊻∘λπ]")
_KEPT = re.compile(r"[^\w\s\"$(){}\[\]@!/*.-]")
_NAME = r"[A-Za-z_]\w*"
_OF_STD = re.compile(r"\bstd\s*::\s*(?:\w+\s*::\s*)?(\w+)")
_PLACE = " 0 "
_PARAMETERS = (
    re.compile(
        r"(?:\b(?:def|function|fn|fun|func|sub|define)\b[^\n({]{0,80}|[\w\]>*&?][ \t]++[*&]?\w{1,80})"
        r"\(([^\n{}()]{0,400}(?:\([^\n{}()]{0,100}\)[^\n{}()]{0,200}){0,4})"
    ),
    re.compile(r"(?<![\w \t,:])([\w \t,:]++)\)?[ \t]*+(?:->|=>)"),
    re.compile(r"(?<![\w \t,:])([\w \t,:]{1,100}?)\bin\b"),
    re.compile(r"\(([^()\n]{1,200})\)[ \t]*(?::[^=\n(){}]{1,60})?(?:->|=>|\{[ \t]*\|)"),
    re.compile(r"\|([^|\n]{1,80})\|"),
    re.compile(r"\b(?:let|var|val|my|our|local)\s*\(?([^\n=;]{1,120}?)(?:=|;|\bin\b|\n)"),
)

_LASTING = (
    re.compile(r"\bfor(?:each)?(?:_reverse)?\b[ \t]*\(?([^\n;{=]{1,80}?)(?:\bin\b|[=:;]|\bof\b|<-)"),
    re.compile(r"\bvar\s+((?:\w{1,80}\s*,\s*){1,9}\w{1,80})[ \t]"),
)


def code_of(text: str, reading: Reading) -> str | None:
    """Return the code in a text, its literals replaced by 0; None if it can't be told for certain."""
    if _NEVER.search(text) or (reading.refused and _compiled(reading.refused).search(text)):
        return None
    certain = True

    def read(match: re.Match[str]) -> str:
        nonlocal certain
        kind = match.lastgroup
        if kind == "text":
            return _PLACE
        if kind == "comment":
            if match[0].startswith("/*"):
                inner = match[0][2:]
                certain &= inner.endswith("*/") and "/*" not in inner
            return " "
        if kind == "kept":
            return _KEPT.sub(" ", match[0])
        certain &= kind == "loose" and _is_whole(match[0], reading)
        return match[0]

    code = _scanner(reading).sub(read, text)
    if not certain or _FOREIGN.search(code) or (reading.odd and _compiled(reading.odd).search(code)):
        return None
    return code


def _is_whole(rest: str, reading: Reading) -> bool:
    """Return whether nothing that a line's rest begins can go on in the next one."""
    if "/*" in rest:
        return False
    across = [mark for mark in reading.across if mark in rest]
    if not across:
        return True
    mark = rest[0] if rest[0] in across else across[0]
    others = set("\"'`/") - {mark}
    return rest.count(mark) % 2 == 0 and others.isdisjoint(rest) and f"\\{mark}" not in rest


def unknown_words(code: str, reading: Reading, asked: str) -> set[str]:
    """Return the names in a code that are neither known, nor its own, nor what was asked for."""
    words = {word for word in _compiled(reading.word).findall(code) if len(word) > 1} - _known(reading)
    if words:
        words -= own_names(code, reading) - set(_OF_STD.findall(code))
    if words and reading.own:
        texts = _compiled(reading.own).findall(code)
        words -= {word for text in texts for word in _compiled(reading.word).findall(text)}
    asked = _flat(asked)
    return {word for word in words if not asked.endswith(_flat(word))}


def _flat(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def own_names(code: str, reading: Reading) -> set[str]:
    """Return the names that a code binds, its parameters and its loops' variables among them."""
    lists = (names for pattern in (*_PARAMETERS, *_LASTING) for names in pattern.findall(code))
    named = {name for names in lists for name in re.findall(_NAME, names)}
    return named | control.bound_names(code, behind_types=reading.typed)


def lasting_names(code: str) -> set[str]:
    """Return the names to which loops and lists of variables give a meaning that may last behind them."""
    lists = (names for pattern in _LASTING for names in pattern.findall(code))
    return {name for names in lists for name in re.findall(rf"({_NAME})\W*(?:,|$)", names)}


@lru_cache(maxsize=64)
def _scanner(reading: Reading) -> re.Pattern[str]:
    kinds = {
        "text": reading.text,
        "comment": reading.comment,
        "kept": reading.kept,
        "loose": reading.loose and rf"(?:{reading.loose})[^\n]*",
        "stray": reading.stray,
    }
    return re.compile("|".join(f"(?P<{kind}>{what})" for kind, what in kinds.items() if what), re.MULTILINE)


@lru_cache(maxsize=128)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


@lru_cache(maxsize=64)
def _known(reading: Reading) -> frozenset[str]:
    return frozenset(reading.words.split()) | frozenset(USUAL.split())

"""What a script has at its top level that ends the program when it is called: helpers, and objects that do.

A reply's `runTests` ends the program as its `main` does. Called before the benchmark's tests, it hides them.
One that raises where the asked function is not what it expects may fail a right answer.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from xftbench.benchmarks.multipl_e_syntax import line_ends

ENDS = {
    "js": r"process\.(?:exit|abort)\s*\(|\bmain\s*\(|(?<![\w$.])prompt\s*\(|\breadFileSync\s*\(",
    "lua": r"\bos\.exit\b|\bmain\s*\(|\bio\.read\b",
    "php": r"\b(?:exit|die|STDIN)\b|\b(?:main|readline)\s*\(",
    "pl": r"(?<![$@%\w>])(?:exit|main)\b|<STDIN>",
    "r": r"(?<![\w.$])(?:quit|q|main|readline|readLines|scan)\s*\(",
    "rb": (
        r"(?<![\w.@:])(?:exit|abort|main|gets)\b(?!\s*[=:])"
        r"|\b(?:Kernel|Process)\.(?:exit|abort)\b|(?:STDIN|\$stdin)\.gets\b"
    ),
    "rkt": r"\((?:exit|main)\b",
}
"""What ends a program, or reads what nobody types."""
RAISES = {
    "js": r"\bthrow\b|(?<!console\.)\bassert\b",
    "lua": r"\b(?:error|assert)\b",
    "php": r"\b(?:throw|assert)\b",
    "pl": r"\b(?:die|croak|confess)\b",
    "r": r"\b(?:stop|stopifnot)\s*\(",
    "rb": r"(?<![\w.@:])(?:raise|fail)\b(?!\s*[=:])",
    "rkt": r"\((?:error|raise|check-)",
}
"""What ends it if nothing catches it."""
DEFINES = {
    "js": r"\bfunction\s*\*?\s+([\w$]+)",
    "lua": r"\bfunction\s+([\w.:]+)",
    "php": r"\bfunction\s+&?(\w+)",
    "pl": r"\bsub\s+(\w+)",
    "r": r"([\w.]+)\s*<-\s*function\b",
    "rb": r"\bdef\s+(?:self\.)?(\w+)|\b(define_method)\b",
    "rkt": r"\(define\s+\(?([^\s()\[\]]+)",
}
"""What is defined in a statement, perhaps for the program around it."""
_HEADS = {
    "js": (
        r"(?:async\s+)?function\s*\*?\s*([\w$]+)|(?:abstract\s+)?class\s+([\w$]+)"
        r"|(?:const|let|var)\s+([\w$]+)\s*(?::[^=\n]*)?=\s*(?:(?:async|function|new)\b|[{(]|[\w$]+\s*=>)"
    ),
    "lua": r"(?:local\s+)?function\s+(?:\w+[.:])*(\w+)|(?:local\s+)?(?:\w+\.)*(\w+)\s*=\s*function\b",
    "php": (
        r"function\s+&?(\w+)|(?:(?:final|abstract|readonly)\s+)*class\s+(\w+)"
        r"|\$(\w+)\s*=\s*(?:static\s+)?(?:function|fn|new)\b"
    ),
    "pl": r"sub\s+(\w+)|(?:my\s+)?\$(\w+)\s*=\s*(?:(?:sub|new)\b|[\w:]+->new\b)",
    "r": r"([\w.]+)\s*(?:<-|=)\s*(?:function\b|\\\()",
    "rb": (
        r"(?:private\s+)?def\s+(?:self\.)?(\w+)|(?:class|module)\s+(\w+)"
        r"|(\w+)\s*=\s*(?:lambda|proc|->|[A-Z]\w*\.new\b)"
    ),
    "rkt": r"\(define\s+\(?([^\s()\[\]]+)",
}
"""How what can be called is defined at the top level: functions, classes and their objects."""
_WORDS = {"js": r"[\w$]+", "r": r"[\w.]+", "rkt": r"[^\s()\[\]]+"}


class Outline:
    """Where a script's skeleton has its words, its ends and the ends of its lines, asked for often."""

    def __init__(self, language: str, bones: str, name: str) -> None:
        """Read a skeleton once, in time linear in its length.

        Args:
            language: One that `ENDS` has.
            bones: The skeleton.
            name: The asked function's; that it may end the program does not make its callers do so.
        """
        self.bones, self.lines = bones, line_ends(bones)
        self._ended = [match.start() for match in re.finditer(r"^end\b", bones, re.MULTILINE)]
        self._words: dict[str, list[int]] = defaultdict(list)
        for match in re.finditer(_WORDS.get(language, r"\w+"), bones):
            self._words[match[0]].append(match.start())
        defined = self._definitions(language)
        self._last = defined[-1][1] if defined else -1
        self._helpers = [definition for definition in defined if definition[0] != name]
        self._starts = [start for _, start, _ in self._helpers]
        ends, raises = (
            [match.start() for match in re.finditer(patterns[language], bones)] for patterns in (ENDS, RAISES)
        )
        self._ends = self._with_callers(ends)
        self._raises = self._with_callers(raises)
        self._mentions = self._with_callers(self._words.get(name, []))
        self._defines = [
            (match.start(), re.split(r"[.:]", match[match.lastindex or 0])[-1])
            for match in re.finditer(DEFINES[language], bones)
        ]

    def ends(self, start: int, end: int) -> bool:
        """Return whether a statement ends the program, or raises for what the asked function returns."""
        return _has(self._ends, start, end) or (
            _has(self._raises, start, end) and _has(self._mentions, start, end)
        )

    def is_needed(self, start: int, end: int) -> bool:
        """Return whether a statement defines something that is used outside of it."""
        first = bisect_left(self._defines, (start, ""))
        for position, name in self._defines[first : bisect_left(self._defines, (end, ""))]:
            places = self._words.get(name, [position])
            if name == "define_method" or places[0] < start or places[-1] >= end:
                return True
        return False

    def is_behind_all(self, start: int) -> bool:
        """Return whether nothing is defined at a position or behind it that can be called."""
        return self._last < start

    def keyword_end(self, start: int) -> int:
        """Return the end of the line that closes what begins at a position: by `end`; else the position."""
        line = self.line_end(start)
        if re.search(r"\bend[ \t;]*\Z", self.bones[start:line]):
            return line
        found = bisect_left(self._ended, start)
        return self.line_end(self._ended[found]) if found < len(self._ended) else start

    def line_end(self, position: int) -> int:
        """Return where the line of a position ends."""
        end = self.bones.find("\n", position)
        return end if end >= 0 else len(self.bones)

    def _definitions(self, language: str) -> list[tuple[str, int, int]]:
        """Return the names of what is defined at the top level, each with where it begins and ends."""
        found, end = [], 0
        for head in re.finditer(rf"^(?:{_HEADS[language]})", self.bones, re.MULTILINE):
            if head.start() >= end:
                if language == "lua" or (language == "rb" and "=" not in head[0]):
                    end = self.keyword_end(head.start())
                else:
                    end = self.lines.end(head.start())
                    if self.bones.startswith("\n{", end):
                        end = self.lines.end(end)
                found.append((head[head.lastindex or 0], head.start(), end))
        return found

    def _with_callers(self, positions: Iterable[int]) -> list[int]:
        """Return some positions, and where the names of helpers stand that have one of them inside."""
        places, known = list(positions), set[str]()
        todo = self._around(places)
        while todo:
            name = todo.pop()
            if name not in known:
                known.add(name)
                places += self._words[name]
                todo |= self._around(self._words[name]) - known
        return sorted(places)

    def _around(self, positions: Iterable[int]) -> set[str]:
        """Return the names of the helpers that some positions are in."""
        found = set()
        for position in positions:
            index = bisect_left(self._starts, position + 1) - 1
            if index >= 0 and position < self._helpers[index][2]:
                found.add(self._helpers[index][0])
        return found


def _has(positions: list[int], start: int, end: int) -> bool:
    index = bisect_left(positions, start)
    return index < len(positions) and positions[index] < end

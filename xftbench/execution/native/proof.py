"""What is executed: the benchmark's own text, with a line behind its last check that tells that it got there.

The line makes a check of its own and prints a secret. A program that ends early, however it does that, leaves
the secret unprinted. One that has the means to disarm checks is run once more with a check of the benchmark's
made false (`control`), or the line's where none can be: if it passes then, too, its checks are worth nothing.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from xftbench.execution.native import control
from xftbench.execution.native.language import Language, Reading
from xftbench.execution.native.reading import code_of, lasting_names, unknown_words
from xftbench.execution.native.readings import READINGS
from xftbench.records import NativeProgram

_NAME = "xftbench"
_LONGEST_READ = 200_000
"""Characters of a solution that are worth their reading, which takes six seconds for a million."""


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


_HIDING: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\\[ \t]*+\r?\n"), ""),  # C's lines that go on in the next one
    (re.compile(r"%:"), "#"),
    (re.compile(r"\\(?:u++|x|U)\{?0*+([0-9a-fA-F]{2})(?![0-9a-fA-F])\}?"), _character),
    (re.compile(r"(['\"])\s*(?:\+|\.\.?|<>|~)\s*['\"]"), ""),  # texts in pieces
    (re.compile(r"(\"(?:\\.|[^\"\\\n])*+\"?)|/\*(?s:.*?)(?:\*/|\Z)|//[^\n]*"), r"\1 "),  # comments
    (re.compile(r"(['\"])\s*(?:\+|\.\.?|<>|~)\s*['\"]"), ""),
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A program with the line in it."""

    text: str
    secret: str
    line_number: int

    def is_blamed(self, output: str) -> bool:
        """Return whether a failure could be the line's own: the program is then judged without it."""
        number = rf"[(:]{self.line_number}\b|\bline {self.line_number}\b"
        return self.secret in output or _NAME in output or re.search(number, output) is not None


def plain(program: NativeProgram) -> str:
    """Return the program as the benchmark assembles it."""
    return f"{program.solution}\n{program.test}"


def seal(program: NativeProgram, language: Language, *, control: bool = False) -> Sealed | None:
    """Return the program with the line, or None where the language or this test has no place for it.

    Args:
        program: What is judged.
        language: Its language.
        control: Whether the line's check is to fail.
    """
    proof = language.proof
    if proof is None or not re.search(proof.needs, plain(program)):
        return None
    place = len(program.test)
    if proof.before:
        match = re.search(proof.before, program.test)
        if match is None:
            return None
        place = match.start()
    number = secrets.randbelow(900_000) + 100_000
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    values = {"A": str(number), "B": str(number + 1 if control else number), "1": first, "2": second}
    line = re.sub("@([AB12])@", lambda match: values[match.group(1)], proof.line.strip())
    head = f"{program.solution}\n{program.test[:place]}\n"
    return Sealed(
        text=f"{head}{line} {proof.comment}\n{program.test[place:]}",
        secret=first + second,
        line_number=head.count("\n") + 1,
    )


def controls(program: NativeProgram, language: Language) -> Iterator[str]:
    """Yield programs that must not pass, those that tell most first."""
    for test in control.falsified(program.test, language):
        if sealed := seal(msgspec.structs.replace(program, test=test), language):
            yield sealed.text
    if sealed := seal(program, language, control=True):
        yield sealed.text


def claims_equality(program: NativeProgram, language: Language) -> bool:
    """Return whether a solution defines anew when values of the kind that it returns are equal."""
    assert language.proof is not None
    pattern = language.proof.equality
    return bool(pattern) and re.search(pattern, _revealed(program.solution)) is not None


def is_wary(program: NativeProgram, language: Language) -> bool:
    """Return whether a solution may have what it takes to disarm checks, or to change what they expect.

    It has not if it is plain: made of nothing but what honest programs are made of.
    """
    assert language.proof is not None
    if len(program.solution) > _LONGEST_READ:
        return True
    solution = _revealed(program.solution)
    if re.search(language.proof.wary, solution) or control.binds_what_the_test_uses(solution, program):
        return True
    return language.name in READINGS and not _is_plain(program, READINGS[language.name])


def _is_plain(program: NativeProgram, reading: Reading) -> bool:
    code = code_of(program.solution, reading)
    return (
        code is not None
        and not unknown_words(code, reading, program.task_id)
        and lasting_names(code).isdisjoint(control.used_names(program))
    )


def _revealed(text: str) -> str:
    """Return a text, and what a compiler or interpreter may make of it: words in pieces are whole there.

    What each step makes of it is there, too: where a comment begins and where it ends is only guessed.
    """
    readings = [text]
    for pattern, meaning in _HIDING:
        readings.append(pattern.sub(meaning, readings[-1]))
    return "\n".join(dict.fromkeys(readings))

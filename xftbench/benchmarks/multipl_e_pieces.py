"""Taking the program in a reply to pieces, and joining them."""

import re
from collections.abc import Callable, Iterable

from xftbench.benchmarks.multipl_e_syntax import (
    Function,
    all_enclosing,
    functions,
    line_ends,
    skeleton,
)

IMPORT = {
    "cpp": r"[ \t]*#[ \t]*include\b[^\n]*",
    "cs": r"[ \t]*using[ \t]+(?:static[ \t]+)?[\w.]+(?:[ \t]*=[^;\n]*)?;",
    "d": r"(?:import[ \t]+[^;]*;|module[ \t]+[^;]*;)",
    "java": r"[ \t]*import[ \t][^;\n]*;",
    "rs": r"use[ \t][^;]*;",
    "scala": r"import[ \t][^\n]*",
    "sh": r"#![^\n]*",
    "swift": r"import[ \t][^\n]*",
}

_CONTRACT = re.compile(r"\b(?:interface|trait)\s[^;{}]*\Z")
_HEAD_CHARS = 400


def joined(*pieces: str) -> str:
    """Return the pieces that are not blank, each on lines of its own."""
    return "\n".join(piece.strip("\n") for piece in pieces if piece.strip())


def last(language: str, code: str, name: str, owner: str = "") -> Function:
    """Return the last definition of a function; the end of a text that is too broken to have one.

    What stands in fewer braces goes before: the others are inner functions, or methods of helpers. Where all
    stand in classes, that of the owner goes before, or else the first: helpers may have such a method, too.
    """
    bones = skeleton(language, code)
    found = functions(language, bones, re.escape(name))
    if not found:
        return Function(len(code), len(code), len(code), has_braces=True)
    braces = all_enclosing(bones, [function.start for function in found])
    least = min(depth for depth, _ in braces)
    outer = [
        (opening, function)
        for (depth, opening), function in zip(braces, found, strict=True)
        if depth == least
    ]
    if least and owner:
        head = re.compile(rf"\b(?:class|object|struct|record)\s+{re.escape(owner)}\b[^;{{}}]*\Z")
        heads = {opening: bones[max(0, opening - _HEAD_CHARS) : opening] for opening, _ in outer}
        chosen = [place for place, text in heads.items() if head.search(text)]
        chosen += [place for place, text in heads.items() if not _CONTRACT.search(text)]
        outer = [pair for pair in outer if pair[0] == (chosen or [outer[0][0]])[0]]
    return outer[-1][1]


def opened(code: str, function: Function) -> str:
    """Return a function without its closing brace."""
    head = code[function.start : function.body]
    body = code[function.body : function.end]
    if function.has_braces:
        return head + body.removesuffix("}")
    if head.rstrip().endswith("=>"):
        value = body if body.startswith("throw") else f"return {body}"
        return f"{head.rstrip().removesuffix('=>')}{{ {value}"
    return f"{head} {{ {body}"


def forwarding(prompt: str, name: str, owner: str, link: str = ".") -> str:
    """Return the prompt's function, without its closing brace, as a call of an object's method."""
    head = prompt.rstrip().rpartition("\n")[2]
    parameters = head.partition("(")[2]
    while (flat := re.sub(r"<[^<>]*>", "", parameters)) != parameters:
        parameters = flat
    names = re.findall(r"(\w+)\s*:(?!:)", parameters) or re.findall(r"(\w+)\s*[,)]", parameters)
    return f"{head}\n    return {owner}{link}{name}({', '.join(names)});"


def split_imports(language: str, code: str) -> tuple[list[str], str]:
    """Return the import lines of a text, and the text without them and without its package or namespace."""
    pattern = re.compile(rf"^{IMPORT[language]}", re.MULTILINE)
    imports = [match[0].strip() for match in pattern.finditer(code)]
    rest = re.sub(r"^\s*(?:package[ \t][^\n]*|namespace[ \t]+[\w.]+;)", "", pattern.sub("", code))
    return imports, rest


def without(language: str, code: str, name: str) -> str:
    """Return a text without the functions whose names match a pattern."""
    bones = skeleton(language, code)
    kept, end = [], 0
    for function in functions(language, bones, name):
        if function.start >= end:
            kept.append(code[end : function.start])
            end = function.end
    return "".join([*kept, code[end:]])


def without_statements(language: str, code: str, heads: re.Pattern[str]) -> str:
    """Return a text without the statements that begin as a pattern says; they end where a line does."""
    bones = skeleton(language, code)

    def end_of(head: re.Match[str]) -> int:
        end = line_ends(bones).end(head.start())
        return end + code.startswith("\n", end)

    return without_pieces(code, heads.finditer(bones), end_of)


def without_pieces(code: str, heads: Iterable[re.Match[str]], end_of: Callable[[re.Match[str]], int]) -> str:
    """Return a text without the pieces that begin as some matches do.

    Args:
        code: The text.
        heads: In their order; one inside a piece that goes is passed over.
        end_of: Where the piece of a match ends; asked only of those that go, as it may take long to find.
    """
    kept, end = [], 0
    for head in heads:
        if head.start() >= end:
            kept.append(code[end : head.start()])
            end = end_of(head)
    return "".join([*kept, code[end:]])


def renamed(language: str, code: str, old: str, new: str) -> str:
    """Return a text in which something has another name, members and keys aside."""
    pattern = rf"(?<![\w$.\\])(?<!->)(?<!::){re.escape(old)}\b(?!\s*:(?!:))"
    kept, end = [], 0
    for match in re.finditer(pattern, skeleton(language, code)):
        kept += [code[end : match.start()], new]
        end = match.end()
    return "".join([*kept, code[end:]])

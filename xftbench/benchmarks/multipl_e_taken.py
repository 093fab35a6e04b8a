"""Names that a script of JavaScript or TypeScript can't declare, and other ones for what it declares so.

The tests declare ``assert`` and ``test``, a script in TypeScript has the browser's names, and both forbid the
second time.
"""

import re

from xftbench.benchmarks.multipl_e_syntax import skeleton

_TESTS = ("assert", "test")
_BROWSER = """
    Algorithm Animation Attr Audio Blob Body Cache Comment Credential Crypto DOMPoint Document Element Event
    External File FileList FormData Headers Highlight History Image Location Lock Navigator Node NodeList
    Notification Option Performance Permissions Plugin Range Report Request Response Screen Selection Storage
    Text Touch Window Worker
    alert atob blur btoa caches close closed confirm crypto document event external fetch focus frames history
    indexedDB length location menubar moveBy moveTo name navigator open opener origin parent performance
    postMessage print prompt reportError screen scroll scrollBy scrollTo self status stop structuredClone
    toString toolbar top window
"""
"""Those of the library's names that answers are likely to use for something of their own."""
_TAKEN = {"js": _TESTS, "ts": (*_TESTS, *_BROWSER.split())}

_DECLARED = re.compile(
    r"^(?:(?:async\s+)?function\b\s*\*?|(?:abstract\s+)?class\b|const\b|let\b|var\b|interface\b|type\b|enum\b)"
    r"\s*(?:\{([^{}]*)\}|([\w$]+))",
    re.MULTILINE,
)
_IN_TEMPLATE = re.compile(r"(?<=\$\{)[^{}`'\"\n]*(?=\})")
_BRACKETS = re.compile(r"[()\[\]{}]")


def without_taken_names(language: str, code: str, entry_point: str) -> str:
    """Return a script in which what it declares under names that are taken has other names."""
    bones = skeleton("js", code)
    declared = {
        name for listed, one in _DECLARED.findall(bones) for name in re.findall(r"[\w$]+", listed or one)
    }
    names = [name for name in _TAKEN[language] if name in declared and name != entry_point]
    return _renamed(code, bones, names) if names else code


def _renamed(code: str, bones: str, names: list[str]) -> str:
    """Give variables other names, but not members: keys stay, and so does what ``{name}`` is short for."""
    listed = "|".join(map(re.escape, names))
    # Behind a dot stands a member, behind three a variable.
    pattern = re.compile(rf"(?:(?<![\w$.\\])|(?<=\.\.\.))(?:{listed})(?![\w$])|{_BRACKETS.pattern}")
    bones = with_templates(code, bones)
    kept, end, around = [], 0, [""]
    for match in pattern.finditer(bones):
        word = match[0]
        if word in "([{":
            around.append(word)
        elif word in ")]}":
            around = around[:-1] or [""]
        elif new := _new(word, bones, match.span(), around[-1]):
            kept += [code[end : match.start()], new]
            end = match.end()
    return "".join([*kept, code[end:]])


def with_templates(code: str, bones: str) -> str:
    """Return a skeleton that has what templates compute."""
    kept, end = [], 0
    for part in _IN_TEMPLATE.finditer(code):
        kept += [bones[end : part.start()], part[0]]
        end = part.end()
    return "".join([*kept, bones[end:]])


def _new(word: str, bones: str, span: tuple[int, int], bracket: str) -> str:
    """Return what stands for a name in its place; nothing where it is a member's."""
    before, after = bones[max(0, span[0] - 40) : span[0]].rstrip(), bones[span[1] : span[1] + 40].lstrip()
    own = f"own_{word}"
    if re.match(r"\??:(?!:)", after):  # a type's, a key's or a choice's colon
        is_variable = re.search(r"\b(?:const|let|var|case)\Z|[^?]\?\Z", before) or (
            bracket == "(" and not re.search(r"\b(?:public|private|protected|readonly)\Z", before)
        )
        return own if is_variable else ""
    is_short = bracket == "{" and before[-1:] in ("{", ",") and after[:1] in (",", "}", "")
    return f"{word}: {own}" if is_short else own

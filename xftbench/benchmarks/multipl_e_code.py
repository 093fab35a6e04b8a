"""What must be known of a language's syntax to put a program of MultiPL-E together."""

import re

_NAMES = {
    "pl": re.compile(r"^sub (\w+)", re.M),
    "r": re.compile(r"^(\w+) <- function", re.M),
    "rkt": re.compile(r"^\(define \((\S+)", re.M),
}
_NAME = re.compile(r"(?<![.\w])(\w+)\s*\(")


def entry_point(language: str, prompt: str) -> str:
    """Return the name of the function that a prompt leaves to be written; its head is the prompt's end."""
    pattern = _NAMES.get(language)
    if pattern is not None:
        return [match[1] for match in pattern.finditer(prompt)][-1]
    head = prompt.rstrip().rpartition("\n")[2]
    match = _NAME.search(head)
    return match[1] if match else ""

"""Names for several suites at once, each with the protocol that they are put together for."""

from typing import NamedTuple


class Selection(NamedTuple):
    """One suite of a command, and the style that a preset prescribes for it."""

    suite: str
    """As `benchmarks.parse_suite` reads it."""
    style: str | None = None


PRESETS: dict[str, tuple[Selection, ...]] = {
    # XFT (2404.15247), by its repository: evalplus 0.2.1's data, six languages, DS-1000 in completion mode.
    "xft-paper": (
        Selection("humaneval+@v0.1.9", "magicoder"),
        Selection("mbpp+@v0.1.0", "magicoder"),
        Selection("multipl-e:java,js,cpp,php,swift,rs", "magicoder"),
        Selection("ds1000", "magicoder"),
    ),
}
"""Preset -> its suites."""


def expand(words: list[str]) -> list[Selection]:
    """Return the suites that the words after ``--suite`` name, presets spelled out, each once."""
    chosen = [selection for word in words for selection in PRESETS.get(word, (Selection(word),))]
    return list(dict.fromkeys(chosen))

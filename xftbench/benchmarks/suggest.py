"""What to tell someone who misspelt a name."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping

_NUMBER = re.compile(r"\d+")


def suggestion(word: str, known: list[str]) -> str:
    """Return 'did you mean ...?' where something is near, and in any case what there is."""
    return did_you_mean(word, known) + "known: " + ", ".join(known)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return 'did you mean ...? ' where something is near, else ''."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}? " if near else ""


def known_tags(tags: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the tags of some problems as people write them, each once: ``language=rs``."""
    return sorted({f"{name}={value}" for of_problem in tags for name, value in of_problem.items()})


def spelled(word: str, tasks: Collection[str]) -> str:
    """Return the task_id that a word names by its number or behind the suite's name; else the word."""
    if word in tasks:
        return word
    *front, ending = word.split("/")
    if front and front[0].lower() in ("ds1000", "ds-1000") and ending in tasks:
        return ending
    found = [task for task in tasks if not front and task.rpartition("/")[2] == word]
    return found[0] if len(found) == 1 else word


def near_task(word: str, known: Collection[str]) -> str:
    """Return the task_id that a word may mean, which may be no more than its number; else ''.

    A word that is written as they are, and has another number, is no slip: nothing is like it.
    """
    named = set(_words(word))
    ordered = sorted(known)
    same = [name for name in ordered if named <= set(_words(name))]
    if not same and _NUMBER.sub("0", word) in {_NUMBER.sub("0", name) for name in ordered}:
        return ""
    return next(iter(same or difflib.get_close_matches(word, ordered, n=1)), "")


def _words(task_id: str) -> list[str]:
    return re.split("[/_]", task_id)

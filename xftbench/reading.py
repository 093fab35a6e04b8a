"""How the completions of a samples file are to be read: by the style that they were asked in."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xftbench.errors import DataFileError, UsageProblem
from xftbench.generation.sample_rows import place_of
from xftbench.plan import Suite
from xftbench.prompts.render import find_style
from xftbench.prompts.style import ExtractionName, Policy
from xftbench.records import Sample

GIVEN = "given"
"""The style of samples of which nothing is known: a completion continues its prompt, if that is code."""


class Reading(NamedTuple):
    """A style's part in judging."""

    style: str
    extraction: ExtractionName
    policy: Policy


def reading_of(
    suite: Suite, samples: Sequence[Sample], style: str | None, policy: Policy | None, path: Path
) -> Reading:
    """Return how samples are read: by the style that was named, or that their rows name, or literally.

    Args:
        suite: What they answer.
        samples: The selected ones.
        style: The one that was named, if any.
        policy: The one that was named, if any.
        path: Their file.

    Raises:
        UsageProblem: If the suite has no style of the name that was given.
        DataFileError: If the rows name several styles, or one that the suite does not have.
    """
    named = dict.fromkeys(sample.style for sample in samples)
    if style is None and len(named) > 1:
        other = next(name for name in list(named)[1:])
        words = ", ".join(sorted(name or "none" for name in named))
        raise DataFileError(
            f"{path}{_place(path, other)}: style is {other or 'not given'}, "
            f"and the samples answer prompts of several: {words}",
            hint="--style names the one to read by",
        )
    name = style or next(iter(named), None)
    if name is None:
        published = find_style(suite.benchmark.family, None).extraction
        # Elsewhere the prompt is prose, or is filled in: no completion of it is a program.
        is_continued = published not in ("insert", "alone")
        return Reading(GIVEN, "given" if is_continued else published, policy or "strict")
    try:
        found = find_style(suite.benchmark.family, name)
    except UsageProblem as error:
        if style is not None:
            raise
        where = f"{path}{_place(path, name)}: style is {name!r}"
        raise DataFileError(f"{where}, and {error.message}", hint=error.hint) from error
    return Reading(name, found.extraction, policy or found.policy)


def _place(path: Path, style: str | None) -> str:
    place = place_of(path, "style", style)
    return f", {place}" if place else ""

"""How the completions of a samples file are to be read: by the style that they were asked in."""

from collections.abc import Sequence
from typing import NamedTuple

from xftbench.errors import UsageProblem
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


def reading_of(suite: Suite, samples: Sequence[Sample], style: str | None, policy: Policy | None) -> Reading:
    """Return how samples are read: by the style that was named, or that their rows name, or literally.

    Raises:
        UsageProblem: If the rows name several styles, or one that the suite does not have.
    """
    named = {sample.style for sample in samples}
    if style is None and len(named) > 1:
        words = ", ".join(sorted(name or "none" for name in named))
        raise UsageProblem(
            f"the samples answer prompts of several styles: {words}", hint="--style names the one to read by"
        )
    name = style or next(iter(named), None)
    if name is None:
        published = find_style(suite.benchmark.family, None).extraction
        # Elsewhere the prompt is prose, or is filled in: no completion of it is a program.
        is_continued = published not in ("insert", "alone")
        return Reading(GIVEN, "given" if is_continued else published, policy or "strict")
    found = find_style(suite.benchmark.family, name)
    return Reading(name, found.extraction, policy or found.policy)

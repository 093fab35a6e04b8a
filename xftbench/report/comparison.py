"""Stored results of several models -> paired comparisons, with what they do and do not show."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from xftbench.benchmarks.clusters import clusters_of
from xftbench.errors import NotComparableError, UsageProblem
from xftbench.records import Record
from xftbench.scoring.paired import PairedTest, Question, Tally, compare_tallies, holm
from xftbench.store.comparable import Difference, check_allowed, differences, is_allowed, refuse
from xftbench.store.noise import NoiseCertificate, matching
from xftbench.store.results import Model, Results

SCHEMA_VERSION = 1

Finding = Literal["better", "worse", "equivalent", "can't tell", "within noise"]
"""What a comparison shows about the candidate. ``equivalent``: surely within the margin. ``within noise``:
the same checkpoint differs from itself by as much."""


class SuiteComparison(Record, kw_only=True):
    """A candidate against the baseline on one suite."""

    suite: str
    suite_version: str
    baseline: str
    candidate: str
    baseline_run: str
    candidate_run: str
    check: str
    """``score``, or one of a plus suite's rules: ``base``, ``plus``, ``strict``."""
    k: int
    n_baseline: int
    """Samples per problem; the smallest number where problems differ."""
    n_candidate: int
    test: PairedTest
    p_adjusted: float
    """By Holm, over all comparisons of this command."""
    equivalence_adjusted: float
    noise_floor: float | None
    """None if this checkpoint's noise was not measured."""
    noise_of: tuple[str, ...]
    """Whose noise was measured: baseline, candidate or both."""
    same_checkpoint: bool
    """Both runs are of the same weights: whatever differs is noise."""
    finding: Finding
    is_decoding_unknown: bool = False
    """Both are completions made elsewhere that don't say how they were drawn."""
    marks: tuple[Difference, ...]
    """What should refuse the comparison and was allowed by name."""
    notes: tuple[Difference, ...]
    """What differs besides the model and is expected not to matter."""


class Comparison(Record):
    """Everything that one command compares."""

    schema_version: int
    question: Question
    baseline: str
    pairs: tuple[SuiteComparison, ...]
    not_paired: tuple[str, ...]
    """Suites that not every model was run on."""


class Settings(Record):
    """How a comparison is made."""

    question: Question = Question()
    check: str = "score"
    allow: tuple[str, ...] = ()


def settings_of(
    *, k: int, alpha: float, margin: float, mid_p: bool, check: str, allow: tuple[str, ...]
) -> Settings:
    """Return the settings that a command's options come to; the margin is in points there."""
    question = Question(k=k, alpha=alpha, margin=margin / 100, mid_p=mid_p)
    return Settings(question=question, check=check, allow=allow)


def compare(
    models: Sequence[Model],
    baseline: str | None,
    settings: Settings,
    certificates: Sequence[NoiseCertificate] = (),
) -> Comparison:
    """Compare every other model with the baseline on every suite that both were run on.

    Raises:
        UsageProblem: If there is no such baseline, no suite in common, or too few samples for k.
        NotComparableError: If a pair differs in what was not allowed.
    """
    check_allowed([word for word in settings.allow if word != "incomplete"])
    first = find_baseline(models, baseline)
    others = [model for model in models if model is not first]
    pairs = [
        _pair(first, other, suite, settings, certificates)
        for suite in first.suites
        for other in others
        if suite in other.suites
    ]
    if not pairs:
        told = "; ".join(f"{model.label}: {', '.join(model.suites)}" for model in models)
        raise UsageProblem(f"no suite that both were run on ({told})")
    everywhere = {suite for model in models for suite in model.suites}
    lonely = [suite for suite in everywhere if not all(suite in model.suites for model in models)]
    return Comparison(
        schema_version=SCHEMA_VERSION,
        question=settings.question,
        baseline=first.label,
        pairs=tuple(_judge(pairs, settings.question)),
        not_paired=tuple(sorted(lonely)),
    )


def find_baseline(models: Sequence[Model], label: str | None) -> Model:
    """Return the model that the others are compared with: the named one, else the first.

    Raises:
        UsageProblem: If there is no such model, or nothing to compare it with.
    """
    if len(models) < 2:
        found = ", ".join(f"{model.label} on {', '.join(model.suites)}" for model in models)
        raise UsageProblem(
            f"a comparison needs two models, found {found}", hint="xftbench compare BASELINE CANDIDATE"
        )
    if label is None:
        return models[0]
    for model in models:
        if label in (model.label, *(result.path for result in model.suites.values())):
            return model
    raise UsageProblem(
        f"--baseline {label!r} is none of the models",
        hint="named: " + ", ".join(model.label for model in models),
    )


def _pair(
    first: Model, other: Model, suite: str, settings: Settings, certificates: Sequence[NoiseCertificate]
) -> SuiteComparison:
    before, after = first.suites[suite], other.suites[suite]
    what = f"{first.label} and {other.label} on {suite}"
    found = differences(before.spec, after.spec)
    marks = refuse(found, settings.allow, what) + _refuse_incomplete(before, after, settings, what)
    tallies = (_tallies(before, settings.check), _tallies(after, settings.check))
    try:
        test = compare_tallies(*tallies, settings.question, clusters_of(suite))
    except ValueError as error:
        raise UsageProblem(f"{what}: {error}") from error
    known = {
        label: found_certificates
        for label, results in ((first.label, before), (other.label, after))
        if (found_certificates := matching(certificates, results.spec))
    }
    floors = [certificate.floor for group in known.values() for certificate in group]
    return SuiteComparison(
        suite=suite,
        suite_version=before.spec.scoring.suite_version,
        baseline=first.label,
        candidate=other.label,
        baseline_run=before.run_id,
        candidate_run=after.run_id,
        check=settings.check,
        k=settings.question.k,
        n_baseline=min(n for n, _ in tallies[0].values()),
        n_candidate=min(n for n, _ in tallies[1].values()),
        test=test,
        p_adjusted=1.0,
        equivalence_adjusted=1.0,
        noise_floor=max(floors) if floors else None,
        noise_of=tuple(known),
        same_checkpoint=before.spec.generation.checkpoint_sha256 == after.spec.generation.checkpoint_sha256,
        finding="can't tell",
        is_decoding_unknown=all(one.spec.generation.is_decoding_unknown for one in (before, after)),
        marks=tuple(marks),
        notes=tuple(difference for difference in found if difference.kind == "noted"),
    )


def _tallies(results: Results, check: str) -> Mapping[str, Tally]:
    if check == "score":
        return results.tallies
    if check not in results.checks:
        known = ", ".join(results.checks) or "none"
        raise UsageProblem(f"{results.suite} has no rule {check!r} beside its score", hint=f"known: {known}")
    return results.checks[check]


def _refuse_incomplete(before: Results, after: Results, settings: Settings, what: str) -> list[Difference]:
    parts = [results for results in (before, after) if not results.is_complete]
    if not parts:
        return []
    counts = [f"{len(results.tallies)} of {results.spec.scoring.n_problems}" for results in (before, after)]
    meaning = "problems without a verdict about the model"
    if not is_allowed("incomplete", settings.allow):
        named = " and ".join(results.path or results.name for results in parts)
        named += " is" if len(parts) == 1 else " are"
        raise NotComparableError(
            f"{what} can't be set side by side: {named} not complete ({meaning})",
            hint="finish the run; or --allow incomplete compares the problems that both have, and marks it",
        )
    return [
        Difference(field="incomplete", before=counts[0], after=counts[1], kind="refused", meaning=meaning)
    ]


def _judge(pairs: Sequence[SuiteComparison], question: Question) -> list[SuiteComparison]:
    adjusted = holm([pair.test.p_value for pair in pairs])
    same = holm([pair.test.equivalence_p for pair in pairs])
    judged = [
        msgspec.structs.replace(pair, p_adjusted=p, equivalence_adjusted=q)
        for pair, p, q in zip(pairs, adjusted, same, strict=True)
    ]
    return [msgspec.structs.replace(pair, finding=finding(pair, question.alpha)) for pair in judged]


def finding(pair: SuiteComparison, alpha: float) -> Finding:
    """Return what a comparison shows; a difference within the noise floor is never called real."""
    difference = pair.test.difference
    is_noise = pair.same_checkpoint or (pair.noise_floor is not None and abs(difference) <= pair.noise_floor)
    if pair.p_adjusted <= alpha and not is_noise:
        return "better" if difference > 0 else "worse"
    if pair.equivalence_adjusted <= alpha:
        return "equivalent"
    return "within noise" if is_noise else "can't tell"

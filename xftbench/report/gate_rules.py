"""The rules of the regression gate, a small language, and what each finds; docs/gate.md has the grammar."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from xftbench.benchmarks.clusters import clusters_of, counted_as
from xftbench.benchmarks.suggest import known_tags
from xftbench.errors import NotComparableError, UsageProblem
from xftbench.records import Record
from xftbench.scoring.paired import PairedTest, Question, Tally, below_p, compare_tallies
from xftbench.store.results import CHECKS, Results

Metric = Literal["change", "score", "gained", "lost", "net"]
_METRICS: tuple[Metric, ...] = ("change", "score", "gained", "lost", "net")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_RULE = re.compile(
    r"(?P<unless>unless\s+)?(?P<subject>[^<>]+?)\s*(?P<op><=|>=|<|>)\s*(?P<value>[+-]?\d+(\.\d+)?)\s*"
    r"(?P<unit>pt)?(\s+at\s+(?P<confidence>\d+(\.\d+)?)\s*%)?"
)
_SUBJECT = re.compile(
    r"(?P<suite>[\w:,+@/-]+)(\.(?P<check>\w+))?(\[(?P<tags>[^\]]*)\])?(\s+(?P<metric>\w+))?"
)
EXAMPLES = 'for example "humaneval+ < -1.5pt at 95%" or "lost > 5"; docs/gate.md has the grammar'

Pairs = Mapping[str, tuple[Results, Results]]
"""Suite -> (reference, candidate)."""
TagsOf = Callable[[Results], Mapping[str, Mapping[str, str]]]
"""Problem -> its tags, from the benchmark's data."""


class Rule(Record):
    """When the gate fails."""

    text: str
    unless: bool = False
    """Fail where the condition does not hold, instead of where it does."""
    suite: str | None = None
    """None: all suites together. ``any``: each suite by itself."""
    check: str = "score"
    tags: tuple[tuple[str, str], ...] = ()
    metric: Metric = "change"
    op: str = "<"
    value: float = 0.0
    """A share for ``change`` and ``score``, else a number of problems."""
    confidence: float | None = None


class RuleResult(Record):
    """What a rule found."""

    rule: str
    failed: bool
    message: str


def parse_rule(text: str) -> Rule:
    """Return the rule that a text states.

    Raises:
        UsageProblem: If it states none.
    """
    match = _RULE.fullmatch(text.strip())
    subject = _SUBJECT.fullmatch(match["subject"]) if match else None
    if match is None or subject is None:
        raise UsageProblem(f"--fail-if {text!r} is no rule", hint=EXAMPLES)
    suite, metric = subject["suite"], subject["metric"] or "change"
    if suite in _METRICS and not any(subject[part] for part in ("check", "tags", "metric")):
        suite, metric = None, suite
    problem = _fault(match, suite, metric, subject["check"])
    if problem:
        raise UsageProblem(f"--fail-if {text!r}: {problem}", hint=EXAMPLES)
    in_points = metric in ("change", "score")
    return Rule(
        text=text.strip(),
        unless=match["unless"] is not None,
        suite=suite,
        check=subject["check"] or "score",
        tags=tuple(_tags(text, subject["tags"])) if subject["tags"] is not None else (),
        metric=next(known for known in _METRICS if known == metric),
        op=match["op"],
        value=float(match["value"]) / (100 if in_points else 1),
        confidence=float(match["confidence"]) / 100 if match["confidence"] else None,
    )


def _fault(match: re.Match[str], suite: str | None, metric: str, check: str | None) -> str | None:
    """Return what is wrong with a rule that has the form of one."""
    if metric not in _METRICS:
        return f"unknown metric {metric!r}, expected one of {', '.join(_METRICS)}"
    if check and check not in CHECKS:
        return f"unknown check {check!r}, expected one of {', '.join(CHECKS)}"
    in_points = metric in ("change", "score")
    if in_points and not match["unit"]:
        return f"{metric} is measured in points: write {match['value']}pt"
    if not in_points and match["unit"]:
        return f"{metric} is a number of problems: write {match['value']} without pt"
    if in_points and suite is None:
        return f"{metric} needs a suite, or any for each of them"
    if match["confidence"] and metric != "change":
        return f"a confidence is for a change, not for {metric}"
    if match["confidence"] and not 50 <= float(match["confidence"]) < 100:
        return f"the confidence is {match['confidence']} %, expected 50 to below 100"
    return None


def _tags(text: str, tags: str) -> list[tuple[str, str]]:
    found = []
    for part in tags.split(","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageProblem(f"--fail-if {text!r}: expected [TAG=VALUE], found [{tags}]", hint=EXAMPLES)
        found.append((name.strip(), value.strip()))
    return found


def evaluate(rule: Rule, pairs: Pairs, floors: Mapping[str, float], k: int, tags_of: TagsOf) -> RuleResult:
    """Return whether a rule fails, and why in words.

    Args:
        rule: The rule.
        pairs: Everything that is compared.
        floors: Suite -> its noise floor, where it was measured.
        k: k of pass@k.
        tags_of: Where the tags of problems come from.

    Raises:
        UsageProblem: If it names a suite, tag or check that is not there.
        NotComparableError: If only one of the two was run on its suite.
    """
    suites = _suites(rule, pairs)
    if rule.metric in ("gained", "lost", "net"):
        tests = [_test(rule, pairs[suite], k, tags_of) for suite in suites]
        return _count(rule, tests) if rule.suite != "any" else _each_count(rule, suites, tests)
    # Of several suites one is below its threshold by chance more easily: each is held to a stricter level.
    asked = 1 if rule.suite != "any" else len(suites)
    results = [_change(rule, suite, pairs[suite], floors.get(suite), (k, asked), tags_of) for suite in suites]
    if len(results) == 1:
        return results[0]
    return RuleResult(
        rule=rule.text,
        failed=any(result.failed for result in results),
        message="; ".join(result.message for result in results if result.failed)
        or f"none of {len(results)} suites",
    )


def _suites(rule: Rule, pairs: Pairs) -> list[str]:
    if rule.suite in (None, "any"):
        return list(pairs)
    found = [suite for suite in pairs if rule.suite in (suite, suite.partition(":")[0])]
    if not found:
        raise NotComparableError(
            f"--fail-if {rule.text!r}: no suite {rule.suite!r} that both were run on",
            hint=f"there is {', '.join(pairs)}",
        )
    if len(found) > 1:
        raise UsageProblem(f"--fail-if {rule.text!r}: {rule.suite} stands for {', '.join(found)}")
    return found


def _tallies(rule: Rule, results: Results, tags_of: TagsOf) -> Mapping[str, Tally]:
    if rule.check != "score" and rule.check not in results.checks:
        raise UsageProblem(
            f"--fail-if {rule.text!r}: {results.suite} has no check {rule.check!r}",
            hint=f"it has {', '.join(results.checks) or 'none'}",
        )
    tallies = results.tallies if rule.check == "score" else results.checks[rule.check]
    if not rule.tags:
        return tallies
    tags = tags_of(results)
    kept = {
        task: tally
        for task, tally in tallies.items()
        if all(tags.get(task, {}).get(name) == value for name, value in rule.tags)
    }
    if not kept:
        known = known_tags(tags.values())
        raise UsageProblem(f"--fail-if {rule.text!r}: no problem has these tags", hint=", ".join(known[:40]))
    return kept


def _both(
    rule: Rule, pair: tuple[Results, Results], tags_of: TagsOf
) -> tuple[Mapping[str, Tally], Mapping[str, Tally]]:
    return _tallies(rule, pair[0], tags_of), _tallies(rule, pair[1], tags_of)


def _test(rule: Rule, pair: tuple[Results, Results], k: int, tags_of: TagsOf) -> PairedTest:
    try:
        return compare_tallies(*_both(rule, pair, tags_of), Question(k=k), clusters_of(pair[0].suite))
    except ValueError as error:
        raise UsageProblem(f"--fail-if {rule.text!r}: {error}") from error


def _count(rule: Rule, tests: Sequence[PairedTest]) -> RuleResult:
    gained, lost = (sum(len(getattr(test, side)) for test in tests) for side in ("gained", "lost"))
    found = {"gained": gained, "lost": lost, "net": gained - lost}[rule.metric]
    holds = _OPERATORS[rule.op](found, rule.value)
    tasks = [task for test in tests for task in test.lost]
    listed = f" ({', '.join(tasks[:10])}{', ...' if len(tasks) > 10 else ''})" if tasks else ""
    return RuleResult(
        rule=rule.text,
        failed=holds != rule.unless,
        message=f"{gained} problems gained, {lost} lost{listed}: net {gained - lost:+d}",
    )


def _each_count(rule: Rule, suites: Sequence[str], tests: Sequence[PairedTest]) -> RuleResult:
    results = [_count(rule, [test]) for test in tests]
    told = [f"{suite}: {result.message}" for suite, result in zip(suites, results, strict=True)]
    return RuleResult(
        rule=rule.text, failed=any(result.failed for result in results), message="; ".join(told)
    )


def _change(
    rule: Rule,
    suite: str,
    pair: tuple[Results, Results],
    floor: float | None,
    k_and_asked: tuple[int, int],
    tags_of: TagsOf,
) -> RuleResult:
    k, asked = k_and_asked
    test = _test(rule, pair, k, tags_of)
    found = test.difference if rule.metric == "change" else test.candidate
    seen = f"{suite}: {100 * test.baseline:.1f} % -> {100 * test.candidate:.1f} % ({100 * found:+.1f} points)"
    if rule.metric == "score":
        seen = f"{suite}: the score is {100 * test.candidate:.1f} %"
    if rule.confidence is None:
        holds = _OPERATORS[rule.op](found, rule.value)
        return RuleResult(rule=rule.text, failed=holds != rule.unless, message=seen)
    before, after = _both(rule, pair, tags_of)
    cluster_of = clusters_of(suite)
    if rule.op in ("<", "<="):
        p = below_p(before, after, k, rule.value, cluster_of)
    else:
        p = below_p(after, before, k, -rule.value, cluster_of)
    holds = p <= (1 - rule.confidence) / asked
    side = "below" if rule.op in ("<", "<=") else "above"
    sure = "sure" if holds else "not sure"
    counted = counted_as(suite, test.n_problems, test.n_clusters)
    message = (
        f"{seen}; {sure} at {100 * rule.confidence:g} % that the change is {side} {100 * rule.value:+g} "
        f"points (p = {p:.2g}{f', {asked} suites' if asked > 1 else ''}{counted and f', {counted}'})"
    )
    if holds and not rule.unless and floor is not None and abs(test.difference) <= floor:
        holds = False
        message += f"; but the same checkpoint differs from itself by up to {100 * floor:.1f} points: noise"
    return RuleResult(rule=rule.text, failed=holds != rule.unless, message=message)

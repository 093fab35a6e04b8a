"""Verdicts of one run -> its scores."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isclose
from statistics import fmean

import msgspec

from xftbench.records import VERDICTS, Problem, Record, Verdict, VerdictName
from xftbench.scoring.clusters import ClusterOf
from xftbench.scoring.intervals import mean_interval
from xftbench.scoring.pass_at_k import pass_at_k

DEFAULT_KS = (1, 10, 100)


class PassAtK(Record):
    """A score never travels without its k and n."""

    k: int
    n: int
    """Samples per problem; the smallest number where problems differ."""
    value: float
    """Mean over the scored problems of the unbiased estimate."""
    low: float
    """Lower end of the 95 % confidence interval."""
    high: float


class Stratum(Record):
    """The score on one part of a suite, such as one language or library."""

    tag: str
    value: str
    n_problems: int
    """Problems with a verdict about the model."""
    pass_at: tuple[PassAtK, ...]


class Scores(Record, kw_only=True):
    """What a run's verdicts come to."""

    n_problems: int
    """Problems that the run was asked to cover: the denominator that a complete run has."""
    n_scored: int
    """Problems with at least one verdict about the model (not only failures of our machinery)."""
    n_samples: int
    counts: dict[VerdictName, int]
    """Samples for each verdict."""
    pass_at: tuple[PassAtK, ...]
    """Over the scored problems; empty if there are none."""
    checks: dict[str, tuple[PassAtK, ...]] = msgspec.field(default_factory=dict)
    """Beside the score, where the suite has more than one rule: on ``base``, ``plus`` and ``strict``."""
    strata: tuple[Stratum, ...] = ()
    """By each of the problems' tags."""
    is_complete: bool
    """Every problem has its samples, and none ended as `infrastructure_error`."""

    def at(self, k: int) -> PassAtK | None:
        """Return the score for a k, if the run has enough samples for it."""
        return next((score for score in self.pass_at if score.k == k), None)


def aggregate(
    problems: Sequence[Problem],
    verdicts: Iterable[Verdict],
    n: int | None,
    ks: Sequence[int] = DEFAULT_KS,
    cluster_of: ClusterOf = str,
) -> Scores:
    """Return the scores of a run.

    A sample that our machinery failed on is left out and makes the result incomplete; it is never counted
    as wrong. Unscored is not zero: with no verdicts there is no pass@k.

    Args:
        problems: What the run covers.
        verdicts: At most one for each sample.
        n: Samples that each problem should have; None if each has as many as it was given.
        ks: Values of k; those above the smallest number of samples of a problem are left out.
        cluster_of: Which problems belong together; what is counted as one in the intervals.
    """
    verdicts = list(verdicts)
    counts = Counter(verdict.verdict for verdict in verdicts)
    task_ids = [problem.task_id for problem in problems]
    tallies = _tally(task_ids, [(verdict, verdict.verdict) for verdict in verdicts])
    scored = {task_id: tally for task_id, tally in tallies.items() if tally[0] > 0}
    return Scores(
        n_problems=len(problems),
        n_scored=len(scored),
        n_samples=len(verdicts),
        counts={name: counts[name] for name in VERDICTS if counts[name]},
        pass_at=_scores(scored, ks, cluster_of),
        checks=_checks(task_ids, verdicts, ks, cluster_of),
        strata=tuple(_strata(problems, scored, ks, cluster_of)),
        is_complete=counts["infrastructure_error"] == 0
        and len(scored) == len(problems) > 0
        and (n is None or all(drawn == n for drawn, _ in tallies.values())),
    )


def contradiction(scores: Scores, verdicts: Sequence[Verdict], cluster_of: ClusterOf = str) -> str | None:
    """Return what in a complete run's scores is not what its verdicts come to; None if all of it is.

    Strata are not looked at: which problem belongs to which is not in the verdicts. Intervals may be those of
    an older xftbench, which took every problem for independent.
    """
    counts = Counter(verdict.verdict for verdict in verdicts)
    if scores.counts != counts:
        return f"counts {scores.counts}, of the verdicts {dict(counts)}"
    ks = [score.k for score in scores.pass_at]
    told = {"pass_at": scores.pass_at, **scores.checks}
    rules = _by_rule(verdicts, ks, cluster_of)
    wrong = [name for name, expected in rules.items() if not _are_same(told.get(name, ()), expected)]
    if not wrong:
        return None
    older = _by_rule(verdicts, ks, str)
    for name in wrong:
        if not _are_same(found := told.get(name, ()), older[name]):
            return f"{name} {found}, of the verdicts {rules[name]}"
    return None


def renewed(scores: Scores, verdicts: Sequence[Verdict], cluster_of: ClusterOf) -> Scores:
    """Return a complete run's scores with today's intervals, if an older xftbench wrote others.

    Strata stay as they are: see `contradiction`.
    """
    if cluster_of is str:
        return scores  # nothing was ever counted otherwise
    ks = [score.k for score in scores.pass_at]
    rules = _by_rule(verdicts, ks, cluster_of)
    passed = rules.pop("pass_at")
    if _are_same(scores.pass_at, passed):
        return scores
    return msgspec.structs.replace(scores, pass_at=passed, checks=rules)


def _by_rule(
    verdicts: Sequence[Verdict], ks: Sequence[int], cluster_of: ClusterOf
) -> dict[str, tuple[PassAtK, ...]]:
    task_ids = list(dict.fromkeys(verdict.task_id for verdict in verdicts))
    passed = _overall(task_ids, [(verdict, verdict.verdict) for verdict in verdicts], ks, cluster_of)
    return {"pass_at": passed, **_checks(task_ids, verdicts, ks, cluster_of)}


def _are_same(ours: Sequence[PassAtK], theirs: Sequence[PassAtK]) -> bool:
    return len(ours) == len(theirs) and all(map(_is_same, ours, theirs))


def _is_same(one: PassAtK, other: PassAtK) -> bool:
    """Return whether two scores are equal, but for what another machine's arithmetic rounds otherwise."""
    is_close = all(
        isclose(getattr(one, end), getattr(other, end), rel_tol=1e-9, abs_tol=1e-12)
        for end in ("value", "low", "high")
    )
    return is_close and (one.k, one.n) == (other.k, other.n)


def _checks(
    task_ids: Sequence[str], verdicts: Sequence[Verdict], ks: Sequence[int], cluster_of: ClusterOf
) -> dict[str, tuple[PassAtK, ...]]:
    found = {}
    for check in ("base", "plus", "strict"):
        judged = [(verdict, name) for verdict in verdicts if (name := getattr(verdict, check)) is not None]
        if judged:
            found[check] = _overall(task_ids, judged, ks, cluster_of)
    return found


def _overall(
    task_ids: Sequence[str],
    judged: Iterable[tuple[Verdict, VerdictName]],
    ks: Sequence[int],
    cluster_of: ClusterOf,
) -> tuple[PassAtK, ...]:
    """Return the scores over the problems with a verdict about the model."""
    tallies = _tally(task_ids, judged)
    return _scores({task_id: tally for task_id, tally in tallies.items() if tally[0] > 0}, ks, cluster_of)


def _strata(
    problems: Sequence[Problem],
    scored: Mapping[str, tuple[int, int]],
    ks: Sequence[int],
    cluster_of: ClusterOf,
) -> Iterator[Stratum]:
    members: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for problem in problems:
        for tag, value in problem.tags.items():
            tallies = members.setdefault((tag, value), {})
            if problem.task_id in scored:
                tallies[problem.task_id] = scored[problem.task_id]
    tags = list(dict.fromkeys(tag for tag, _ in members))
    for (tag, value), tallies in sorted(members.items(), key=lambda member: tags.index(member[0][0])):
        pass_at = _scores(tallies, ks, cluster_of)
        yield Stratum(tag=tag, value=value, n_problems=len(tallies), pass_at=pass_at)


def _scores(
    tallies: Mapping[str, tuple[int, int]], ks: Sequence[int], cluster_of: ClusterOf
) -> tuple[PassAtK, ...]:
    n_min = min((drawn for drawn, _ in tallies.values()), default=0)
    return tuple(score_at(k, tallies, cluster_of) for k in sorted(set(ks)) if k <= n_min)


def _tally(
    task_ids: Sequence[str], verdicts: Iterable[tuple[Verdict, VerdictName]]
) -> Mapping[str, tuple[int, int]]:
    """Return (samples with a verdict about the model, passed) for each problem, zeros included."""
    drawn: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for verdict, name in verdicts:
        drawn[verdict.task_id] += name != "infrastructure_error"
        passed[verdict.task_id] += name == "passed"
    return {task_id: (drawn[task_id], passed[task_id]) for task_id in task_ids}


def score_at(k: int, tallies: Mapping[str, tuple[int, int]], cluster_of: ClusterOf) -> PassAtK:
    """Return the score of some problems, at least one, by their (samples, passed); each has k samples."""
    values = [pass_at_k(n, c, k) for n, c in tallies.values()]
    clusters = [cluster_of(task_id) for task_id in tallies]
    interval = mean_interval(values, n_samples=sum(n for n, _ in tallies.values()), clusters=clusters)
    n_min = min(n for n, _ in tallies.values())
    return PassAtK(k=k, n=n_min, value=fmean(values), low=interval.low, high=interval.high)

"""Verdicts of one run -> its scores."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from xftbench.records import VERDICTS, Record, Verdict, VerdictName
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


class Scores(Record):
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
    is_complete: bool
    """Every problem has its samples, and none ended as `infrastructure_error`."""

    def at(self, k: int) -> PassAtK | None:
        """Return the score for a k, if the run has enough samples for it."""
        return next((score for score in self.pass_at if score.k == k), None)


def aggregate(
    task_ids: Sequence[str], verdicts: Iterable[Verdict], n: int | None, ks: Sequence[int] = DEFAULT_KS
) -> Scores:
    """Return the scores of a run.

    A sample that our machinery failed on is left out and makes the result incomplete; it is never counted
    as wrong. Unscored is not zero: with no verdicts there is no pass@k.

    Args:
        task_ids: The problems that the run covers.
        verdicts: At most one for each sample.
        n: Samples that each problem should have; None if each has as many as it was given.
        ks: Values of k; those above the smallest number of samples of a problem are left out.
    """
    verdicts = list(verdicts)
    counts = Counter(verdict.verdict for verdict in verdicts)
    tallies = _tally(task_ids, verdicts)
    scored = {task_id: tally for task_id, tally in tallies.items() if tally[0] > 0}
    n_min = min((drawn for drawn, _ in scored.values()), default=0)
    return Scores(
        n_problems=len(task_ids),
        n_scored=len(scored),
        n_samples=len(verdicts),
        counts={name: counts[name] for name in VERDICTS if counts[name]},
        pass_at=tuple(_score(k, n_min, list(scored.values())) for k in sorted(set(ks)) if k <= n_min),
        is_complete=counts["infrastructure_error"] == 0
        and len(scored) == len(task_ids) > 0
        and (n is None or all(drawn == n for drawn, _ in tallies.values())),
    )


def _tally(task_ids: Sequence[str], verdicts: Iterable[Verdict]) -> Mapping[str, tuple[int, int]]:
    """Return (samples with a verdict about the model, passed) for each problem, zeros included."""
    drawn: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for verdict in verdicts:
        drawn[verdict.task_id] += verdict.verdict != "infrastructure_error"
        passed[verdict.task_id] += verdict.verdict == "passed"
    return {task_id: (drawn[task_id], passed[task_id]) for task_id in task_ids}


def _score(k: int, n_min: int, tallies: Sequence[tuple[int, int]]) -> PassAtK:
    values = [pass_at_k(n, c, k) for n, c in tallies]
    interval = mean_interval(values, n_samples=sum(n for n, _ in tallies))
    return PassAtK(k=k, n=n_min, value=fmean(values), low=interval.low, high=interval.high)

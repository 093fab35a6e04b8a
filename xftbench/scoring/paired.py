"""Passed and drawn counts of two runs -> everything that the pair says about their difference."""

from collections.abc import Mapping, Sequence
from math import ceil
from statistics import fmean
from typing import Any

from scipy.special import bdtr, ndtr, ndtri

from xftbench.records import Record
from xftbench.scoring import mcnemar, resampling
from xftbench.scoring.clusters import ClusterOf, Clusters, gather
from xftbench.scoring.pass_at_k import pass_at_k

Tally = tuple[int, int]
"""(samples with a verdict about the model, passed) of one problem."""

FEW = 10
"""With fewer differing problems than this, resampling them says little; see `compare_tallies`."""
_ROUNDING = 1e-12


class Question(Record):
    """What is asked of a pair of runs."""

    k: int = 1
    alpha: float = 0.05
    """Level of the tests; intervals have a confidence of 1 - alpha."""
    margin: float = 0.02
    """Differences smaller than this are called equivalent, as a share of the problems."""
    mid_p: bool = False
    """McNemar's mid-p instead of the exact test."""


class PairedTest(Record):
    """The difference between two models on the same problems; shares of the problems, not points."""

    n_problems: int
    n_clusters: int
    """Independent ones among them: what belongs together counts as one."""
    gained: tuple[str, ...]
    """Problems on which the candidate is better."""
    lost: tuple[str, ...]
    """Problems on which the baseline is better."""
    n_both_pass: int
    """Problems that both always solve."""
    n_both_fail: int
    """Problems that neither ever solves."""
    baseline: float
    """pass@k of the baseline on these problems."""
    candidate: float
    difference: float
    low: float
    """Lower end of the confidence interval of the difference."""
    high: float
    p_value: float
    """Two-sided, of "no difference"."""
    test: str
    """Name of the test and of the interval."""
    equivalence_p: float
    """Of "a difference of the margin or more"."""
    net_needed: int
    """Net gain in problems that would have been significant, with about as many disagreements as here."""
    detectable: float | None
    """Smallest true difference that this suite finds 4 times out of 5, the models disagreeing as they do."""


def compare_tallies(
    baseline: Mapping[str, Tally],
    candidate: Mapping[str, Tally],
    question: Question,
    cluster_of: ClusterOf = str,
) -> PairedTest:
    """Return the paired comparison over the problems that both have a verdict on.

    With one answer to each problem: McNemar's exact test and Tango's score interval. With several: a test by
    changing signs and a bootstrap interval, both by problem. Where fewer than `FEW` problems differ, or all
    by as much, the interval and the equivalence test are Tango's in that case too, with the summed gains and
    losses as counts: no longer exact but on the safe side, because a difference within [-1, 1] varies less
    than one of -1 or 1 with the same mean. Where several problems belong to one cluster, the clusters' sums
    are tested in that second way, however many answers there are.

    Raises:
        ValueError: If they have no problem in common, or some has fewer samples than k.
    """
    task_ids = [task_id for task_id in baseline if task_id in candidate]
    if not task_ids:
        raise ValueError("no problem in common")
    before = [pass_at_k(*baseline[task_id], question.k) for task_id in task_ids]
    after = [pass_at_k(*candidate[task_id], question.k) for task_id in task_ids]
    differences = [ours - theirs for theirs, ours in zip(before, after, strict=True)]
    single = all(tallies[task_id][0] == 1 for task_id in task_ids for tallies in (baseline, candidate))
    clusters = gather(task_ids, differences, cluster_of)
    if single and clusters.are_single:
        answers = _single(differences, question)
    else:
        answers = _resampled(clusters, question)
    scores = list(zip(before, after, strict=True))
    return PairedTest(
        n_problems=len(task_ids),
        n_clusters=len(clusters.sizes),
        gained=tuple(t for t, d in zip(task_ids, differences, strict=True) if d > 0),
        lost=tuple(t for t, d in zip(task_ids, differences, strict=True) if d < 0),
        n_both_pass=scores.count((1.0, 1.0)),
        n_both_fail=scores.count((0.0, 0.0)),
        baseline=fmean(before),
        candidate=fmean(after),
        difference=fmean(differences),
        **answers,
    )


def _single(differences: Sequence[float], question: Question) -> dict[str, Any]:
    n = len(differences)
    gained, lost = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    interval = mcnemar.score_interval(gained, lost, n, 1 - question.alpha)
    return {
        "low": interval.low,
        "high": interval.high,
        "p_value": mcnemar.exact_p(gained, lost, mid_p=question.mid_p),
        "test": f"McNemar {'mid-p' if question.mid_p else 'exact'}, Tango interval",
        "equivalence_p": mcnemar.equivalence_p(gained, lost, n, question.margin),
        "net_needed": mcnemar.net_needed(gained, lost, question.alpha),
        "detectable": mcnemar.detectable(n, (gained + lost) / n, question.alpha),
    }


def _resampled(clusters: Clusters, question: Question) -> dict[str, Any]:
    """Answer by changing signs and resampling: of clusters, or of problems where each stands alone."""
    sums, sizes = clusters.sums, clusters.weights
    alpha, margin = question.alpha, question.margin
    up, down = sum(value > 0 for value in sums), sum(value < 0 for value in sums)
    n_problems = sum(clusters.sizes)
    error = resampling.standard_error(sums, sizes)
    z = float(ndtri(1 - alpha / 2))
    needed = z * error * n_problems
    if _says_little(clusters):
        gained, lost, n = _as_counts(clusters)
        interval = mcnemar.score_interval(gained, lost, n, 1 - alpha)
        same = mcnemar.equivalence_p(gained, lost, n, margin)
        detectable = mcnemar.detectable(round(n), (up + down) / len(sums), alpha)
        name = "Tango interval on summed differences"
        if sizes:
            # As many clusters as the sign test wants, each as far apart as those seen.
            usual = fmean([abs(value) for value in sums if value]) if up + down else 1.0
            needed = mcnemar.net_needed(up, down, alpha) * usual
    else:
        interval = resampling.bootstrap_interval(sums, 1 - alpha, sizes)
        same = resampling.equivalence_p(sums, margin, sizes)
        detectable = (z + float(ndtri(0.8))) * error
        name = f"bootstrap interval by {'cluster' if sizes else 'problem'}"
    flipped = f"cluster ({len(sums)} of {n_problems} problems)" if sizes else "problem"
    return {
        "low": interval.low,
        "high": interval.high,
        "p_value": resampling.sign_flip_p(sums),
        "test": f"sign flips by {flipped}, {name}",
        "equivalence_p": same,
        "net_needed": max(1, ceil(needed)),
        "detectable": detectable,
    }


def _says_little(clusters: Clusters) -> bool:
    """Return whether resampling says little: few differ, or all by as much, which no resample varies."""
    n_differing = sum(value != 0 for value in clusters.sums)
    return n_differing < FEW or resampling.standard_error(clusters.sums, clusters.weights) < _ROUNDING


def _as_counts(clusters: Clusters) -> tuple[float, float, float]:
    """Return gains, losses and trials that have the mean of the clusters, and vary no less.

    A cluster counts as one trial with a result within [-1, 1]; where sizes differ, the effective number of
    clusters stands for their number.
    """
    scale = clusters.effective / sum(clusters.sizes)
    gained = scale * sum(value for value in clusters.sums if value > 0)
    lost = -scale * sum(value for value in clusters.sums if value < 0)
    return gained, lost, clusters.effective


def below_p(
    baseline: Mapping[str, Tally],
    candidate: Mapping[str, Tally],
    k: int,
    threshold: float,
    cluster_of: ClusterOf = str,
) -> float:
    """Return the one-sided p-value of "the true difference is `threshold` or more".

    Small means: the candidate surely does worse than the baseline by more than that. Swap the models and the
    sign for the other direction. At a threshold of 0 with one answer each it is exact.
    """
    task_ids = [task_id for task_id in baseline if task_id in candidate]
    differences = [
        pass_at_k(*candidate[task_id], k) - pass_at_k(*baseline[task_id], k) for task_id in task_ids
    ]
    clusters = gather(task_ids, differences, cluster_of)
    single = clusters.are_single and all(
        tallies[task_id][0] == 1 for task_id in task_ids for tallies in (baseline, candidate)
    )
    gained, lost, n = _as_counts(clusters)
    if single and threshold == 0:
        return float(bdtr(gained, round(gained + lost), 0.5))
    if single or _says_little(clusters):
        return float(ndtr(mcnemar.score_z(gained, lost, n, threshold)))
    return resampling.below_p(clusters.sums, threshold, clusters.weights)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for how many questions are asked at once (Holm 1979).

    Below alpha stays true with a chance of at most alpha that any of the differences called real is not.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted

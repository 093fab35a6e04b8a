"""Confidence interval of a mean over problems."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean, variance
from typing import NamedTuple

from xftbench.scoring.clusters import gather

_ROUNDING = 1e-18
_FEW = 5
"""With fewer clusters in which something was solved, or missed, what clusters share can't be estimated."""


class Interval(NamedTuple):
    """A confidence interval, both ends in [0, 1]."""

    low: float
    high: float


def mean_interval(values: Sequence[float], n_samples: int, clusters: Sequence[str] = ()) -> Interval:
    """Return a 95 % confidence interval for the mean of per-problem estimates.

    The problems are taken as a random draw from all problems of their kind, so the interval says what
    other problems would have given, not what a second run on the same ones would. It is Wilson's score
    interval with an effective number of trials: with one sample per problem that is the number of
    problems, and the interval is Wilson's own. With several it is p(1-p) over the squared standard error
    between problems, so what repeated samples of one problem share is not counted twice. Where several
    problems belong together, the standard error is that between clusters, and t takes the normal's place;
    where that can't be estimated, a cluster counts as one trial.

    Args:
        values: One estimate in [0, 1] for each problem.
        n_samples: Samples behind all the values together; bounds the effective number of trials.
        clusters: Of each value, what its problem belongs to; without it each problem stands alone.

    Returns:
        The interval; for no values at all, [0, 1].

    Source: Wilson 1927; effective sample size as in Korn and Graubard 1998, Survey Methodology 24.
    """
    if not values:
        return Interval(0.0, 1.0)
    n_problems = len(values)
    p = fmean(values)
    between = variance(values) * (n_problems - 1) / n_problems if n_problems > 1 else 0.0
    trials = float(n_problems)
    if between > 0.0:
        trials = min(max(p * (1 - p) / (between / n_problems), n_problems), max(n_samples, n_problems))
    z = NormalDist().inv_cdf(0.975)
    if len(set(clusters)) < len(clusters):
        trials = min(trials, _clustered_trials(values, clusters, z))
    centre = p + z * z / (2 * trials)
    spread = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def _clustered_trials(values: Sequence[float], clusters: Sequence[str], z: float) -> float:
    """Return how many independent trials would give the mean the standard error that it has."""
    # Not at the top: only suites with clusters need it, and it takes long to import.
    from scipy.special import ndtr, stdtrit

    p = fmean(values)
    together = gather(clusters, values, str)
    n_clusters = len(together.sums)
    residuals = [value - p * size for value, size in zip(*together, strict=True)]
    squares = sum(residual * residual for residual in residuals)
    if n_clusters == 1 or squares < _ROUNDING:
        return together.effective
    squared_error = squares * n_clusters / (n_clusters - 1) / len(values) ** 2
    wider = float(stdtrit(n_clusters - 1, ndtr(z))) / z
    trials = max(1.0, p * (1 - p) / squared_error / wider**2)
    solved = sum(value > 0 for value in together.sums)
    missed = sum(value < size for value, size in zip(*together, strict=True))
    return min(trials, together.effective) if min(solved, missed) < _FEW else trials

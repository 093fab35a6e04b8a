"""Two models on the same problems with several answers each: resampling by problem, or by cluster.

A problem's answers resemble each other, so problems are what is resampled and what changes sides, never
answers. Everything works on one difference in pass@k for each problem. Distinct values are few, so a
resample is a draw of how often each value occurs, which is the same thing and much faster.

Where problems belong together (translations of one), the clusters take the problems' place: `sizes` then says
how many problems each has, and the values are sums over them.

Sources: Efron and Tibshirani 1993 (the bootstrap); Hesterberg 2015, The American Statistician 69 (the
expanded percentile interval); Fisher 1935 (the test by changing signs).
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from xftbench.scoring.intervals import Interval

_SEED = 20_240_415
"""Fixed: the same runs always give the same numbers."""
_RESAMPLES = 10_000
_SIGN_FLIPS = 20_000
_ROUNDING = 1e-9


def bootstrap_interval(
    differences: Sequence[float], confidence: float = 0.95, sizes: Sequence[int] | None = None
) -> Interval:
    """Return the expanded percentile interval of the mean difference over problems.

    The plain percentile interval is too short by the factor that separates dividing by n from dividing by
    n - 1, and the normal from the t distribution; it is expanded by that. Chosen over BCa by measured
    coverage (docs/comparing.md).
    """
    n = len(differences)
    generator = np.random.default_rng(_SEED)
    if sizes is None:
        values, counts = np.unique(np.asarray(differences), return_counts=True)
        means = generator.multinomial(n, counts / n, size=_RESAMPLES) @ values / n
    else:
        kinds, counts = np.unique(np.column_stack([differences, sizes]), axis=0, return_counts=True)
        drawn = generator.multinomial(n, counts / n, size=_RESAMPLES)
        means = (drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1])
    centre = _mean(differences, sizes)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    wider = sqrt(n / (n - 1)) * float(stdtrit(n - 1, tail) / ndtri(tail)) if n > 1 else 1.0
    return Interval(
        max(-1.0, centre + (float(low) - centre) * wider), min(1.0, centre + (float(high) - centre) * wider)
    )


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of "for each problem, the two models could change places".

    With one answer each this is McNemar's exact test; here by simulation, the observed signs counted in, so
    that the level is kept.
    """
    sizes, counts = np.unique(np.round(np.abs(differences), 12), return_counts=True)
    observed = abs(float(np.sum(differences)))
    drawn = np.random.default_rng(_SEED).binomial(counts, 0.5, size=(_SIGN_FLIPS, len(counts)))
    sums = np.abs((2 * drawn - counts) @ sizes)
    return float(1 + np.count_nonzero(sums >= observed - _ROUNDING)) / (_SIGN_FLIPS + 1)


def _mean(differences: Sequence[float], sizes: Sequence[int] | None) -> float:
    return float(np.mean(differences)) if sizes is None else float(np.sum(differences)) / sum(sizes)


def standard_error(differences: Sequence[float], sizes: Sequence[int] | None = None) -> float:
    """Return the standard error of the mean difference between problems."""
    if sizes is not None:
        n = len(sizes)
        residuals = np.asarray(differences) - _mean(differences, sizes) * np.asarray(sizes)
        return sqrt(n / (n - 1) * float(residuals @ residuals)) / sum(sizes) if n > 1 else 0.0
    return float(np.std(differences, ddof=1)) / sqrt(len(differences)) if len(differences) > 1 else 0.0


def equivalence_p(differences: Sequence[float], margin: float, sizes: Sequence[int] | None = None) -> float:
    """Return the p-value of "the models differ by `margin` or more", by two one-sided t tests on problems."""
    return max(below_p(differences, margin, sizes), below_p([-d for d in differences], margin, sizes))


def below_p(differences: Sequence[float], threshold: float, sizes: Sequence[int] | None = None) -> float:
    """Return the p-value of "the true difference is `threshold` or more": a one-sided t test."""
    mean, error = _mean(differences, sizes), standard_error(differences, sizes)
    if error == 0:
        return 0.0 if mean < threshold else 1.0
    return float(stdtr(len(differences) - 1, (mean - threshold) / error))

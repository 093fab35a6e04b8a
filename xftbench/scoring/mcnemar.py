"""Two models on the same problems with one answer each: is the difference real, and how large is it?

Only the problems on which the two disagree carry evidence: `gained` are solved by the candidate alone, `lost`
by the baseline alone. Nothing else of a pair of runs enters here.

Sources: McNemar 1947, Psychometrika 12 (the test; exact by the binomial distribution); Tango 1998, Statistics
in Medicine 17 (the score interval, and the restricted estimate behind it); Liu et al. 2002, Statistics in
Medicine 21 (equivalence by the same score statistic).
"""

from collections.abc import Callable
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import bdtr, ndtr, ndtri
from scipy.stats import binom

from xftbench.scoring.intervals import Interval

_EDGE = 1e-9
_POWER = 0.8


def exact_p(gained: int, lost: int, *, mid_p: bool = False) -> float:
    """Return the two-sided p-value of McNemar's exact test: as if each disagreement were a fair coin.

    Args:
        gained: Problems that only the candidate solves.
        lost: Problems that only the baseline solves.
        mid_p: Count the observed table half. Less conservative, no longer guaranteed to keep its level.
    """
    total = gained + lost
    if total == 0:
        return 1.0
    tail = float(bdtr(min(gained, lost), total, 0.5))
    if mid_p:
        return min(1.0, 2 * tail - float(binom.pmf(min(gained, lost), total, 0.5)))
    return min(1.0, 2 * tail)


def score_z(gained: float, lost: float, n: float, difference: float) -> float:
    """Return Tango's score statistic for a true difference in (-1, 1); standard normal if it is true.

    Args:
        gained: Problems that only the candidate solves.
        lost: Problems that only the baseline solves.
        n: All problems.
        difference: The difference that is supposed, as a share of the problems.
    """
    # The share that only the baseline solves, estimated under the supposed difference: a root of ax²+bx+c.
    a = 2 * n
    b = (2 * n - gained + lost) * difference - gained - lost
    c = -lost * difference * (1 - difference)
    only_baseline = (sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * only_baseline + difference * (1 - difference))
    gap = gained - lost - n * difference
    if variance <= 0:
        return 0.0 if gap == 0 else inf if gap > 0 else -inf
    return gap / sqrt(variance)


def score_interval(gained: float, lost: float, n: float, confidence: float = 0.95) -> Interval:
    """Return Tango's interval for the difference: every value that his score test does not reject.

    Chosen by its exact coverage (docs/comparing.md): 93 to 97 % wherever four or more disagreements are
    expected, and more where there are fewer. With no disagreement at all it has a width: that nothing was
    seen in n problems does not prove that nothing is there.
    """
    z = float(ndtri(0.5 + confidence / 2))
    estimate = (gained - lost) / n
    low = _root(lambda d: score_z(gained, lost, n, d) - z, -1 + _EDGE, estimate, default=-1.0)
    high = _root(lambda d: score_z(gained, lost, n, d) + z, estimate, 1 - _EDGE, default=1.0)
    return Interval(low, high)


def _root(f: Callable[[float], float], left: float, right: float, default: float) -> float:
    left, right = max(left, -1 + _EDGE), min(right, 1 - _EDGE)
    if left >= right or f(left) * f(right) > 0:
        return default
    return float(brentq(f, left, right, xtol=1e-12))


def equivalence_p(gained: float, lost: float, n: float, margin: float) -> float:
    """Return the p-value of "the models differ by `margin` or more", by two one-sided score tests.

    Small means: the difference is surely smaller than the margin, in either direction.
    """
    above = 1 - float(ndtr(score_z(gained, lost, n, -margin)))
    below = float(ndtr(score_z(gained, lost, n, margin)))
    return max(above, below)


def power(n: int, discordance: float, difference: float, alpha: float) -> float:
    """Return the chance that the exact test finds a true difference.

    Args:
        n: Problems.
        discordance: Share of the problems on which the models disagree.
        difference: Share gained minus share lost, at most `discordance` in size.
        alpha: Level of the test.
    """
    if not 0 < discordance <= 1:
        return 0.0
    totals = np.arange(n + 1)
    most = critical_counts(totals, alpha)
    up = min(1.0, (1 + abs(difference) / discordance) / 2)
    # -1 marks a total that is too small to be significant at all; both tails are 0 there.
    rejected = np.where(most >= 0, bdtr(most, totals, up) + bdtr(most, totals, 1 - up), 0.0)
    return float(np.sum(binom.pmf(totals, n, discordance) * rejected))


def critical_counts(totals: NDArray[np.int64], alpha: float) -> NDArray[np.float64]:
    """Return, for numbers of disagreements, how many may go the other way in a significant result, or -1."""
    most: NDArray[np.float64] = np.maximum(binom.ppf(alpha / 2, totals, 0.5), 0.0)
    too_many: NDArray[np.bool_] = 2 * bdtr(most, totals, 0.5) > alpha
    return most - too_many


def detectable(n: int, discordance: float, alpha: float) -> float | None:
    """Return the smallest true difference that the test finds 4 times out of 5, or None if none.

    The models are taken to disagree as often as observed, or as often as the difference itself if that is
    more.
    """

    def shortfall(difference: float) -> float:
        return _POWER - power(n, max(discordance, difference), difference, alpha)

    if shortfall(1.0) > 0:
        return None
    return float(brentq(shortfall, 1e-6, 1.0, xtol=1e-5))


def net_needed(gained: int, lost: int, alpha: float) -> int:
    """Return the net gain that would have been significant among about as many disagreements.

    That is: the smallest `net` for which `total` disagreements, the observed number or the next that has
    the parity of `net`, give p <= alpha.
    """
    net = 1
    while True:
        total = max(net, gained + lost - (gained + lost - net) % 2)
        if exact_p((total + net) // 2, (total - net) // 2) <= alpha:
            return net
        net += 1

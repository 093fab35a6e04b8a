"""The interval of a mean: Wilson's, with a number of trials that is worked out by hand for each case."""

from fractions import Fraction

import pytest
from scipy import stats

from xftbench.scoring.intervals import Interval, mean_interval

Z = float(stats.norm.ppf(0.975))


def trials_of(interval: Interval, p: float) -> list[float]:
    """Return n of each end but 0 and 1, from Wilson's definition: at an end x, n (x - p)² = z² x (1 - x)."""
    return [Z * Z * x * (1 - x) / (x - p) ** 2 for x in interval if 0 < x < 1]


def wider(n_clusters: int) -> float:
    return float(stats.t.ppf(0.975, n_clusters - 1)) / Z


@pytest.mark.parametrize(
    ("values", "n_samples", "trials"),
    [
        ([1, 0, 0, 1, 1], 5, 5),
        ([0, 0, 0], 3, 3),
        ([1.0], 1, 1),
        # All alike, many samples: what other problems would give is still known of 2 problems only.
        ([0.3, 0.3], 200, 2),
        # p = 1/2; the squared error between problems is (0.09 + 0.01 + 0.16) / 9; p (1 - p) over it.
        ([0.2, 0.4, 0.9], 30, Fraction(25, 100) * 9 / Fraction(26, 100)),
        # The same again: 0.25 / (0.01 / 2) = 50 trials, but there were no more than 10 samples.
        ([0.4, 0.6], 10, 10),
        ([0.4, 0.6], 60, 50),
        # A problem whose samples all failed to be judged brings none: never fewer trials than problems.
        ([0.4, 0.6], 1, 2),
    ],
)
def test_the_trials_of_problems_that_stand_alone(values: list[float], n_samples: int, trials: float) -> None:
    p = sum(values) / len(values)
    found = trials_of(mean_interval(values, n_samples), p)
    assert found == pytest.approx([float(trials)] * len(found), rel=1e-9)
    assert found


@pytest.mark.parametrize(
    ("solved", "missed", "trials"),
    [
        # (clusters, problems in each) that were all solved, and that were all missed.
        # p = 1/2, residuals ±1 of 10 clusters: squared error 10 · 10/9 / 20² = 1/36, p (1 - p) over it 9.
        ((5, 2), (5, 2), 9 / wider(10) ** 2),
        # p = 3/4, residuals ±3/4: 5.625 · 10/9 / 20² = 1/64, 3/16 over it 12. More than 400 / (5·9 + 5) = 8
        # equally large clusters, which only bound it where fewer than 5 were solved or missed.
        ((5, 3), (5, 1), 12 / wider(10) ** 2),
        # p = 1/2, residuals ±1 of 8 clusters: 8 · 8/7 / 16² = 1/28; fewer than the 8 equally large clusters.
        ((4, 2), (4, 2), 7 / wider(8) ** 2),
        # p = 4/5: 0.16 over 8 · 0.64 · 8/7 / 20² is 10.94, / 1.46 = 7.5; bound by 20² / (4·16 + 4) = 5.88.
        ((4, 4), (4, 1), 400 / 68),
        # 5 solved, but 4 missed: p = 5/6, 5/36 over 5 · 9/8 / 24² is 14.22, / 1.38 = 10.3; bound by 6.86.
        ((5, 4), (4, 1), 24**2 / (5 * 16 + 4)),
        # p = 2/3 of 3 clusters: 2 / 4.8 trials would be less than one.
        ((2, 2), (1, 2), 1),
        # Nothing differs between the clusters, or there is but one: each is one trial.
        ((4, 3), (0, 1), 4),
        ((1, 6), (0, 1), 1),
    ],
)
def test_the_trials_of_problems_that_belong_together(
    solved: tuple[int, int], missed: tuple[int, int], trials: float
) -> None:
    values, clusters = [], []
    for value, (n_clusters, size) in ((1.0, solved), (0.0, missed)):
        for number in range(n_clusters):
            values += [value] * size
            clusters += [f"{value} {number}"] * size
    found = trials_of(mean_interval(values, len(values), clusters=clusters), sum(values) / len(values))
    assert found == pytest.approx([trials] * len(found), rel=1e-9)
    assert found


def test_of_nothing_nothing_is_known() -> None:
    assert mean_interval([], 0) == (0.0, 1.0)

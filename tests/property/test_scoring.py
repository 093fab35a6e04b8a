"""Laws of the estimator and of the interval."""

import random
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xftbench.scoring.intervals import mean_interval
from xftbench.scoring.pass_at_k import pass_at_k

counts = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))


@given(counts)
def test_pass_at_k_is_the_share_of_draws_with_a_pass(case: tuple[int, int, int]) -> None:
    n, c, k = case
    samples = [True] * c + [False] * (n - c)
    draws = list(combinations(samples, k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12)


@given(counts)
def test_pass_at_k_grows_with_c_and_with_k(case: tuple[int, int, int]) -> None:
    n, c, k = case
    if c < n:
        assert pass_at_k(n, c + 1, k) >= pass_at_k(n, c, k)
    if k < n:
        assert pass_at_k(n, c, k + 1) >= pass_at_k(n, c, k)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(1, 20))
def test_the_interval_holds_the_mean_and_stays_within_0_and_1(values: list[float], n: int) -> None:
    interval = mean_interval(values, n_samples=n * len(values))
    assert 0.0 <= interval.low <= fmean(values) + 1e-9
    assert fmean(values) - 1e-9 <= interval.high <= 1.0


def test_one_sample_a_problem_gives_wilsons_interval() -> None:
    # Oracle: scipy 1.17.1, binomtest(10, 164).proportion_ci(0.95, "wilson").
    interval = mean_interval([1.0] * 10 + [0.0] * 154, n_samples=164)
    assert interval == pytest.approx((0.0334545613, 0.1085929339), abs=1e-9)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("spread", [0.1, 1.0])
def test_coverage_is_nominal(n: int, spread: float) -> None:
    """Problems drawn from a population with mean 0.4, n samples each: it is covered 95 % of the time."""
    rng = random.Random(7)
    concentration = 1 / spread
    covered = 0
    for _ in range(2000):
        difficulty = [rng.betavariate(0.4 * concentration, 0.6 * concentration) for _ in range(164)]
        values = [sum(rng.random() < p for _ in range(n)) / n for p in difficulty]
        interval = mean_interval(values, n_samples=164 * n)
        covered += interval.low <= 0.4 <= interval.high
    assert 0.93 <= covered / 2000 <= 0.97

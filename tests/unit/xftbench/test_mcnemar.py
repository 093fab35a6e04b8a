"""The tests for one answer a problem, against closed forms and by going through every possible table."""

from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln, xlogy
from scipy.stats import binomtest

from xftbench.scoring.mcnemar import (
    critical_counts,
    detectable,
    equivalence_p,
    exact_p,
    net_needed,
    power,
    score_interval,
    score_z,
)

counts = st.integers(0, 60)


@given(counts, counts)
def test_the_exact_p_value_is_the_binomial_test_of_a_fair_coin(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert exact_p(gained, lost) == pytest.approx(expected)
    assert exact_p(gained, lost) == exact_p(lost, gained)


def test_known_p_values() -> None:
    assert exact_p(9, 4) == pytest.approx(2 * sum(comb(13, i) for i in range(5)) / 2**13)
    assert exact_p(0, 0) == 1.0
    assert exact_p(6, 0) == pytest.approx(2 / 2**6)
    assert exact_p(9, 4, mid_p=True) == pytest.approx(exact_p(9, 4) - comb(13, 4) / 2**13)


def test_the_interval_agrees_with_the_published_example() -> None:
    # Tango 1998, table II: 43 against 0 of 100 pairs.
    assert score_interval(43, 0, 100) == pytest.approx((0.3373, 0.5278), abs=1e-4)


@given(counts, counts, st.integers(0, 100))
def test_the_ends_of_the_interval_are_where_the_score_test_turns(gained: int, lost: int, rest: int) -> None:
    n = gained + lost + rest
    if n == 0:
        return
    low, high = score_interval(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    if low > -1:
        assert score_z(gained, lost, n, low) == pytest.approx(1.959964, abs=1e-4)
    if high < 1:
        assert score_z(gained, lost, n, high) == pytest.approx(-1.959964, abs=1e-4)
    assert score_interval(lost, gained, n) == pytest.approx((-high, -low), abs=1e-6)


def test_the_score_statistic_without_a_difference_is_mcnemars() -> None:
    assert score_z(9, 4, 164, 0.0) == pytest.approx((9 - 4) / sqrt(9 + 4))


def tables(n: int, up: float, down: float) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the probability of every table that is not negligible, and the tables."""
    grid = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    b, c = np.array(grid).T
    rest = n - b - c
    log = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(rest + 1)
    probability = np.exp(log + xlogy(b, up) + xlogy(c, down) + xlogy(rest, 1 - up - down))
    keep = probability > 1e-7
    return probability[keep], [table for table, is_kept in zip(grid, keep, strict=True) if is_kept]


@pytest.mark.parametrize("difference", [0.0, 0.3, 0.7])
@pytest.mark.parametrize(("n", "discordance"), [(50, 0.1), (50, 0.4), (164, 0.05), (164, 0.1), (164, 0.3)])
def test_the_interval_covers_the_truth_93_to_97_times_of_100(
    n: int, discordance: float, difference: float
) -> None:
    true = discordance * difference
    probability, found = tables(n, (discordance + true) / 2, (discordance - true) / 2)
    covered = [low <= true <= high for low, high in (score_interval(b, c, n) for b, c in found)]
    assert 0.93 <= probability @ covered <= 0.97


@pytest.mark.parametrize("discordance", [0.005, 0.02])
def test_with_hardly_any_disagreement_the_interval_errs_on_the_safe_side(discordance: float) -> None:
    probability, found = tables(164, discordance / 2, discordance / 2)
    covered = [low <= 0 <= high for low, high in (score_interval(b, c, 164) for b, c in found)]
    assert probability @ covered >= 0.95


@pytest.mark.parametrize(("n", "discordance"), [(20, 0.3), (164, 0.02), (164, 0.1), (164, 0.4)])
def test_without_a_difference_the_test_rejects_at_most_5_times_of_100(n: int, discordance: float) -> None:
    probability, found = tables(n, discordance / 2, discordance / 2)
    assert probability @ [exact_p(b, c) <= 0.05 for b, c in found] <= 0.05


@pytest.mark.parametrize(("n", "discordance"), [(164, 0.05), (164, 0.1), (378, 0.05)])
def test_at_the_margin_equivalence_is_claimed_about_5_times_of_100(n: int, discordance: float) -> None:
    margin = 0.03
    probability, found = tables(n, (discordance + margin) / 2, (discordance - margin) / 2)
    assert probability @ [equivalence_p(b, c, n, margin) <= 0.05 for b, c in found] <= 0.06


def test_the_equivalence_test_agrees_with_the_interval() -> None:
    low, high = score_interval(9, 4, 378, 0.90)
    widest = max(-low, high)
    assert equivalence_p(9, 4, 378, widest) == pytest.approx(0.05, abs=1e-4)
    assert equivalence_p(9, 4, 378, widest + 0.01) < 0.05 < equivalence_p(9, 4, 378, widest - 0.01)


@pytest.mark.parametrize(
    ("n", "discordance", "difference"), [(164, 0.1, 0.07), (50, 0.4, 0.2), (378, 0.05, 0.0)]
)
def test_the_power_is_the_share_of_tables_that_are_significant(
    n: int, discordance: float, difference: float
) -> None:
    probability, found = tables(n, (discordance + difference) / 2, (discordance - difference) / 2)
    expected = probability @ [exact_p(b, c) <= 0.05 for b, c in found]
    assert power(n, discordance, difference, 0.05) == pytest.approx(expected, abs=1e-5)


def test_the_detectable_difference_is_found_4_times_out_of_5_in_simulation() -> None:
    n, discordance = 164, 13 / 164
    smallest = detectable(n, discordance, 0.05)
    assert smallest is not None
    generator = np.random.default_rng(1)
    up = (discordance + smallest) / 2
    drawn = generator.multinomial(n, [up, discordance - up, 1 - discordance], size=20_000)
    found = np.mean([exact_p(int(b), int(c)) <= 0.05 for b, c, _ in drawn])
    assert found == pytest.approx(0.8, abs=0.01)


def test_too_few_problems_can_detect_nothing() -> None:
    assert detectable(5, 0.0, 0.05) is None


@given(st.integers(0, 200))
def test_the_critical_count_is_the_last_that_is_significant(total: int) -> None:
    most = int(critical_counts(np.array([total]), 0.05)[0])
    assert most < 0 or exact_p(total - most, most) <= 0.05
    assert 2 * (most + 1) > total or exact_p(total - most - 1, most + 1) > 0.05


@given(counts, counts)
def test_the_net_gain_needed_is_the_smallest_significant_one(gained: int, lost: int) -> None:
    net = net_needed(gained, lost, 0.05)
    total = max(net, gained + lost - (gained + lost - net) % 2)
    assert exact_p((total + net) // 2, (total - net) // 2) <= 0.05
    smaller = net - 1
    total = max(smaller, gained + lost - (gained + lost - smaller) % 2)
    assert exact_p((total + smaller) // 2, (total - smaller) // 2) > 0.05


def test_the_example_of_the_docs_needs_8_net_problems() -> None:
    assert net_needed(9, 4, 0.05) == 8

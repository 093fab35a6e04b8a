"""The tests for several answers a problem, and what is common to both kinds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xftbench.scoring.mcnemar import detectable, exact_p
from xftbench.scoring.paired import Question, below_p, compare_tallies, holm
from xftbench.scoring.resampling import bootstrap_interval, equivalence_p, sign_flip_p, standard_error


def tallies(n: int, passed: list[int]) -> dict[str, tuple[int, int]]:
    return {f"T/{index}": (n, c) for index, c in enumerate(passed)}


@pytest.mark.parametrize(("gained", "lost"), [(9, 4), (6, 0), (30, 14), (3, 3)])
def test_with_one_answer_changing_signs_is_mcnemars_exact_test(gained: int, lost: int) -> None:
    differences = [1.0] * gained + [-1.0] * lost + [0.0] * 100
    assert sign_flip_p(differences) == pytest.approx(exact_p(gained, lost), abs=0.01)


def test_changing_signs_agrees_with_all_sign_patterns_gone_through() -> None:
    differences = [0.3, 0.25, -0.1, 0.6, 0.05, -0.2, 0.45, 0.0]
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1)
    sums = np.abs(np.array(differences) @ signs)
    expected = np.mean(sums >= abs(sum(differences)) - 1e-9)
    assert sign_flip_p(differences) == pytest.approx(expected, abs=0.01)


def test_the_same_runs_always_give_the_same_numbers() -> None:
    before, after = tallies(10, [1, 5, 9, 3] * 20), tallies(10, [2, 5, 8, 6] * 20)
    assert compare_tallies(before, after, Question()) == compare_tallies(before, after, Question())


def test_swapping_the_models_turns_the_result_around() -> None:
    before, after = tallies(10, [1, 5, 9, 3] * 20), tallies(10, [2, 5, 8, 6] * 20)
    there, back = compare_tallies(before, after, Question()), compare_tallies(after, before, Question())
    assert back.difference == pytest.approx(-there.difference)
    assert back.p_value == there.p_value
    assert back.gained == there.lost


def test_one_answer_each_takes_the_exact_test() -> None:
    result = compare_tallies(
        tallies(1, [0] * 9 + [1] * 155), tallies(1, [1] * 9 + [0] * 4 + [1] * 151), Question()
    )
    assert (len(result.gained), len(result.lost), result.n_problems) == (9, 4, 164)
    assert result.p_value == exact_p(9, 4)
    assert (result.n_both_pass, result.n_both_fail) == (151, 0)
    assert result.difference == pytest.approx(5 / 164)


def test_only_problems_that_both_have_are_compared() -> None:
    after = tallies(1, [1, 1, 1])
    del after["T/1"]
    assert compare_tallies(tallies(1, [0, 0, 0]), after, Question()).n_problems == 2


def test_no_common_problem_and_too_few_samples_are_errors() -> None:
    with pytest.raises(ValueError, match="common"):
        compare_tallies({"A": (1, 1)}, {"B": (1, 1)}, Question())
    with pytest.raises(ValueError, match="k=10"):
        compare_tallies(tallies(5, [1]), tallies(5, [1]), Question(k=10))


def test_no_differing_problem_still_leaves_the_interval_a_width() -> None:
    result = compare_tallies(tallies(20, [7] * 100), tallies(20, [7] * 100), Question())
    assert result.p_value == 1.0
    assert result.low < -0.01 < 0.01 < result.high
    assert result.net_needed == 1


def test_below_0_with_one_answer_is_the_sign_test() -> None:
    before, after = tallies(1, [1] * 10 + [0] * 2 + [1] * 88), tallies(1, [0] * 10 + [1] * 2 + [1] * 88)
    assert below_p(before, after, 1, 0.0) == pytest.approx((1 + 12 + 66) / 2**12, rel=1e-12)


def test_the_standard_error_over_clusters_divides_by_one_less_than_there_are() -> None:
    # Mean 0.5 a problem: residuals 1, -1 and 0 of clusters with two problems each.
    assert standard_error([2.0, 0.0, 1.0], [2, 2, 2]) == pytest.approx(math.sqrt(3 / 2 * 2) / 6, rel=1e-12)


def in_pairs(task_id: str) -> str:
    return str(int(task_id.removeprefix("T/")) // 2)


def test_what_pairs_of_problems_would_need_is_told_in_problems() -> None:
    # 30 pairs; both problems of 12 pairs are gained.
    result = compare_tallies(tallies(1, [0] * 60), tallies(1, [1] * 24 + [0] * 36), Question(), in_pairs)
    squares = 12 * (2 - 0.8) ** 2 + 18 * 0.8**2
    assert result.net_needed == math.ceil(1.959964 * math.sqrt(30 / 29 * squares))
    few = compare_tallies(tallies(1, [0] * 60), tallies(1, [1] * 8 + [0] * 52), Question(), in_pairs)
    assert few.detectable == detectable(30, 4 / 30, 0.05), "4 of 30 pairs differ"


def test_a_few_differing_problems_are_not_resampled() -> None:
    before, after = [10] * 164, [10] * 164
    after[:9] = [11] * 9
    assert "Tango" in compare_tallies(tallies(20, before), tallies(20, after), Question()).test
    after[9] = 11
    assert "bootstrap" in compare_tallies(tallies(20, before), tallies(20, after), Question()).test


@pytest.mark.parametrize("rise", [1, 3, 10])
def test_if_all_problems_rise_alike_the_interval_still_has_a_width(rise: int) -> None:
    before, after = tallies(10, [0] * 30), tallies(10, [rise] * 30)
    result = compare_tallies(before, after, Question())
    assert result.low < rise / 10 - 0.05
    assert "Tango" in result.test
    assert below_p(after, before, 1, -rise / 10 + 0.01) > 0.1, "30 problems don't prove a point"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_step_down_rule(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[index] * (len(p_values) - rank) > alpha:
                break
            rejected.add(index)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def draw(generator: np.random.Generator, runs: int, shape: tuple[int, int], shift: float) -> np.ndarray:
    """Return per-problem differences of `runs` pairs of models whose true mean difference is `shift`."""
    problems, n = shape
    before = generator.beta(0.6, 0.5, (runs, problems)) * (1 - 2 * shift)
    moved = np.where(generator.random((runs, problems)) < 0.5, 0.0, 2 * shift)
    return (generator.binomial(n, before + moved) - generator.binomial(n, before)) / n


@pytest.mark.slow
@pytest.mark.parametrize(("problems", "n", "shift"), [(80, 5, 0.0), (164, 20, 0.04), (378, 10, 0.1)])
def test_the_bootstrap_interval_covers_the_truth_93_to_97_times_of_100(
    problems: int, n: int, shift: float
) -> None:
    drawn = draw(np.random.default_rng(7), 1000, (problems, n), shift)
    covered = [low <= shift <= high for low, high in (bootstrap_interval(list(d)) for d in drawn)]
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.slow
def test_without_a_difference_changing_signs_rejects_at_most_5_times_of_100() -> None:
    drawn = draw(np.random.default_rng(8), 600, (164, 10), 0.0)
    rejected = np.mean([sign_flip_p(list(d)) <= 0.05 for d in drawn])
    assert rejected <= 0.05 + 2.6 * (0.05 * 0.95 / 600) ** 0.5


@pytest.mark.slow
def test_at_the_margin_equivalence_is_claimed_at_most_5_times_of_100() -> None:
    drawn = draw(np.random.default_rng(9), 2000, (164, 20), 0.05)
    claimed = np.mean([equivalence_p(list(d), 0.05) <= 0.05 for d in drawn])
    assert claimed <= 0.05 + 2.6 * (0.05 * 0.95 / 2000) ** 0.5


@pytest.mark.slow
def test_the_detectable_difference_is_found_4_times_out_of_5() -> None:
    generator = np.random.default_rng(10)
    error = float(np.mean([np.std(d, ddof=1) for d in draw(generator, 200, (164, 10), 0.03)])) / 164**0.5
    shift = (1.96 + 0.8416) * error
    pairs = draw(generator, 500, (164, 10), shift)
    assert np.mean([sign_flip_p(list(d)) <= 0.05 for d in pairs]) == pytest.approx(0.8, abs=0.05)

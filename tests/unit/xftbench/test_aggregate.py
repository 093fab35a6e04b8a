import msgspec
import pytest
from factories import a_verdict, some_problems

from xftbench.records import Problem, Verdict
from xftbench.scoring.aggregate import aggregate
from xftbench.store.results import tally


def verdicts(*rows: tuple[str, str]) -> list[Verdict]:
    return [
        a_verdict(task_id, index, verdict)  # type: ignore[arg-type]
        for index, (task_id, verdict) in enumerate(rows)
    ]


def test_the_denominator_is_the_benchmarks_problem_list() -> None:
    scores = aggregate(some_problems("a", "b", "c"), verdicts(("a", "passed"), ("b", "failed")), n=1)
    assert (scores.n_problems, scores.n_scored, scores.is_complete) == (3, 2, False)


def test_pass_at_k_is_left_out_where_a_problem_has_fewer_than_k_samples() -> None:
    rows = verdicts(*[("a", "passed")] * 10, *[("b", "failed")] * 9)
    scores = aggregate(some_problems("a", "b"), rows, n=None, ks=(1, 5, 10))
    assert [score.k for score in scores.pass_at] == [1, 5]
    assert {score.n for score in scores.pass_at} == {9}
    assert scores.is_complete, "each problem has as many samples as it was given"
    assert not aggregate(some_problems("a", "b"), rows, n=10).is_complete
    assert not aggregate(some_problems("a", "b"), rows, n=9).is_complete, "one has more than it should"


def test_unequal_n_is_averaged_over_problems_not_over_samples() -> None:
    rows = verdicts(("a", "passed"), ("b", "passed"), ("b", "failed"), ("b", "failed"))
    score = aggregate(some_problems("a", "b"), rows, n=None).at(1)
    assert score is not None
    assert score.value == pytest.approx((1 + 1 / 3) / 2)


def test_our_own_failures_are_neither_right_nor_wrong() -> None:
    scores = aggregate(some_problems("a", "b"), verdicts(("a", "passed"), ("b", "infrastructure_error")), n=1)
    score = scores.at(1)
    assert score is not None
    assert score.value == 1.0
    assert not scores.is_complete
    among_others = verdicts(("a", "passed"), ("a", "infrastructure_error"))
    assert not aggregate(some_problems("a"), among_others, n=None).is_complete


def test_no_verdicts_are_no_score_rather_than_zero() -> None:
    scores = aggregate(some_problems("a"), [], n=1)
    assert scores.pass_at == ()
    assert scores.at(1) is None
    assert not scores.is_complete
    assert not aggregate(some_problems(), [], n=1).is_complete


def test_scores_are_broken_down_by_the_problems_tags() -> None:
    problems = [
        Problem(task_id="a", prompt="", tags={"language": "java"}),
        Problem(task_id="b", prompt="", tags={"language": "js"}),
        Problem(task_id="c", prompt="", tags={"language": "js"}),
    ]
    scores = aggregate(problems, verdicts(("a", "passed"), ("b", "passed"), ("c", "failed")), n=1)
    found = {stratum.value: (stratum.n_problems, stratum.pass_at[0].value) for stratum in scores.strata}
    assert found == {"java": (1, 1.0), "js": (2, 0.5)}


def test_each_rule_of_a_plus_suite_has_its_own_score() -> None:
    rows = [
        msgspec.structs.replace(a_verdict("a", 0, "passed"), base="passed", plus="passed", strict="failed"),
        msgspec.structs.replace(a_verdict("b", 0, "failed"), base="passed", plus="failed", strict="failed"),
    ]
    checks = aggregate(some_problems("a", "b"), rows, n=1).checks
    assert {name: scores[0].value for name, scores in checks.items()} == {"base": 1, "plus": 0.5, "strict": 0}


def test_what_our_machinery_failed_on_is_no_answer_in_a_comparison() -> None:
    verdicts = [
        a_verdict("T/0", 0, "passed"),
        a_verdict("T/0", 1, "infrastructure_error"),
        a_verdict("T/1", 0, "infrastructure_error"),
    ]
    assert tally((verdict, verdict.verdict) for verdict in verdicts) == {"T/0": (1, 1)}
